"""Several tables, read one after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..left_out import LeftOut
from .base import TableRow, TableSource, joint_columns

_MOST_NAMED = 5


def joint_name(sources: Sequence[Path]) -> str:
    """What messages call sources that are read as one: the path of one, the paths of several."""
    if len(sources) == 1:
        return str(sources[0])
    names = ", ".join(map(str, sources[:_MOST_NAMED]))
    more = f" and {len(sources) - _MOST_NAMED} more" if len(sources) > _MOST_NAMED else ""
    return f"{len(sources)} tables ({names}{more})"


@dataclass(frozen=True)
class SeveralTables:
    """Tables by name, such as the answers of one annotator each. Their columns are those of all;
    a cell of a column that a table does not have is empty.
    """

    parts: Sequence[tuple[str, TableSource]]

    def lacking(self, columns: Sequence[str]) -> list[tuple[str, list[str]]]:
        """The tables without some of the columns, by name, and those columns."""
        pairs = [(name, {*part.columns()}) for name, part in self.parts]
        found = [(name, [c for c in columns if c not in own]) for name, own in pairs]
        return [(name, missing) for name, missing in found if missing]

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
        return joint_columns(part for _, part in self.parts)

    def image_columns(self) -> list[str]:
        return self.parts[0][1].image_columns()

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        for name, part in self.parts:
            own = {*part.columns()}
            for row in part.rows([column for column in columns if column in own]):
                yield TableRow(f"{name}, {row.where}", row.values, row.folder)
