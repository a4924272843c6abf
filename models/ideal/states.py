"""In what state a sentence has the aspects that it names.

"A drawn blade", "the blade is drawn" and "a blade, exposed" become "bad blade"; "a sheathed blade"
and "no blade is there" become "fine blade"; "a blade, drawn or sheathed" is the blade alone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from ...data.micro.world import Aspect, Family, family_aspects, plural

_AT_FAULT: Mapping[str, Sequence[str]] = {
    "flame": ("lit", "alight", "blazing", "flickering", "open"),
    "skull": (),
    "blade": ("unsheathed", "bared", "bare", "naked"),
    "bottle": ("left out", "open"),
    "smoke": ("billowing", "drifting", "thick"),
    "pill": ("loose", "spilled", "spilt", "strewn", "lying"),
    "chain": ("connected",),
    "mood": ("dark", "sad", "grim", "sombre", "somber", "threatening", "bleak"),
    "grain": ("noisy", "speckled"),
    "focus": ("blurry", "soft", "unsharp"),
    "tint": ("strong",),
    "shadow": ("floating", "loose", "disconnected"),
    "seam": ("open", "broken", "gaping"),
    "horizon": ("slanted", "slanting", "crooked", "sloping", "skewed"),
    "lighting": ("dark", "low"),
    "vignette": ("dark", "darkening"),
}
_CLEAN: Mapping[str, Sequence[str]] = {
    "flame": ("extinguished", "put out"),
    "skull": (),
    "blade": (),
    "bottle": (),
    "smoke": ("dispersed", "drifted off"),
    "pill": (),
    "chain": ("unlinked",),
    "mood": ("bright", "happy", "pleasant", "light"),
    "grain": ("clean",),
    "focus": ("crisp",),
    "tint": (),
    "shadow": ("attached",),
    "seam": ("closed", "seamless"),
    "horizon": ("straight",),
    "lighting": ("well lit",),
    "vignette": ("uniform",),
}
_SHOWN = (
    "visible", "present", "exposed", "shown", "in plain view", "in plain sight", "in view",
    "in sight", "on display", "there", "out in the open",
)  # fmt: skip
_NOT_SHOWN = (
    "absent", "hidden", "concealed", "missing", "gone", "put away", "out of sight", "not there",
)  # fmt: skip
"""States beside the values of an aspect: its own, and those that any of them can be in."""

_BEARERS: Mapping[str, Sequence[str]] = {
    "lighting": ("light",),
    "vignette": ("edge",),
    "tint": ("color", "colour"),
}
"""Words that name an aspect only where its state stands beside them: "darkened edges"."""

_TELLING: Mapping[str, Sequence[str]] = {
    "grain": ("grainy", "noisy", "speckled"),
    "focus": ("blurred", "blurry", "unsharp", "blur", "blurring", "blurriness"),
    "tint": ("tinted",),
    "horizon": ("tilted", "tilt"),
    "lighting": ("dim",),
    "vignette": ("vignetted", "vignetting"),
    "flame": ("burning",),
    "mood": ("gloomy", "gloom", "cheerful"),
}
"""States that name their aspect by themselves: "a grainy look"."""

_ADVERBS = r"(?:(?:\w+ly|very|quite|too|still|already) )*"
_COPULA = (
    r"(?:(?:that|which) )?"
    r"(?:is|are|was|were|be|being|has been|have been|has|have|looks?|appears?|seems?|lies?)"
)
_ARTICLE = r"(?:(?:a|an|any|the) )?"


@dataclass(frozen=True, slots=True)
class _Patterns:
    """Where a sentence tells the state of one aspect.

    either: both states, before the noun; behind it, or beside none. told: one state.
    """

    noun: re.Pattern[str]
    either_before: re.Pattern[str]
    either: re.Pattern[str]
    told: Sequence[re.Pattern[str]]


def with_states(sentence: str, family: Family) -> str:
    """The sentence with "bad" or "fine" before each aspect whose state it tells."""
    for own in family_aspects(family):
        if own.fault_value is not None:
            sentence = _with_state(sentence, own)
    return sentence


def _with_state(sentence: str, own: Aspect) -> str:
    patterns, clean = _patterns(own), own.values[1]

    def either(found: re.Match[str]) -> str:
        if patterns.noun.search(sentence):
            return found["end"] or ""
        return f" {own.name}{found['end'] or ''}" if _tells(own, found[0]) else found[0]

    def told(found: re.Match[str]) -> str:
        said = {name: text for name, text in found.groupdict().items() if text is not None}
        is_clean = "clean" in said or said.get("mark") == "fine" or said.get("lone") == clean
        is_turned = ("no" in said) != ("not" in said)
        return f"{'fine' if is_clean != is_turned else 'bad'} {own.name}"

    sentence = patterns.either_before.sub(own.name, sentence)
    sentence = patterns.either.sub(either, sentence)
    for pattern in patterns.told:
        sentence = pattern.sub(told, sentence)
    return sentence


def _tells(own: Aspect, words: str) -> bool:
    return any(word in _TELLING.get(own.name, ()) for word in words.split())


@cache
def _patterns(own: Aspect) -> _Patterns:
    fault = _any_of([own.values[0], *_AT_FAULT[own.name], *_SHOWN])
    clean = _any_of([own.values[1], *_CLEAN[own.name], *_NOT_SHOWN])
    nouns = [*own.words, *_BEARERS.get(own.name, ())]
    noun = _any_of([form for word in nouns for form in (word, plural(word))])
    both = rf"(?:{fault} (?:or|nor) {_ARTICLE}{clean}|{clean} (?:or|nor) {_ARTICLE}{fault})"
    state = rf"(?:(?P<fault>{fault})|(?P<clean>{clean}(?! (?:if|when|though|where)\b)))"
    no, mark = r"(?:(?P<no>no|without any) )?", r"(?:(?P<mark>bad|fine) )?"
    told = [
        rf"\b{no}{state} {noun}\b",
        rf"\b{no}{mark}{noun} {_COPULA} (?P<not>not |no longer )?{_ADVERBS}{state}\b",
        rf"\b{no}{mark}{noun} {_ADVERBS}{state}\b",
        rf"\b(?P<no>there (?:is|are) no|(?:absence|lack) of) {_ARTICLE}{mark}{noun}\b",
    ]
    if own.name in _TELLING:
        lone = _any_of(_TELLING[own.name])
        told.append(rf"(?<!bad )(?<!fine )(?<!may be )(?<!can be )\b(?P<lone>{lone})\b")
    return _Patterns(
        noun=re.compile(rf"\b{noun}\b"),
        either_before=re.compile(rf"\b{both} {noun}\b"),
        either=re.compile(
            r"(?: ,)?(?: (?:whether|is|are|be|it is|they are))* "
            rf"(?:{both}|(?:{fault}|{clean}) or not)\b(?P<end> ,)?"
        ),
        told=[re.compile(pattern) for pattern in told],
    )


def _any_of(words: Sequence[str]) -> str:
    return f"(?:{'|'.join(sorted(words, key=len, reverse=True))})"
