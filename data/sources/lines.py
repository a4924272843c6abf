"""Text files with a path or an address per line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import DataError
from ..text_files import read_text
from .base import Plain, TableRow
from .delimited import is_delimited


@dataclass(frozen=True)
class LinesSource(Plain):
    """A path or an address per line; empty lines, and those that begin with `#`, are none."""

    path: Path
    layout = "a path or an address per line"

    def columns(self) -> list[str]:
        return ["image"]

    def has_columns(self) -> bool:
        """Whether the first line has several fields, as that of a table."""
        first = next((row.values["image"] for row in self.rows(())), "")
        return is_delimited(first)

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        lines = read_text(self.path, DataError, "list").splitlines()
        for number, line in enumerate(map(str.strip, lines), 1):
            if line and not line.startswith("#"):
                yield TableRow(f"line {number}", {"image": line}, self.path.parent)
