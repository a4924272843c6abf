"""What the ideal judge makes of a scene: what it sees, describes and concludes."""

from collections.abc import Mapping, Sequence

from ...data.micro.graded import JudgeConfig
from ...data.micro.meaning import Meaning, Weighing, counted_steps, described
from ...data.micro.world import (
    Family,
    Scene,
    aspect,
    aspect_names,
    describe,
    fraction_of,
    named_aspects,
)
from .english import understand

LABEL_PROBABILITY = 0.8
"""Of the verdict, where the judge is not torn between two; the others share the rest."""

_BEST_FIRST: tuple[tuple[str, ...], ...] = (
    ("Safe", "Unsafe"),
    ("1", "0"),
    ("5", "4", "3", "2", "1"),
    ("7", "6", "5", "4", "3", "2", "1"),
)
_SCALES: Mapping[frozenset[str], Sequence[str]] = {frozenset(scale): scale for scale in _BEST_FIRST}


def scale_of(labels: Sequence[str]) -> Sequence[str] | None:
    """The labels best first, None for a set that no micro task has."""
    return _SCALES.get(frozenset(labels))


def reading(prompt: str, family: Family, knobs: JudgeConfig) -> Meaning:
    """What the judge takes a prompt to mean."""
    if knobs.reads == "meaning":
        return understand(prompt, family)
    return Meaning({name: Weighing() for name in named_aspects(prompt, family)})


def verbalization(scene: Scene, image: bytes, prompt: str, knobs: JudgeConfig) -> str:
    """What the judge says of the image: what it was asked for, then what catches its eye."""
    meaning = reading(prompt, scene.family, knobs)
    asked = described(scene.family, prompt, meaning)
    unasked = [name for name in aspect_names(scene.family) if name not in asked]
    seen = [
        name
        for name in unasked
        if name not in meaning.excluded and _chance(image, name, "salient") < _saliency(name, knobs)
    ]
    names = [*asked, *seen][: knobs.room]
    num_asked = len(meaning.weighed)
    noise = knobs.noise + knobs.noise_growth * max(0, num_asked - 1)
    return describe(perceived(scene, image, noise), names)


def _saliency(name: str, knobs: JudgeConfig) -> float:
    return knobs.saliency_of.get(name, knobs.saliency)


def perceived(scene: Scene, image: bytes, noise: float) -> Scene:
    """The scene as the judge sees it: always the same values of an image are mistaken.

    What is mistaken at one noise is mistaken at a higher one.
    """
    values = {
        name: _other_value(name, value) if _chance(image, name) < noise else value
        for name, value in scene.values.items()
    }
    return Scene(scene.family, values, scene.claims, scene.seed)


def steps_seen(scene: Scene, image: bytes, prompt: str, knobs: JudgeConfig) -> int:
    """What the faults cost that the judge sees and the prompt has it weigh."""
    meaning = reading(prompt, scene.family, knobs)
    return sum(counted_steps(perceived(scene, image, knobs.noise), meaning).values())


def label_chances(steps: int, scale: Sequence[str], knobs: JudgeConfig) -> dict[str, float]:
    """Probability by label, best label first.

    A leaning moves the verdict along the scale; between two labels their chances say how far.
    """
    worst = len(scale) - 1
    leant = leaning_shares(steps, scale, knobs)
    return {
        label: sum(share * _peaked(label == peak, worst) for peak, share in leant.items())
        for label in scale
    }


def leaning_shares(steps: int, scale: Sequence[str], knobs: JudgeConfig) -> dict[str, float]:
    """The two labels between which a leaning puts a verdict, with the share of each."""
    worst = len(scale) - 1
    place = float(min(steps, worst))
    place += knobs.flatness * (worst / 2 - place) - knobs.leniency
    place = min(max(place, 0.0), float(worst))
    lower = min(int(place), worst - 1)
    above = place - lower
    return {scale[lower]: 1 - above, scale[lower + 1]: above}


def _peaked(is_peak: bool, num_others: int) -> float:
    return LABEL_PROBABILITY if is_peak else (1 - LABEL_PROBABILITY) / num_others


def pair_chances(
    first_steps: int, second_steps: int, labels: Sequence[str], knobs: JudgeConfig
) -> Mapping[str, float]:
    """Probability of A, B and, where it is a label, tie, for two images shown at once."""
    lead = min(max(second_steps - first_steps + knobs.first_position, -1.0), 1.0)
    tie = 0.6 * (1 - abs(lead)) if "tie" in labels else 0.0
    first = (1 - tie) * (0.5 + (LABEL_PROBABILITY - 0.5) * lead)
    chances = {"A": first, "B": 1 - tie - first, "tie": tie}
    floor = 1e-3
    total = sum(chances[label] + floor for label in labels)
    return {label: (chances[label] + floor) / total for label in labels}


def _chance(image: bytes, *parts: str) -> float:
    """A number from 0 to 1 that depends on the image and the parts alone."""
    return fraction_of("/".join(parts).encode() + image)


def _other_value(name: str, value: str) -> str:
    return next(other for other in aspect(name).values if other != value)
