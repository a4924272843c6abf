"""Collecting the problems of a file, so that a user mends them in one go."""

import re
from dataclasses import dataclass, field

from .errors import DataError

MAX_SHOWN = 20
"""Problems that are all shown; of more, the first of each kind."""
_SHOWN_OF_KIND = 3
_VALUE = re.compile(r"""'[^']*'|"[^"]*"|(?<!\S)\S*[./]\w\S*|\d+""")
"""What messages of one kind differ in: quoted values, paths, numbers."""


@dataclass
class _Kind:
    """Problems with one cause: the lines of the first, the number of all."""

    lines: list[str] = field(default_factory=list[str])
    count: int = 0


class Problems:
    """Problems of one source, raised together: all counted, the first of each kind shown."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._shown: list[str] = []
        self._kinds: dict[str, _Kind] = {}
        self._facts: set[str] = set()
        self._remedies: dict[str, str] = {}
        self._explanation = ""
        self.count = 0

    def add(self, where: str, message: str, remedy: str = "") -> None:
        """One problem at a place of the source (a line, a row, an example).

        remedy: what to do, told once for all problems that share it. With one, the same message at
        another place, such as an image that several annotators answered on, is no further problem.
        """
        if remedy and message in self._facts:
            return
        if remedy:
            self._facts.add(message)
            self._remedies.setdefault(remedy, message.rpartition(": ")[2])
        self.count += 1
        line = f"{where}: {message}" if where else message
        if len(self._shown) < MAX_SHOWN:
            self._shown.append(line)
        name = _VALUE.sub("", message)
        if name in self._kinds or len(self._kinds) < MAX_SHOWN:
            kind = self._kinds.setdefault(name, _Kind())
            kind.count += 1
            if len(kind.lines) < _SHOWN_OF_KIND:
                kind.lines.append(line)

    def explain(self, text: str) -> None:
        """What the problems come from, told once before them; no problem of its own."""
        self._explanation = f"{text}\n" if text else ""

    def raise_if_any(self) -> None:
        """Raises one DataError about all problems so far."""
        if not self.count:
            return
        told = f"{self._source}: {self._explanation}"
        if self.count == 1:
            raise DataError(f"{told}{self._shown[0]}", "".join(self._remedies))
        remedies = "".join(f"\n{what}: {remedy}" for remedy, what in self._remedies.items())
        listed = "\n  ".join(self._listed())
        counted = f"{self.count:,} problems"
        raise DataError(
            f"{told}{counted}:\n  {listed}{remedies}",
            brief=f"{self._source}: {counted}, the first: {self._shown[0]}",
        )

    def _listed(self) -> list[str]:
        """A line for each problem; of many, the first lines of each kind and how many follow."""
        if self.count <= MAX_SHOWN:
            return self._shown
        lines: list[str] = []
        num_shown = num_told = 0
        for kind in self._kinds.values():
            if num_shown + len(kind.lines) > MAX_SHOWN:
                break
            lines += kind.lines
            num_shown += len(kind.lines)
            num_told += kind.count
            if more := kind.count - len(kind.lines):
                lines.append(f"... and {more:,} more like it")
        others = self.count - num_told
        return [*lines, f"... and {others:,} more of other kinds"] if others else lines
