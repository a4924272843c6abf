"""How many steps a fault costs, by what a clause says."""

import re

from ...data.micro.world import Family
from . import words
from .mentions import has, names_in

_COMPARED = re.compile(r"\b(?:as \w+ as|than)\b")
_ITEM_END = re.compile(r" (?:, and|,|and|&) ")


def steps_by_name(part: str, family: Family) -> dict[str, int]:
    """What a fault in each aspect costs that a clause weighs.

    "Twice as much as the tint" says nothing of the tint; "a tint by two, a seam by one" tells them
    apart.
    """
    head, *tail = _COMPARED.split(part, maxsplit=1)
    if tail and names_in(head, family):
        compared = dict.fromkeys(names_in(tail[0], family), 1)
        return {**compared, **dict.fromkeys(names_in(head, family), _steps(part))}
    items = [item for item in _ITEM_END.split(part) if names_in(item, family)]
    if len(items) < 2 or not all(_tells_steps(item) for item in items):
        return dict.fromkeys(names_in(part, family), _steps(part))
    lowering = "" if words.LOWERING.isdisjoint(part.split()) else " lowers"
    return {name: _steps(item + lowering) for item in items for name in names_in(item, family)}


def _tells_steps(item: str) -> bool:
    tokens = item.split()
    return any(token in words.STEPS for token in tokens) or any(has(item, m) for m in words.MUCH)


def _steps(part: str) -> int:
    told = max((words.STEPS.get(token, 1) for token in part.split()), default=1)
    lowers_much = not words.LOWERING.isdisjoint(part.split()) and any(
        has(part, phrase) for phrase in words.MUCH
    )
    return max(told, 2) if lowers_much else told
