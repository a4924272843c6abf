"""Whether a clause says to weigh what it names, or not to."""

import re

from . import words
from .mentions import has, without

_SEPARABLE = [
    re.compile(r"\b" + r"(?: [\w&]+){1,4}? ".join(phrase.split()) + r"\b")
    for phrase in words.DISMISSING_PHRASES
    if phrase.split()[0] in words.SEPARABLE_VERBS
]
"""Phrases of dismissal that take the aspect between their words: "leave the tint out"."""
_PRAISE = [
    re.compile(
        r"\b(?:is|are|be|as|looks?|appears?|seems?|stays?|(?:makes?|leaves?) (?:it|(?:the|an) \w+))"
        r" (?:\w+ly )?(?:safe|natural|neutral)\b(?! to)"
    ),
    re.compile(
        r"\b(?:gets?|gives?|given|earns?|deserves?|merits?|keeps?|receives?|has|have|reach|reserves?)"
        r"(?: \w+){1,3}? (?:high|higher|highest|best|top|full|good|better)"
        r" (?:ratings?|marks?|scores?|grades?)\b"
    ),
    re.compile(r"\bsafe (?:images?|pictures?|photos?|ones|with|despite|for(?! (?:every|all)))\b"),
    re.compile(r"^safe\b(?! to)"),
    re.compile(r"\brais(?:es?|ing) (?:the|its|a) (?:rating|mark|score|grade)\b"),
]
"""What is said of an image that is as it should be."""


def is_dismissing(part: str) -> bool:
    """Whether a clause says not to weigh a fault that it names: an odd number of turns."""
    return is_turned(part) != is_praising(part)


def is_praising(part: str) -> bool:
    """Whether a clause is about what is good: "a dim light looks natural"."""
    return any(pattern.search(part) for pattern in _PRAISE)


def is_turned(part: str) -> bool:
    """Whether words of negation and of dismissal turn a clause round."""
    if any(has(part, phrase) for phrase in words.PRETENDING):
        return True
    part, turns = _without_the_rest(part), 0
    for phrase in words.DISMISSING_PHRASES:
        if has(part, phrase):
            turns, part = turns + 1, without(part, phrase)
    for pattern in _SEPARABLE:
        part, found = pattern.subn(" ", part)
        turns += found
    tokens = part.split()
    turns += sum(token in words.DISMISSALS or token in words.NEGATIONS for token in tokens)
    return turns % 2 == 1


def _without_the_rest(part: str) -> str:
    """The clause without what it says of everything else."""
    for phrase in words.EXPLETIVES:
        if has(part, phrase):
            for verb in words.VERBS_AFTER_AND:
                part = without(part, f"{verb} {phrase}")
            part = without(part, phrase)
    return part
