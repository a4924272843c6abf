"""Merging the parts of a partition while others read and write it.

Many small parts are slow to open. Compaction copies neighbouring parts into one that has all
their numbers, and removes them. It takes no lock; any number of processes may read, write and
compact the partition meanwhile. Why nobody sees a row change or vanish:

1. Parts are taken in the order of their numbers and without a gap between them, and of the replies
   to one key the first is copied. A merged part so holds, for each of its numbers, the row that
   readers take, in the same order whoever merges: of two that overlap, the one that starts lower
   has the right of way, as with single parts, and both agree.
2. A merged part is written to a hidden file, synced, read back, and then linked to its name: it
   appears whole. From then on what it covers counts no more (`part_names.find_parts`).
3. Only when all merged parts of the partition are durable are the covered ones removed. A reader
   that knows of a removed part gets FileNotFoundError and lists the folder anew
   (`Partition.get`); it finds the same row.
4. Every number stays covered by a part or by one in quarantine, and a writer that took a covered
   one moves on to a new one before its `put` returns (`parts.write_part`): no part that is
   durable is covered by one that does not hold its rows.

Killed at any step, compaction leaves a hidden file, which `blpo store verify` removes, or parts
both merged and single, which count once, and which the next compaction removes. Two at once may
do the same work twice.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..arrow import pa, sync, temporary_name
from ..errors import StoreError
from .outcomes import REPLY, PartKeys, together
from .part_names import Part, find_parts, listed_parts
from .part_reader import (
    check_part,
    damage_error,
    read_keys_of_parts,
    read_tables,
    read_unknown_columns,
)
from .parts import NO_HARD_LINKS, ROWS_PER_GROUP, write_tables
from .replies import SCHEMA

MAX_ROWS = 131_072
"""Rows of a merged part at most, so that what was merged is not copied forever again."""


@dataclass(frozen=True, slots=True)
class Source:
    """A part that is to be merged. kept: of its rows, those that are copied (`_kept`)."""

    part: Part
    kept: npt.NDArray[np.bool_]


def compact_partition(folder: Path, on_part: Callable[[], None] = lambda: None) -> list[Part]:
    """Merges what can be merged and returns the merged parts; on_part is called for each copied.

    Holds a few row groups in memory. Raises StoreError, naming the file, for a damaged part, and
    when the folder cannot be written.
    """
    try:
        _remove_covered(folder)
        merged = _merge(folder, _plan(folder), on_part)
    except FileNotFoundError:
        # Another compaction, or a quarantine, is removing what this one reads.
        return []
    except OSError as error:
        raise StoreError(
            f"{folder}: cannot merge its parts ({error}): free space or grant access, then run "
            "again; nothing is lost"
        ) from error
    return merged


def _plan(folder: Path) -> list[list[Source]]:
    """Runs of neighbouring parts, two or more in each, for one merged part each."""
    runs: list[list[Source]] = [[]]
    num_rows = 0
    for source in _sources(folder):
        if source is None or not _continues(runs[-1], source, num_rows):
            runs.append([])
            num_rows = 0
        if source is not None:
            runs[-1].append(source)
            num_rows += int(source.kept.sum())
    return [run for run in runs if len(run) > 1]


def _continues(run: Sequence[Source], source: Source, num_rows: int) -> bool:
    if not run:
        return True
    is_neighbour = source.part.first <= run[-1].part.last + 1
    return is_neighbour and num_rows + int(source.kept.sum()) <= MAX_ROWS


def _sources(folder: Path) -> list[Source | None]:
    """The parts of a partition; None in the place of one that a writer is still writing."""
    parts = find_parts(folder)
    keys = read_keys_of_parts([folder / part.name for part in parts])
    kept = iter(_kept([found for found in keys if found is not None]))
    return [
        None if found is None else Source(part, next(kept))
        for part, found in zip(parts, keys, strict=True)
    ]


def _kept(parts: Sequence[PartKeys]) -> list[npt.NDArray[np.bool_]]:
    """Of the rows of each part those that are not to be left out.

    Left out are replies to a key that has one before, and errors of a key that has a reply: it
    holds whatever other parts are merged. An error in the request and what says that it is
    forgotten may lie in two parts of which one is not merged: both stay.
    """
    if not parts:
        return []
    prefixes, outcomes = together(parts)
    replies = np.flatnonzero(outcomes == REPLY)
    answered, first = np.unique(prefixes[replies], return_index=True)
    kept = (outcomes != REPLY) & ~np.isin(prefixes, answered)
    kept[replies[first]] = True
    return np.split(kept, np.cumsum([len(part.prefixes) for part in parts])[:-1])


def _merge(folder: Path, runs: Sequence[list[Source]], on_part: Callable[[], None]) -> list[Part]:
    merged = [_write_merged(folder, run, on_part) for run in runs]
    if merged:
        sync(folder)
        _remove(folder, [source.part for run in runs for source in run])
    return merged


def _write_merged(folder: Path, run: Sequence[Source], on_part: Callable[[], None]) -> Part:
    merged = Part(run[0].part.first, run[-1].part.last)
    temporary = temporary_name(folder / "part")
    try:
        schema = _schema_of(folder, run)
        write_tables(temporary, _row_groups(_kept_rows(folder, run, schema, on_part)), schema)
        _refuse_damaged(temporary)
        _publish(temporary, folder / merged.name)
    finally:
        temporary.unlink(missing_ok=True)
    return merged


def _schema_of(folder: Path, run: Sequence[Source]) -> Any:
    """SCHEMA and what newer code has added: nothing of it is lost by merging."""
    paths = [folder / source.part.name for source in run]
    added = {field.name: field for path in paths for field in read_unknown_columns(path)}
    return pa.schema([*SCHEMA, *(field.with_nullable(True) for field in added.values())])


def _kept_rows(
    folder: Path, run: Sequence[Source], schema: Any, on_part: Callable[[], None]
) -> Iterator[Any]:
    for source in run:
        start = 0
        for table in read_tables(folder / source.part.name, schema):
            kept = source.kept[start : start + table.num_rows]
            start += table.num_rows
            yield table if kept.all() else table.filter(pa.array(kept))
        on_part()


def _row_groups(tables: Iterator[Any]) -> Iterator[Any]:
    """Rows as tables of ROWS_PER_GROUP rows or more; the last may have fewer."""
    waiting: list[Any] = []
    for table in tables:
        waiting.append(table)
        num_waiting = sum(found.num_rows for found in waiting)
        if num_waiting >= ROWS_PER_GROUP:
            pending = pa.concat_tables(waiting)
            whole = num_waiting - num_waiting % ROWS_PER_GROUP
            yield pending.slice(0, whole)
            waiting = [pending.slice(whole)]
    if waiting:
        yield pa.concat_tables(waiting)


def _publish(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass  # Another compaction has made the same part.
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        temporary.replace(path)


def _remove_covered(folder: Path) -> None:
    """Removes what a compaction that was killed had merged but not removed."""
    parts = listed_parts(folder)
    merged = [part for part in parts if part.first != part.last]
    for cover in merged:
        covered = [part for part in parts if cover.covers(part)]
        if covered:
            _refuse_damaged(folder / cover.name)
            (folder / cover.name).stat()  # It is still there, else FileNotFoundError.
            _remove(folder, covered)


def _remove(folder: Path, parts: Sequence[Part]) -> None:
    for part in parts:
        (folder / part.name).unlink(missing_ok=True)
    sync(folder)


def _refuse_damaged(path: Path) -> None:
    found = check_part(path)
    if found is not None:
        raise damage_error(found)
