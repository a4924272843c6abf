"""json and jsonl: objects, arrays of them, what pandas writes, exports of annotation tools."""

from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from ..errors import DataError
from ..left_out import LeftOut
from ..text_files import parse_json, read_text
from .base import Plain, TableRow, flattened
from .coco import coco_rows, is_coco
from .datumaro import datumaro_rows, is_datumaro
from .delimited import not_utf8
from .label_studio import is_label_studio, label_studio_rows

Object = dict[str, Any]


@dataclass(frozen=True)
class JsonLinesSource(Plain):
    """An object per line; blank lines are none. A Label Studio task is a row per annotation."""

    path: Path

    @property
    def layout(self) -> str:
        first = next(self._objects(), None)
        is_export = first is not None and is_label_studio(first[1])
        return "tasks of Label Studio, a line each" if is_export else "a JSON object per line"

    def left_out(self) -> LeftOut:
        left_out = LeftOut()
        for _ in self._rows(left_out):
            pass
        return left_out

    def columns(self) -> list[str]:
        names: dict[str, None] = {}
        for row in self.rows(()):
            names.update(dict.fromkeys(row.values))
        return list(names)

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        return self._rows(LeftOut())

    def _rows(self, left_out: LeftOut) -> Iterator[TableRow]:
        for where, values in self._objects():
            with broken_exports(self.path):
                unfolded = _unfolded(values, where, left_out)
            for row in unfolded:
                yield TableRow(where, flattened(row), self.path.parent)

    def _objects(self) -> Iterator[tuple[str, Object]]:
        with self.path.open(encoding="utf-8-sig") as file:
            try:
                for line, content in enumerate(file, 1):
                    if content.strip():
                        yield f"line {line}", self._object(line, content)
            except UnicodeDecodeError as error:
                raise not_utf8(self.path, error) from error

    def _object(self, line: int, content: str) -> Object:
        if line == 1 and content.lstrip().startswith("["):
            raise DataError(
                f"{self.path}: line 1: must be a JSON object, one per line, and begins an array: "
                "name the file .json if it is one array of objects"
            )
        values = parse_json(content, f"{self.path}: line {line}")
        if not isinstance(values, dict):
            raise DataError(f"{self.path}: line {line}: must be a JSON object, one per line")
        return cast("Object", values)


@dataclass(frozen=True)
class _Loaded:
    layout: str
    rows: list[TableRow]
    left_out: LeftOut


@dataclass(frozen=True)
class JsonSource(Plain):
    """One JSON value, parsed as a whole: rows, columns, or an export of an annotation tool."""

    path: Path

    @property
    def layout(self) -> str:
        return self._loaded.layout

    def left_out(self) -> LeftOut:
        return self._loaded.left_out

    def columns(self) -> list[str]:
        return list(dict.fromkeys(name for row in self._loaded.rows for name in row.values))

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        return iter(self._loaded.rows)

    @cached_property
    def _loaded(self) -> _Loaded:
        value = parse_json(read_text(self.path, DataError, "table"), str(self.path))
        left_out = LeftOut()
        if isinstance(value, dict):
            layout, found = self._of_object(cast("Object", value), left_out)
        else:
            layout, found = self._of_array(value, left_out)
        rows = [TableRow(where, flattened(row), self.path.parent) for where, row in found]
        return _Loaded(layout, rows, left_out)

    def _of_object(self, value: Object, left_out: LeftOut) -> tuple[str, list[tuple[str, Object]]]:
        if is_coco(value):
            with broken_exports(self.path):
                return "a COCO file", coco_rows(value, str(self.path), left_out)
        if is_datumaro(value):
            with broken_exports(self.path):
                return "a Datumaro file, as CVAT exports it", datumaro_rows(value, left_out)
        columns = _as_columns(value)
        if columns is not None:
            return "a JSON object of columns", _numbered(columns)
        lists = {name: cell for name, cell in value.items() if _are_objects(cell)}
        if len(lists) != 1:
            raise DataError(
                f"{self.path}: must be a JSON array of objects, one per row (found an object with "
                f"{', '.join(list(value)[:10]) or 'nothing'})"
            )
        [(name, rows)] = lists.items()
        return f"the array {name!r} of a JSON object", self._of_array(rows, left_out)[1]

    def _of_array(self, value: object, left_out: LeftOut) -> tuple[str, list[tuple[str, Object]]]:
        if value != [] and not _are_objects(value):
            raise DataError(f"{self.path}: must be a JSON array of objects, one per row")
        objects = _numbered(cast("list[Object]", value))
        with broken_exports(self.path):
            found = [
                (where, row)
                for where, entry in objects
                for row in _unfolded(_inner_row(entry), where, left_out)
            ]
        is_export = any(is_label_studio(entry) for _, entry in objects)
        return "tasks of Label Studio" if is_export else "a JSON array of objects", found


@contextmanager
def broken_exports(path: Path) -> Generator[None]:
    """What goes wrong while an export is taken apart, as a DataError: it is not what it seems."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise DataError(
            f"{path}: looks like the export of an annotation tool and is not whole "
            f"({type(error).__name__}: {error}): export it again"
        ) from error


def _unfolded(values: Object, where: str, left_out: LeftOut) -> list[Object]:
    return label_studio_rows(values, where, left_out) if is_label_studio(values) else [values]


def _inner_row(entry: Object) -> Object:
    """The row of an entry {"row_idx", "row", ...}, as the Hub's dataset viewer serves them."""
    return entry["row"] if "row_idx" in entry and isinstance(entry.get("row"), dict) else entry


def _numbered(rows: Sequence[Object]) -> list[tuple[str, Object]]:
    return [(f"row {number}", row) for number, row in enumerate(rows, 1)]


def _are_objects(value: object) -> bool:
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(row, dict) for row in cast("list[object]", value))


def _as_columns(value: Mapping[str, Any]) -> list[Object] | None:
    """The rows of {"column": {"0": cell, ...}} or {"column": [cell, ...]}; None for all else."""
    cells = list(value.values())
    if len(cells) < 2 or not all(isinstance(cell, type(cells[0])) for cell in cells):
        return None
    if isinstance(cells[0], dict) and all(cell.keys() == cells[0].keys() for cell in cells):
        keys = list(cast("dict[str, Any]", cells[0]))
        return [{name: value[name][key] for name in value} for key in keys]
    if isinstance(cells[0], list) and not any(map(_are_objects, cells)):
        if len({len(cell) for cell in cells}) > 1:
            return None
        return [dict(zip(value, row, strict=True)) for row in zip(*cells, strict=True)]
    return None
