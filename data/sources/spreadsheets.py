"""xlsx, xls and ods files: a header, then a row per line of the one sheet that has any."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import python_calamine

from ..errors import DataError
from .base import Plain, TableRow

_calamine: Any = python_calamine
_FIRST_ROWS = 20


@dataclass(frozen=True)
class SpreadsheetSource(Plain):
    """sheet: its name; "" for the only one that is not empty."""

    path: Path
    sheet: str = ""

    @property
    def layout(self) -> str:
        return f"sheet {self._loaded[0]!r} of a spreadsheet"

    def columns(self) -> list[str]:
        return [name for name in self._header if name]

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        for number, cells in enumerate(self._loaded[1][1:], 2):
            pairs = zip(self._header, cells, strict=False)
            values = {name: None if cell == "" else cell for name, cell in pairs if name}
            yield TableRow(f"row {number}", values, self.path.parent)

    def as_headers(self) -> Iterator[tuple[str, list[str]]]:
        """See `Headed`."""
        for number, row in enumerate(self._loaded[1][:_FIRST_ROWS], 1):
            yield f"row {number}", [str(cell).strip() for cell in row]

    @cached_property
    def _header(self) -> list[str]:
        rows = self._loaded[1]
        names = [str(cell).strip() for cell in rows[0]] if rows else []
        twice = [name for name, count in Counter(names).items() if name and count > 1]
        if twice:
            raise DataError(
                f"{self.path}: row 1: column {twice[0]!r} stands in the header "
                f"{names.count(twice[0])} times: rename or drop all but one"
            )
        for number, name in enumerate(names):
            if not name and any(row[number] != "" for row in rows[1:] if number < len(row)):
                raise DataError(
                    f"{self.path}: row 1: column {number + 1} has values and no name: name it, or "
                    "drop it"
                )
        return names

    @cached_property
    def _loaded(self) -> tuple[str, list[list[Any]]]:
        """The sheet's name, and its rows from the first."""
        try:
            book = _calamine.load_workbook(str(self.path))
            names: list[str] = list(book.sheet_names)
            if self.sheet and self.sheet not in names:
                raise DataError(
                    f"{self.path}: has no sheet {self.sheet!r}: it has {', '.join(names)}"
                )
            wanted = [self.sheet] if self.sheet else names
            sheets = [
                (name, book.get_sheet_by_name(name).to_python(skip_empty_area=False))
                for name in wanted
            ]
        except (_calamine.CalamineError, OSError, ValueError) as error:
            told = f"not a whole spreadsheet ({error}): copy it again"
            raise DataError(f"{self.path}: {told}") from error
        filled = [(name, rows) for name, rows in sheets if rows]
        if len(filled) > 1:
            raise DataError(
                f"{self.path}: has several sheets ({', '.join(name for name, _ in filled)}): "
                "choose one with --sheet NAME"
            )
        if not filled:
            raise DataError(
                f"{self.path}: nothing stands in {self._named(wanted)}: export it again"
            )
        return filled[0]

    def _named(self, sheets: Sequence[str]) -> str:
        return f"sheet {sheets[0]!r}" if len(sheets) == 1 else "any of its sheets"
