"""csv and tsv files, as programs and spreadsheets write them."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from ..errors import DataError
from ..left_out import LeftOut
from .base import Plain, TableRow

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_FIELD_LIMIT = 2**27
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True, slots=True)
class _Header:
    """The columns of a file. line: where they stand; delimiter: between them."""

    line: int
    delimiter: str
    names: list[str]


@dataclass(frozen=True)
class CsvSource(Plain):
    """A header, then a row per line.

    UTF-8 or UTF-16; a first line `sep=;` names the delimiter, else the header tells it. Lines
    without a field are no rows. Columns without a name have to be empty; the first one may
    have the numbers of rows, as pandas writes them.
    """

    path: Path

    @property
    def layout(self) -> str:
        delimiter = self._header.delimiter
        return f"a table, delimiter {_DELIMITERS.get(delimiter, repr(delimiter))}"

    def left_out(self) -> LeftOut:
        found = LeftOut()
        for _ in range(sum(not name.strip() for name in self._header.names)):
            found.skip("column without a name", f"line {self._header.line}")
        return found

    def columns(self) -> list[str]:
        return [name for name in self._header.names if name.strip()]

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        header = self._header
        with self._opened() as file:
            for _ in range(header.line):
                file.readline()
            line = header.line + 1
            reader = self._reader(file, header.delimiter)
            for fields in self._checked(reader, header.line):
                if fields:
                    yield TableRow(f"line {line}", self._values(line, fields), self.path.parent)
                line = header.line + reader.line_num + 1

    @cached_property
    def _header(self) -> _Header:
        with self._opened() as file:
            line, content = 1, file.readline()
            declared = re.fullmatch(r"sep=(.)\s*", content, re.IGNORECASE)
            while content and ((line == 1 and declared) or not content.strip(" \r\n")):
                line, content = line + 1, file.readline()
            bare = re.sub('"[^"]*"', "", content)
            delimiter = declared[1] if declared else max(_DELIMITERS, key=bare.count)
            reader = self._reader(chain([content], file), delimiter)
            names = next(self._checked(reader, line - 1), list[str]())
            line += max(reader.line_num, 1) - 1
        self._refuse_repeats(line, names)
        return _Header(line, delimiter, names)

    def _refuse_repeats(self, line: int, names: Sequence[str]) -> None:
        twice = sorted(name for name, count in Counter(names).items() if name and count > 1)
        if twice:
            raise DataError(
                f"{self.path}: line {line}: column {twice[0]!r} stands in the header "
                f"{names.count(twice[0])} times: rename or drop all but one; if they are several "
                f"annotators, name them {twice[0]}_1, {twice[0]}_2 and so on"
            )

    def _values(self, line: int, fields: list[str]) -> dict[str, Any]:
        names = self._header.names
        if any(field.strip() for field in fields[len(names) :]):
            raise DataError(
                f"{self.path}: line {line}: has more fields than the header: "
                "put fields that hold the delimiter in double quotes"
            )
        for number, (name, field) in enumerate(zip(names, fields, strict=False), 1):
            if number == 1 and not name.strip() and field.strip().isdecimal():
                continue  # The numbers of rows, as pandas writes them.
            if field.strip() and not name.strip():
                raise DataError(
                    f"{self.path}: line {line}: column {number} has values and no name: name it in "
                    "the header, or drop it"
                )
        padded = [*fields, *[None] * (len(names) - len(fields))]
        return {name: field for name, field in zip(names, padded, strict=False) if name.strip()}

    @contextmanager
    def _opened(self) -> Generator[TextIO]:
        with self.path.open(encoding=_encoding(self.path), newline="") as file:
            try:
                yield file
            except UnicodeError as error:
                raise not_utf8(self.path, error) from error

    def _reader(self, lines: Iterator[str], delimiter: str) -> Any:
        csv.field_size_limit(_FIELD_LIMIT)
        return csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)

    def _checked(self, reader: Any, lines_before: int) -> Iterator[list[str]]:
        line = lines_before + 1
        try:
            for fields in reader:
                yield fields
                line = lines_before + reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{self.path}: line {line}: not valid csv: {error}: close the double quotes that "
                "are open, and double those within a field"
            ) from error


def not_utf8(path: Path, error: UnicodeError) -> DataError:
    """The error about a table in another encoding."""
    at = f" (byte {error.start})" if isinstance(error, UnicodeDecodeError) else ""
    return DataError(f"{path}: not UTF-8 text{at}: save the table as UTF-8 (in Excel: CSV UTF-8)")


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(4)
    for mark, encoding in _BYTE_ORDER_MARKS.items():
        if start.startswith(mark):
            return encoding
    # Without a mark: a header of Latin letters has a zero in every other byte.
    if len(start) == 4 and start[1] == start[3] == 0:
        return "utf-16-le"
    return "utf-16-be" if len(start) == 4 and start[0] == start[2] == 0 else "utf-8"
