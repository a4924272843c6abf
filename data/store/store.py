"""The reply store: what was asked once is never asked again.

    store/verbalizations/i2t=<hash>/part-00000001-00000050.parquet      merged by `compact`
                                    part-00000051.parquet
    store/verdicts/judge=<hash>/...
    store/proposals/optimizer=<hash>/...
    store/journals/<process>-<random>.journal                     rows on their way into a part

Append-only Parquet, readable by anything that reads Parquet (columns: `replies.ReplyRow`). Any
number of threads, processes and hosts read and write at once without locks. How it works, by file:

- `parts`: a part appears whole under the next free number, and never changes. Of two replies to one
  key the one in the lower part counts, for everybody and for ever.
- `key_index`, `partition`: a process holds 16 bytes for each key of a partition that it looked
  into, and learns of new parts by listing the folder when a key is missing. What threads put while
  one writes becomes one part.
- `outcomes`, `reply_index`: replies come back; errors do if they lie in the request, and are a
  record if not.
- `part_keys`: a part lists the first 64 bits of its keys at its end, so that it opens quickly.
- `part_reader`: a look-up reads the row groups that hold its keys, in pyarrow, and compares whole
  keys. Columns that a part lacks are null, and a part of a newer format is refused by its number.
- `journal`, with `owners`: what has been received, but is in no part yet, survives its process.
- `recovery`: the rows that killed processes leave in journals become parts when another misses a
  key, compacts, or forgets.
- `checksums`: pyarrow sees no byte that does not fit its checksum, neither footer nor page, so that
  damage is a StoreError that names the part, and nothing else. `format_1`, with `thrift`, sees to
  that for parts which were written without checksums.
- `compaction`: merges small parts, and brings older ones to today's format, while others read and
  write.
"""

import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..arrow import sync
from .compaction import compact_partition
from .journal import Journal
from .outcomes import REPLY, PartKeys, errors_by_kind, together
from .part_names import find_parts, listed_parts
from .part_reader import DamagedPart, check_part, read_keys_of_parts
from .partition import Partition
from .parts import temporary_files
from .recovery import take_up, waiting
from .replies import Collection, ReplyRow, StoredReply

PARTITION_KEYS: dict[Collection, str] = {
    "verbalizations": "i2t",
    "verdicts": "judge",
    "proposals": "optimizer",
}
"""What the hash in the name of a partition's folder is a hash of."""

_LEFTOVER_AGE_S = 3600.0


@dataclass(frozen=True, slots=True)
class PartitionStats:
    """Size of one partition.

    num_keys: keys with a reply, each counted once. errors: keys without one, by the kind of their
    last error (`outcomes`).
    """

    collection: Collection
    partition: str
    num_rows: int
    num_keys: int
    errors: dict[str, int]
    num_parts: int
    num_bytes: int


@dataclass(frozen=True, slots=True)
class Compaction:
    """What compaction did to one partition."""

    collection: Collection
    partition: str
    parts_before: int
    parts_after: int


@dataclass(frozen=True, slots=True)
class Verification:
    """num_parts: parts read. damaged: parts, and journals of killed writers.

    num_waiting: rows in the other journals of killed writers, which become parts with the next run.
    leftovers: temporary files of killed writers, over an hour old.
    """

    num_parts: int
    num_waiting: int
    damaged: list[DamagedPart]
    leftovers: list[Path]


class ReplyStore:
    """Rows by (collection, partition, key) under a root folder, which need not exist yet.

    A key may have more than one reply, by writers that did not know of one another. Readers take
    the one in the part with the lowest number, which was there first: they agree, and none sees a
    reply change. `put` tells a writer whose that is. An error is given only for a key without a
    reply, and only if it lies in the request and is not forgotten (`outcomes`).

    Memory: 16 bytes for every key of the partitions that were looked into.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._partitions: dict[Path, Partition] = {}
        self._lock = threading.Lock()
        self._journals = root / "journals"
        self._taking_up = threading.Lock()
        self._has_taken_up = False

    def get(
        self, collection: Collection, partition: str, keys: Sequence[str]
    ) -> dict[str, StoredReply]:
        """What holds for those keys, in no order that means anything.

        Sees every `put` that returned before the call, in any process (on a network file system,
        once its directory cache has expired). Before the first key that is missing, takes up what
        killed writers have left in journals. Raises StoreError, naming the file, for a damaged part
        or journal.
        """
        distinct = list(dict.fromkeys(keys))
        is_complete = self._has_taken_up
        found = self._partition(collection, partition).get(distinct)
        if len(found) == len(distinct) or is_complete:
            return found
        self._take_up_once()
        return self._partition(collection, partition).get(distinct)

    def put(
        self, collection: Collection, partition: str, rows: Sequence[ReplyRow]
    ) -> dict[str, StoredReply]:
        """Stores rows as one part, durable on return; no rows, no part.

        Returns what `get` now gives for their keys, and for keys for which it gives nothing the
        rows themselves: these are errors. Raises StoreError when they cannot be written.
        """
        return self._partition(collection, partition).put(rows) if rows else {}

    def journal(self) -> Journal:
        """For one writer: what is in it survives the process. It is to be closed."""
        return Journal(self._journals)

    def stats(self) -> list[PartitionStats]:
        """Sizes of all partitions, read anew; raises StoreError for a damaged part."""
        return [self._stats(*partition) for partition in self._all_partitions()]

    def verify(self) -> Verification:
        """Reads every part, and what killed writers left, to the last byte; changes nothing."""
        folders = [self._folder(*partition) for partition in self._all_partitions()]
        parts = [part for folder in folders for part in _parts(folder)]
        checked = [check_part(part) for part in parts]
        left = waiting(self._journals)
        return Verification(
            num_parts=len(parts),
            num_waiting=left.num_rows,
            damaged=[part for part in checked if part is not None] + left.damaged,
            leftovers=[path for at in (*folders, self._journals) for path in _leftovers(at)],
        )

    def compact(self, on_part: Callable[[], None] = lambda: None) -> list[Compaction]:
        """Merges small parts, of the partitions that have some; see `compaction`.

        First takes up what killed writers have left in journals.

        on_part: called for each part that was merged into another. Others may read, write and
        compact meanwhile. Raises StoreError for a damaged part.
        """
        self._take_up()
        done = [self._compact(*partition, on_part) for partition in self._all_partitions()]
        return [found for found in done if found.parts_after < found.parts_before]

    def forget_errors(self) -> int:
        """From now on asks again what was refused for what lies in the request.

        Returns how many requests those are. Raises as `put` does.
        """
        self._take_up()
        partitions = [self._partition(*partition) for partition in self._all_partitions()]
        return sum(partition.forget_errors() for partition in partitions)

    def quarantine(self, damaged: Iterable[DamagedPart]) -> list[Path]:
        """Moves parts to `quarantine/` under the root, relative paths kept; returns the new paths.

        What they held is asked again. A part that is no longer there is passed over.
        """
        moved = [self._move_aside(part.path) for part in damaged]
        with self._lock:
            self._partitions.clear()
        return [path for path in moved if path is not None]

    def remove_leftovers(self, leftovers: Iterable[Path]) -> None:
        """Removes the temporary files that `verify` found."""
        for path in leftovers:
            path.unlink(missing_ok=True)

    def _take_up_once(self) -> None:
        with self._taking_up:
            if not self._has_taken_up:
                self._take_up()
                self._has_taken_up = True

    def _take_up(self) -> None:
        take_up(self._journals, self._put_left)

    def _put_left(self, collection: Collection, partition: str, rows: Sequence[ReplyRow]) -> None:
        """Puts the rows of a journal, but for those that a part holds already."""
        keys = list(dict.fromkeys(row.key for row in rows))
        held = self._partition(collection, partition).get(keys)
        if left := [row for row in rows if row.key not in held]:
            self.put(collection, partition, left)

    def _partition(self, collection: Collection, partition: str) -> Partition:
        folder = self._folder(collection, partition)
        with self._lock:
            if folder not in self._partitions:
                self._partitions[folder] = Partition(folder, self._aside(folder))
            return self._partitions[folder]

    def _folder(self, collection: Collection, partition: str) -> Path:
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", partition):
            raise ValueError(f"partition {partition!r} is not a plain name")
        return self.root / collection / f"{PARTITION_KEYS[collection]}={partition}"

    def _aside(self, path: Path) -> Path:
        return self.root / "quarantine" / path.relative_to(self.root)

    def _all_partitions(self) -> Iterator[tuple[Collection, str]]:
        for collection, key in PARTITION_KEYS.items():
            for folder in sorted((self.root / collection).glob(f"{key}=*")):
                yield collection, folder.name.removeprefix(f"{key}=")

    def _stats(self, collection: Collection, partition: str) -> PartitionStats:
        parts, sizes, found = _measured(self._folder(collection, partition))
        keys = together(found)
        return PartitionStats(
            collection=collection,
            partition=partition,
            num_rows=len(keys.prefixes),
            num_keys=len(np.unique(keys.prefixes[keys.outcomes == REPLY])),
            errors=errors_by_kind(keys),
            num_parts=len(parts),
            num_bytes=sum(sizes),
        )

    def _compact(
        self, collection: Collection, partition: str, on_part: Callable[[], None]
    ) -> Compaction:
        folder = self._folder(collection, partition)
        before = len(listed_parts(folder))
        compact_partition(folder, on_part)
        return Compaction(collection, partition, before, len(listed_parts(folder)))

    def _move_aside(self, part: Path) -> Path | None:
        target = self._aside(part)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            part.rename(target)
        except FileNotFoundError:
            return None
        sync(target.parent)
        sync(part.parent)
        return target


def told_errors(stats: Iterable[PartitionStats]) -> str:
    """How many requests have an error and no reply, by kind; empty if none has."""
    counts = sum((Counter(partition.errors) for partition in stats), Counter[str]())
    return ", ".join(f"{count:,} of kind {kind}" for kind, count in sorted(counts.items()))


def _measured(folder: Path) -> tuple[list[Path], list[int], list[PartKeys]]:
    """The parts of a partition, their bytes, and the keys of those that are not empty."""
    while True:
        parts = _parts(folder)
        try:
            sizes = [part.stat().st_size for part in parts]
            found = [keys for keys in read_keys_of_parts(parts) if keys is not None]
        except FileNotFoundError:
            continue  # Merged or moved aside since they were listed.
        return parts, sizes, found


def _parts(folder: Path) -> list[Path]:
    return [folder / part.name for part in find_parts(folder)]


def _leftovers(folder: Path) -> list[Path]:
    """Temporary files so old that no writer can still be writing them."""
    found: list[Path] = []
    for path in temporary_files(folder) if folder.is_dir() else ():
        try:
            age_s = time.time() - path.stat().st_mtime
        except FileNotFoundError:
            continue
        if age_s > _LEFTOVER_AGE_S:
            found.append(path)
    return found
