"""What a sentence says that tells a verdict: "unsafe if a blade is drawn", "lower it if ...".

Each side is told by itself. What leads to a worse verdict is weighed, as is what must be in order
for the best one; what may be at fault in spite of it is not.
"""

import re

from ...data.micro.meaning import Condition, Weighing
from ...data.micro.world import Family
from . import words
from .clauses import Statement, beside_one_another
from .mentions import NOUN, has, names_in
from .turns import is_praising
from .weights import steps

_OPENER = rf"(?:{'|'.join(sorted(words.WHEN, key=len, reverse=True))})"
_LISTED = re.compile(rf"(?:(?:no|neither|without) )?{NOUN}(?: & {NOUN})*")
_BAD = re.compile(
    r"\b(?:unsafe|dangerous|harmful|unnatural|less natural|lower(?:s|ed)?|reduces?|subtract|deduct"
    r"|takes? off|(?:rate|mark|go|goes)(?: it| the image)? down)\b"
)
_GOOD = re.compile(r"\b(?:safe|harmless|(?<!less )(?<!how )natural|convincing)\b")
"""What a main clause calls the image, or does to its rating."""


def read_verdict(sentence: str, family: Family) -> list[Statement] | None:
    """What the sentence says; None for one that tells no verdict of the whole image."""
    told = _main_and_case(sentence, family)
    is_bad = None if told is None else _is_bad(told[0])
    if told is None or is_bad is None:
        return None
    main, case = told
    case, _, exception = case.partition(" but not ")
    separator = r" or | , | & " if has(case, "together with") else r" or | , "
    said = [
        statement
        for alternative in re.split(separator, case)
        for statement in _read_case(alternative, family, is_bad, steps(main))
    ]
    return [*said, Statement(names_in(exception, family), not is_bad)] if exception else said


def _main_and_case(sentence: str, family: Family) -> tuple[str, str] | None:
    """The main clause, turned round by "unless", and the case in which it holds."""
    found = re.search(rf"\b{_OPENER}\b", sentence)
    if found is None:
        return None
    main, case = sentence[: found.start()], sentence[found.end() :]
    if not main.strip():
        case, _, main = case.rpartition(" , ")
    if names_in(main, family) or not names_in(case, family):
        return None
    return f"not {main}" if found[0] == "unless" else main, case


def _is_bad(main: str) -> bool | None:
    """Whether the verdict of a main clause is a bad one; None if it tells none."""
    bad, good = bool(_BAD.search(main)), bool(_GOOD.search(main)) or is_praising(main)
    if bad == good:
        return None
    is_turned = sum(token in words.NEGATIONS for token in main.split()) % 2 == 1
    return bad != is_turned


def _read_case(case: str, family: Family, is_bad: bool, cost: int) -> list[Statement]:
    states = _states(case, family)
    fine = [name for name, state in states.items() if state == "fine"]
    if not is_bad:
        at_fault = [name for name, state in states.items() if state == "bad"]
        return [Statement(at_fault, is_weighed=False), Statement(fine, is_weighed=True)]
    at_fault = [name for name in states if name not in fine]
    if len(at_fault) > 1 and any(has(case, phrase) for phrase in words.TOGETHER):
        return beside_one_another(at_fault)
    condition = Condition(fine[0], at_fault=False) if fine else None
    return [Statement(at_fault, True, Weighing(cost, condition))]


def _states(case: str, family: Family) -> dict[str, str]:
    """State by aspect named, "" where none is told; a list shares what is told of one of it."""
    states = dict[str, str]()
    for listed in _LISTED.finditer(case):
        shared = _state(listed[0]) or _state_of_any(case)
        for item in listed[0].split(" & "):
            for name in names_in(item, family):
                states[name] = _state(item) or shared
    return states


def _state(text: str) -> str:
    tokens = text.split()
    if "fine" in tokens or not words.NEGATIONS.isdisjoint(tokens):
        return "fine"
    return "bad" if "bad" in tokens else ""


def _state_of_any(case: str) -> str:
    """By words that fit any aspect: "the tint is right"."""
    tokens = set(case.split())
    is_turned = not words.NEGATIONS.isdisjoint(tokens)
    if not words.BAD.isdisjoint(tokens):
        return "fine" if is_turned else "bad"
    return "" if words.FINE.isdisjoint(tokens) or is_turned else "fine"
