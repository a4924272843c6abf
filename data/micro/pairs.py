"""The micro task of pairs: which of two pictures of shapes follows their text better.

Both pictures of a pair come with one text. The simulated people count the faults that they mind
in each and prefer the one with fewer; pairs in which they see no difference are left out.
"""

from collections.abc import Collection, Iterator, Mapping

import numpy as np

from .rubrics import LABEL_NOISE, Row, Rubric, RubricName
from .world import (
    Scale,
    Scene,
    aspect,
    claim_text,
    derived_seed,
    draw_scene,
    is_fault,
    png_bytes,
    render,
)

PAIR_TASK = "micro-pairs"
PAIR_SCALE: Scale = "alignment"
"""Of the judge, who is asked about one picture at a time."""

PAIR_RUBRICS: Mapping[RubricName, Rubric] = {
    "main": Rubric(
        minds={"color": 1, "count": 1, "shape": 1, "texture": 1, "size": 0.12},
        forgiven={},
        fault_rates={
            "color": 0.35, "count": 0.35, "shape": 0.35, "texture": 0.35, "size": 0.4,
            "side": 0.5, "border": 0.5, "backdrop": 0.4,
        },
    ),
    "held-out": Rubric(
        minds={"size": 1, "shape": 1, "texture": 1, "backdrop": 1, "color": 0.12},
        forgiven={},
        fault_rates={
            "size": 0.35, "shape": 0.35, "texture": 0.35, "backdrop": 0.35, "color": 0.4,
            "side": 0.5, "border": 0.5, "count": 0.4,
        },
    ),
}  # fmt: skip

ScenePair = tuple[Scene, Scene]
_SPLIT_START = 10_000_000


class PairRow(Row):
    """One pair; `image` is image A."""

    image_b: bytes


def generate_pairs(
    seed: int, num_train: int = 100, num_test: int = 200, rubric: RubricName = "main"
) -> list[PairRow]:
    """The dataset: train rows, then test rows; a pure function of its arguments.

    A group is a text; no group is in both splits, and both labels are equally frequent in each.
    """
    return [
        _row(f"{PAIR_TASK}-{split}-{number:04d}", pair, label, split)
        for split, examples in _splits(seed, num_train, num_test, rubric).items()
        for number, (pair, label) in enumerate(examples)
    ]


def scene_pairs(
    seed: int, num_train: int = 100, num_test: int = 200, rubric: RubricName = "main"
) -> list[ScenePair]:
    """The scenes behind the rows of `generate_pairs`, in the same order."""
    splits = _splits(seed, num_train, num_test, rubric)
    return [pair for examples in splits.values() for pair, _ in examples]


def _splits(
    seed: int, num_train: int, num_test: int, rubric: RubricName
) -> dict[str, list[tuple[ScenePair, str]]]:
    train = _draw(seed, num_train, rubric, 0, ())
    texts = {claim_text(first) or "" for (first, _), _ in train}
    return {"train": train, "test": _draw(seed, num_test, rubric, _SPLIT_START, texts)}


def _draw(
    seed: int, num: int, rubric: RubricName, start: int, taken: Collection[str]
) -> list[tuple[ScenePair, str]]:
    """Pairs with their labels, A for half of them in an order that tells nothing."""
    rng = np.random.default_rng(derived_seed("pairs", seed, rubric, start))
    wanted = rng.permutation(["A", "B"] * (num // 2) + ["A"] * (num % 2)).tolist()
    candidates = _differing(seed, rubric, start, set(taken), rng)
    examples: list[tuple[ScenePair, str]] = []
    for label, (better, worse) in zip(wanted, candidates, strict=False):
        pair = (better, worse) if label == "A" else (worse, better)
        is_noise = rng.random() < LABEL_NOISE
        examples.append((pair, {"A": "B", "B": "A"}[label] if is_noise else label))
    return examples


def _differing(
    seed: int, rubric: RubricName, start: int, texts: set[str], rng: np.random.Generator
) -> Iterator[ScenePair]:
    """Pairs between which one person sees a difference, the better picture first."""
    minded = PAIR_RUBRICS[rubric]
    scene_seed = derived_seed("task", PAIR_TASK, seed, rubric)
    index = start
    while True:
        first = draw_scene("objects", scene_seed, index, minded.fault_rates)
        index += 1
        second = _rival(first, minded.fault_rates, rng)
        minds = [name for name, share in minded.minds.items() if rng.random() < share]
        counts = [sum(is_fault(scene, name) for name in minds) for scene in (first, second)]
        text = claim_text(first) or ""
        if counts[0] != counts[1] and text not in texts:
            texts.add(text)
            yield (first, second) if counts[0] < counts[1] else (second, first)


def _rival(scene: Scene, rates: Mapping[str, float], rng: np.random.Generator) -> Scene:
    """Another picture for the claims of a scene, at fault as often."""
    values: dict[str, str] = {}
    for name in scene.values:
        possible = aspect(name).values
        claimed = scene.claims.get(name)
        if claimed is not None:
            wrong = rng.random() < rates[name]
            possible = tuple(v for v in possible if (v == claimed) is not wrong)
        values[name] = possible[int(rng.integers(len(possible)))]
    return Scene(scene.family, values, scene.claims, int(rng.integers(2**62)))


def _row(example_id: str, pair: ScenePair, label: str, split: str) -> PairRow:
    first, second = pair
    text = claim_text(first) or ""
    return PairRow(
        example_id=example_id,
        image=png_bytes(render(first)),
        image_b=png_bytes(render(second)),
        text=text,
        label=label,
        group=text,
        category=first.claims.get("shape", "thing"),
        split=split,
    )
