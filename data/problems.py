"""Collecting the problems of a file, so that a user mends them in one go."""

from .errors import DataError

MAX_SHOWN = 20


class Problems:
    """Problems of one source, raised together; the first are shown, all are counted."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._shown: list[str] = []
        self._explanation = ""
        self.count = 0

    def add(self, where: str, message: str) -> None:
        """One problem at a place of the source (a line, a row, an example)."""
        self.count += 1
        if len(self._shown) < MAX_SHOWN:
            self._shown.append(f"{where}: {message}" if where else message)

    def explain(self, text: str) -> None:
        """What the problems come from, told once before them; no problem of its own."""
        self._explanation = f"{text}\n" if text else ""

    def raise_if_any(self) -> None:
        """Raises one DataError about all problems so far."""
        if self.count == 1:
            raise DataError(f"{self._source}: {self._explanation}{self._shown[0]}")
        if self.count:
            shown = "" if self.count <= MAX_SHOWN else f", the first {MAX_SHOWN}"
            listed = "\n  ".join(self._shown)
            raise DataError(
                f"{self._source}: {self._explanation}{self.count:,} problems{shown}:\n  {listed}"
            )
