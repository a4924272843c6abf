"""What a reader leaves out: counted by reason, the first of each reason named."""

from collections import Counter
from dataclasses import dataclass, field

_PLACES_KEPT = 20
"""Places of one reason that are all shown; of more, the first few."""
_FIRST_PLACES = 5


@dataclass(slots=True)
class LeftOut:
    """Rows and files left out, by reason, and the first places of each reason."""

    skipped: Counter[str] = field(default_factory=Counter[str])
    places: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def skip(self, reason: str, where: str) -> None:
        """A row or file that is left out; the first places of each reason are kept."""
        self.skipped[reason] += 1
        kept = self.places.setdefault(reason, [])
        if len(kept) < _PLACES_KEPT:
            kept.append(where)

    def add(self, other: "LeftOut", place: str = "") -> None:
        """What another one has left out; place: goes before its places."""
        self.skipped.update(other.skipped)
        for reason, places in other.places.items():
            kept = [*self.places.get(reason, ()), *(place + where for where in places)]
            self.places[reason] = kept[:_PLACES_KEPT]

    def lines(self) -> list[str]:
        """ "left out 3: empty row (first: line 4, line 9)", a line per reason, most first."""
        return [
            f"left out {count:,}: {reason} (first: {', '.join(self._shown(reason))})"
            for reason, count in self.skipped.most_common()
        ]

    def _shown(self, reason: str) -> list[str]:
        is_all = self.skipped[reason] <= _PLACES_KEPT
        return self.places[reason][: None if is_all else _FIRST_PLACES]
