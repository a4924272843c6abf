"""Part files: immutable, numbered in the order in which they appeared, whole or absent.

A partition is a folder of parts `part-00000001.parquet`, `part-00000002.parquet`, ... A writer
writes and syncs a hidden temporary file, then links it to the next free number. Linking fails
when the number is taken, so that without a lock no two writers share a number, no part appears
half-written, and a later part has a higher number than every part that was there before it.
"""

import errno
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .arrow import ARROW_ERRORS, is_temporary, open_parquet, pq, sync, temporary_name
from .errors import StoreError
from .frames import pl
from .replies import SCHEMA

ROWS_PER_GROUP = 2048
"""Rows of a part's row groups; only the last may have fewer. Row r lies in group r // this."""

_REPEATED = [
    name
    for name, kind in zip(SCHEMA.names, SCHEMA.types, strict=True)
    if kind == "string" and name not in {"key", "image_digest", "text"}
]
"""Text columns with few values: decoded to indices, most of the work of reading a part saved."""

_FILE_OPTIONS: dict[str, Any] = {
    "row_group_size": ROWS_PER_GROUP,
    # Not the texts: most of a part, they would take longer to decompress than to read.
    "compression": {name: "none" if name == "text" else "lz4" for name in SCHEMA.names},
    "use_dictionary": [
        name for name in SCHEMA.names if name not in {"key", "image_digest", "text", "time"}
    ],
    "write_statistics": False,
    "write_page_checksum": True,
}
_PARTS_AT_ONCE = 256
_PART_NAME = re.compile(r"part-(\d{8,})\.parquet")
_NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}

Prefixes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class DamagedPart:
    """A part that cannot be read to its end, and why."""

    path: Path
    reason: str


def part_path(folder: Path, number: int) -> Path:
    return folder / f"part-{number:08d}.parquet"


def part_numbers(folder: Path) -> list[int]:
    """Numbers of the parts of a partition, ascending; none when the folder is not there.

    With a part, all parts that were there before it: a listing may miss a file that appears
    while it runs and yet show a later one, so that one with gaps is completed by a second.
    """
    numbers = _listed_numbers(folder)
    if not numbers or len(numbers) == numbers[-1]:
        return numbers
    return [number for number in _listed_numbers(folder) if number <= numbers[-1]]


def _listed_numbers(folder: Path) -> list[int]:
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for name in names if (match := _PART_NAME.fullmatch(name)))


def temporary_files(folder: Path) -> list[Path]:
    """Files that writers are writing, or left behind when they were killed."""
    return sorted(path for path in folder.iterdir() if is_temporary(path.name))


def write_part(folder: Path, table: Any, after: int) -> int:
    """Writes a part, durable on return, and returns its number, the next free one above `after`.

    Raises OSError when the disk is full or the folder cannot be written.
    """
    _make_folder(folder)
    temporary = temporary_name(folder / "part")
    try:
        pq.write_table(table, temporary, **_FILE_OPTIONS)
        sync(temporary)
        number = _link_to_next_number(temporary, folder, after)
    finally:
        temporary.unlink(missing_ok=True)
    sync(folder)
    return number


def _make_folder(folder: Path) -> None:
    """Like mkdir -p, with the new entries synced."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync(folder.parent)


def _link_to_next_number(temporary: Path, folder: Path, after: int) -> int:
    for number in count(after + 1):
        try:
            os.link(temporary, part_path(folder, number))
        except FileExistsError:
            continue
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            if not _replace_placeholder(temporary, part_path(folder, number)):
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
        raise damaged(part, error) from error
    return key_prefixes(keys.to_pylist())


def key_prefixes(keys: Sequence[str]) -> Prefixes:
    """The first 64 bits of each key."""
    leading = bytes.fromhex("".join(key[:16] for key in keys))
    return np.frombuffer(leading, ">u8").astype(np.uint64)


def read_group(part: Path, group: int) -> Any:
    """One row group of a part, repeated texts as dictionaries; raises as `read_prefixes` does."""
    try:
        with _open(part) as file:
            _check_schema(file)
            return file.read_row_group(group, use_threads=False)
    except FileNotFoundError:
        raise
    except ARROW_ERRORS as error:
        raise damaged(part, error) from error


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
        return DamagedPart(part, _reason(part, error))
    return None


def _check_schema(file: Any) -> None:
    if file.schema_arrow.names != SCHEMA.names:
        raise OSError("its columns are not those of a reply store")


def damaged(part: Path, error: Exception) -> StoreError:
    return StoreError(
        f"{part}: damaged store part ({_reason(part, error)}): `blpo store verify --quarantine` "
        "moves it aside, and the replies it held are asked again"
    )


def _reason(part: Path, error: Exception) -> str:
    size = part.stat().st_size
    return f"{size:,} bytes; {' '.join(str(error).split())}" if size else "empty, 0 bytes"


def _open(part: Path) -> Any:
    return open_parquet(part, page_checksum_verification=True, read_dictionary=_REPEATED)
