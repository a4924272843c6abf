"""Finding the files and columns of a source as it was downloaded."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..near_paths import no_such
from ..sources.base import TableRow, TableSource
from ..sources.files import open_file
from .protocol import Intake


def find_files(source: Path, *patterns: str) -> list[Path]:
    """Files under `source` that match a pattern, sorted; `source` itself if it is a file.

    Raises DataError if there is no such path or nothing matches.
    """
    if not source.exists():
        raise DataError(f"{no_such(source)}: give what you downloaded")
    if source.is_file():
        return [source]
    found = {path for pattern in patterns for path in source.rglob(pattern) if path.is_file()}
    if not found:
        there = ", ".join(sorted(path.name for path in source.iterdir())[:10]) or "nothing"
        raise DataError(
            f"{source}: holds no {' or '.join(patterns)} (it holds {there}): "
            "give the folder as it was downloaded"
        )
    return sorted(found)


def folder_of(source: Path) -> Path:
    """The folder that a source's other files are in."""
    return source if source.is_dir() else source.parent


class Table:
    """A table of a source, its columns found by name."""

    def __init__(self, path: Path, intake: Intake) -> None:
        self.path = path
        self._source: TableSource = open_file(path)
        self._columns = self._source.columns()
        intake.saw(path, self._columns)

    def has(self, *names: str) -> bool:
        """Whether every one of these columns is there."""
        return all(name in self._columns for name in names)

    def column(self, *names: str) -> str:
        """The first of these columns that is there. Raises DataError if none is."""
        found = next((name for name in names if name in self._columns), None)
        if found is None:
            raise DataError(
                f"{self.path}: has no column {' or '.join(names)}: it has "
                f"{', '.join(self._columns) or 'none'}; another revision of the source may fit"
            )
        return found

    def rows(self, columns: Sequence[str]) -> Iterator[tuple[int, TableRow]]:
        """Rows with their number from 0. Raises DataError if one of the columns is missing."""
        for name in columns:
            self.column(name)
        return enumerate(self._source.rows(columns))


def text_of(cell: Any) -> str | None:
    """The text of a cell as it is; None if there is none but white space."""
    return cell if isinstance(cell, str) and cell.strip() else None


def number_of(cell: Any) -> float | None:
    """The finite number in a cell, None if it holds none."""
    try:
        number = float(cell)
    except (TypeError, ValueError):
        return None
    return number if abs(number) != float("inf") and number == number else None  # noqa: PLR0124
