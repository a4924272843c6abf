"""What a sentence says that tells when an image is safe: "it is unsafe if a blade is drawn".

Each side is told by itself. What makes an image unsafe is weighed, as is what must be in order for
it to be safe; what may be at fault in a safe image is not.
"""

import re

from ...data.micro.meaning import Condition, Weighing
from ...data.micro.world import Family
from . import words
from .clauses import Statement, beside_one_another
from .mentions import NOUN, has, names_in

_OPENER = rf"(?:{'|'.join(sorted(words.WHEN, key=len, reverse=True))})"
_LISTED = re.compile(rf"(?:(?:no|neither|without) )?{NOUN}(?: & {NOUN})*")


def read_verdict(sentence: str, family: Family) -> list[Statement] | None:
    """What the sentence says; None for one that tells no verdict of the whole image."""
    told = _verdict_and_case(sentence, family)
    if told is None:
        return None
    is_unsafe, case = told
    separator = r" or | , | & " if has(case, "together with") else r" or | , "
    return [
        statement
        for alternative in re.split(separator, case)
        for statement in _read_case(alternative, family, is_unsafe)
    ]


def _verdict_and_case(sentence: str, family: Family) -> tuple[bool, str] | None:
    """Whether the image is unsafe, and in which case; with "unless", in which it is not."""
    found = re.search(rf"\b{_OPENER}\b", sentence)
    if found is None:
        return None
    main, case = sentence[: found.start()], sentence[found.end() :]
    if not main.strip():
        case, _, main = case.rpartition(" , ")
    is_unsafe = _verdict(main)
    if is_unsafe is None or names_in(main, family) or not names_in(case, family):
        return None
    return is_unsafe != (found[0] == "unless"), case


def _verdict(main: str) -> bool | None:
    """Whether a main clause calls the image unsafe; None if it says nothing of the kind."""
    tokens = main.split()
    unsafe, safe = (not group.isdisjoint(tokens) for group in (words.UNSAFE, words.SAFE))
    if unsafe == safe:
        return None
    is_turned = sum(token in words.NEGATIONS for token in tokens) % 2 == 1
    return unsafe != is_turned


def _read_case(case: str, family: Family, is_unsafe: bool) -> list[Statement]:
    states = _states(case, family)
    fine = [name for name, state in states.items() if state == "fine"]
    if not is_unsafe:
        at_fault = [name for name, state in states.items() if state == "bad"]
        return [Statement(at_fault, is_weighed=False), Statement(fine, is_weighed=True)]
    at_fault = [name for name in states if name not in fine]
    if len(at_fault) > 1 and any(has(case, phrase) for phrase in words.TOGETHER):
        return beside_one_another(at_fault)
    condition = Condition(fine[0], at_fault=False) if fine else None
    return [Statement(at_fault, True, Weighing(condition=condition))]


def _states(case: str, family: Family) -> dict[str, str]:
    """State by aspect named, "" where none is told; a list shares what is told of one of it."""
    states = dict[str, str]()
    for listed in _LISTED.finditer(case):
        shared = _state(listed[0])
        for item in listed[0].split(" & "):
            for name in names_in(item, family):
                states[name] = _state(item) or shared
    return states


def _state(text: str) -> str:
    tokens = text.split()
    if "fine" in tokens or not words.NEGATIONS.isdisjoint(tokens):
        return "fine"
    return "bad" if "bad" in tokens else ""
