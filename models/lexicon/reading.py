"""What the lexicon optimizer knows, and how it reads prompts and the cases in a meta-prompt."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...data.micro.world import (
    ASPECTS,
    FAMILIES,
    Aspect,
    Family,
    aspect_names,
    family_aspects,
    named_aspects,
    plural,
)

UNSEEN_ASPECTS: dict[Family, tuple[str, ...]] = {
    "symbols": ("gesture", "uniform", "flag", "wound", "crowd", "slogan", "vehicle", "costume"),
    "flaws": ("anatomy", "perspective", "reflection", "symmetry", "composition", "contrast"),
    "objects": ("action", "style", "material", "weather", "expression", "clothing", "season"),
}
"""Aspects an LLM would think of and the micro model has never heard of."""

_FAMILY_WORDS: dict[Family, tuple[str, ...]] = {
    "symbols": ("safe", "unsafe", "harm", "harmful"),
    "flaws": ("natural", "naturalness", "real", "realistic"),
    "objects": ("text", "caption", "match", "matches", "aligned", "alignment"),
}
MAX_EDITS = 2
NUM_NEW_ASPECTS = 3
NUM_KEPT_ASPECTS = 2
"""Aspects an I2T prompt asks for beside those that the judge prompt names."""


@dataclass(frozen=True, slots=True)
class CaseEvidence:
    """What a case block tells.

    described: the aspects that the description reports; faults: those of them that look wrong.
    severity: by how many steps people judge more severely than the verdict; negative for a
        false alarm.
    """

    described: frozenset[str]
    faults: frozenset[str]
    severity: int


def strongest_edits(
    cases: Sequence[CaseEvidence], named: Sequence[str], min_support: float
) -> list[str]:
    """The aspects to name, or to drop where they are named, that explain the misjudgments best.

    At most MAX_EDITS of them, each set against what those before it leave unexplained.
    """
    changed, residuals = list[str](), [case.severity for case in cases]
    while len(changed) < MAX_EDITS:
        support, aspect = _strongest_edit(cases, residuals, toggled(named, changed))
        if support < min_support:
            break
        step = -1 if aspect in toggled(named, changed) else 1
        residuals = [
            residual - step if aspect in case.faults else residual
            for case, residual in zip(cases, residuals, strict=True)
        ]
        changed.append(aspect)
    return changed


def toggled(named: Sequence[str], changed: Sequence[str]) -> list[str]:
    """The named aspects after every change: those named are dropped, the others added."""
    for aspect in changed:
        named = [name for name in named if name != aspect] if aspect in named else [*named, aspect]
    return list(named)


def _strongest_edit(
    cases: Sequence[CaseEvidence], residuals: Sequence[int], named: Sequence[str]
) -> tuple[float, str]:
    """The aspect whose naming (or dropping) would set the most cases right, net of the harm."""
    edits = [
        (_support(name, cases, residuals, drop=name in named), name)
        for name in sorted({name for case in cases for name in case.described})
    ]
    return max(edits, key=lambda edit: edit[0], default=(0.0, ""))


def _support(
    name: str, cases: Sequence[CaseEvidence], residuals: Sequence[int], *, drop: bool
) -> float:
    direction = -1 if drop else 1
    affected = [r for case, r in zip(cases, residuals, strict=True) if name in case.faults]
    return float(sum(1 if direction * residual > 0 else -1 for residual in affected))


def with_aspects(judge_prompt: str, named: Sequence[str], lead: str = "Pay attention to") -> str:
    """The sentences of the prompt that name no aspect, then one that names them all."""
    sentences = re.split(r"(?<=[.!?])\s+", judge_prompt.strip())
    kept = [sentence for sentence in sentences if not lexicon_words(sentence)]
    if named:
        kept.append(f"{lead} {listed(named)}.")
    return " ".join(kept)


def read_case(case: str, labels: Sequence[str]) -> list[CaseEvidence]:
    """What the text of a case block tells: of its image, or of each image of a pair.

    Of a pair only that speaks for either image in which they differ. People who prefer the other
    one judge it more severely than the verdict does.
    """
    human, verdict = block(case, "human_label"), block(case, "verdict")
    severity = _severity(human, labels) - _severity(verdict, labels) if verdict in labels else 0
    claims = _claims(block(case, "text"))
    seen = [_described_values(description) for description in _descriptions(case)]
    faults = [_faults(values, claims) for values in seen]
    if len(seen) == 1:
        return [CaseEvidence(frozenset(seen[0]), faults[0], severity)]
    described = frozenset(seen[0]) & frozenset(seen[1])
    first, second = faults[0] & described, faults[1] & described
    return [
        CaseEvidence(described, first - second, severity),
        CaseEvidence(described, second - first, -severity),
    ]


def _descriptions(case: str) -> list[str]:
    """Of the one image, or of image A and image B."""
    descriptions = blocks(case, "description")
    if len(descriptions) == 1:
        parts = re.split(r"^Image [AB]: ", descriptions[0], flags=re.MULTILINE)
        descriptions = parts[1:] if len(parts) == 3 else descriptions
    return descriptions or [""]


def _faults(values: dict[str, str], claims: dict[str, str]) -> frozenset[str]:
    return frozenset(
        aspect.name
        for aspect in ASPECTS
        if aspect.name in values and _is_fault(aspect, values[aspect.name], claims)
    )


def _is_fault(aspect: Aspect, value: str, claims: dict[str, str]) -> bool:
    if aspect.fault_value is not None:
        return value == aspect.fault_value
    return aspect.name in claims and claims[aspect.name] != value


def _described_values(description: str) -> dict[str, str]:
    """Values by aspect name, from statements such as "color: red"."""
    stated = {
        name.lower(): value.lower() for name, value in re.findall(r"(\w+)\s*:\s*(\w+)", description)
    }
    return {
        aspect.name: stated[aspect.name]
        for aspect in ASPECTS
        if stated.get(aspect.name) in aspect.values
    }


def _claims(text: str) -> dict[str, str]:
    """Values that a text claims, by aspect name."""
    words = set(re.findall(r"[a-z]+", text.lower()))
    return {
        aspect.name: value
        for aspect in family_aspects("objects")
        for value in aspect.values
        if value in words or plural(value) in words
    }


def _severity(label: str, labels: Sequence[str]) -> int:
    """Ratings get more severe as they fall, names ("Safe", "Unsafe") in their declared order."""
    position = labels.index(label)
    return -position if all(label.isdigit() for label in labels) else position


def lexicon(meta_prompt: str, judge_prompt: str) -> list[str]:
    """Aspects worth asking about in this task; a named one need not be asked as new."""
    topic = f"{judge_prompt} {' '.join(labels_of(meta_prompt))}".lower()
    words = set(re.findall(r"[a-z]+", topic))
    families: tuple[Family, ...] = tuple(
        family for family in FAMILIES if words & set(_FAMILY_WORDS[family])
    )
    named = set(lexicon_words(judge_prompt))
    known = (name for family in families or FAMILIES for name in _family_lexicon(family))
    return [name for name in known if name not in named]


def _family_lexicon(family: Family) -> list[str]:
    return [*aspect_names(family), *UNSEEN_ASPECTS[family]]


def lexicon_words(prompt: str) -> list[str]:
    """The lexicon's aspects that a prompt names, seen and unseen ones."""
    words = re.findall(r"[a-z]+", prompt.lower())
    unseen = {name for names in UNSEEN_ASPECTS.values() for name in names}
    return [*named_aspects(prompt), *dict.fromkeys(word for word in words if word in unseen)]


def scored_i2t_prompts(meta_prompt: str) -> list[tuple[float, list[str]]]:
    """The scored history of I2T prompts, in its order: score, and the lexicon's aspects named."""
    return [
        (float(score), lexicon_words(prompt))
        for score, prompt in re.findall(
            r'<i2t_prompt score="([^"]+)"[^>]*>(.*?)</i2t_prompt>', meta_prompt, re.DOTALL
        )
    ]


def labels_of(meta_prompt: str) -> list[str]:
    [line] = re.findall(r"^The possible verdicts, in order: (.*)$", meta_prompt, re.MULTILINE)
    return [label.strip() for label in line.split(",")]


def block(text: str, tag: str) -> str:
    return next(iter(blocks(text, tag)), "")


def blocks(text: str, tag: str) -> list[str]:
    return [block.strip() for block in re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)]


def by_hash(names: Iterable[str], salt: str) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())


def remixed(names: Sequence[str], judge_prompt: str, draw: int) -> list[str]:
    """The names in another order for each further draw; none for the first."""
    return by_hash(names, f"{draw}/{judge_prompt}") if draw else []


def listed(names: Iterable[str]) -> str:
    """ "the color, the count and the size" """
    phrases = [f"the {name}" for name in names]
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"
