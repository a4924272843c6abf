"""Several tables with the same columns, read one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..errors import DataError
from ..left_out import LeftOut
from .base import TableRow, TableSource

_MOST_NAMED = 5


def joint_name(sources: Sequence[object]) -> str:
    """What messages call sources that are read as one: the path of one, the paths of several."""
    if len(sources) == 1:
        return str(sources[0])
    names = ", ".join(map(str, sources[:_MOST_NAMED]))
    more = f" and {len(sources) - _MOST_NAMED} more" if len(sources) > _MOST_NAMED else ""
    return f"{len(sources)} tables ({names}{more})"


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
        layouts = [part.layout for _, part in self.parts]
        if len({*layouts}) == 1:
            return f"each {layouts[0]}"
        named = zip(self.parts, layouts, strict=True)
        return "; ".join(f"{name} {layout}" for (name, _), layout in named)

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
