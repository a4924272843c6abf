"""Several tables with the same columns, read one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import DataError
from ..left_out import LeftOut
from .base import TableRow, TableSource


@dataclass(frozen=True)
class SeveralTables:
    """Tables by name, such as the answers of one annotator each.

    Raises DataError if one has other columns than the first.
    """

    parts: Sequence[tuple[str, TableSource]]

    def __post_init__(self) -> None:
        (first, table), *others = self.parts
        for name, other in others:
            if different := sorted({*table.columns()} ^ {*other.columns()}):
                raise DataError(
                    f"{first} and {name}: only one of them has the column {different[0]}: give "
                    "tables with the same columns, or import them one by one"
                )

    @property
    def layout(self) -> str:
        return f"{len(self.parts)} tables, the first {self.parts[0][1].layout}"

    def left_out(self) -> LeftOut:
        left_out = LeftOut()
        for name, part in self.parts:
            left_out.add(part.left_out(), f"{name}: ")
        return left_out

    def columns(self) -> list[str]:
        return self.parts[0][1].columns()

    def image_columns(self) -> list[str]:
        return self.parts[0][1].image_columns()

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        for name, part in self.parts:
            for row in part.rows(columns):
                yield TableRow(f"{name}, {row.where}", row.values, row.folder)
