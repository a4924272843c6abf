"""The reply store at size, beside diskcache and sqlite3: write, cold open, look-up, memory.

    .venv/bin/python scripts/bench_store.py                # a million rows: minutes, 6 GB of disk
    .venv/bin/python scripts/bench_store.py --rows 100000

All three hold the same rows (a verbalization of 200 tokens and everything that shaped it), written
in the same batches; a batch is on the disk when its write returns (fsync; synchronous=FULL). The
others hold a row as a pickled tuple and give it back as one. A new process then opens each, looks
up one key, and then random keys, all at once or, where there is no such call, one after another;
the best of three processes counts. Making the rows is not timed. Ratios are of throughput, above
1 where the reply store is faster. The store alone is then read from its first key to its last, in
batches as a judge asks them, and measured in ten thousand small parts, before and after
`blpo store compact`.
"""

import argparse
import hashlib
import json
import pickle
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, Protocol

import diskcache  # pyright: ignore[reportMissingTypeStubs]
from blpo.data.store.replies import ReplyRow
from blpo.data.store.store import ReplyStore
from msgspec.structs import replace

PARTITION = "0123456789abcdef"
NUM_TOKENS = 200
WORDS_PER_PHRASE = 20
SMALL_PART_ROWS = 100
PASS_ROWS = 1000
"""Keys of a batch in a pass over the whole store."""

TEMPLATE = ReplyRow(
    key="",
    run_id="4e1b6d0c7f3a4c0f9b2d8a6e5f7c1b3a",
    role="verbalizer",
    prompt="Describe the objects in the image, their colors and how many there are of each.",
    example_text=None,
    image_digest="",
    min_pixels=3136,
    max_pixels=1048576,
    labels=(),
    engine="vllm",
    engine_version="vllm 0.32.0",
    model="Qwen/Qwen2.5-VL-7B-Instruct",
    revision="cc594898137f460bfe9f0759e9844b3ce807cfb5",
    layout="image-first-1",
    settings="dtype=bfloat16",
    max_tokens=256,
    temperature=0.0,
    sample_index=0,
    text="",
    label_logprobs=None,
    label_mass=None,
    finish_reason="stop",
    error=None,
    prompt_tokens=431,
    completion_tokens=NUM_TOKENS,
    cached_tokens=384,
    time=datetime(2026, 1, 1, tzinfo=UTC),
)


values_of = attrgetter(*ReplyRow.__struct_fields__)


class Contender(Protocol):
    """A place for rows under a folder."""

    def write(self, rows: Sequence[ReplyRow]) -> None: ...

    def read(self, keys: Sequence[str]) -> int:
        """Reads what is stored under the keys; how many were there."""
        ...


class BlpoStore:
    def __init__(self, folder: Path) -> None:
        self._store = ReplyStore(folder)

    def write(self, rows: Sequence[ReplyRow]) -> None:
        self._store.put("verbalizations", PARTITION, rows)

    def read(self, keys: Sequence[str]) -> int:
        return len(self._store.get("verbalizations", PARTITION, keys))


class DiskCache:
    """Values pickled, nothing evicted, a transaction for every batch."""

    def __init__(self, folder: Path) -> None:
        self._cache: Any = diskcache.Cache(
            str(folder),
            size_limit=2**50,
            cull_limit=0,
            eviction_policy="none",
            sqlite_synchronous=2,
            disk_pickle_protocol=pickle.HIGHEST_PROTOCOL,
        )

    def write(self, rows: Sequence[ReplyRow]) -> None:
        with self._cache.transact():
            for row in rows:
                self._cache[row.key] = values_of(row)

    def read(self, keys: Sequence[str]) -> int:
        return sum(self._cache.get(key) is not None for key in keys)


class Sqlite:
    """One table keyed by the hash, pickled values, write-ahead log, a transaction per batch."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(folder / "rows.db", isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "cache_size=-65536"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.execute(
            "CREATE TABLE IF NOT EXISTS rows (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID"
        )

    def write(self, rows: Sequence[ReplyRow]) -> None:
        values = [(row.key, pickle.dumps(values_of(row), pickle.HIGHEST_PROTOCOL)) for row in rows]
        self._connection.execute("BEGIN")
        self._connection.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?)", values)
        self._connection.execute("COMMIT")

    def read(self, keys: Sequence[str]) -> int:
        query = "SELECT value FROM rows WHERE key = ?"
        values = (self._connection.execute(query, (key,)).fetchone() for key in keys)
        return len([pickle.loads(value[0]) for value in values if value])


CONTENDERS: dict[str, Callable[[Path], Contender]] = {
    "blpo": BlpoStore,
    "diskcache": DiskCache,
    "sqlite3": Sqlite,
}


def key_of(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def make_batches(num_rows: int, batch_rows: int) -> Iterator[list[ReplyRow]]:
    """Rows with texts of NUM_TOKENS words, the same ones for every contender."""
    generator = random.Random(0)
    words = [f"word{number}" for number in range(5000)]
    phrases = [" ".join(generator.choices(words, k=WORDS_PER_PHRASE)) for _ in range(4096)]
    for start in range(0, num_rows, batch_rows):
        yield [
            replace(
                TEMPLATE,
                key=key_of(number),
                image_digest=key_of(-number - 1),
                text=" ".join(generator.choices(phrases, k=NUM_TOKENS // WORDS_PER_PHRASE)),
            )
            for number in range(start, min(start + batch_rows, num_rows))
        ]


def write_s(contender: Contender, num_rows: int, batch_rows: int) -> float:
    total = 0.0
    for rows in make_batches(num_rows, batch_rows):
        started = time.perf_counter()
        contender.write(rows)
        total += time.perf_counter() - started
    return total


def read_in_new_process(name: str, folder: Path, num_rows: int, lookups: int) -> dict[str, float]:
    """lookups: 0 for a pass over all rows."""
    command = [sys.executable, __file__, "--rows", str(num_rows), "--lookups", str(lookups)]
    child = subprocess.run(
        [*command, "--read", name, str(folder)], check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(child.stdout)


def read(name: str, folder: Path, num_rows: int, lookups: int) -> dict[str, float]:
    keys = [key_of(number) for number in random.Random(1).sample(range(num_rows), lookups)]
    started = time.perf_counter()
    contender = CONTENDERS[name](folder)
    found = contender.read([key_of(0)])
    opened = time.perf_counter()
    found += contender.read(keys)
    looked_up = time.perf_counter()
    if found != lookups + 1:
        raise SystemExit(f"{name}: {found} of {lookups + 1} rows found")
    return {
        "open_s": opened - started,
        "lookup_s": looked_up - opened,
        "resident_mb": peak_resident_mb(),
    }


def read_all(folder: Path, num_rows: int) -> dict[str, float]:
    """A pass over the store in the order in which it was written, its opening included."""
    store = BlpoStore(folder)
    found, passed_s = 0, 0.0
    for start in range(0, num_rows, PASS_ROWS):
        keys = [key_of(number) for number in range(start, min(start + PASS_ROWS, num_rows))]
        started = time.perf_counter()
        found += store.read(keys)
        passed_s += time.perf_counter() - started
    if found != num_rows:
        raise SystemExit(f"{found} of {num_rows} rows found")
    return {"pass_replies_per_s": num_rows / passed_s, "resident_mb": peak_resident_mb()}


def peak_resident_mb() -> float:
    """Of this process alone; ru_maxrss would count the parent that it was forked from."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def measure(name: str, folder: Path, args: argparse.Namespace) -> dict[str, float]:
    written_s = write_s(CONTENDERS[name](folder), args.rows, args.batch_rows)
    reads = [read_in_new_process(name, folder, args.rows, args.lookups) for _ in range(3)]
    size_mb = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    figures = {"write_s": written_s, **min(reads, key=lambda found: found["lookup_s"])}
    if name == "blpo":
        passed = read_in_new_process(name, folder, args.rows, 0)
        resident_mb = max(figures["resident_mb"], passed["resident_mb"])
        figures |= passed | {"resident_mb": resident_mb}
        print(f"a pass: {passed['pass_replies_per_s']:,.0f} replies/s")
    print(
        f"{name:10} write {args.rows / written_s:9,.0f} rows/s, open {figures['open_s']:6.3f} s, "
        f"{args.lookups:,} look-ups {figures['lookup_s']:6.3f} s, "
        f"resident {figures['resident_mb']:4.0f} MB, on disk {size_mb:6,.0f} MB",
        flush=True,
    )
    return figures


def measure_small_parts(folder: Path, num_parts: int, lookups: int) -> dict[str, float]:
    """Open and look-up of many small parts, before and after they are merged."""
    num_rows = num_parts * SMALL_PART_ROWS
    write_s(BlpoStore(folder), num_rows, SMALL_PART_ROWS)
    before = read_in_new_process("blpo", folder, num_rows, lookups)
    started = time.perf_counter()
    (merged,) = ReplyStore(folder).compact()
    compacted_s = time.perf_counter() - started
    after = read_in_new_process("blpo", folder, num_rows, lookups)
    for name, found in (("small parts", before), ("compacted", after)):
        print(f"{name:11} open {found['open_s']:.3f} s, look-ups {found['lookup_s']:.3f} s")
    print(f"compact: {merged.parts_before:,} -> {merged.parts_after:,} parts, {compacted_s:.1f} s")
    return {
        "open_10k_parts_s": before["open_s"],
        "lookup_10k_parts_s": before["lookup_s"],
        "compact_10k_parts_s": compacted_s,
        "open_compacted_s": after["open_s"],
        "lookup_compacted_s": after["lookup_s"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--batch-rows", type=int, default=16_384)
    parser.add_argument("--lookups", type=int, default=10_000)
    parser.add_argument("--small-parts", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where to write; a temporary one by default")
    parser.add_argument("--read", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.read:
        name, folder = args.read[0], Path(args.read[1])
        if args.lookups:
            found = read(name, folder, args.rows, args.lookups)
        else:
            found = read_all(folder, args.rows)
        print(json.dumps(found))
        return
    root = Path(tempfile.mkdtemp(prefix="bench-store-", dir=args.folder))
    figures: dict[str, dict[str, float]] = {}
    try:
        for name in CONTENDERS:
            figures[name] = measure(name, root / name, args)
            shutil.rmtree(root / name)
        small = measure_small_parts(root / "small", args.small_parts, args.lookups)
    finally:
        shutil.rmtree(root)
    ours = figures["blpo"]
    ratios = {
        f"{what}_ratio_vs_{name}": round(theirs[f"{what}_s"] / ours[f"{what}_s"], 2)
        for name, theirs in figures.items()
        for what in ("write", "lookup")
        if name != "blpo"
    }
    rounded = {key: round(value, 3) for key, value in (ours | small).items()}
    print(json.dumps({"rows": args.rows, "lookups": args.lookups, **rounded, **ratios}))


if __name__ == "__main__":
    main()
