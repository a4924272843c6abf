"""Parquet and Arrow files, and folders of them as the Hub and `datasets` leave them."""

import json
import re
import sys
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, cast

from ..arrow import ARROW_ERRORS, open_parquet, pa, parquet_fault, pq
from ..dataset_files import batches_within, footer_digest, group_rows
from ..errors import DataError
from .base import (
    SPLIT_NAMES,
    Plain,
    TableRow,
    flattened,
    joint_columns,
    joint_image_columns,
)

_BATCH_ROWS = 64


@dataclass(frozen=True)
class ParquetSource(Plain):
    """One file. Numbers of a Hugging Face ClassLabel are read as the names that they stand for."""

    path: Path

    @property
    def layout(self) -> str:
        return "an Arrow file of datasets" if self._is_arrow else "a Parquet file"

    @property
    def _is_arrow(self) -> bool:
        return self.path.suffix.lower() == ".arrow"

    @cached_property
    def schema(self) -> Any:
        try:
            if self._is_arrow:
                with _arrow_reader(self.path) as reader:
                    return reader.schema
            return pq.read_schema(self.path)
        except ARROW_ERRORS as error:
            raise self._damaged(error) from error

    def columns(self) -> list[str]:
        names: list[str] = []
        try:
            for column in self.schema:
                names += [column.name, *_inner_names(column.name, column.type)]
        except UnicodeDecodeError as error:
            raise self._damaged(error) from error
        return list(dict.fromkeys(names))

    def image_columns(self) -> list[str]:
        features = _features(self.schema)
        declared = [name for name, kind in features.items() if kind.get("_type") == "Image"]
        return declared or [c.name for c in self.schema if _is_image_type(c.type)]

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        return self.rows_within(columns, range(sys.maxsize))

    def rows_within(self, columns: Sequence[str], rows: range) -> Iterator[TableRow]:
        """These rows, from 0. Row groups of a Parquet file without one of them are not read."""
        wanted = _top_level(columns, self.schema.names)
        class_names = _class_names(self.schema)
        try:
            for row, values in enumerate(self._records(wanted, rows), rows.start + 1):
                for name, names in class_names.items():
                    number = values.get(name)
                    if isinstance(number, int) and 0 <= number < len(names):
                        values[name] = names[number]
                yield TableRow(f"row {row}", flattened(values), self.path.parent)
        except ARROW_ERRORS as error:
            raise self._damaged(error) from error

    def group_rows(self) -> tuple[int, ...]:
        """Rows of each row group; an Arrow file is read from its start and counts as one."""
        try:
            if self._is_arrow:
                with _arrow_reader(self.path) as reader:
                    return (sum(batch.num_rows for batch in reader),)
            return group_rows(pq.read_metadata(self.path))
        except ARROW_ERRORS as error:
            raise self._damaged(error) from error

    def digest(self) -> str:
        """Of what is in the file, without reading its rows."""
        if self._is_arrow:
            return f"{self.path.stat().st_size} bytes"
        return footer_digest(self.path)

    def _records(self, columns: Sequence[str], rows: range) -> Iterator[dict[str, Any]]:
        if self._is_arrow:
            yield from islice(self._arrow_records(columns), rows.start, rows.stop)
            return
        with open_parquet(self.path) as file:
            for batch in batches_within(file, rows, _BATCH_ROWS, columns):
                yield from batch.to_pylist()

    def _arrow_records(self, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        with _arrow_reader(self.path) as reader:
            for batch in reader:
                # A damaged file may point outside itself; Arrow would follow it there.
                batch.validate(full=True)
                for start in range(0, batch.num_rows, _BATCH_ROWS):
                    yield from batch.select(columns).slice(start, _BATCH_ROWS).to_pylist()

    def _damaged(self, error: Exception) -> DataError:
        kind = "Arrow" if self._is_arrow else "Parquet"
        told = f"not a whole {kind} file ({parquet_fault(error)})"
        return DataError(f"{self.path}: {told}: copy it again")


@dataclass(frozen=True)
class PartsSource(Plain):
    """The Parquet or Arrow files of a folder, in the order of their names.

    parts: files with the split that their path names, "" where it names none.
    """

    folder: Path
    parts: list[tuple[str, ParquetSource]]

    @property
    def layout(self) -> str:
        splits = list(dict.fromkeys(split for split, _ in self.parts if split))
        by = f", split by name ({', '.join(splits)})" if splits else ""
        return f"{len(self.parts):,} Parquet or Arrow files in a folder{by}"

    def columns(self) -> list[str]:
        split = ["split"] if any(split for split, _ in self.parts) else []
        return list(dict.fromkeys([*joint_columns(part for _, part in self.parts), *split]))

    def image_columns(self) -> list[str]:
        return joint_image_columns(part for _, part in self.parts)

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        for name in self._by_name:
            yield from self.rows_within(name, columns, range(sys.maxsize))

    def files(self) -> dict[str, ParquetSource]:
        """By their paths below the folder."""
        return {name: part for name, (_, part) in self._by_name.items()}

    @cached_property
    def _by_name(self) -> dict[str, tuple[str, ParquetSource]]:
        return {part[1].path.relative_to(self.folder).as_posix(): part for part in self.parts}

    def rows_within(self, name: str, columns: Sequence[str], rows: range) -> Iterator[TableRow]:
        """These rows, from 0, of one of `files`."""
        split, part = self._by_name[name]
        for row in part.rows_within(columns, rows):
            values = row.values | ({"split": split} if split else {})
            yield TableRow(f"{name} {row.where}", values, self.folder)


def split_in_name(path: Path, folder: Path) -> str:
    """The split that a file's path below a folder names, "" for none: "data/train-00000-of-1"."""
    parts = path.relative_to(folder).with_suffix("").parts
    for part in reversed(parts):
        words = re.split(r"[^a-z]+", part.lower())
        found = [word for word in words if word in SPLIT_NAMES]
        if found:
            return found[0]
    return ""


@contextmanager
def _arrow_reader(path: Path) -> Generator[Any]:
    """The batches of an Arrow file; `datasets` writes streams."""
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        yield reader


def _top_level(columns: Sequence[str], names: Sequence[str]) -> list[str]:
    """The file's columns that hold these, some of which are named with dots."""
    found: dict[str, None] = {}
    for column in columns:
        holder = column
        while holder not in names and "." in holder:
            holder = holder.rpartition(".")[0]
        if holder in names:
            found[holder] = None
    return list(found)


def _inner_names(name: str, kind: Any) -> list[str]:
    if not pa.types.is_struct(kind) or _is_image_type(kind):
        return []
    return [
        n for f in kind for n in (f"{name}.{f.name}", *_inner_names(f"{name}.{f.name}", f.type))
    ]


def _is_image_type(kind: Any) -> bool:
    if not pa.types.is_struct(kind):
        return False
    return {"bytes"} <= {f.name for f in kind} <= {"bytes", "path"}


def _features(schema: Any) -> Mapping[str, dict[str, Any]]:
    """What `datasets` says of the columns, {} of a file that it has not written."""
    metadata: Mapping[bytes, bytes] = schema.metadata or {}
    try:
        found: object = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (ValueError, LookupError, TypeError):
        return {}
    features = cast("dict[str, object]", found) if isinstance(found, dict) else {}
    return {
        name: cast("dict[str, Any]", kind)
        for name, kind in features.items()
        if isinstance(kind, dict)
    }


def _class_names(schema: Any) -> dict[str, list[str]]:
    features = _features(schema).items()
    return {n: list(f.get("names") or []) for n, f in features if f.get("_type") == "ClassLabel"}
