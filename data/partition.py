"""One partition of the reply store: a folder of parts and the index of their keys."""

import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from .errors import StoreError
from .group_cache import GroupCache
from .key_index import KeyIndex, Place
from .parts import (
    ROWS_PER_GROUP,
    Prefixes,
    key_prefixes,
    part_numbers,
    part_path,
    read_all_prefixes,
    write_part,
)
from .replies import ReplyRow, rows_of_table, table_of_rows

_CLOCK_SLACK_NS = 2 * 10**9
_ATTEMPTS = 3


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
        self._indexed: set[int] = set()
        self._highest: int | None = None
        self._own: dict[int, Prefixes] = {}
        self._listed_change: int | None = None

    def get(self, keys: Sequence[str]) -> dict[str, ReplyRow]:
        """The rows of those distinct keys that are stored, in the order of `keys`."""
        for _ in range(_ATTEMPTS):
            try:
                return self._read(keys, self._find(keys))
            except FileNotFoundError:
                # Another process has moved parts aside since they were indexed.
                with self._lock:
                    self._forget()
        raise StoreError(f"{self._folder}: parts vanish while they are read: stop what moves them")

    def put(self, rows: Sequence[ReplyRow]) -> None:
        """Writes rows as one part, durable on return."""
        table = table_of_rows(rows)
        try:
            number = write_part(self._folder, table, self._number_to_pass())
        except OSError as error:
            raise StoreError(
                f"{self._folder}: cannot write to the store ({error}): "
                "free space or grant access, then run again"
            ) from error
        if len(rows) <= ROWS_PER_GROUP:
            self._groups.keep(part_path(self._folder, number), 0, table)
        with self._lock:
            self._own[number] = key_prefixes([row.key for row in rows])
            self._highest = max(number, self._highest or 0)

    def _number_to_pass(self) -> int:
        """The highest part number known; numbers of parts moved aside are not used again."""
        with self._lock:
            if self._highest is None:
                numbers = part_numbers(self._folder) + part_numbers(self._aside)
                self._highest = max(numbers, default=0)
            return self._highest

    def _find(self, keys: Sequence[str]) -> list[Place | None]:
        prefixes = key_prefixes(keys)
        with self._lock:
            places = self._index.find(prefixes)
            if None in places and self._index_new_parts():
                places = self._index.find(prefixes)
        return places

    def _index_new_parts(self) -> bool:
        """Indexes parts not seen before, in the order in which they appeared."""
        change = self._last_change()
        if change is None or change == self._listed_change:
            return False
        is_settled = time.time_ns() - change > _CLOCK_SLACK_NS
        new = [number for number in part_numbers(self._folder) if number not in self._indexed]
        for number, prefixes in zip(new, self._prefixes(new), strict=True):
            if prefixes is not None:
                self._index.add(number, prefixes)
                self._indexed.add(number)
        # A change within the clock's grain of this listing would leave no trace.
        self._listed_change = change if is_settled else None
        return bool(new)

    def _last_change(self) -> int | None:
        try:
            return self._folder.stat().st_mtime_ns
        except FileNotFoundError:
            return None

    def _prefixes(self, numbers: Sequence[int]) -> list[Prefixes | None]:
        others = [number for number in numbers if number not in self._own]
        paths = [part_path(self._folder, number) for number in others]
        read = dict(zip(others, read_all_prefixes(paths), strict=True))
        return [self._own.pop(number, read.get(number)) for number in numbers]

    def _read(self, keys: Sequence[str], places: Sequence[Place | None]) -> dict[str, ReplyRow]:
        wanted: defaultdict[tuple[int, int], list[int]] = defaultdict(list)
        for place in places:
            if place is not None:
                number, row = place
                wanted[number, row // ROWS_PER_GROUP].append(row % ROWS_PER_GROUP)
        rows: dict[str, ReplyRow] = {}
        for (number, group), offsets in wanted.items():
            table = self._groups.get(part_path(self._folder, number), group)
            rows |= {row.key: row for row in rows_of_table(table.take(offsets))}
        return {key: rows[key] for key in keys if key in rows}
