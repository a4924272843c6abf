"""How many steps a fault costs, by what a clause says."""

import re

from ...data.micro.world import Family
from . import words
from .mentions import names_in

_COMPARED = re.compile(r"\b(?:as \w+ as|than)\b")


def steps(text: str) -> int:
    """The most that a text speaks of, 1 where it speaks of none."""
    return max((number for _, number in _numbers(text)), default=1)


def steps_by_name(part: str, family: Family) -> dict[str, int]:
    """What a fault in each aspect costs that a clause weighs.

    "Twice as much as the tint" says nothing of the tint; "a tint by two, a seam by one" tells them
    apart.
    """
    head, *tail = _COMPARED.split(part, maxsplit=1)
    if tail and names_in(head, family):
        costs = dict.fromkeys(names_in(tail[0], family), 1)
        return {**costs, **dict.fromkeys(names_in(head, family), steps(part))}
    if len(_numbers(part)) < 2:
        return dict.fromkeys(names_in(part, family), steps(part))
    return _one_by_one(part, family)


def _one_by_one(part: str, family: Family) -> dict[str, int]:
    """Each number before, or each behind, the aspects that it is about."""
    costs = dict.fromkeys(names_in(part, family), 1)
    numbers = _numbers(part)
    tokens = part.split()
    starts = [place for place, _ in numbers]
    leads = not names_in(" ".join(tokens[: starts[0]]), family)
    bounds = [*starts, len(tokens)] if leads else [0, *(start + 1 for start in starts)]
    for k, (_, number) in enumerate(numbers):
        about = " ".join(tokens[bounds[k] : bounds[k + 1]])
        costs |= dict.fromkeys(names_in(about, family), number)
    return costs


def _numbers(text: str) -> list[tuple[int, int]]:
    """Place and value of each word that says how many steps."""
    tokens = text.split()
    by_word = dict(words.STEPS)
    if not words.LOWERING.isdisjoint(tokens):
        by_word |= dict.fromkeys(words.MUCH, 2)
    return [(place, by_word[token]) for place, token in enumerate(tokens) if token in by_word]
