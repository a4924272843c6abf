"""Where keys lie: a compact map from key prefixes to (part, row)."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_FOLD_AT = 8192
_PREFIX_DIGITS = 16

Prefixes = npt.NDArray[np.uint64]
"""The first 64 bits of keys."""

Rows = npt.NDArray[np.int64]
"""Rows of a part, counted from 0."""

Places = npt.NDArray[np.int64]
"""Of each key `part << 32 | row`, -1 where there is none.

part: by its position in the order in which parts were added. row: in that part.
"""


def key_prefixes(keys: Sequence[str]) -> Prefixes:
    """The first 64 bits of each key; raises ValueError for what are not hex digits."""
    digits = "".join([key[:_PREFIX_DIGITS] for key in keys])
    return np.frombuffer(bytes.fromhex(digits), ">u8").astype(np.uint64)


def parts_and_rows(places: Places) -> tuple[Places, Rows]:
    return places >> 32, places & 0xFFFFFFFF


def places_of(first: int, num_rows: Sequence[int]) -> Places:
    """The places of all rows of parts numbered from `first`, which have so many rows."""
    numbers = np.repeat(np.arange(first, first + len(num_rows)), num_rows)
    rows = np.concatenate([np.empty(0, np.int64), *map(np.arange, num_rows)])
    return (numbers << 32 | rows).astype(np.int64)


class KeyIndex:
    """Maps the first 64 bits of keys to places, 16 bytes a key; the place added first stays.

    Two keys share a prefix once in 10**8 stores of a million keys: readers compare whole keys.
    """

    def __init__(self) -> None:
        self._prefixes: Prefixes = np.empty(0, np.uint64)
        self._places: Places = np.empty(0, np.int64)
        self._recent: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._prefixes) + len(self._recent)

    def add(self, prefixes: Prefixes, places: Places) -> None:
        """Adds keys with their places, in this order."""
        if len(prefixes) >= _FOLD_AT:
            self._fold()
            distinct, first_rows = np.unique(prefixes, return_index=True)
            self._insert(distinct, places[first_rows])
            return
        new = np.flatnonzero(self._known(prefixes) < 0)
        for prefix, place in zip(prefixes[new].tolist(), places[new].tolist(), strict=True):
            self._recent.setdefault(prefix, place)
        if len(self._recent) >= _FOLD_AT:
            self._fold()

    def find(self, prefixes: Prefixes) -> Places:
        """Place of each prefix."""
        places = self._known(prefixes)
        for position in np.flatnonzero(places < 0).tolist() if self._recent else ():
            places[position] = self._recent.get(int(prefixes[position]), -1)
        return places

    def _known(self, prefixes: Prefixes) -> Places:
        """Settled place of each prefix, -1 where there is none."""
        places = np.full(len(prefixes), -1, np.int64)
        if len(self._prefixes):
            # In their order, a search finds what the one before has brought into the cache.
            order = np.argsort(prefixes)
            wanted = prefixes[order]
            at = np.searchsorted(self._prefixes, wanted).clip(max=len(self._prefixes) - 1)
            places[order] = np.where(self._prefixes[at] == wanted, self._places[at], -1)
        return places

    def _fold(self) -> None:
        """Moves the recent keys into the sorted arrays."""
        prefixes = np.fromiter(self._recent.keys(), np.uint64, len(self._recent))
        places = np.fromiter(self._recent.values(), np.int64, len(self._recent))
        order = np.argsort(prefixes)
        self._insert(prefixes[order], places[order])
        self._recent = {}

    def _insert(self, prefixes: Prefixes, places: Places) -> None:
        """Adds sorted distinct prefixes to the sorted arrays, less those that are there."""
        new = self._known(prefixes) < 0
        at = np.searchsorted(self._prefixes, prefixes[new])
        self._prefixes = np.insert(self._prefixes, at, prefixes[new])
        self._places = np.insert(self._places, at, places[new])
