"""One partition of the reply store: a folder of parts and the index of their keys.

Memory: the index takes 16 bytes for every key of the partition and stays; rows do not.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import accumulate, compress
from pathlib import Path
from typing import TypeVar

import numpy as np
from msgspec.structs import replace

from ..errors import StoreError
from .key_index import Places, key_prefixes, parts_and_rows
from .outcomes import FORGOTTEN, OUTCOMES, PartKeys, keys_of_rows
from .part_names import Part, find_parts, listed_parts, single
from .part_reader import read_keys_of_parts, read_replies, read_rows
from .parts import unwritable, write_part
from .replies import ReplyRow, StoredReply
from .reply_index import ReplyIndex

_CLOCK_SLACK_NS = 2 * 10**9
_ATTEMPTS = 10
_T = TypeVar("_T")


@dataclass(slots=True)
class PendingWrite:
    """Rows that a thread puts; once done, in which part and from which of its rows on they lie."""

    rows: Sequence[ReplyRow]
    part_name: str = ""
    start: int = 0
    error: Exception | None = None
    is_done: bool = False


class Partition:
    """Rows by key in `folder`; `aside` is where its damaged parts go. Thread-safe.

    The folder is listed only on a miss, and only if it changed since it was listed last.
    """

    def __init__(self, folder: Path, aside: Path) -> None:
        self._folder = folder
        self._aside = aside
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._pending: list[PendingWrite] = []
        self._forget()

    def _forget(self) -> None:
        """Drops what is known of the folder; the next look-up lists it anew."""
        self._index = ReplyIndex()
        self._parts: list[Path] = []
        self._indexed: set[Part] = set()
        self._highest: int | None = None
        self._own: dict[Part, PartKeys] = {}
        self._listed_change: int | None = None

    def get(self, keys: Sequence[str]) -> dict[str, StoredReply]:
        """The replies to those distinct keys that are stored, in the order of parts and rows."""
        return self._while_parts_move(lambda: _read(keys, *self._find(keys)))

    def put(self, rows: Sequence[ReplyRow]) -> dict[str, StoredReply]:
        """Stores rows, durable on return; what then holds for their keys, else the rows themselves.

        What threads put while another writes becomes one part, which one of them writes.
        """
        write = PendingWrite(rows)
        with self._lock:
            self._pending.append(write)
        with self._writing:
            if not write.is_done:
                self._write_pending()
        if isinstance(write.error, OSError):
            raise unwritable(self._folder, write.error) from write.error
        if write.error is not None:
            raise write.error
        own = self._while_parts_move(lambda: self._first_rows(write))
        others = {row.key: row for row in rows if row.key not in own}
        return own | others | (self.get(list(others)) if others else {})

    def forget_errors(self) -> int:
        """From now on the errors that hold do so no more; how many there were."""
        errors = self._while_parts_move(self._errors)
        if errors:
            self.put([_forgotten(row) for row in errors])
        return len(errors)

    def _write_pending(self) -> None:
        with self._lock:
            writes, self._pending = self._pending, []
        try:
            self._write(writes)
        except BaseException:  # an interrupt: the next thread writes what is not done
            with self._lock:
                self._pending = [write for write in writes if not write.is_done] + self._pending
            raise

    def _write(self, writes: Sequence[PendingWrite]) -> None:
        """Writes all as one part; where that fails each alone: rows that fail stop no others."""
        try:
            part = self._write_part([row for write in writes for row in write.rows])
        except Exception as error:
            if len(writes) > 1:
                for write in writes:
                    self._write([write])
            else:
                writes[0].error, writes[0].is_done = error, True
            return
        starts = accumulate((len(write.rows) for write in writes), initial=0)
        for write, start in zip(writes, starts, strict=False):
            write.part_name, write.start, write.is_done = part.name, start, True

    def _write_part(self, rows: Sequence[ReplyRow]) -> Part:
        keys = keys_of_rows(rows)
        part = single(write_part(self._folder, self._aside, rows, self._number_to_pass()))
        with self._lock:
            if part not in self._indexed:  # as another thread's look-up may have done
                self._own[part] = keys
            self._highest = max(part.last, self._highest or 0)
        return part

    def _while_parts_move(self, look_up: Callable[[], _T]) -> _T:
        """Looks up again when parts were merged or moved aside since they were indexed."""
        for _ in range(_ATTEMPTS):
            try:
                return look_up()
            except FileNotFoundError:
                with self._lock:
                    self._forget()
        raise StoreError(f"{self._folder}: parts vanish while they are read: stop what moves them")

    def _first_rows(self, write: PendingWrite) -> dict[str, StoredReply]:
        """Those of the rows written that hold for their keys; none if their part was merged."""
        places, parts = self._find([row.key for row in write.rows])
        numbers = reversed(range(len(parts)))
        number = next((i for i in numbers if parts[i].name == write.part_name), -1)
        own_places = (number << 32) + write.start + np.arange(len(write.rows))
        is_first = (places == own_places) & (places >= 0)
        return {row.key: row for row in compress(write.rows, is_first)}

    def _number_to_pass(self) -> int:
        """The highest part number known; numbers of parts moved aside are not used again."""
        with self._lock:
            if self._highest is None:
                parts = listed_parts(self._folder) + listed_parts(self._aside)
                self._highest = max((part.last for part in parts), default=0)
            return self._highest

    def _find(self, keys: Sequence[str]) -> tuple[Places, Sequence[Path]]:
        """The place of each key, and the parts that the places refer to by position."""
        prefixes = key_prefixes(keys)
        with self._lock:
            places = self._index.find(prefixes)
            if (places < 0).any() and self._index_new_parts():
                places = self._index.find(prefixes)
            return places, self._parts

    def _errors(self) -> list[ReplyRow]:
        """The rows of the errors that hold."""
        with self._lock:
            self._index_new_parts()
            places, parts = self._index.errors(), self._parts
        numbers, rows = parts_and_rows(np.sort(places))
        return [
            row
            for number in map(int, np.unique(numbers))
            for row in read_rows(parts[number], rows[numbers == number])
        ]

    def _index_new_parts(self) -> bool:
        """Indexes parts not seen before, in the order in which they appeared."""
        change = self._last_change()
        if change is None or change == self._listed_change:
            return False
        is_settled = time.time_ns() - change > _CLOCK_SLACK_NS
        new = [part for part in find_parts(self._folder) if part not in self._indexed]
        first = len(self._parts)
        others = [part for part in new if part not in self._own]
        read = read_keys_of_parts([self._folder / part.name for part in others])
        found = dict(zip(others, read, strict=True)) | self._own
        self._own = {}
        whole = {part: keys for part in new if (keys := found[part]) is not None}
        self._parts += [self._folder / part.name for part in whole]
        self._indexed |= whole.keys()
        self._index.add(first, list(whole.values()))
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


def _forgotten(row: ReplyRow) -> ReplyRow:
    return replace(row, error_kind=OUTCOMES[FORGOTTEN], time=datetime.now(UTC))


def _read(keys: Sequence[str], places: Places, parts: Sequence[Path]) -> dict[str, StoredReply]:
    """What is stored under keys with those places, in the order of parts and rows."""
    order = np.argsort(places)
    found = order[places[order] >= 0]
    numbers, rows = parts_and_rows(places[found])
    own_keys = np.array(keys, object)[found]
    replies: dict[str, StoredReply] = {}
    for number in map(int, np.unique(numbers)):
        of_part = numbers == number
        replies |= read_replies(parts[number], rows[of_part], list(own_keys[of_part]))
    return replies
