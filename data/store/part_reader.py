"""Reading parts: every byte is checked before pyarrow sees it, every damaged part is named."""

from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..arrow import ARROW_ERRORS, pa, pq
from ..errors import NewerStoreError, StoreError
from .checksums import CheckedFile, UnsealedError
from .format_1 import RETIRED_COLUMNS, check_format_1
from .key_index import Rows
from .outcomes import KEY_COLUMNS, PartKeys, keys_of, together
from .part_keys import read_keys
from .parts import FORMAT, FORMAT_KEY
from .replies import (
    SCHEMA,
    STORED_SCHEMA,
    ReplyRow,
    StoredReply,
    replies_of_table,
    rows_of_table,
)

_READERS = 4
_KEYS = pa.schema([SCHEMA.field(name) for name in KEY_COLUMNS])


@dataclass(frozen=True, slots=True)
class DamagedPart:
    """A part, or a journal, that cannot be read to its end, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class PartFile:
    """An open part: `columns` are those it has. Reading may raise what pyarrow raises."""

    file: Any
    columns: Any

    @property
    def groups(self) -> range:
        """The row groups, as numbers."""
        return range(self.file.num_row_groups)

    @property
    def group_sizes(self) -> list[int]:
        """Rows of each row group."""
        return [self.file.metadata.row_group(group).num_rows for group in self.groups]

    def read(self, group: int, schema: Any) -> Any:
        """The rows of a row group as a table with that schema.

        Columns that the part lacks are null, those that the schema lacks are passed over.
        """
        own = [name for name in schema.names if name in self.columns.names]
        table = self.file.read_row_group(group, columns=own, use_threads=False)
        return pa.Table.from_arrays([self._column(table, field) for field in schema], schema=schema)

    def _column(self, table: Any, field: Any) -> Any:
        if field.name not in self.columns.names:
            if not field.nullable:
                raise OSError(f"it has no column {field.name}")
            return pa.nulls(table.num_rows, field.type)
        column = table.column(field.name)
        if column.type != field.type:
            raise OSError(f"its column {field.name} is {column.type}, not {field.type}")
        return column


def read_keys_of_parts(parts: Sequence[Path]) -> list[PartKeys | None]:
    """`read_keys_of_part` of many parts, a few at a time."""
    if len(parts) < _READERS:
        return [read_keys_of_part(part) for part in parts]
    with ThreadPoolExecutor(_READERS) as pool:
        return list(pool.map(read_keys_of_part, parts))


def read_keys_of_part(part: Path) -> PartKeys | None:
    """The keys of a part; None for an empty file.

    An empty file is the place of a part that is being written (`parts.write_part`). Raises
    StoreError for a damaged part and for one of a newer format, FileNotFoundError for one that is
    gone.
    """
    if part.stat().st_size == 0:
        return None
    with _named_damage(part):
        listed = _listed_keys(part)
        if listed is not None:
            return listed
        with _opened(part) as file:
            return _keys_of_rows(file)


def _listed_keys(part: Path) -> PartKeys | None:
    """The keys that a part lists beside its rows; None if it does not. Raises as `_opened` does."""
    try:
        with closing(CheckedFile(part)) as file:
            listed = read_keys(file)
    except UnsealedError:
        return None
    if listed is None:
        return None
    _refuse_newer(part, listed.version)
    return listed.keys


def _keys_of_rows(file: PartFile) -> PartKeys:
    tables = [file.read(group, _KEYS) for group in file.groups]
    return keys_of(pa.concat_tables([_KEYS.empty_table(), *tables]))


def read_replies(part: Path, rows: Rows, keys: Sequence[str]) -> dict[str, StoredReply]:
    """Of a part the replies at ascending rows by key, of those whose key is the one given.

    Raises as `read_keys_of_part` does, and StoreError for an empty file.
    """
    with _open(part) as file:
        replies = replies_of_table(pa.concat_tables(_tables_at(file, rows, STORED_SCHEMA)))
    return {reply.key: reply for reply, key in zip(replies, keys, strict=True) if reply.key == key}


def read_rows(part: Path, rows: Rows) -> list[ReplyRow]:
    """Of a part the rows at ascending places, whole; raises as `read_replies` does."""
    with _open(part) as file:
        return rows_of_table(pa.concat_tables(_tables_at(file, rows, SCHEMA)))


def _tables_at(file: PartFile, rows: Rows, schema: Any) -> Iterator[Any]:
    """Ascending rows of a part, by row group."""
    starts = np.cumsum([0, *file.group_sizes])
    groups = np.searchsorted(starts, rows, "right") - 1
    for group in np.unique(groups).astype(int).tolist():
        yield file.read(group, schema).take(rows[groups == group] - starts[group])


def read_tables(part: Path, schema: Any) -> Iterator[Any]:
    """The row groups of a part as tables with that schema; raises as `read_keys_of_part` does."""
    with _open(part) as file:
        for group in file.groups:
            yield file.read(group, schema)


def read_unknown_columns(part: Path) -> list[Any]:
    """The fields of a part that SCHEMA lacks because newer code has added them."""
    known = {*SCHEMA.names, *RETIRED_COLUMNS}
    with _open(part) as file:
        return [field for field in file.columns if field.name not in known]


def check_part(part: Path) -> DamagedPart | None:
    """Reads a part to its last byte; raises NewerStoreError."""
    try:
        _check(part)
    except FileNotFoundError:
        return None
    except ARROW_ERRORS as error:
        return _damage(part, error)
    return None


def _check(part: Path) -> None:
    keys: list[PartKeys] = []
    with _opened(part) as file:
        for group in file.groups:
            table = file.read(group, SCHEMA)
            table.validate(full=True)
            keys.append(keys_of(table))
    with suppress(UnsealedError), closing(CheckedFile(part)) as checked:
        checked.check()
        listed = read_keys(checked)
        if listed is not None and not all(map(np.array_equal, listed.keys, together(keys))):
            raise OSError("its list of keys is not that of its rows")


@contextmanager
def _open(part: Path) -> Generator[PartFile]:
    with _named_damage(part), _opened(part) as file:
        yield file


@contextmanager
def _named_damage(part: Path) -> Generator[None]:
    """Raises StoreError for what reading raises, but FileNotFoundError as it is."""
    try:
        yield
    except FileNotFoundError:
        raise
    except ARROW_ERRORS as error:
        raise damage_error(_damage(part, error)) from error


@contextmanager
def _opened(part: Path) -> Generator[PartFile]:
    """Raises NewerStoreError, and what pyarrow raises for damage."""
    with (
        _source(part) as source,
        pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True) as file,
    ):
        metadata: dict[bytes, bytes] = file.metadata.metadata or {}
        _refuse_newer(part, int(metadata.get(FORMAT_KEY, b"1")))
        yield PartFile(file, file.schema_arrow)


def _refuse_newer(part: Path, version: int) -> None:
    if version > FORMAT:
        raise NewerStoreError(
            f"{part}: format {version} of a newer blpo; this one reads formats up to {FORMAT}: "
            "upgrade blpo"
        )


def _source(part: Path) -> Any:
    """A part as an Arrow file, of which nothing is read that does not fit the rest."""
    try:
        return pa.PythonFile(CheckedFile(part), mode="r")
    except UnsealedError:
        check_format_1(part)
        return pa.OSFile(str(part))


def damage_error(found: DamagedPart) -> StoreError:
    return StoreError(
        f"{found.path}: damaged store part ({found.reason}): `blpo store verify --quarantine` "
        "moves it aside, and the replies it held are asked again"
    )


def _damage(part: Path, error: Exception) -> DamagedPart:
    size = part.stat().st_size
    message = " ".join(str(error).split())
    return DamagedPart(part, f"{size:,} bytes; {message}" if size else "empty, 0 bytes")
