"""Compaction merges parts while others read and write, and nobody sees a row change or vanish."""

import json
import shutil
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import polars as pl
import pytest
from blpo.data.errors import StoreError
from blpo.data.store import compaction
from blpo.data.store.part_names import find_parts
from blpo.data.store.parts import ROWS_PER_GROUP
from blpo.data.store.replies import StoredReply
from blpo.data.store.store import ReplyStore
from command_line import Blpo
from msgspec.structs import replace
from test_store import get, key, parts_of, put, reply, row

TESTS = Path(__file__).parent


def fill(root: Path, num_parts: int, rows_per_part: int = 3) -> dict[str, StoredReply]:
    """A store of small parts; every part but the first repeats a row of the one before."""
    rows = [row(number, f"text {number} ü") for number in range(num_parts * rows_per_part)]
    for start in range(0, len(rows), rows_per_part):
        repeated = [replace(rows[start - 1], text="too late")] if start else []
        put(ReplyStore(root), *repeated, *rows[start : start + rows_per_part])
    return {row.key: reply(row) for row in rows}


def names(root: Path) -> list[str]:
    return [path.name for path in parts_of(ReplyStore(root))]


def read_all(store: ReplyStore, expected: dict[str, StoredReply]) -> dict[str, StoredReply]:
    return get(store, *range(len(expected)))


def test_merged_parts_hold_every_row_once_for_readers_old_and_new(tmp_path: Path) -> None:
    expected = fill(tmp_path, 5)
    warm, listed = ReplyStore(tmp_path), ReplyStore(tmp_path)
    assert read_all(warm, expected) == expected
    assert get(listed, 0)
    (done,) = ReplyStore(tmp_path).compact()
    assert (done.parts_before, done.parts_after) == (5, 1)
    assert names(tmp_path) == ["part-00000001-00000005.parquet"]
    for store in (warm, listed, ReplyStore(tmp_path)):
        assert read_all(store, expected) == expected
    (stats,) = ReplyStore(tmp_path).stats()
    assert (stats.num_rows, stats.num_keys, stats.num_parts) == (15, 15, 1)
    verification = ReplyStore(tmp_path).verify()
    assert (verification.num_parts, verification.damaged) == (1, [])
    frame = pl.read_parquet(tmp_path / "verbalizations" / "**" / "*.parquet")
    assert frame["text"].to_list() == [found.text for found in expected.values()]


def test_compacted_again_nothing_is_left_to_do_until_new_parts_come(tmp_path: Path) -> None:
    expected = fill(tmp_path, 3)
    assert len(ReplyStore(tmp_path).compact()) == 1
    assert ReplyStore(tmp_path).compact() == []
    put(ReplyStore(tmp_path), row(9, "text 9 ü"))
    assert names(tmp_path) == ["part-00000001-00000003.parquet", "part-00000004.parquet"]
    assert len(ReplyStore(tmp_path).compact()) == 1
    assert names(tmp_path) == ["part-00000001-00000004.parquet"]
    assert read_all(ReplyStore(tmp_path), expected) == expected
    assert len(get(ReplyStore(tmp_path), 9)) == 1


def test_a_merged_part_ends_where_it_would_grow_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MAX_ROWS", 6)
    expected = fill(tmp_path, 5)
    ReplyStore(tmp_path).compact()
    assert names(tmp_path) == [
        "part-00000001-00000002.parquet",
        "part-00000003-00000004.parquet",
        "part-00000005.parquet",
    ]
    assert read_all(ReplyStore(tmp_path), expected) == expected


def test_rows_of_merged_row_groups_are_found_throughout(
    tmp_path: Path,
) -> None:
    num_rows = 3 * ROWS_PER_GROUP + 2000
    rows = [row(number, f"text {number}") for number in range(num_rows)]
    for start in range(0, num_rows, 5000):
        put(ReplyStore(tmp_path), *rows[start : start + 5000])
    ReplyStore(tmp_path).compact()
    numbers = [0, 4999, 5000, ROWS_PER_GROUP - 1, ROWS_PER_GROUP, num_rows - 1]
    found = get(ReplyStore(tmp_path), *numbers)
    assert [found[key(number)].text for number in numbers] == [f"text {n}" for n in numbers]


def test_a_writer_that_knows_of_no_merge_does_not_use_a_merged_number_again(
    tmp_path: Path,
) -> None:
    writer = ReplyStore(tmp_path)
    put(writer, row(100))
    for number in range(4):
        put(ReplyStore(tmp_path), row(number))
    ReplyStore(tmp_path).compact()
    put(writer, row(200, "new"))
    assert names(tmp_path) == ["part-00000001-00000005.parquet", "part-00000006.parquet"]
    assert get(ReplyStore(tmp_path), 200) == {key(200): reply(row(200, "new"))}


def test_a_number_in_quarantine_is_not_used_again_and_parts_around_it_are_not_joined(
    tmp_path: Path,
) -> None:
    writer = ReplyStore(tmp_path)
    put(writer, row(0))
    for number in range(1, 6):
        put(ReplyStore(tmp_path), row(number))
    damaged = parts_of(writer)[1]
    damaged.write_bytes(b"PAR1")
    store = ReplyStore(tmp_path)
    with pytest.raises(StoreError, match=r"part-00000002.parquet.*verify --quarantine"):
        store.compact()
    assert len(names(tmp_path)) == 6
    store.quarantine(store.verify().damaged)
    put(writer, row(6))
    assert "part-00000002.parquet" not in names(tmp_path)
    store.compact()
    assert names(tmp_path) == ["part-00000001.parquet", "part-00000003-00000007.parquet"]
    assert len(get(ReplyStore(tmp_path), 0, 2, 3, 4, 5, 6)) == 6


def test_a_part_that_is_being_written_without_hard_links_is_not_covered(tmp_path: Path) -> None:
    expected = fill(tmp_path, 4)
    claimed = parts_of(ReplyStore(tmp_path))[0].with_name("part-00000005.parquet")
    claimed.touch()
    put(ReplyStore(tmp_path), row(50))
    put(ReplyStore(tmp_path), row(51))
    ReplyStore(tmp_path).compact()
    assert names(tmp_path) == [
        "part-00000001-00000004.parquet",
        "part-00000005.parquet",
        "part-00000006-00000007.parquet",
    ]
    assert read_all(ReplyStore(tmp_path), expected) == expected


def test_without_hard_links_parts_are_merged_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(compaction.os, "link", refuse)
    expected = fill(tmp_path, 4)
    ReplyStore(tmp_path).compact()
    assert names(tmp_path) == ["part-00000001-00000004.parquet"]
    assert read_all(ReplyStore(tmp_path), expected) == expected


# Runs a compaction and kills itself just before the N-th change or sync of a file in the store,
# or look at the one that is being made.
KILLED = """
import os, signal, sys
from pathlib import Path
from blpo.data.store.store import ReplyStore

root, last = sys.argv[1], int(sys.argv[2])
events = 0

def hook(event, arguments):
    global events
    path = Path(str(arguments[0])) if arguments else Path()
    is_read = event == "open" and path.name.startswith("part-")
    if event in {"os.link", "os.remove", "os.rename", "open"} and root in str(path) and not is_read:
        events += 1
        if events == last:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
ReplyStore(Path(root)).compact()
"""


def test_killed_before_every_step_it_leaves_a_correct_store_that_the_next_one_cleans(
    tmp_path: Path,
) -> None:
    expected = fill(tmp_path / "full", 3)
    num_kills = 0
    for step in count(1):
        root = tmp_path / f"step-{step}"
        shutil.copytree(tmp_path / "full", root)
        warm = ReplyStore(root)
        assert read_all(warm, expected) == expected
        killed = subprocess.run([sys.executable, "-c", KILLED, root, str(step)], check=False)
        for store in (warm, ReplyStore(root)):
            assert read_all(store, expected) == expected
        assert ReplyStore(root).verify().damaged == []
        put(warm, row(1000))
        ReplyStore(root).compact()
        assert names(root) == ["part-00000001-00000004.parquet"]
        assert read_all(warm, expected) == expected
        assert len(get(ReplyStore(root), 1000)) == 1
        if killed.returncode == 0:
            break
        assert killed.returncode == -signal.SIGKILL
        num_kills += 1
    # Checksums, read back (rows, then bytes), link, removal of the hidden file, sync, three
    # removals, sync.
    assert num_kills == 10


WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from blpo.data.store.store import ReplyStore
from test_store import get, put, reply, row

what, root, start, end = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
store = ReplyStore(root)
if what == "write":
    for number in range(start, end):
        put(store, row(number, "first of all"))
        assert get(store, number)[row(number).key] == reply(row(number, "first of all"))
elif what == "read":
    wanted = [row(number, "old") for number in range(start, end)]
    expected = {{row.key: reply(row) for row in wanted}}
    while not (root / "stop").exists():
        assert get(store, *range(start, end)) == expected
else:
    while not (root / "stop").exists():
        store.compact()
"""


def start(what: str, root: Path, first: int, end: int) -> subprocess.Popen[bytes]:
    code = WORKER.format(tests=str(TESTS))
    return subprocess.Popen([sys.executable, "-c", code, what, root, str(first), str(end)])


def test_processes_read_and_write_while_two_others_compact(tmp_path: Path) -> None:
    old = [row(number, "old") for number in range(60)]
    for start_at in range(0, 60, 2):
        put(ReplyStore(tmp_path), *old[start_at : start_at + 2])
    working = [start(what, tmp_path, 0, 60) for what in ("read", "compact", "compact")]
    writers = [start("write", tmp_path, first, first + 60) for first in (1000, 2000)]
    try:
        assert [writer.wait() for writer in writers] == [0, 0]
    finally:
        (tmp_path / "stop").touch()
    assert [process.wait() for process in working] == [0, 0, 0]
    store = ReplyStore(tmp_path)
    store.compact()
    assert len(find_parts(parts_of(store)[0].parent)) == 1
    assert get(store, *range(60)) == {row.key: reply(row) for row in old}
    written = [row(n, "first of all") for n in (*range(1000, 1060), *range(2000, 2060))]
    assert store.get("verbalizations", "0123456789abcdef", [row.key for row in written]) == {
        row.key: reply(row) for row in written
    }
    assert store.verify().damaged == []


def test_threads_of_one_store_read_while_it_compacts_itself(tmp_path: Path) -> None:
    expected = fill(tmp_path, 12)
    store = ReplyStore(tmp_path)
    stop = threading.Event()

    def read() -> int:
        num_reads = 0
        while not stop.is_set() or not num_reads:
            assert read_all(store, expected) == expected
            num_reads += 1
        return num_reads

    with ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            store.compact()
        finally:
            stop.set()
        assert all(reader.result() for reader in readers)


def test_the_command_merges_and_says_what_it_did(tmp_path: Path, blpo: Blpo) -> None:
    fill(tmp_path / "store", 4)
    assert json.loads(blpo("store", "compact", "--json").out) == [
        {
            "collection": "verbalizations",
            "partition": "0123456789abcdef",
            "parts_before": 4,
            "parts_after": 1,
        }
    ]
    assert "0 partitions" in blpo("store", "compact").out
