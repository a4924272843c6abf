"""What the clauses of a sentence say of the aspects they name: which are weighed, which are not.

A clause about aspects is turned round by each negation and by each word of dismissal, so that "do
not ignore the tint" weighs it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ...data.micro.meaning import Condition, Weighing
from ...data.micro.world import Family, aspect_names
from . import words
from .mentions import fine_names, has, names_in
from .parts import clauses
from .turns import is_dismissing, is_turned
from .weights import steps_by_name

_ELLIPSIS = re.compile(r" (?:is|are|do|does|should) not$")


@dataclass(frozen=True, slots=True)
class Statement:
    """What a clause says of some aspects."""

    names: Sequence[str]
    is_weighed: bool
    weighing: Weighing = field(default_factory=Weighing)


def read_clauses(sentence: str, family: Family, dismissed_before: bool) -> list[Statement]:
    """What a sentence without condition says, clause after clause.

    dismissed_before: whether what was said last is what counts not. "The grain is harmless. The
    tint is not" weighs the tint.
    """
    only = next((p for p in words.ONLY_THIS if has(sentence, p)), None)
    if only is not None and not has(sentence, "all faults"):
        head, tail = sentence.split(only, 1)
        if names_in(tail, family) and not names_in(head, family) and _is_exclusive(head, only):
            return [Statement(names_in(tail, family), is_weighed=True)]
    except_at = _exception(sentence, family)
    if except_at is not None:
        return except_at
    statements = list[Statement]()
    for part, is_contrasted in clauses(sentence, family):
        if names_in(part, family):
            said = _ELLIPSIS.sub("", part) if dismissed_before else part
            statements += _read_part(said, family, is_contrasted)
            dismissed_before = bool(statements) and not statements[-1].is_weighed
    return statements


def _is_exclusive(head: str, phrase: str) -> bool:
    """Whether "everything but x" is what is left out, or "nothing but x" what is looked at."""
    if phrase.startswith(("everything", "all")):
        return is_dismissing(head)
    return not is_dismissing(head)


def _exception(sentence: str, family: Family) -> list[Statement] | None:
    """ "Check everything except the tint": all aspects but one."""
    if not any(has(sentence, phrase) for phrase in words.ALL) or _is_about_the_rest(sentence):
        return None
    own = aspect_names(family)
    gone = names_in(sentence, family)
    if not gone:
        return [] if is_dismissing(sentence) else [Statement(own, is_weighed=True)]
    if not any(has(sentence, p) for p in (*words.EXCEPT, "not", "never", "but", "only")):
        return None
    rest = [name for name in own if name not in gone]
    return [Statement(rest, is_weighed=True), Statement(gone, is_weighed=False)]


def _is_about_the_rest(sentence: str) -> bool:
    """Whether "everything" is everything else, which is another matter."""
    return any(has(sentence, phrase) for phrase in words.EXPLETIVES)


def _read_part(part: str, family: Family, is_contrasted: bool) -> list[Statement]:
    """What one clause says. "A joined seam is fine" says nothing of a split one."""
    fine = [name for name in names_in(part, family) if name in fine_names(part)]
    at_fault = [name for name in names_in(part, family) if name not in fine]
    if is_contrasted:
        return [Statement(at_fault, is_weighed=False)]
    costs = steps_by_name(part, family)
    weighed = [
        *([] if is_dismissing(part) else at_fault),
        *([] if is_turned(part) else fine),
    ]
    statements = [Statement([name], True, Weighing(costs[name])) for name in weighed]
    if is_dismissing(part) and any(has(part, phrase) for phrase in words.ALONE):
        return [*statements, Statement(at_fault, True, Weighing(condition=Condition(None)))]
    return (
        [*statements, Statement(at_fault, is_weighed=False)] if is_dismissing(part) else statements
    )


def beside_one_another(names: Sequence[str]) -> list[Statement]:
    """Faults that count where they meet."""
    if len(names) > 2:
        return [Statement(names, True, Weighing(condition=Condition(None)))]
    return [
        Statement([name], True, Weighing(condition=Condition(other)))
        for name, other in zip(names, reversed(names), strict=True)
    ]
