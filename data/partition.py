"""One partition of the reply store: a folder of parts and the index of their keys.

Memory: the index takes 60 bytes for every key of the partition and stays; rows do not.
"""

import threading
import time
from collections.abc import Callable, Sequence
from itertools import compress, pairwise
from pathlib import Path

import numpy as np

from .errors import StoreError
from .key_index import KeyIndex, Places, parts_and_rows
from .locators import PartIndex, Prefixes, key_prefixes
from .part_names import Part, find_parts, listed_parts, single
from .parts import Wanted, read_indexes, read_replies, write_part
from .replies import ReplyRow, StoredReply

_CLOCK_SLACK_NS = 2 * 10**9
_ATTEMPTS = 10

IndexedPart = tuple[Path, PartIndex]


class Partition:
    """Rows by key in `folder`; `aside` is where its damaged parts go. Thread-safe.

    The folder is listed only on a miss, and only if it changed since it was listed last.
    """

    def __init__(self, folder: Path, aside: Path) -> None:
        self._folder = folder
        self._aside = aside
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        """Drops what is known of the folder; the next look-up lists it anew."""
        self._index = KeyIndex()
        self._parts: list[IndexedPart] = []
        self._indexed: set[Part] = set()
        self._highest: int | None = None
        self._own: dict[Part, PartIndex] = {}
        self._listed_change: int | None = None

    def get(self, keys: Sequence[str]) -> dict[str, StoredReply]:
        """The replies to those distinct keys that are stored, in the order of parts and rows."""
        return self._while_parts_move(lambda: _read(keys, *self._find(keys)))

    def put(self, rows: Sequence[ReplyRow]) -> dict[str, StoredReply]:
        """Writes rows as one part, durable on return; the replies that hold for their keys."""
        try:
            number, index = write_part(self._folder, self._aside, rows, self._number_to_pass())
        except OSError as error:
            raise StoreError(
                f"{self._folder}: cannot write to the store ({error}): "
                "free space or grant access, then run again"
            ) from error
        with self._lock:
            self._own[single(number)] = index
            self._highest = max(number, self._highest or 0)
        own = self._while_parts_move(lambda: self._first_rows(rows, index))
        others = [row.key for row in rows if row.key not in own]
        return own | (self.get(others) if others else {})

    def _while_parts_move(
        self, look_up: Callable[[], dict[str, StoredReply]]
    ) -> dict[str, StoredReply]:
        """Looks up again when parts were merged or moved aside since they were indexed."""
        for _ in range(_ATTEMPTS):
            try:
                return look_up()
            except FileNotFoundError:
                with self._lock:
                    self._forget()
        raise StoreError(f"{self._folder}: parts vanish while they are read: stop what moves them")

    def _first_rows(self, rows: Sequence[ReplyRow], index: PartIndex) -> dict[str, StoredReply]:
        """Those of the rows of a part that is listed which no earlier part has."""
        places, parts = self._find([row.key for row in rows])
        number = next((i for i in reversed(range(len(parts))) if parts[i][1] is index), -1)
        is_first = (places == (number << 32) + np.arange(len(rows))) & (places >= 0)
        return {row.key: row for row in compress(rows, is_first)}

    def _number_to_pass(self) -> int:
        """The highest part number known; numbers of parts moved aside are not used again."""
        with self._lock:
            if self._highest is None:
                parts = listed_parts(self._folder) + listed_parts(self._aside)
                self._highest = max((part.last for part in parts), default=0)
            return self._highest

    def _find(self, keys: Sequence[str]) -> tuple[Places, Sequence[IndexedPart]]:
        """The place of each key, and the parts that the places refer to by position."""
        prefixes = key_prefixes(keys)
        with self._lock:
            places = self._index.find(prefixes)
            if (places < 0).any() and self._index_new_parts():
                places = self._index.find(prefixes)
            return places, self._parts

    def _index_new_parts(self) -> bool:
        """Indexes parts not seen before, in the order in which they appeared."""
        change = self._last_change()
        if change is None or change == self._listed_change:
            return False
        is_settled = time.time_ns() - change > _CLOCK_SLACK_NS
        new = [part for part in find_parts(self._folder) if part not in self._indexed]
        prefixes: list[Prefixes] = []
        first = len(self._parts)
        for part, index in zip(new, self._indexes(new), strict=True):
            if index is not None:
                prefixes.append(index.prefixes)
                self._parts.append((self._folder / part.name, index))
                self._indexed.add(part)
        self._index.add(first, prefixes)
        if new and self._highest is not None:
            self._highest = max(self._highest, new[-1].last)
        # A change within the clock's grain of this listing would leave no trace.
        self._listed_change = change if is_settled else None
        return bool(new)

    def _last_change(self) -> int | None:
        try:
            return self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _indexes(self, parts: Sequence[Part]) -> list[PartIndex | None]:
        others = [part for part in parts if part not in self._own]
        paths = [self._folder / part.name for part in others]
        read = dict(zip(others, read_indexes(paths), strict=True))
        return [self._own.pop(part, read.get(part)) for part in parts]


def _read(
    keys: Sequence[str], places: Places, parts: Sequence[IndexedPart]
) -> dict[str, StoredReply]:
    """What is stored under keys with those places, in the order of parts and rows."""
    found = np.flatnonzero(places >= 0)
    found = found[np.argsort(places[found])]
    numbers, rows = parts_and_rows(places[found])
    found_keys: list[str] = np.array(keys, object)[found].tolist()
    breaks = (np.flatnonzero(np.diff(numbers)) + 1).tolist()
    bounds = pairwise([0, *breaks, len(rows)]) if len(rows) else ()
    return read_replies(
        [
            Wanted(*parts[int(numbers[first])], rows[first:last], found_keys[first:last])
            for first, last in bounds
        ]
    )
