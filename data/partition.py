"""One partition of the reply store: a folder of parts and the index of their keys.

Memory: the index takes 16 bytes for every key of the partition and stays; rows are held only as
far as `GroupCache` has room.
"""

import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

from .errors import StoreError
from .group_cache import GroupCache
from .key_index import KeyIndex, Place
from .part_names import Part, find_parts, listed_parts, single
from .parts import ROWS_PER_GROUP, Prefixes, key_prefixes, read_all_prefixes, write_part
from .replies import ReplyRow, StoredReply, table_of_rows

_CLOCK_SLACK_NS = 2 * 10**9
_ATTEMPTS = 10
_MANY_GROUPS = 8
_READERS = 4


class Partition:
    """Rows by key in `folder`; `aside` is where its damaged parts go. Thread-safe.

    The folder is listed only on a miss, and only if it changed since it was listed last.
    """

    def __init__(self, folder: Path, aside: Path, groups: GroupCache) -> None:
        self._folder = folder
        self._aside = aside
        self._groups = groups
        self._lock = threading.Lock()
        self._forget()

    def _forget(self) -> None:
        """Drops what is known of the folder; the next look-up lists it anew."""
        self._index = KeyIndex()
        self._parts: list[Path] = []
        self._indexed: set[Part] = set()
        self._highest: int | None = None
        self._own: dict[Part, Prefixes] = {}
        self._listed_change: int | None = None

    def get(self, keys: Sequence[str]) -> dict[str, StoredReply]:
        """The replies to those distinct keys that are stored, in the order of `keys`."""
        for _ in range(_ATTEMPTS):
            try:
                return self._read(keys, *self._find(keys))
            except FileNotFoundError:
                # Parts were merged or moved aside since they were indexed.
                with self._lock:
                    self._forget()
        raise StoreError(f"{self._folder}: parts vanish while they are read: stop what moves them")

    def put(self, rows: Sequence[ReplyRow]) -> None:
        """Writes rows as one part, durable on return."""
        table = table_of_rows(rows)
        try:
            number = write_part(self._folder, self._aside, table, self._number_to_pass())
        except OSError as error:
            raise StoreError(
                f"{self._folder}: cannot write to the store ({error}): "
                "free space or grant access, then run again"
            ) from error
        with self._lock:
            self._own[single(number)] = key_prefixes([row.key for row in rows])
            self._highest = max(number, self._highest or 0)

    def _number_to_pass(self) -> int:
        """The highest part number known; numbers of parts moved aside are not used again."""
        with self._lock:
            if self._highest is None:
                parts = listed_parts(self._folder) + listed_parts(self._aside)
                self._highest = max((part.last for part in parts), default=0)
            return self._highest

    def _find(self, keys: Sequence[str]) -> tuple[list[Place | None], list[Path]]:
        """The place of each key, and the parts that the places refer to by position."""
        prefixes = key_prefixes(keys)
        with self._lock:
            places = self._index.find(prefixes)
            if None in places and self._index_new_parts():
                places = self._index.find(prefixes)
            return places, self._parts

    def _index_new_parts(self) -> bool:
        """Indexes parts not seen before, in the order in which they appeared."""
        change = self._last_change()
        if change is None or change == self._listed_change:
            return False
        is_settled = time.time_ns() - change > _CLOCK_SLACK_NS
        new = [part for part in find_parts(self._folder) if part not in self._indexed]
        for part, prefixes in zip(new, self._prefixes(new), strict=True):
            if prefixes is not None:
                self._index.add(len(self._parts), prefixes)
                self._parts.append(self._folder / part.name)
                self._indexed.add(part)
        # A change within the clock's grain of this listing would leave no trace.
        self._listed_change = change if is_settled else None
        return bool(new)

    def _last_change(self) -> int | None:
        try:
            return self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _prefixes(self, parts: Sequence[Part]) -> list[Prefixes | None]:
        others = [part for part in parts if part not in self._own]
        paths = [self._folder / part.name for part in others]
        read = dict(zip(others, read_all_prefixes(paths), strict=True))
        return [self._own.pop(part, read.get(part)) for part in parts]

    def _read(
        self, keys: Sequence[str], places: Sequence[Place | None], parts: Sequence[Path]
    ) -> dict[str, StoredReply]:
        wanted: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for place in places:
            if place is not None:
                part, row = place
                wanted[part, row // ROWS_PER_GROUP].append(row % ROWS_PER_GROUP)
        places_by_group = [(parts[part], group, rows) for (part, group), rows in wanted.items()]
        replies = {reply.key: reply for reply in self._replies(places_by_group)}
        return {key: replies[key] for key in keys if key in replies}

    def _replies(self, places: Sequence[tuple[Path, int, list[int]]]) -> Iterator[StoredReply]:
        """Replies at rows of row groups; many groups are read by several threads."""

        def read(place: tuple[Path, int, list[int]]) -> list[StoredReply]:
            part, group, rows = place
            return self._groups.get(part, group).replies(sorted(rows))

        if len(places) < _MANY_GROUPS:
            return chain.from_iterable(map(read, places))
        with ThreadPoolExecutor(_READERS) as pool:
            return chain.from_iterable(list(pool.map(read, places)))
