"""Part files: immutable, numbered in the order in which they appeared, whole or absent.

A partition is a folder of parts `part-00000001.parquet`, `part-00000002.parquet`, ... A writer
writes and syncs a hidden temporary file, then links it to the next free number. Linking fails
when the number is taken, so that without a lock no two writers share a number, no part appears
half-written, and a later part has a higher number than every part that was there before it. A
number may also be free because its part was merged or moved aside since the writer last looked:
it looks again after linking, and takes a number above all that ever were if so.
"""

import errno
import os
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate, chain, count
from pathlib import Path
from typing import Any

import numpy as np

from ..arrow import ARROW_ERRORS, is_temporary, open_parquet, pa, pq, sync, temporary_name
from ..errors import StoreError
from .locators import (
    Head,
    PartIndex,
    Rows,
    check_locators,
    heads_metadata,
    heads_of,
    misfits,
    part_index,
    read_texts,
    replies,
    table_of_rows,
)
from .part_names import listed_parts, single
from .replies import SCHEMA, ReplyRow, StoredReply

ROWS_PER_GROUP = 16_384
"""Rows of a part's row groups at most."""

_AS_IT_IS = ("key", "image_digest", "text", "locator")
"""Columns that are not compressed: texts are read one by one, hashes do not get smaller."""

FILE_OPTIONS: dict[str, Any] = {
    "compression": {name: "none" if name in _AS_IT_IS else "lz4" for name in SCHEMA.names},
    "use_dictionary": [name for name in SCHEMA.names if name not in {*_AS_IT_IS, "time"}],
    "write_statistics": False,
    "store_schema": False,
    "write_page_checksum": True,
    # One page for the texts of a row group.
    "data_page_size": 2**30,
}
_READERS = 4
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@dataclass(frozen=True, slots=True)
class DamagedPart:
    """A part that cannot be read to its end, and why."""

    path: Path
    reason: str


def temporary_files(folder: Path) -> list[Path]:
    """Files that writers are writing, or left behind when they were killed."""
    return sorted(path for path in folder.iterdir() if is_temporary(path.name))


def write_part(folder: Path, aside: Path, rows: Sequence[ReplyRow], after: int) -> int:
    """Writes a part, durable on return; its number, above `after` and never used.

    aside: where parts of this folder are moved to. Raises OSError when the disk is full or the
    folder cannot be written.
    """
    heads: dict[Head, int] = {}
    table = table_of_rows(rows, heads)
    _make_folder(folder)
    temporary = temporary_name(folder / "part")
    try:
        write_tables(temporary, [table], heads)
        number = _link_to_next_number(temporary, folder, after)
        while (highest := _highest_if_used(folder, aside, number)) is not None:
            source = temporary if temporary.exists() else folder / single(number).name
            used, number = number, _link_to_next_number(source, folder, highest)
            (folder / single(used).name).unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)
    sync(folder)
    return number


def write_tables(path: Path, tables: Iterable[Any], heads: Mapping[Head, int]) -> None:
    """Writes tables with SCHEMA into one file, durable on return.

    heads: as the tables number them, all there when the last table has come. Tables of more than
    ROWS_PER_GROUP rows are divided. Raises OSError as `write_part` does.
    """
    with pq.ParquetWriter(path, SCHEMA, **FILE_OPTIONS) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        writer.add_key_value_metadata(heads_metadata(heads))
    sync(path)


def _highest_if_used(folder: Path, aside: Path, number: int) -> int | None:
    """The highest number that ever was, if `number` had been another part's; None if not."""
    here, moved = listed_parts(folder), listed_parts(aside)
    part = single(number)
    if part not in moved and not any(other.covers(part) for other in (*here, *moved)):
        return None
    return max(other.last for other in (*here, *moved))


def _make_folder(folder: Path) -> None:
    """Like mkdir -p, with the new entries synced."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def _link_to_next_number(temporary: Path, folder: Path, after: int) -> int:
    for number in count(after + 1):
        try:
            os.link(temporary, folder / single(number).name)
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno not in NO_HARD_LINKS:
                raise
            if not _replace_placeholder(temporary, folder / single(number).name):
                continue
        return number
    raise AssertionError("unreachable: count() does not end")


def _replace_placeholder(temporary: Path, part: Path) -> bool:
    """Where there are no hard links: claim the number by an empty file, which readers pass over."""
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    except FileExistsError:
        return False
    temporary.replace(part)
    return True


def read_indexes(parts: Sequence[Path]) -> list[PartIndex | None]:
    """`read_index` of many parts, a few at a time."""
    if len(parts) < _READERS:
        return [read_index(part) for part in parts]
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(read_index, parts))


def read_index(part: Path) -> PartIndex | None:
    """Where the texts of a part are; None for an empty file (see write_part).

    Raises StoreError for a damaged part, FileNotFoundError for one that is gone.
    """
    if part.stat().st_size == 0:
        return None
    with _damage_named(part), _open(part) as file:
        groups = range(file.num_row_groups)
        locators = file.read_row_groups(groups, columns=["locator"], use_threads=False)
        return part_index(locators, file.metadata, heads_of(file.metadata.metadata))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Ascending rows of a part, and the keys that they should have."""

    part: Path
    index: PartIndex
    rows: Rows
    keys: Sequence[str]


def read_replies(wanted: Sequence[Wanted]) -> dict[str, StoredReply]:
    """The replies at rows of parts by key, of those that are the keys' own.

    Raises as `read_index` does.
    """
    if not wanted:
        return {}
    located = [some.index.locators[some.rows] for some in wanted]
    texts: list[str] = []
    hashes: list[int] = []
    for some, locators in zip(wanted, located, strict=True):
        starts = some.index.starts[some.rows]
        with _damage_named(some.part):
            found = read_texts(some.part, starts, starts + locators["text_bytes"])
        texts += found[0]
        hashes += found[1]
    locators = np.concatenate(located)
    keys = list(chain.from_iterable(some.keys for some in wanted))
    if others := misfits(locators, keys, hashes):
        return read_replies(list(_without(wanted, others)))
    numbers: Iterator[int] = iter(locators["head"].tolist())
    heads = [some.index.heads[next(numbers)] for some in wanted for _ in some.keys]
    logprobs = list(chain.from_iterable(map(_logprobs, wanted)))
    return dict(zip(keys, replies(locators, heads, keys, texts, logprobs), strict=True))


def _logprobs(wanted: Wanted) -> Sequence[list[float] | None]:
    if not any(head.has_logprobs for head in wanted.index.heads):
        return [None] * len(wanted.keys)
    with _damage_named(wanted.part):
        return _values(wanted.part, wanted.index, wanted.rows, "label_logprobs")


def _without(wanted: Sequence[Wanted], others: Sequence[int]) -> Iterator[Wanted]:
    """What is wanted less rows of other keys, which begin like those asked for.

    others: positions in all that is wanted. Raises StoreError if one is of the key asked for:
    its text is damaged.
    """
    first = 0
    for some in wanted:
        misfit = [other - first for other in others if first <= other < first + len(some.keys)]
        first += len(some.keys)
        with _damage_named(some.part):
            stored = _values(some.part, some.index, some.rows[misfit], "key")
            if any(some.keys[i] == key for i, key in zip(misfit, stored, strict=True)):
                raise OSError("a text does not fit its checksum")
        rest = sorted({*range(len(some.keys))} - {*misfit})
        if rest:
            yield replace(some, rows=some.rows[rest], keys=[some.keys[i] for i in rest])


def _values(part: Path, index: PartIndex, rows: Rows, name: str) -> list[Any]:
    """A column at ascending rows."""
    ends = list(accumulate(index.num_rows))
    groups = np.searchsorted(ends, rows, "right")
    found: list[Any] = []
    with _open(part) as file:
        for group in map(int, np.unique(groups)):
            column = file.read_row_group(group, columns=[name], use_threads=False).column(name)
            first = ends[group] - index.num_rows[group]
            found += column.take(rows[groups == group] - first).to_pylist()
    return found


def read_tables(part: Path) -> Iterator[Any]:
    """The row groups of a part as tables with SCHEMA and its heads; raises as `read_index` does."""
    with _damage_named(part):
        yield from _tables(part)


def check_part(part: Path) -> DamagedPart | None:
    """Reads a part to its last page."""
    try:
        for table in _tables(part):
            check_locators(table)
    except FileNotFoundError:
        return None
    except ARROW_ERRORS as error:
        return _damage(part, error)
    return None


def _tables(part: Path) -> Iterator[Any]:
    with _open(part) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, use_threads=False).cast(SCHEMA)
            yield table.replace_schema_metadata(file.metadata.metadata)


@contextmanager
def _open(part: Path) -> Generator[Any]:
    with (
        pa.OSFile(str(part)) as source,
        open_parquet(source, page_checksum_verification=True) as file,
    ):
        if file.schema_arrow.names != SCHEMA.names:
            raise OSError("its columns are not those of a reply store")
        yield file


@contextmanager
def _damage_named(part: Path) -> Generator[None]:
    """Raises StoreError for what reading raises, but FileNotFoundError as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except ARROW_ERRORS as error:
        raise damage_error(_damage(part, error)) from error


def damage_error(found: DamagedPart) -> StoreError:
    return StoreError(
        f"{found.path}: damaged store part ({found.reason}): `blpo store verify --quarantine` "
        "moves it aside, and the replies it held are asked again"
    )


def _damage(part: Path, error: Exception) -> DamagedPart:
    size = part.stat().st_size
    message = " ".join(str(error).split())
    return DamagedPart(part, f"{size:,} bytes; {message}" if size else "empty, 0 bytes")
