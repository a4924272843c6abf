"""Turns of phrase, put in plainer words before a sentence is read."""

import re

from ...data.micro.world import Family
from . import words
from .mentions import NOUN, has, names_in

_NEGATION = rf"\b(?:{'|'.join(sorted(words.NEGATIONS - {'nor'} | words.DISMISSALS))})\b"
_INVERTED = r"(?:does|do|is|are|should|can|may|will|would|must)"
_PREPOSITION = r"(?:(?:for|of|by|with|about|to|at|on|any|even) )?"
_THAN_ALONE = r"together|combined|combination|company|with|along|alongside|beside"
_VERB = r"(?:does|do|is|are|cannot|can|should|will|may|makes?|counts?|matters?|lowers?)"

_PLAINER = [
    (re.compile(pattern), plainer)
    for pattern, plainer in (
        (r"\b(rating|score) (?:drops|falls|sinks|goes down)\b", r"\1 lowers"),
        (r"\bnot (?:just|only|merely|simply)(?: \w+ly)?\b", ""),
        (r"\b(?:(?:only|just) )?a (?:little|bit)\b", "slightly"),
        (r"(?: ,)? however \w+(?= (?:the|it|they|that|this|everything) | ,|$)[^,]*", " "),
        (r"\b(?:of|in) (?:the|this|an?) (?:scene|image|picture|photo|photograph)\b", ""),
        (r"\b(?:bottle|bottles) of alcohol\b", "bottle"),
        (r"\b(?:either way|one way or the other|one way or another)\b", ""),
        (rf"(?: ,)? (?:{'|'.join(words.ALONE)}) or (?:in )?(?:{_THAN_ALONE})\b[^,]*", " "),
    )
]
_ASIDE = re.compile(r"(?: ,)? (where|even (?:if|when|though|where)) ([^,]*)(?: ,)?")
_ALONE_WITHOUT = re.compile(
    rf"\b({'|'.join(words.ALONE)}) ,? ?(?:without|where|when|if|with no) [^,]*?(?= ,| {_VERB}\b|$)"
)
_WITHOUT = re.compile(rf"({NOUN}) without (?:an? |any |the )?(?:bad )?([^,]*?{NOUN}) (?={_VERB}\b)")
_NOR = re.compile(rf"\bnor (?!{_INVERTED}\b){_PREPOSITION}")


def plain(sentence: str) -> str:
    """The sentence in plainer words."""
    for pattern, plainer in _PLAINER:
        sentence = pattern.sub(plainer, sentence)
    return tidy(sentence)


def with_scope(sentence: str) -> str:
    """One negation reaches over a list: "do not count the tint, nor the grain" is "... or ..."."""
    first = re.search(_NEGATION, sentence)
    if first is None:
        return sentence
    return sentence[: first.end()] + _NOR.sub("or ", sentence[first.end() :])


def without_asides(sentence: str, family: Family) -> str:
    """Without what is told of the aspect itself: "a seam, where parts do not join"."""

    def kept(found: re.Match[str]) -> str:
        is_aside = not names_in(found[2], family) and (
            found[1] != "where" or not any(has(found[2], phrase) for phrase in words.OTHERS)
        )
        return " , " if is_aside else found[0]

    sentence = _ALONE_WITHOUT.sub(r"\1", _ASIDE.sub(kept, sentence))
    return tidy(_WITHOUT.sub(r"\1 where fine \2 ", sentence))


def tidy(sentence: str) -> str:
    """No comma after another, at an end, or between a noun and its verb."""
    sentence = re.sub(r"(?:, )+,", ",", " ".join(sentence.split())).strip(" ,")
    if not sentence.startswith(words.OPENERS):
        sentence = re.sub(rf" ,(?= {_VERB}\b)", "", sentence)
    return sentence
