"""Reading parts: every byte is checked before pyarrow sees it, every damaged part is named."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arrow import ARROW_ERRORS, pa, pq
from ..errors import NewerStoreError, StoreError
from .checksums import CheckedFile, UnsealedError
from .format_1 import RETIRED_COLUMNS, check_format_1
from .key_index import Prefixes, Rows, key_prefixes
from .parts import FORMAT, FORMAT_KEY
from .replies import SCHEMA, STORED_SCHEMA, StoredReply, replies_of_table

_READERS = 4


@dataclass(frozen=True, slots=True)
class DamagedPart:
    """A part that cannot be read to its end, and why."""

    path: Path
    reason: str


def read_prefixes_of_parts(parts: Sequence[Path]) -> list[Prefixes | None]:
    """`read_prefixes` of many parts, a few at a time."""
    if len(parts) < _READERS:
        return [read_prefixes(part) for part in parts]
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(read_prefixes, parts))


def read_prefixes(part: Path) -> Prefixes | None:
    """The first 64 bits of the keys of a part, in row order; None for an empty file.

    An empty file is the place of a part that is being written (`parts.write_part`). Raises
    StoreError for a damaged part and for one of a newer format, FileNotFoundError for one that is
    gone.
    """
    if part.stat().st_size == 0:
        return None
    with _open(part) as file:
        groups = [_prefixes_of_group(file, group) for group in range(file.num_row_groups)]
        return np.concatenate([np.empty(0, np.uint64), *groups])


def read_replies(part: Path, rows: Rows, keys: Sequence[str]) -> dict[str, StoredReply]:
    """Of a part the replies at ascending rows by key, of those whose key is the one given.

    Raises as `read_prefixes` does, and StoreError for an empty file.
    """
    with _open(part) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        ends = np.cumsum(sizes)
        groups = np.searchsorted(ends, rows, "right")
        found = [
            _read_group(file, group, STORED_SCHEMA.names).take(
                rows[groups == group] - (ends[group] - sizes[group])
            )
            for group in map(int, np.unique(groups))
        ]
        replies = replies_of_table(_conformed(pa.concat_tables(found), STORED_SCHEMA))
    return {reply.key: reply for reply, key in zip(replies, keys, strict=True) if reply.key == key}


def read_tables(part: Path, schema: Any = SCHEMA) -> Iterator[Any]:
    """The row groups of a part as tables with that schema; raises as `read_prefixes` does.

    Columns that the part lacks are null, those that the schema lacks are passed over.
    """
    with _open(part) as file:
        for group in range(file.num_row_groups):
            yield _conformed(_read_group(file, group, schema.names), schema)


def read_unknown_columns(part: Path) -> list[Any]:
    """The fields of a part that SCHEMA lacks, and that newer code has added, not older dropped."""
    with _open(part) as file:
        known = {*SCHEMA.names, *RETIRED_COLUMNS}
        return [field for field in file.schema_arrow if field.name not in known]


def check_part(part: Path) -> DamagedPart | None:
    """Reads a part to its last byte; raises NewerStoreError."""
    try:
        with _opened(part) as file:
            for group in range(file.num_row_groups):
                _conformed(_read_group(file, group, SCHEMA.names), SCHEMA).validate(full=True)
    except FileNotFoundError:
        return None
    except ARROW_ERRORS as error:
        return _damage(part, error)
    return None


@contextmanager
def _open(part: Path) -> Generator[Any]:
    """Raises StoreError for what reading raises, but FileNotFoundError as it is."""
    try:
        with _opened(part) as file:
            yield file
    except FileNotFoundError:
        raise
    except ARROW_ERRORS as error:
        raise damage_error(_damage(part, error)) from error


@contextmanager
def _opened(part: Path) -> Generator[Any]:
    """Raises NewerStoreError, and what pyarrow raises for damage."""
    with (
        _source(part) as source,
        pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True) as file,
    ):
        metadata: dict[bytes, bytes] = file.metadata.metadata or {}
        version = int(metadata.get(FORMAT_KEY, b"1"))
        if version > FORMAT:
            raise NewerStoreError(
                f"{part}: format {version} of a newer blpo; this one reads formats up to {FORMAT}: "
                "upgrade blpo"
            )
        yield file


def _source(part: Path) -> Any:
    """A part as an Arrow file, of which nothing is read that does not fit the rest."""
    try:
        return pa.PythonFile(CheckedFile(part), mode="r")
    except UnsealedError:
        check_format_1(part)
        return pa.OSFile(str(part))


def _read_group(file: Any, group: int, names: Sequence[str]) -> Any:
    """Those of the columns of a row group that the part has."""
    own = [name for name in names if name in file.schema_arrow.names]
    return file.read_row_group(group, columns=own, use_threads=False)


def _prefixes_of_group(file: Any, group: int) -> Prefixes:
    keys = _read_group(file, group, ["key"]).column("key").to_pylist()
    try:
        return key_prefixes(keys)
    except ValueError as error:
        raise OSError("a key is not of hex digits") from error


def _conformed(table: Any, schema: Any) -> Any:
    """A table with that schema: columns that it lacks are null."""
    columns = [_column(table, field) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _column(table: Any, field: Any) -> Any:
    if field.name not in table.column_names and field.nullable:
        return pa.nulls(table.num_rows, field.type)
    if field.name not in table.column_names or table.schema.field(field.name).type != field.type:
        raise OSError(f"its column {field.name} is not {field.type}")
    return table.column(field.name)


def damage_error(found: DamagedPart) -> StoreError:
    return StoreError(
        f"{found.path}: damaged store part ({found.reason}): `blpo store verify --quarantine` "
        "moves it aside, and the replies it held are asked again"
    )


def _damage(part: Path, error: Exception) -> DamagedPart:
    size = part.stat().st_size
    message = " ".join(str(error).split())
    return DamagedPart(part, f"{size:,} bytes; {message}" if size else "empty, 0 bytes")
