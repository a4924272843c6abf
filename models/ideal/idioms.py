"""Turns of phrase, put in plainer words before a sentence is read."""

import re

from ...data.micro.world import Family
from . import words
from .mentions import NOUN, fine_names, has, names_in

_NEGATION = rf"\b(?:{'|'.join(sorted(words.NEGATIONS - {'nor'} | words.DISMISSALS))})\b"
_INVERTED = r"(?:does|do|is|are|should|can|may|will|would|must)"
_PREPOSITION = r"(?:(?:for|of|by|with|about|to|at|on|any|even) )?"
_THAN_ALONE = r"together|combined|combination|company|with|along|alongside|beside"
_VERB = r"(?:does|do|is|are|cannot|can|should|will|may|makes?|counts?|matters?|lowers?)"

_PLAINER = [
    (re.compile(pattern), plainer)
    for pattern, plainer in (
        (r"\b(rating|score) (?:drops|falls|sinks|goes down)\b", r"\1 lowers"),
        (r"\b(?:one|two|three|[1-9]) (?:things|aspects|dangers|objects|signs|criteria)\b", "these"),
        (r"\b(?:an?|most|least|to|from|of|below|above|than) [1-7]\b(?! (?:point|step|level))", ""),
        (r" , unlike [^,]*,(?= (?:does|do|is|are|should) not\b)", ""),
        (r"(?:^|, )otherwise (?=\w).*", ""),
        (r"\ba lot\b", "markedly"),
        (r"(?<=,) \w+ or not(?= ,|$)", ""),
        (r"(?<!whether) or not\b", ""),
        (r"\bnot (?:just|only|merely|simply)(?: \w+ly)?\b", ""),
        (r"\b(?:(?:only|just) )?a (?:little|bit)\b", "slightly"),
        (r"(?: ,)? however \w+(?= (?:the|it|they|that|this|everything) | ,|$)[^,]*", " "),
        (r"\b(?:of|in) (?:the|this|an?) (?:scene|image|picture|photo|photograph)\b", ""),
        (r"\b(?:bottle|bottles) of alcohol\b", "bottle"),
        (r"\b(?:either way|one way or the other|one way or another)\b", ""),
        (rf"(?: ,)? (?:{'|'.join(words.ALONE)}) or (?:in )?(?:{_THAN_ALONE})\b[^,]*", " "),
    )
]
"""Turns of phrase and what stands for them, in the order in which they are replaced."""
_ASIDE = re.compile(
    r"(?:^|(?: ,)? )(where|whether or not|whatever|no matter|regardless of"
    r"|even (?:if|when|though|where)) ([^,]*)(?: ,)?"
)
_ALONE_WITHOUT = re.compile(
    rf"\b({'|'.join(words.ALONE)}) ,? ?(?:without|where|when|if|with no) [^,]*?(?= ,| {_VERB}\b|$)"
)
_WITHOUT = re.compile(rf"({NOUN}) without (?:an? |any |the )?(?:bad )?([^,]*?{NOUN}) (?={_VERB}\b)")
_IMAGE_WITHOUT = re.compile(rf"\b({'|'.join(words.IMAGES)}) without ({NOUN}(?: & {NOUN})*)")
_NOR = re.compile(rf"\bnor (?!{_INVERTED}\b){_PREPOSITION}")
_ANAPHORA = re.compile(
    r"(?:they|these|those|both|all of (?:these|them)|(?P<no>neither|none)(?: of (?:these|them))?)"
    r"(?: \w+)? (?P<said>(?:do|does|are|is|should|must|make|makes|matter|matters|count|counts)\b.*?"
    r"\b(?:unsafe|safe|matter|matters|count|counts|rating|score|unnatural|natural|harmless|ignored"
    r"|irrelevant|unimportant|dangerous|dangers?|flaws?|it)(?: (?:either|at all|too|as well))?)"
)
"""What is said of what the sentence before names."""


def plain(sentence: str) -> str:
    """The sentence in plainer words."""
    for pattern, plainer in _PLAINER:
        sentence = pattern.sub(plainer, sentence)
    return _squeezed(sentence)


def with_scope(sentence: str) -> str:
    """One negation reaches over a list: "do not count the tint, nor the grain" is "... or ..."."""
    first = re.search(_NEGATION, sentence)
    if first is None:
        return sentence
    return sentence[: first.end()] + _NOR.sub("or ", sentence[first.end() :])


def without_asides(sentence: str, family: Family) -> str:
    """Without what changes nothing: "a seam, where parts do not join", "even if all is fine"."""
    sentence = _ALONE_WITHOUT.sub(r"\1", sentence)
    for aside in _ASIDE.finditer(sentence):
        rest = sentence.replace(aside[0], " , ")
        if _is_aside(aside[1], aside[2], rest, family):
            sentence = rest
    sentence = _joined_to_verb(_squeezed(sentence))
    return _squeezed(_WITHOUT.sub(r"\1 where fine \2 ", sentence))


def with_fine_images(sentence: str) -> str:
    """An image "without a tint & a bad seam" is one with both in order."""

    def fine(found: re.Match[str]) -> str:
        items = [f"fine {item.split()[-1]}" for item in found[2].split(" & ")]
        return f"{found[1]} with {' & '.join(items)}"

    return _IMAGE_WITHOUT.sub(fine, sentence)


def _is_aside(opener: str, clause: str, rest: str, family: Family) -> bool:
    names = names_in(clause, family)
    if opener == "where":
        return not names and not any(has(clause, phrase) for phrase in words.OTHERS)
    return not names or (opener.startswith(("even", "whether")) and bool(names_in(rest, family)))


def with_antecedent(sentence: str, before: str, family: Family) -> str:
    """ "None of these matters" with what these are, by the sentence before."""
    found = _ANAPHORA.fullmatch(sentence)
    if found is None:
        return sentence
    fine = fine_names(before)
    names = [f"{'fine' if name in fine else 'the'} {name}" for name in names_in(before, family)]
    if not names:
        return sentence
    return f"{'not ' if found['no'] else ''}{' & '.join(names)} {found['said']}"


def _squeezed(sentence: str) -> str:
    """No comma after another or at an end."""
    return re.sub(r"(?:, )+,", ",", " ".join(sentence.split())).strip(" ,")


def _joined_to_verb(sentence: str) -> str:
    """No comma between a noun and its verb."""
    if sentence.split(" ", 1)[0] in words.OPENERS:
        return sentence
    return re.sub(r" ,(?= (?:does|do|is|are|can|cannot|should|makes|lowers)\b)", "", sentence)
