"""Shards: a dataset divided among jobs that know nothing of one another."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

from .errors import DataError


@dataclass(frozen=True, slots=True)
class Shard:
    """Share number `index`, from 1 to `count`, of the rows of a dataset.

    Shares are contiguous: one after the other they are the dataset in its order.
    """

    index: int = 1
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def rows(self, groups: Sequence[int]) -> range:
        """Which rows, from 0, of a dataset whose row groups have so many rows each.

        Whole row groups, as equal as they allow. Where there are fewer of them than shares, shares
        are equal and a row group is read by each that has rows of it.
        """
        ends = [0, *accumulate(groups)]
        return range(self._boundary(ends, self.index - 1), self._boundary(ends, self.index))

    def _boundary(self, ends: Sequence[int], number: int) -> int:
        row = ends[-1] * number // self.count
        if len(ends) <= self.count:
            return row
        place = bisect_left(ends, row)
        return min(ends[max(place - 1, 0) : place + 1], key=lambda end: (abs(end - row), -end))


def parse_shard(text: str) -> Shard:
    """ "2/4", the second of four. Raises DataError for anything else."""
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    shard = Shard(int(match[1]), int(match[2])) if match else None
    if shard is None or not 1 <= shard.index <= shard.count:
        raise DataError(
            f"--shard {text}: expected which of how many, counted from 1, such as 1/4 to 4/4"
        )
    return shard
