"""Where an aspect counts: beside another that is at fault, or beside another that is not."""

import re
from dataclasses import dataclass

from ...data.micro.meaning import Condition, Weighing
from ...data.micro.world import ASPECTS, Family
from . import words
from .clauses import Statement
from .mentions import has, names_in

_VALUES = {value: (a.name, value == a.fault_value) for a in ASPECTS for value in a.values}
_VERB = re.compile(r"\b(?:does|do|is|are|makes?|lowers?|counts?|matters?|should|can|cannot)\b")
_CONTRASTING = re.compile(r"\b(?:looks?|matters?|counts?|does|do|lowers?|makes?)\b")


def read_excuse(sentence: str, family: Family) -> Statement | None:
    """ "A bad horizon excuses the tint"."""
    verb = next((phrase for phrase in words.EXCUSES if has(sentence, phrase)), None)
    if verb is None:
        return None
    before, after = (names_in(part, family) for part in sentence.split(verb, 1))
    if not before or not after:
        return None
    return Statement(after, True, Weighing(condition=Condition(before[-1], at_fault=False)))


@dataclass(frozen=True, slots=True)
class Clause:
    """What a condition says of an aspect; None for any other that is weighed."""

    aspect: str | None
    at_fault: bool


def split_condition(sentence: str, family: Family) -> tuple[Clause | None, str]:
    """The condition of a sentence and what is left; None where a clause states no condition."""
    for opener in words.SUBORDINATORS:
        before, found, after = f" {sentence} ".partition(f" {opener} ")
        if not found or before.endswith("even"):
            continue
        clause, main = _clause_and_main(before.strip(" ,"), after.strip(), opener, family)
        state = _state_behind(opener, clause)
        names = names_in(clause, family)
        others = any(has(clause, phrase) for phrase in words.OTHERS)
        is_contrast = opener == "while" and _CONTRASTING.search(clause)
        is_image = opener.startswith("with a") and before.endswith(words.IMAGES)
        if state is None or is_contrast or is_image or not (names or others):
            continue
        if names and not names_in(main, family):
            return None, sentence
        if names and names[0] in names_in(main, family):  # "a seam counts if it is split"
            return None, main
        at_fault = state != (opener in words.REVERSING)
        return Clause(None if others and not names else names[0], at_fault), main
    return None, sentence


def _clause_and_main(before: str, after: str, opener: str, family: Family) -> tuple[str, str]:
    """The clause behind a subordinator, and the main clause round it, before or behind it."""
    if before:
        clause, _, rest = after.partition(",")
        verb = None if _VERB.search(before) else _verb_of_main(clause, opener, family)
        if verb is not None:
            return after[:verb], f"{before} {after[verb:]}"
        return clause, f"{before} , {rest}" if rest.strip() else before
    clause, comma, main = after.partition(",")
    if not comma:  # "only if the tint is bad does the focus matter"
        inverted = re.search(r"\s(does|do|should|can|is|will)\s(?=the\s|you\s|any\s)", after)
        if inverted:
            return after[: inverted.start()], after[inverted.end() :]
    return clause, main


def _verb_of_main(clause: str, opener: str, family: Family) -> int | None:
    """Where the main clause goes on: "a tint where the seam is split | is no flaw"."""
    ends = (verb.start() for verb in _VERB.finditer(clause))
    return next((end for end in ends if _is_condition(clause[:end], opener, family)), None)


def _is_condition(clause: str, opener: str, family: Family) -> bool:
    return bool(names_in(clause, family)) and _state_behind(opener, clause) is not None


def _state_behind(opener: str, clause: str) -> bool | None:
    if opener.startswith(("with a", "beside a", "in ")):
        clause = f"{opener} {clause}"
    state = _state(clause)
    return True if state is None and opener in words.PRESENCE else state


def _state(clause: str) -> bool | None:
    """Whether a clause says that something is at fault; None if it says nothing of the kind."""
    for phrase in words.FINE_PHRASES:
        clause = clause.replace(phrase, "fine")
    tokens = clause.split()
    bad = any(t in words.BAD or _VALUES.get(t, ("", False))[1] for t in tokens)
    fine = any(t in words.FINE or (t in _VALUES and not _VALUES[t][1]) for t in tokens)
    if not bad and not fine:
        return None
    negations = sum(token in words.NEGATIONS and token not in _VALUES for token in tokens)
    return bad != (negations % 2 == 1)


def conditional(statement: Statement, clause: Clause) -> Statement:
    """A statement where a condition holds: not to weigh it there is to weigh it elsewhere.

    What counts not by itself is not weighed either, but in that case.
    """
    is_weighed = statement.is_weighed and statement.weighing.condition is None
    condition = Condition(clause.aspect, clause.at_fault == is_weighed)
    names = [name for name in statement.names if name != clause.aspect]
    return Statement(names, True, Weighing(statement.weighing.steps, condition))
