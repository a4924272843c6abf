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
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from ..arrow import is_temporary, pa, pq, sync, temporary_name
from ..errors import StoreError
from .checksums import seal
from .outcomes import PartKeys, keys_of, together
from .part_keys import packed
from .part_names import listed_parts, single
from .replies import SCHEMA, ReplyRow, table_of_rows

ROWS_PER_GROUP = 2048
"""Rows of a part's row groups at most: a look-up reads whole ones."""

FORMAT = 2
"""Version of what is written here, in the metadata of every part under FORMAT_KEY.

It goes up when code of today would misread what is written then, which a new column is no reason
for: columns that a part lacks are null, and those that the code does not know are passed over.
Format 1: parts without a version, and without checksums (`format_1`). A file has its seal
(`checksums`) and its version where they are in every later format, so that this code can tell a
newer part from a damaged one. The version is in `part_keys` as well.
"""

FORMAT_KEY = b"blpo.format"

_AS_IT_IS = {"key", "image_digest", "text"}
"""Columns that are not compressed: hashes do not get smaller, and texts would be slow to write."""

_DISTINCT = {*_AS_IT_IS, "label_logprobs.list.element", "time"}
"""Columns whose values seldom come again."""

NO_HARD_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def temporary_files(folder: Path) -> list[Path]:
    """Files that writers are writing, or left behind when they were killed."""
    return sorted(path for path in folder.iterdir() if is_temporary(path.name))


def write_part(folder: Path, aside: Path, rows: Sequence[ReplyRow], after: int) -> int:
    """Writes a part, durable on return; its number, above `after` and never used.

    aside: where parts of this folder are moved to. Raises OSError when the disk is full or the
    folder cannot be written.
    """
    table = table_of_rows(rows)
    make_folder(folder)
    temporary = temporary_name(folder / "part")
    try:
        write_tables(temporary, [table], SCHEMA)
        number = _link_to_next_number(temporary, folder, after)
        while (highest := _highest_if_used(folder, aside, number)) is not None:
            source = temporary if temporary.exists() else folder / single(number).name
            used, number = number, _link_to_next_number(source, folder, highest)
            (folder / single(used).name).unlink(missing_ok=True)
    finally:
        temporary.unlink(missing_ok=True)
    sync(folder)
    return number


def write_tables(path: Path, tables: Iterable[Any], schema: Any) -> None:
    """Writes tables with that schema into one file, durable on return.

    Raises OSError as `write_part` does.
    """
    names = [_leaf_name(field) for field in schema]
    keys: list[PartKeys] = []
    with pq.ParquetWriter(
        path,
        schema,
        compression={name: "none" if name in _AS_IT_IS else "lz4" for name in names},
        use_dictionary=[name for name in names if name not in _DISTINCT],
        write_statistics=False,
        store_schema=False,
    ) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=ROWS_PER_GROUP)
            keys.append(keys_of(table))
        writer.add_key_value_metadata({FORMAT_KEY: str(FORMAT).encode()})
    seal(path, packed(FORMAT, together(keys)))


def _leaf_name(field: Any) -> str:
    """What Parquet calls a column."""
    return f"{field.name}.list.element" if pa.types.is_list(field.type) else field.name


def _highest_if_used(folder: Path, aside: Path, number: int) -> int | None:
    """The highest number that ever was, if `number` had been another part's; None if not."""
    here, moved = listed_parts(folder), listed_parts(aside)
    part = single(number)
    if part not in moved and not any(other.covers(part) for other in (*here, *moved)):
        return None
    return max(other.last for other in (*here, *moved))


def unwritable(folder: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{folder}: cannot write to the store ({error}): free space or grant access, then run again"
    )


def make_folder(folder: Path) -> None:
    """Like mkdir -p, with the new entries synced."""
    if not folder.is_dir():
        make_folder(folder.parent)
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
