"""Preference pairs as public sources have them, brought to one form: A, B or tie.

A source of pairs is a card and a function that reads its pairs; `PairSource` makes an importer of
the two.

Sources that put the preferred image first would reward a judge that always answers A, so that the
presented order comes from a hash of the pair's id, and the swap is recorded.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..examples import Split
from ..pairs import SWAPPED_LABELS, Preference, is_swapped
from .places import ImagePlace
from .protocol import Card, Intake, RawRow

Votes = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PairRow:
    """Two images for one text and which of them annotators prefer, before any image is read.

    first, second: the images in presented order, which labels A and B name.
    votes: annotators who prefer the first and the second, None where the source has no counts.
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


@dataclass(frozen=True, slots=True)
class PairSource:
    """Contract: `Importer`."""

    card: Card
    pair_rows: Callable[[Path, Intake], Iterator[PairRow]]

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:  # noqa: ARG002
        """See `Importer`; a source of pairs has one target."""
        return map(raw_row, self.pair_rows(source, intake))


def raw_row(row: PairRow) -> RawRow:
    """The pair as a row with the individual votes as ratings.

    Which rater gave which vote is not known: they stand in the order of a hash.
    """
    first, second = row.votes or (0, 0)
    ballots = sorted(
        [*(("A", i) for i in range(first)), *(("B", i) for i in range(second))],
        key=lambda ballot: hashlib.sha256(f"{row.row_id}/{ballot}".encode()).digest(),
    )
    return RawRow(
        row.row_id,
        row.first,
        row.label,
        text=row.text,
        groups=row.groups,
        category=row.category,
        split=row.split,
        ratings=tuple(preference for preference, _ in ballots),
        image_b=row.second,
        swapped=row.swapped,
    )


def presented(row: PairRow) -> PairRow:
    """The pair in the order that a hash of its id decides."""
    if not is_swapped(row.row_id):
        return row
    return replace(
        row,
        first=row.second,
        second=row.first,
        label=SWAPPED_LABELS[row.label],
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
