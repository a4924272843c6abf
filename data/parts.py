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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrow import ARROW_ERRORS, is_temporary, open_parquet, pq, sync, temporary_name
from .errors import StoreError
from .frames import pl
from .part_names import listed_parts, single
from .replies import SCHEMA
from .row_group import GROUP_COLUMNS, RowGroup, text_starts

ROWS_PER_GROUP = 16_384
"""Rows of a part's row groups; only the last may have fewer. Row r lies in group r // this."""

_UNIQUE = ("key", "image_digest", "text")
_REPEATED = [
    name
    for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)
    if kind == "string" and name not in _UNIQUE
]
"""Text columns with few values: decoded to indices, most of the work of reading a part saved."""

FILE_OPTIONS: dict[str, Any] = {
    # Not the texts, which are read one by one, and not hashes, which do not get smaller.
    "compression": {name: "none" if name in _UNIQUE else "lz4" for name in SCHEMA.names},
    "use_dictionary": [
        name for name in SCHEMA.names if name not in {*_UNIQUE, "time", "text_crc32"}
    ],
    "write_statistics": False,
    "write_page_checksum": True,
    # One page for the texts of a row group.
    "data_page_size": 2**30,
}
_TEXT_CHUNK: int = SCHEMA.get_field_index("text")
_PARTS_AT_ONCE = 256
NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

Prefixes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class DamagedPart:
    """A part that cannot be read to its end, and why."""

    path: Path
    reason: str


def temporary_files(folder: Path) -> list[Path]:
    """Files that writers are writing, or left behind when they were killed."""
    return sorted(path for path in folder.iterdir() if is_temporary(path.name))


def write_part(folder: Path, aside: Path, table: Any, after: int) -> int:
    """Writes a part, durable on return, and returns its number, above `after` and never used.

    aside: where parts of this folder are moved to. Raises OSError when the disk is full or the
    folder cannot be written.
    """
    _make_folder(folder)
    temporary = temporary_name(folder / "part")
    try:
        pq.write_table(table, temporary, row_group_size=ROWS_PER_GROUP, **FILE_OPTIONS)
        sync(temporary)
        number = _link_to_next_number(temporary, folder, after)
        while (highest := _highest_if_used(folder, aside, number)) is not None:
            source = temporary if temporary.exists() else folder / single(number).name
            used, number = number, _link_to_next_number(source, folder, highest)
            (folder / single(used).name).unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)
    sync(folder)
    return number


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


def read_all_prefixes(parts: Sequence[Path]) -> list[Prefixes | None]:
    """`read_prefixes` of many parts; a few at a time in one go, which is faster for small ones."""
    found: list[Prefixes | None] = []
    for start in range(0, len(parts), _PARTS_AT_ONCE):
        chunk = parts[start : start + _PARTS_AT_ONCE]
        try:
            found += _read_together(chunk)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError):
            found += [read_prefixes(part) for part in chunk]
    return found


def _read_together(parts: Sequence[Path]) -> list[Prefixes]:
    scan = pl.scan_parquet(list(parts), include_file_paths="part", glob=False)
    keys = scan.select("part", pl.col("key").str.head(16)).collect()
    lengths = keys["part"].rle().struct.field("len").to_list()
    if len(lengths) != len(parts):
        raise OSError("a part has no rows")
    prefixes = key_prefixes(keys["key"].to_list())
    return np.split(prefixes, np.cumsum(lengths)[:-1])


def read_prefixes(part: Path) -> Prefixes | None:
    """Key prefixes of a part's rows, in row order; None for an empty file (see write_part).

    Raises StoreError for a damaged part, FileNotFoundError for one that is gone.
    """
    try:
        with _open(part) as file:
            keys = file.read(columns=["key"], use_threads=False).column("key")
    except FileNotFoundError:
        raise
    except ARROW_ERRORS as error:
        if part.stat().st_size == 0:
            return None
        raise damage_error(_damage(part, error)) from error
    return key_prefixes(keys.to_pylist())


def key_prefixes(keys: Sequence[str]) -> Prefixes:
    """The first 64 bits of each key."""
    leading = bytes.fromhex("".join(key[:16] for key in keys))
    return np.frombuffer(leading, ">u8").astype(np.uint64)


def read_group(part: Path, group: int) -> RowGroup:
    """One row group of a part; raises as `read_prefixes` does."""
    try:
        with _open(part) as file:
            _check_schema(file)
            table = file.read_row_group(group, columns=GROUP_COLUMNS, use_threads=False)
            chunk = file.metadata.row_group(group).column(_TEXT_CHUNK)
    except FileNotFoundError:
        raise
    except ARROW_ERRORS as error:
        raise damage_error(_damage(part, error)) from error
    return RowGroup(part, table, text_starts(table, chunk), partial(_read_texts, part, group))


def _read_texts(part: Path, group: int) -> Any:
    try:
        with _open(part) as file:
            return file.read_row_group(group, columns=["text"], use_threads=False).column("text")
    except FileNotFoundError:
        raise
    except ARROW_ERRORS as error:
        raise damage_error(_damage(part, error)) from error


def read_tables(part: Path) -> Iterator[Any]:
    """The row groups of a part as tables with SCHEMA; raises as `read_prefixes` does."""
    try:
        with open_parquet(part, page_checksum_verification=True) as file:
            _check_schema(file)
            for group in range(file.num_row_groups):
                yield file.read_row_group(group, use_threads=False).cast(SCHEMA)
    except FileNotFoundError:
        raise
    except ARROW_ERRORS as error:
        raise damage_error(_damage(part, error)) from error


def check_part(part: Path) -> DamagedPart | None:
    """Reads a part to its last page."""
    try:
        with _open(part) as file:
            _check_schema(file)
            for group in range(file.num_row_groups):
                table = file.read_row_group(group, use_threads=False)
                key_prefixes(table.column("key").to_pylist())
    except FileNotFoundError:
        return None
    except (*ARROW_ERRORS, ValueError) as error:
        return _damage(part, error)
    return None


def _check_schema(file: Any) -> None:
    if file.schema_arrow.names != SCHEMA.names:
        raise OSError("its columns are not those of a reply store")


def damage_error(found: DamagedPart) -> StoreError:
    return StoreError(
        f"{found.path}: damaged store part ({found.reason}): `blpo store verify --quarantine` "
        "moves it aside, and the replies it held are asked again"
    )


def _damage(part: Path, error: Exception) -> DamagedPart:
    size = part.stat().st_size
    message = " ".join(str(error).split())
    return DamagedPart(part, f"{size:,} bytes; {message}" if size else "empty, 0 bytes")


def _open(part: Path) -> Any:
    return open_parquet(part, page_checksum_verification=True, read_dictionary=_REPEATED)
