"""Tables as users have them, read row by row: csv, jsonl, json, Parquet, image folders."""

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, cast

from ..arrow import ARROW_ERRORS, open_parquet, pq
from ..errors import DataError
from ..image_files import refuse_outside_link
from ..text_files import parse_json, read_text

_METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
_SPLIT_FOLDERS = {"train", "training", "test", "testing", "val", "valid", "validation", "dev"}
"""Names of folders that are no labels where there are no others."""
_LINKED = "put the file itself there, or pass --allow-outside if you trust the folder"
_BATCH_ROWS = 64
_FIELD_LIMIT = 2**27


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row. where: the place as messages name it ("line 3"); folder: what paths start from."""

    where: str
    values: dict[str, Any]
    folder: Path


class TableSource(Protocol):
    """A table that can be read any number of times, always in the same order."""

    def columns(self) -> list[str]: ...

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        """All rows, with at least the columns named."""
        ...


def open_source(path: Path, *, allow_outside: bool = False) -> TableSource:
    """The table behind a path; raises DataError for a path that is none.

    allow_outside: whether the metadata file of a folder may be a link that leads out of it.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    if path.is_dir():
        return _FolderSource(path, allow_outside)
    return _file_source(path)


def _file_source(path: Path) -> TableSource:
    match path.suffix.lower():
        case ".csv" | ".tsv":
            return _CsvSource(path)
        case ".jsonl" | ".ndjson":
            return _JsonLinesSource(path)
        case ".json":
            return _JsonSource(path)
        case ".parquet":
            return _ParquetSource(path)
        case suffix:
            raise DataError(
                f"{path}: cannot read {suffix or 'a file without a suffix'} as a table: "
                "give .csv, .tsv, .jsonl, .ndjson, .json, .parquet or an image folder"
            )


def _not_utf8(path: Path, error: UnicodeDecodeError) -> DataError:
    return DataError(f"{path}: not UTF-8 text (byte {error.start}): save the table as UTF-8")


@dataclass(frozen=True)
class _CsvSource:
    path: Path

    def columns(self) -> list[str]:
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            try:
                names = list(self._reader(file).fieldnames or [])
            except UnicodeDecodeError as error:
                raise _not_utf8(self.path, error) from error
            except csv.Error as error:
                raise self._not_csv(1, error) from error
        twice = sorted(name for name, count in Counter(names).items() if name and count > 1)
        if twice:
            raise DataError(
                f"{self.path}: line 1: column {twice[0]!r} stands in the header "
                f"{names.count(twice[0])} times: rename or drop all but one"
            )
        return names

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            reader = self._reader(file)
            line = 2
            try:
                for values in reader:
                    self._check_width(line, values)
                    yield TableRow(f"line {line}", values, self.path.parent)
                    line = reader.line_num + 1
            except UnicodeDecodeError as error:
                raise _not_utf8(self.path, error) from error
            except csv.Error as error:
                raise self._not_csv(line, error) from error

    def _not_csv(self, line: int, error: csv.Error) -> DataError:
        return DataError(
            f"{self.path}: line {line}: not valid csv: {error}: close the double quotes that are "
            "open, and double those within a field"
        )

    def _reader(self, file: Any) -> "csv.DictReader[str]":
        csv.field_size_limit(_FIELD_LIMIT)
        header = file.readline()
        file.seek(0)
        delimiter = max(",;\t", key=header.count)
        return csv.DictReader(file, delimiter=delimiter, restkey="", strict=True)

    def _check_width(self, line: int, values: dict[str, Any]) -> None:
        if "" in values and isinstance(values[""], list):
            raise DataError(
                f"{self.path}: line {line}: has more fields than the header: "
                "put fields that hold the delimiter in double quotes"
            )


@dataclass(frozen=True)
class _JsonLinesSource:
    path: Path

    def columns(self) -> list[str]:
        names: dict[str, None] = {}
        for row in self.rows(()):
            names.update(dict.fromkeys(row.values))
        return list(names)

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        with self.path.open(encoding="utf-8-sig") as file:
            try:
                for line, content in enumerate(file, 1):
                    if content.strip():
                        yield TableRow(
                            f"line {line}", self._object(line, content), self.path.parent
                        )
            except UnicodeDecodeError as error:
                raise _not_utf8(self.path, error) from error

    def _object(self, line: int, content: str) -> dict[str, Any]:
        values = parse_json(content, f"{self.path}: line {line}")
        if not isinstance(values, dict):
            raise DataError(f"{self.path}: line {line}: must be a JSON object, one per line")
        return cast("dict[str, Any]", values)


@dataclass(frozen=True)
class _JsonSource:
    """One JSON array of objects. It is parsed as a whole."""

    path: Path

    def columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self._loaded for name in row))

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        for number, values in enumerate(self._loaded, 1):
            yield TableRow(f"row {number}", values, self.path.parent)

    @cached_property
    def _loaded(self) -> list[dict[str, Any]]:
        loaded = parse_json(read_text(self.path, DataError, "table"), str(self.path))
        rows = cast("list[object]", loaded) if isinstance(loaded, list) else [loaded]
        if not isinstance(loaded, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(f"{self.path}: must be a JSON array of objects, one per row")
        return cast("list[dict[str, Any]]", rows)


@dataclass(frozen=True)
class _ParquetSource:
    path: Path

    def columns(self) -> list[str]:
        try:
            return list(pq.read_schema(self.path).names)
        except ARROW_ERRORS as error:
            raise self._damaged(error) from error

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        try:
            with open_parquet(self.path) as file:
                row = 0
                batches = file.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False)
                for batch in batches:
                    for values in batch.to_pylist():
                        row += 1
                        yield TableRow(f"row {row}", values, self.path.parent)
        except ARROW_ERRORS as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> DataError:
        return DataError(f"{self.path}: not a whole Parquet file ({error}): copy it again")


@dataclass(frozen=True)
class _FolderSource:
    """An image folder with a metadata file, or with one subfolder per label.

    `train` and `test` folders at the top, if there are no others, give the split.
    """

    path: Path
    allow_outside: bool

    def columns(self) -> list[str]:
        names: dict[str, None] = {}
        for split, source in self._sources():
            names.update(dict.fromkeys(source.columns()))
            if split:
                names["split"] = None
        return list(names)

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        for split, source in self._sources():
            for row in source.rows(columns):
                where = f"{split} {row.where}" if split else row.where
                values = row.values | ({"split": split} if split else {})
                yield TableRow(where, values, row.folder)

    def _sources(self) -> list[tuple[str, TableSource]]:
        entries = [entry for entry in self.path.iterdir() if not entry.name.startswith(".")]
        names = {entry.name for entry in entries if entry.is_dir()}
        if names and names <= {"train", "test"}:
            return [(name, self._labelled(self.path / name)) for name in sorted(names)]
        if len(names) > 1 and {name.lower() for name in names} <= _SPLIT_FOLDERS:
            raise DataError(
                f"{self.path}: its folders {', '.join(sorted(names))} look like splits, not like "
                "labels: move their images into train and test, which are all the splits there "
                "are, with a subfolder for each label"
            )
        return [("", self._labelled(self.path))]

    def _labelled(self, folder: Path) -> TableSource:
        for metadata in (folder / name for name in _METADATA_NAMES):
            if metadata.is_file():
                if not self.allow_outside:
                    refuse_outside_link(self.path, metadata, str(metadata), _LINKED)
                return _file_source(metadata)
        return _ClassFolders(folder)


def _is_hidden(path: Path, folder: Path) -> bool:
    """Whether a file is, or lies in, what systems and tools keep for themselves in `folder`."""
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


@dataclass(frozen=True)
class _ClassFolders:
    """Images in subfolders named after their labels."""

    path: Path

    def columns(self) -> list[str]:
        return ["image", "label"]

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        images = sorted(
            path.relative_to(self.path)
            for path in self.path.glob("*/**/*")
            if path.suffix.lower() in _IMAGE_SUFFIXES and not _is_hidden(path, self.path)
        )
        if not images:
            raise DataError(
                f"{self.path}: holds no {', '.join(_METADATA_NAMES)} and no subfolders of images: "
                "add a metadata file with a file_name column, or one subfolder per label"
            )
        for image in images:
            _refuse_undecodable(self.path / image)
            values = {"image": image.as_posix(), "label": image.parts[0]}
            yield TableRow(image.as_posix(), values, self.path)


def _refuse_undecodable(path: Path) -> None:
    """Raise DataError for a name that no text can hold, as an id or a label has to."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise DataError(f"{path}: its name is not UTF-8: rename it") from None
