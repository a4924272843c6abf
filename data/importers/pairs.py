"""Preference pairs as public sources have them, brought to one form: A, B or tie.

Sources that put the preferred image first would reward a judge that always answers A, so that the
presented order comes from a hash of the pair's id, and the swap is recorded.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ..examples import Split
from .places import ImagePlace

Preference = Literal["A", "B", "tie"]
Votes = tuple[int, int]

_SWAPPED: dict[Preference, Preference] = {"A": "B", "B": "A", "tie": "tie"}


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two images for one text and which of them people prefer, before any image is read.

    first, second: the images in presented order, which labels A and B name.
    votes: people who prefer the first and the second, None where the source does not count them.
    swapped: whether the source has them the other way round.
    groups, category, split: as in RawRow.
    """

    row_id: str
    first: ImagePlace
    second: ImagePlace
    text: str
    label: Preference
    votes: Votes | None = None
    groups: tuple[str, ...] = ()
    category: str | None = None
    split: Split | None = None
    swapped: bool = False


def presented(row: PairRow) -> PairRow:
    """The pair in the order that a hash of its id decides."""
    if hashlib.sha256(row.row_id.encode()).digest()[0] % 2 == 0:
        return row
    return replace(
        row,
        first=row.second,
        second=row.first,
        label=_SWAPPED[row.label],
        votes=row.votes and row.votes[::-1],
        swapped=not row.swapped,
    )


def by_weight(first: float, second: float) -> Preference:
    """The preference where the larger weight wins: votes, or 1 and 0."""
    if first == second:
        return "tie"
    return "A" if first > second else "B"


def by_rank(first: float, second: float) -> Preference:
    """The preference where the lower rank wins."""
    return by_weight(second, first)


def rank_votes(rankings: Sequence[Sequence[float]], first: int, second: int) -> Votes:
    """How many rankings put `first` before `second`, and the other way round."""
    preferences = [by_rank(ranks[first], ranks[second]) for ranks in rankings]
    return preferences.count("A"), preferences.count("B")
