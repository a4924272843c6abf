"""csv and tsv files, as programs and spreadsheets write them."""

import codecs
import csv
import re
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice
from pathlib import Path
from typing import Any, TextIO

from ..errors import DataError
from ..left_out import LeftOut
from .base import Plain, TableRow

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_DECLARED = re.compile(r"sep=(.)\s*", re.IGNORECASE)
_FIELD_LIMIT = 2**27
_FIRST_LINES = 20
# Those of UTF-32 first: one of them begins like one of UTF-16.
_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_ENCODINGS: Mapping[tuple[bool, ...], str] = {
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
}
"""By which of the first four bytes are zero."""


@dataclass(frozen=True, slots=True)
class _Header:
    """The columns of a file. line: where they stand; delimiter: between them."""

    line: int
    delimiter: str
    names: list[str]


@dataclass(frozen=True)
class CsvSource(Plain):
    """A header, then a row per line.

    UTF-8, UTF-16 or UTF-32; a first line `sep=;` names the delimiter, else the header tells it.
    Lines without a field are no rows; cells that a line ends before are empty, and counted. Columns
    without a name have to be empty; the first one may have the numbers of rows, as pandas writes
    them.
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
        for line, fields in self._lines():
            if any(map(str.strip, fields)):
                for name in filter(str.strip, self._header.names[len(fields) :]):
                    found.skip(
                        f"cell of {name!r}, read as empty as the line ends before it",
                        f"line {line}",
                    )
        return found

    def as_headers(self) -> Iterator[tuple[str, list[str]]]:
        """See `Headed`."""
        with self._opened() as file:
            for number, line in enumerate(islice(file, _FIRST_LINES), 1):
                if line.strip() and not _DECLARED.fullmatch(line):
                    names = line.strip().split(_delimiter(line))
                    yield f"line {number}", [name.strip(' "') for name in names]

    def columns(self) -> list[str]:
        return [name for name in self._header.names if name.strip()]

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        for line, fields in self._lines():
            yield TableRow(f"line {line}", self._values(line, fields), self.path.parent)

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """The fields of every row, with the line in which it begins."""
        header = self._header
        with self._opened() as file:
            for _ in range(header.line):
                file.readline()
            line = header.line + 1
            reader = self._reader(file, header.delimiter)
            for fields in self._checked(reader, header.line):
                if fields:
                    yield line, fields
                line = header.line + reader.line_num + 1

    @cached_property
    def _header(self) -> _Header:
        with self._opened() as file:
            line, content = 1, file.readline()
            declared = _DECLARED.fullmatch(content)
            while content and ((line == 1 and declared) or not content.strip(" \r\n")):
                line, content = line + 1, file.readline()
            delimiter = declared[1] if declared else _delimiter(content)
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
                self._refuse_nul(line, fields)
                yield fields
                line = lines_before + reader.line_num + 1
        except csv.Error as error:
            raise DataError(
                f"{self.path}: line {line}: not valid csv: {error}: close the double quotes that "
                "are open, and double those within a field"
            ) from error

    def _refuse_nul(self, line: int, fields: Sequence[str]) -> None:
        column = next((n for n, field in enumerate(fields, 1) if "\0" in field), 0)
        if column:
            raise DataError(
                f"{self.path}: line {line}, column {column}: holds a NUL byte, which is no text: "
                "export the table again, or take it out"
            )


def is_delimited(line: str) -> bool:
    """Whether a line has several fields."""
    return _delimiter(line) in line


def _delimiter(line: str) -> str:
    """What stands between the fields of a line, outside of quotes."""
    return max(_DELIMITERS, key=re.sub('"[^"]*"', "", line).count)


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
    # Without a mark: a header of Latin letters has zeros in all bytes but one.
    return _ENCODINGS.get(tuple(byte == 0 for byte in start), "utf-8")
