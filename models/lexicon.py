"""The `lexicon` optimizer: a program that stands in for the optimizer LLM on the micro tasks.

It reads the rendered meta-prompts as an LLM would, sees nothing else, and answers in text in the
format asked of an LLM. It knows a lexicon of visual aspects, many of which the micro model cannot
see, and counts which described aspects go with which misjudgments. It is part of the synthetic
test bench and says nothing about how a real optimizer LLM performs.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..data.micro.world import (
    ASPECTS,
    FAMILIES,
    Aspect,
    Family,
    family_aspects,
    named_aspects,
    plural,
)
from .engine import EngineIdentity, Reply, Request

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
_NUM_NEW_ASPECTS = 3
_NUM_KEPT_ASPECTS = 2
_MAX_EDITS = 2
_MIN_SUPPORT = 2.0


class LexiconEngine:
    """Answers rendered meta-prompts; every other request is an error reply."""

    @property
    def version(self) -> str:
        return "lexicon"

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity("lexicon", "lexicon", _revision(), layout="text")

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [_answer(request) for request in requests]

    def close(self) -> None:
        pass


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


@cache
def _revision() -> str:
    """Another program is another optimizer: its replies are not those of the one before."""
    return hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:16]


def _answer(request: Request) -> Reply:
    prompt = request.prompt
    if "<case>" in prompt:
        answer = improve_judge_prompt(prompt)
    elif "<i2t_prompt" in prompt:
        answer = propose_i2t_prompt(prompt)
    else:
        return Reply("", "error", error="the lexicon optimizer reads only blpo's meta-prompts")
    text = f"<prompt>{answer}</prompt>"
    return Reply(
        text, "stop", prompt_tokens=len(prompt.split()), completion_tokens=len(text.split())
    )


# ------------------------------------------------------------------------------------ Update_p


def improve_judge_prompt(meta_prompt: str) -> str:
    """Name the aspects whose described faults explain misjudgments, drop those that cause them."""
    judge_prompt = _block(meta_prompt, "judge_prompt")
    named = list(named_aspects(judge_prompt))
    cases = [_evidence(block, _labels(meta_prompt)) for block in _blocks(meta_prompt, "case")]
    residuals = [case.severity for case in cases]
    for _ in range(_MAX_EDITS):
        support, aspect = _strongest_edit(cases, residuals, named)
        if support < _MIN_SUPPORT:
            break
        step = -1 if aspect in named else 1
        residuals = [
            residual - step if aspect in case.faults else residual
            for case, residual in zip(cases, residuals, strict=True)
        ]
        named = [name for name in named if name != aspect] if step < 0 else [*named, aspect]
    if named == list(named_aspects(judge_prompt)):
        return judge_prompt
    return _with_aspects(judge_prompt, named)


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


def _with_aspects(judge_prompt: str, named: Sequence[str]) -> str:
    """The sentences of the prompt that name no aspect, then one that names them all."""
    sentences = re.split(r"(?<=[.!?])\s+", judge_prompt.strip())
    kept = [sentence for sentence in sentences if not named_aspects(sentence)]
    if named:
        kept.append(f"Pay attention to {_listed(named)}.")
    return " ".join(kept)


def _evidence(block: str, labels: Sequence[str]) -> CaseEvidence:
    values = _described_values(_block(block, "description"))
    claims = _claims(_block(block, "text"))
    faults = {
        aspect.name
        for aspect in ASPECTS
        if aspect.name in values and _is_fault(aspect, values[aspect.name], claims)
    }
    human, verdict = _block(block, "human_label"), _block(block, "verdict")
    severity = _severity(human, labels) - _severity(verdict, labels) if verdict in labels else 0
    return CaseEvidence(frozenset(values), frozenset(faults), severity)


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


# ------------------------------------------------------------------------------------ Update_q


def propose_i2t_prompt(meta_prompt: str) -> str:
    """Ask for what the judge prompt names, what did well so far, and a few new aspects."""
    judge_prompt = _block(meta_prompt, "judge_prompt")
    history = [
        (float(score), _lexicon_words(prompt))
        for score, prompt in re.findall(
            r'<i2t_prompt score="([^"]+)">(.*?)</i2t_prompt>', meta_prompt, re.DOTALL
        )
    ]
    named = _lexicon_words(judge_prompt)
    tried = {name for _, names in history for name in names}
    new = [name for name in _by_hash(_lexicon(meta_prompt), judge_prompt) if name not in tried]
    best_score, best = max(history, key=lambda item: item[0], default=(0.0, list[str]()))
    good = [name for name in best if name not in named] if best_score > 0 else list[str]()
    asked = dict.fromkeys([*named, *good[:_NUM_KEPT_ASPECTS], *new[:_NUM_NEW_ASPECTS]])
    return f"Look at the image. Report {_listed(asked)}."


def _lexicon(meta_prompt: str) -> list[str]:
    """Aspects worth asking about in this task; a named one need not be asked as new."""
    judge_prompt = _block(meta_prompt, "judge_prompt")
    topic = f"{judge_prompt} {' '.join(_labels(meta_prompt))}".lower()
    words = set(re.findall(r"[a-z]+", topic))
    families: tuple[Family, ...] = tuple(
        family for family in FAMILIES if words & set(_FAMILY_WORDS[family])
    )
    named = set(_lexicon_words(judge_prompt))
    lexicon = (name for family in families or FAMILIES for name in _family_lexicon(family))
    return [name for name in lexicon if name not in named]


def _family_lexicon(family: Family) -> list[str]:
    return [*(aspect.name for aspect in family_aspects(family)), *UNSEEN_ASPECTS[family]]


def _lexicon_words(prompt: str) -> list[str]:
    """The lexicon's aspects that a prompt names, seen and unseen ones."""
    words = re.findall(r"[a-z]+", prompt.lower())
    unseen = {name for names in UNSEEN_ASPECTS.values() for name in names}
    return [*named_aspects(prompt), *dict.fromkeys(word for word in words if word in unseen)]


# ------------------------------------------------------------------------------------- reading


def _labels(meta_prompt: str) -> list[str]:
    [line] = re.findall(r"^The possible verdicts, in order: (.*)$", meta_prompt, re.MULTILINE)
    return [label.strip() for label in line.split(",")]


def _block(text: str, tag: str) -> str:
    return next(iter(_blocks(text, tag)), "")


def _blocks(text: str, tag: str) -> list[str]:
    return [block.strip() for block in re.findall(rf"<{tag}>(.*?)</{tag}>", text, flags=re.DOTALL)]


def _by_hash(names: Iterable[str], salt: str) -> list[str]:
    return sorted(names, key=lambda name: hashlib.sha256(f"{salt}/{name}".encode()).digest())


def _listed(names: Iterable[str]) -> str:
    """ "the color, the count and the size" """
    phrases = [f"the {name}" for name in names]
    if len(phrases) < 2:
        return "".join(phrases)
    return f"{', '.join(phrases[:-1])} and {phrases[-1]}"
