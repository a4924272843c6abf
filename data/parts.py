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
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrow import ARROW_ERRORS, is_temporary, open_parquet, pa, pq, sync, temporary_name
from .errors import StoreError
from .part_names import listed_parts, single
from .records import RecordIndex, check_records, locators_of, read_records, record_index
from .replies import SCHEMA, StoredReply

ROWS_PER_GROUP = 16_384
"""Rows of a part's row groups at most."""

_AS_IT_IS = ("key", "image_digest", "record", "locator")
"""Columns that are not compressed: records are read one by one, hashes do not get smaller."""

FILE_OPTIONS: dict[str, Any] = {
    "compression": {name: "none" if name in _AS_IT_IS else "lz4" for name in SCHEMA.names},
    "use_dictionary": [name for name in SCHEMA.names if name not in {*_AS_IT_IS, "text", "time"}],
    "write_statistics": False,
    "write_page_checksum": True,
    # One page for the records of a row group.
    "data_page_size": 2**30,
}
_RECORD_CHUNK: int = SCHEMA.get_field_index("record")
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


def write_part(folder: Path, aside: Path, table: Any, after: int) -> tuple[int, RecordIndex]:
    """Writes a part, durable on return; its number, above `after` and never used, and its index.

    aside: where parts of this folder are moved to. Raises OSError when the disk is full or the
    folder cannot be written.
    """
    _make_folder(folder)
    temporary = temporary_name(folder / "part")
    try:
        with pq.ParquetWriter(temporary, SCHEMA, **FILE_OPTIONS) as writer:
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        sync(temporary)
        number = _link_to_next_number(temporary, folder, after)
        while (highest := _highest_if_used(folder, aside, number)) is not None:
            source = temporary if temporary.exists() else folder / single(number).name
            used, number = number, _link_to_next_number(source, folder, highest)
            (folder / single(used).name).unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)
    sync(folder)
    groups = [table.slice(start, ROWS_PER_GROUP) for start in range(0, len(table), ROWS_PER_GROUP)]
    return number, _index(groups, writer.writer.metadata)


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


def read_indexes(parts: Sequence[Path]) -> list[RecordIndex | None]:
    """`read_index` of many parts, a few at a time."""
    if len(parts) < _READERS:
        return [read_index(part) for part in parts]
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(read_index, parts))


def read_index(part: Path) -> RecordIndex | None:
    """Where the records of a part are; None for an empty file (see write_part).

    Raises StoreError for a damaged part, FileNotFoundError for one that is gone.
    """
    if part.stat().st_size == 0:
        return None
    with _damage_named(part), _open(part) as file:
        groups = [
            file.read_row_group(group, columns=["locator"], use_threads=False)
            for group in range(file.num_row_groups)
        ]
        return _index(groups, file.metadata)


def read_replies(part: Path, index: RecordIndex, rows: npt.NDArray[np.int64]) -> list[StoredReply]:
    """The replies at ascending rows of a part; raises as `read_index` does."""
    with _damage_named(part):
        return read_records(part, index, rows)


def read_tables(part: Path) -> Iterator[Any]:
    """The row groups of a part as tables with SCHEMA; raises as `read_index` does."""
    with _damage_named(part):
        yield from _tables(part)


def check_part(part: Path) -> DamagedPart | None:
    """Reads a part to its last page."""
    try:
        for table in _tables(part):
            check_records(table)
    except FileNotFoundError:
        return None
    except ARROW_ERRORS as error:
        return _damage(part, error)
    return None


def _index(groups: Iterable[Any], metadata: Any) -> RecordIndex:
    """From tables of the row groups and the metadata of the part."""
    chunks = [
        metadata.row_group(group).column(_RECORD_CHUNK) for group in range(metadata.num_row_groups)
    ]
    return record_index([locators_of(group) for group in groups], chunks)


def _tables(part: Path) -> Iterator[Any]:
    with _open(part) as file:
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, use_threads=False).cast(SCHEMA)


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
