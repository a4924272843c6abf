"""Names of part files, and which of them hold the rows of a partition.

A part as a writer makes it has one number, `part-00000007.parquet`. A merged part (`compaction`)
has the numbers of all that went into it, `part-00000001-00000050.parquet`, and its name says that
whatever else has one of these numbers counts no more.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_NAME = re.compile(r"part-(\d{8,})(?:-(\d{8,}))?\.parquet")
_CACHED_NAMES = 2**16


@dataclass(frozen=True, slots=True)
class Part:
    """A part file by the numbers it covers, both included."""

    first: int
    last: int

    @property
    def name(self) -> str:
        if self.first == self.last:
            return f"part-{self.first:08d}.parquet"
        return f"part-{self.first:08d}-{self.last:08d}.parquet"

    def covers(self, other: "Part") -> bool:
        return self.first <= other.first and other.last <= self.last and self != other


def single(number: int) -> Part:
    return Part(number, number)


def listed_parts(folder: Path) -> list[Part]:
    """All part files, covered ones too, by first number, of two such the longer before.

    Empty where the folder is not there. A file that appears or goes while the listing runs may or
    may not be in it.
    """
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    parts = (part for name in names if (part := _part(name)))
    return sorted(parts, key=lambda part: (part.first, -part.last))


@lru_cache(_CACHED_NAMES)
def _part(name: str) -> Part | None:
    match = _NAME.fullmatch(name)
    return Part(int(match[1]), int(match[2] or match[1])) if match else None


def find_parts(folder: Path) -> list[Part]:
    """The parts that hold the rows of a partition, in the order in which rows count.

    With a part, all that was there before it. A listing may miss a file that appears while it
    runs and yet show a later one, or miss a merged part and what went into it: either leaves a
    gap. One with gaps counts only when the next shows the same gaps, which are then those of
    parts moved aside.
    """
    parts = uncovered(listed_parts(folder))
    while gaps := _gaps(parts):
        last = parts[-1].last
        again = [part for part in uncovered(listed_parts(folder)) if part.first <= last]
        if _gaps(again) == gaps:
            return again
        parts = again
    return parts


def uncovered(parts: Iterable[Part]) -> list[Part]:
    """Of parts in the order of `listed_parts`, those that no other covers, in that order."""
    found: list[Part] = []
    for part in parts:
        if not found or part.last > found[-1].last:
            found.append(part)
    return found


def _gaps(parts: list[Part]) -> list[tuple[int, int]]:
    """Numbers below the highest that no part has, as (first, last) of each gap."""
    gaps: list[tuple[int, int]] = []
    next_number = 1
    for part in parts:
        if part.first > next_number:
            gaps.append((next_number, part.first - 1))
        next_number = part.last + 1
    return gaps
