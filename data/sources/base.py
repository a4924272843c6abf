"""What every source of rows is, and what all of them share."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, cast, runtime_checkable

from ..errors import DataError
from ..left_out import LeftOut

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
    | {".avif", ".heic", ".heif"}
)
SplitName = Literal["train", "validation", "test"]
SPLIT_NAMES: Mapping[str, SplitName] = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "test": "test",
    "testing": "test",
}
"""Names of folders, files and cells that say which split rows are of, in lower case."""
_AROUND_SPLIT = re.compile(r"(set|split|data|images)?((19|20)\d\d)?$")
"""What may follow such a name: "train_set", "val2017"."""


def split_of(name: str) -> SplitName | None:
    """The split that a folder or a cell names, in any spelling; None for another name."""
    bare = re.sub(r"[\s_.-]+", "", name.lower())
    return SPLIT_NAMES.get(bare) or SPLIT_NAMES.get(_AROUND_SPLIT.sub("", bare, count=1))


@dataclass(frozen=True, slots=True)
class TableRow:
    """One row. where: the place as messages name it ("line 3"); folder: what paths start from."""

    where: str
    values: dict[str, Any]
    folder: Path


class TableSource(Protocol):
    """A table that can be read any number of times, always in the same order."""

    @property
    def layout(self) -> str:
        """What was recognised, in words."""
        ...

    def left_out(self) -> LeftOut:
        """What is no row of the table."""
        ...

    def columns(self) -> list[str]: ...

    def image_columns(self) -> list[str]:
        """Columns that hold images, as far as the source says so itself."""
        ...

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        """All rows, with at least the columns named."""
        ...


@runtime_checkable
class Headed(Protocol):
    """A table whose columns are named by a line or row of its own."""

    def as_headers(self) -> Iterator[tuple[str, list[str]]]:
        """The first lines, each with its place and the names that it would hold as the header."""
        ...


@dataclass(frozen=True)
class Around:
    """A source around another, which says what is not said anew."""

    table: TableSource

    @property
    def layout(self) -> str:
        return self.table.layout

    def left_out(self) -> LeftOut:
        return self.table.left_out()

    def columns(self) -> list[str]:
        return self.table.columns()

    def image_columns(self) -> list[str]:
        return self.table.image_columns()

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        return self.table.rows(columns)


class Plain:
    """A source that leaves nothing out and does not tell which columns are images."""

    def left_out(self) -> LeftOut:
        return LeftOut()

    def image_columns(self) -> list[str]:
        return []


def joint_columns(tables: Iterable[TableSource]) -> list[str]:
    """The columns of several tables, each once, in the order in which they come up."""
    return list(dict.fromkeys(name for table in tables for name in table.columns()))


def joint_image_columns(tables: Iterable[TableSource]) -> list[str]:
    """The same of columns that hold images."""
    return list(dict.fromkeys(name for table in tables for name in table.image_columns()))


def is_image_cell(cell: Mapping[str, Any]) -> bool:
    """Whether an object is an image as the Hugging Face format has them: bytes, path or both."""
    return "bytes" in cell and not cell.keys() - {"bytes", "path"}


def flattened(values: Mapping[str, Any]) -> dict[str, Any]:
    """The values, and those of objects within them under names with dots: "data.image".

    A column that has such a name already stays as it is.
    """
    found = dict(values)
    for name, value in values.items():
        for key, cell in _inner_cells(value).items():
            found.setdefault(f"{name}.{key}", cell)
    return found


def _inner_cells(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        return {}
    cells = {str(key): cell for key, cell in cast("dict[object, Any]", value).items()}
    return {} if is_image_cell(cells) else flattened(cells)


def refuse_undecodable(path: Path) -> None:
    """Raise DataError for a name that no text can hold, as an id or a label has to."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise DataError(f"{path}: its name is not UTF-8: rename it") from None
