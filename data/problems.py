"""Collecting the problems of a file, so that a user mends them in one go."""

from .errors import DataError

MAX_SHOWN = 20


class Problems:
    """Problems of one source, raised together; the first are shown, all are counted."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._shown: list[str] = []
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
        if len(self._shown) < MAX_SHOWN:
            self._shown.append(f"{where}: {message}" if where else message)

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
        shown = "" if self.count <= MAX_SHOWN else f", the first {MAX_SHOWN}"
        listed = "\n  ".join(self._shown)
        counted = f"{self.count:,} problems"
        raise DataError(
            f"{told}{counted}{shown}:\n  {listed}{remedies}",
            brief=f"{self._source}: {counted}, the first: {self._shown[0]}",
        )
