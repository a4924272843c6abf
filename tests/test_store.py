"""The reply store: durable, lock-free, and the same answer for every reader."""

import hashlib
import math
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from blpo.data.arrow import pq
from blpo.data.errors import StoreError
from blpo.data.store import part_names, partition, parts
from blpo.data.store.key_index import KeyIndex, key_prefixes, parts_and_rows, places_of
from blpo.data.store.part_names import Part, find_parts, single
from blpo.data.store.parts import ROWS_PER_GROUP
from blpo.data.store.replies import SCHEMA, ReplyRow, StoredReply
from blpo.data.store.store import ReplyStore
from msgspec.structs import replace
from waiting import LIMIT_S, wait_for

PARTITION = "0123456789abcdef"


def key(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def row(number: int, text: str = "a red square") -> ReplyRow:
    return ReplyRow(
        key=key(number),
        run_id="run-1",
        role="verbalizer",
        prompt="Describe {this} image.",
        example_text=None,
        image_digest=key(-number),
        min_pixels=3136,
        max_pixels=1048576,
        labels=(),
        engine="vllm",
        engine_version="vllm 0.32.0",
        model="micro",
        revision="abc",
        layout="image-first-1",
        settings="float32",
        max_tokens=256,
        temperature=0.0,
        sample_index=0,
        text=text,
        label_logprobs=None,
        label_mass=None,
        finish_reason="stop",
        error=None,
        prompt_tokens=31,
        completion_tokens=200,
        cached_tokens=16,
        time=datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC),
    )


def parts_of(store: ReplyStore) -> list[Path]:
    return sorted(store.root.glob("verbalizations/*/part-*.parquet"))


def put(store: ReplyStore, *rows: ReplyRow) -> None:
    store.put("verbalizations", PARTITION, rows)


def get(store: ReplyStore, *numbers: int) -> dict[str, StoredReply]:
    return store.get("verbalizations", PARTITION, [key(number) for number in numbers])


def reply(row: ReplyRow) -> StoredReply:
    """What the store gives back for a row."""
    return StoredReply(**{name: getattr(row, name) for name in StoredReply.__struct_fields__})


def test_rows_come_back_as_they_were_put(tmp_path: Path) -> None:
    verdict = replace(
        row(3),
        labels=("Safe", "Unsafe"),
        label_logprobs=[math.log(1 / 3), -1e-300],
        label_mass=0.1 + 0.2,
        example_text="ein Fuchs 🦊\n",
        error="",
    )
    put(ReplyStore(tmp_path), row(1), row(2))
    put(ReplyStore(tmp_path), verdict)
    found = get(ReplyStore(tmp_path), 3, 9, 1, 3)
    assert found == {key(3): reply(verdict), key(1): reply(row(1))}


def test_the_writer_finds_its_own_rows(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path)
    assert get(store, 1) == {}
    put(store, row(1))
    assert get(store, 1, 2) == {key(1): reply(row(1))}


def test_a_reader_finds_what_another_store_put_after_its_last_miss(tmp_path: Path) -> None:
    reader, writer = ReplyStore(tmp_path), ReplyStore(tmp_path)
    for number in range(20):
        assert get(reader, number) == {}
        put(writer, row(number))
        assert get(reader, number) == {key(number): reply(row(number))}


def test_an_empty_put_writes_nothing(tmp_path: Path) -> None:
    ReplyStore(tmp_path / "store").put("verdicts", PARTITION, [])
    assert not (tmp_path / "store").exists()


def test_partitions_and_collections_lie_in_named_folders(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path)
    store.put("verdicts", "aa", [row(1)])
    store.put("proposals", "bb", [row(2)])
    assert (tmp_path / "verdicts" / "judge=aa" / "part-00000001.parquet").is_file()
    assert (tmp_path / "proposals" / "optimizer=bb" / "part-00000001.parquet").is_file()
    assert store.get("verdicts", "bb", [key(2)]) == {}
    with pytest.raises(ValueError, match="plain name"):
        store.get("verdicts", "../aa", [key(1)])


def test_any_parquet_reader_reads_a_whole_collection(tmp_path: Path) -> None:
    put(ReplyStore(tmp_path), row(1), row(2))
    frame = pl.read_parquet(tmp_path / "verbalizations" / "**" / "*.parquet")
    assert frame.select("prompt", "text").row(0) == ("Describe {this} image.", "a red square")
    assert frame.columns[: len(SCHEMA.names)] == SCHEMA.names


def test_of_two_rows_with_one_key_every_reader_takes_the_one_that_was_there_first(
    tmp_path: Path,
) -> None:
    first, second = ReplyStore(tmp_path), ReplyStore(tmp_path)
    assert get(first, 1) == get(second, 1) == {}
    put(first, row(1, "first"))
    put(second, row(1, "second"))
    for store in (first, second, ReplyStore(tmp_path)):
        assert get(store, 1)[key(1)].text == "first"


def test_a_part_larger_than_a_row_group_is_found_throughout(tmp_path: Path) -> None:
    rows = [row(number, f"text {number}") for number in range(ROWS_PER_GROUP + 10)]
    put(ReplyStore(tmp_path), *rows)
    numbers = [0, ROWS_PER_GROUP - 1, ROWS_PER_GROUP, ROWS_PER_GROUP + 9]
    found = get(ReplyStore(tmp_path), *numbers)
    assert [found[key(number)].text for number in numbers] == [f"text {n}" for n in numbers]


def test_the_key_index_keeps_the_first_place_across_folds() -> None:
    index = KeyIndex()
    prefixes = key_prefixes([key(number) for number in range(70_000)])
    index.add(np.append(prefixes, prefixes[:10]), places_of(1, [70_000, 10]))
    index.add(key_prefixes([key(70_000)]), places_of(3, [1]))
    index.add(key_prefixes([]), places_of(4, []))
    assert len(index) == 70_001
    found, rows = parts_and_rows(index.find(prefixes))
    assert set(found.tolist()) == {1}
    assert rows.tolist() == list(range(70_000))
    assert index.find(key_prefixes([key(70_000), key(70_001)])).tolist() == [3 << 32, -1]


def test_threads_put_and_get_at_once(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path)

    def work(worker: int) -> int:
        for number in range(worker * 10, worker * 10 + 10):
            put(store, row(number))
            assert get(store, number)[key(number)] == reply(row(number))
        return len(get(store, *range(80)))

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(8))) == 80
    found = find_parts(parts_of(store)[0].parent)
    assert found == [single(number) for number in range(1, len(found) + 1)]


def put_while_one_writes(
    store: ReplyStore, monkeypatch: pytest.MonkeyPatch, first: ReplyRow, others: list[ReplyRow]
) -> list[Future[dict[str, StoredReply]]]:
    """The first row is being written while threads put the others."""
    entered, go_on = threading.Event(), threading.Event()
    original = partition.write_part

    def slow_write(*args: Any) -> int:
        entered.set()
        assert go_on.wait(20)
        return original(*args)

    def put_one(row: ReplyRow) -> dict[str, StoredReply]:
        return store.put("verbalizations", PARTITION, [row])

    monkeypatch.setattr(partition, "write_part", slow_write)
    with ThreadPoolExecutor(1 + len(others)) as pool:
        puts = [pool.submit(put_one, first)]
        assert entered.wait(20)
        puts += [pool.submit(put_one, other) for other in others]
        pending = store._partition("verbalizations", PARTITION)  # pyright: ignore[reportPrivateUsage]
        while len(pending.__dict__["_pending"]) < len(others):
            time.sleep(0.01)
        go_on.set()
    return puts


def test_what_threads_put_while_one_writes_becomes_one_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ReplyStore(tmp_path)
    later = [row(number, "later") for number in (0, 1, 2, 3)]
    first, *others = put_while_one_writes(store, monkeypatch, row(0, "first"), later)
    assert first.result() == {key(0): row(0, "first")}
    assert others[0].result() == {key(0): reply(row(0, "first"))}
    for number, other in enumerate(others[1:], start=1):
        assert other.result() == {key(number): row(number, "later")}
    assert len(parts_of(store)) == 2


def test_rows_that_cannot_be_written_stop_no_other_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ReplyStore(tmp_path)
    later = [row(1), row(2, "\ud800"), row(3)]
    puts = put_while_one_writes(store, monkeypatch, row(0), later)
    assert isinstance(puts[2].exception(), UnicodeEncodeError)
    assert get(ReplyStore(tmp_path), 0, 1, 2, 3) == {key(i): reply(row(i)) for i in (0, 1, 3)}


def test_after_rows_that_cannot_be_written_others_can(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path)
    with pytest.raises(UnicodeEncodeError):
        put(store, row(1, "\ud800"))
    put(store, row(1))
    assert get(store, 1) == {key(1): reply(row(1))}


def test_two_writers_never_share_a_part_number_without_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(parts.os, "link", refuse)

    def put_ten(first: int) -> None:
        store = ReplyStore(tmp_path)  # its own: what threads put into one may share a part
        for number in range(first, first + 10):
            put(store, row(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(put_ten, range(0, 40, 10)))
    assert len(get(ReplyStore(tmp_path), *range(40))) == 40
    assert len(parts_of(ReplyStore(tmp_path))) == 40


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from blpo.data.store.store import ReplyStore
from test_store import get, put, row

store = ReplyStore(Path(sys.argv[1]))
print("ready", flush=True)
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    put(store, row(number, f"by {{sys.argv[4]}}"))
    assert row(number).key in get(store, number)
    print(number, flush=True)
"""


def start_writer(root: Path, start: int, end: int, name: str) -> subprocess.Popen[str]:
    code = WRITER.format(tests=str(Path(__file__).parent))
    arguments = [sys.executable, "-c", code, str(root), str(start), str(end), name]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_a_killed_writer_loses_nothing_it_had_put_and_leaves_no_half_part(tmp_path: Path) -> None:
    reader = ReplyStore(tmp_path)
    for attempt in range(3):
        start = attempt * 100_000
        writer = start_writer(tmp_path, start, start + 100_000, "victim")
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        done: list[int] = []
        while len(done) <= 10 * attempt:
            done.append(int(writer.stdout.readline()))
            assert len(get(reader, start, *done, start + 50_000)) == len(done)
        writer.send_signal(signal.SIGKILL)
        done += [int(line) for line in writer.stdout.read().splitlines()]
        writer.wait()
        assert len(get(reader, *done)) == len(done)
    assert reader.verify().damaged == []
    assert reader.verify().leftovers == []


def test_processes_that_write_one_partition_at_once_agree_on_every_row(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path, 0, 12, f"writer {name}") for name in range(2)]
    reader = ReplyStore(tmp_path)
    seen: dict[str, StoredReply] = {}
    while any(writer.poll() is None for writer in writers):
        found = get(reader, *range(12))
        assert all(found[key] == seen[key] for key in seen)
        seen = found
    assert [writer.wait() for writer in writers] == [0, 0]
    assert get(reader, *range(12)) == get(ReplyStore(tmp_path), *range(12))
    assert len(get(reader, *range(12))) == 12
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.close()


def test_a_part_cut_off_in_the_middle_is_named_and_moved_aside(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path)
    put(store, row(1))
    put(store, row(2))
    cut = parts_of(store)[0]
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    with pytest.raises(StoreError, match=r"part-00000001.parquet.*blpo store verify --quarantine"):
        get(ReplyStore(tmp_path), 2)
    with pytest.raises(StoreError, match=r"part-00000001.parquet"):
        store.stats()
    verification = store.verify()
    assert verification.num_parts == 2
    assert [part.path for part in verification.damaged] == [cut]
    moved = store.quarantine(verification.damaged)
    assert moved == [tmp_path / "quarantine" / cut.relative_to(tmp_path)]
    assert get(store, 1, 2) == {key(2): reply(row(2))}
    put(ReplyStore(tmp_path), row(1))
    assert [path.name for path in parts_of(store)] == [
        "part-00000002.parquet",
        "part-00000003.parquet",
    ]
    assert store.verify().damaged == []
    assert store.quarantine(verification.damaged) == []


def test_replies_far_apart_and_side_by_side_are_all_found(tmp_path: Path) -> None:
    rows = [row(number, f"{number} " * (1 + number % 7) ** 4) for number in range(900)]
    put(ReplyStore(tmp_path), *rows)
    for numbers in (range(900), range(0, 900, 13), [5, 6, 7, 400, 899]):
        found = get(ReplyStore(tmp_path), *numbers)
        assert found == {key(number): reply(rows[number]) for number in numbers}


def test_long_replies_side_by_side_are_all_found(tmp_path: Path) -> None:
    rows = [row(number, f"{number} ä " * 300_000) for number in range(6)]
    put(ReplyStore(tmp_path), *rows)
    assert get(ReplyStore(tmp_path), *range(6)) == {key(i): reply(rows[i]) for i in range(6)}


def test_a_key_that_begins_like_a_stored_one_is_not_stored(tmp_path: Path) -> None:
    put(ReplyStore(tmp_path), row(1), row(2))
    other = key(1)[:16] + key(3)[16:]
    found = ReplyStore(tmp_path).get("verbalizations", PARTITION, [key(2), other])
    assert found == {key(2): reply(row(2))}


def test_replies_with_and_without_log_probabilities_lie_in_one_part(tmp_path: Path) -> None:
    rows = [
        replace(row(number), labels=("1", "2"), label_logprobs=logprobs, run_id=f"run{number % 2}")
        for number, logprobs in enumerate([[-0.5, -1.0], None, [-math.inf, 0.0]])
    ]
    put(ReplyStore(tmp_path), *rows)
    put(ReplyStore(tmp_path), row(3))
    for store in (ReplyStore(tmp_path), compacted(tmp_path)):
        found = get(store, 3, 2, 1, 0)
        assert found == {key(number): reply(r) for number, r in enumerate([*rows, row(3)])}


def compacted(root: Path) -> ReplyStore:
    store = ReplyStore(root)
    assert store.compact()
    return store


def test_a_part_rewritten_by_another_program_is_named(tmp_path: Path) -> None:
    put(ReplyStore(tmp_path), row(1))
    (part,) = parts_of(ReplyStore(tmp_path))
    pq.write_table(pq.read_table(part), part)
    with pytest.raises(StoreError, match=r"part-00000001.*it has no checksums"):
        get(ReplyStore(tmp_path), 1)


def test_a_part_moved_aside_by_another_process_is_no_error(tmp_path: Path) -> None:
    reader = ReplyStore(tmp_path)
    put(ReplyStore(tmp_path), *(row(number) for number in range(3)))
    put(ReplyStore(tmp_path), row(7))
    assert get(reader, 7, 8) == {key(7): reply(row(7))}
    parts_of(reader)[0].unlink()
    assert get(reader, 0, 7) == {key(7): reply(row(7))}


def test_an_empty_file_is_passed_over_by_readers_and_named_by_verify(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path)
    put(store, row(1))
    empty = parts_of(store)[0].with_name("part-00000002.parquet")
    empty.touch()
    put(store, row(3))
    assert get(ReplyStore(tmp_path), 1, 3).keys() == {key(1), key(3)}
    assert [(part.path, part.reason) for part in store.verify().damaged] == [
        (empty, "empty, 0 bytes")
    ]


def test_only_old_temporary_files_are_leftovers(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path)
    put(store, row(1))
    old, young = (parts_of(store)[0].with_name(f".part.{name}.tmp") for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"PAR1")
    os.utime(old, (time.time() - 4000, time.time() - 4000))
    assert list(get(ReplyStore(tmp_path), 1)) == [key(1)]
    leftovers = store.verify().leftovers
    assert leftovers == [old]
    store.remove_leftovers(leftovers)
    assert young.exists()
    assert not old.exists()


def test_stats_count_rows_keys_parts_and_bytes(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path)
    assert store.stats() == []
    put(store, row(1), row(2))
    put(ReplyStore(tmp_path), row(2))
    (stats,) = store.stats()
    assert (stats.collection, stats.partition) == ("verbalizations", PARTITION)
    assert (stats.num_rows, stats.num_keys, stats.num_parts) == (3, 2, 2)
    assert stats.num_bytes == sum(path.stat().st_size for path in parts_of(store))


def test_a_store_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(StoreError, match="cannot write to the store"):
        put(ReplyStore(tmp_path / "store"), row(1))


@pytest.mark.parametrize(
    ("listings", "found"),
    [
        # A part that appeared while the first listing ran: nothing above the first counts yet.
        (["3 1", "1 2 3 5"], "1 2 3"),
        # A merge that ended while the first listing ran.
        (["1 2 6", "1-5 6"], "1-5 6"),
        # Parts moved aside leave their gap.
        (["1 3", "3 1 4"], "1 3"),
        # What a merged part covers counts no more; what only overlaps it does.
        (["1-5 3 5-7 2-3"], "1-5 5-7"),
    ],
)
def test_a_listing_with_gaps_counts_once_another_confirms_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, listings: list[str], found: str
) -> None:
    remaining = iter(listings)

    def listdir(_: Path) -> list[str]:
        return [part.name for part in named_parts(next(remaining))]

    monkeypatch.setattr(part_names.os, "listdir", listdir)
    assert find_parts(tmp_path) == named_parts(found)
    assert not list(remaining)


def named_parts(text: str) -> list[Part]:
    numbers = [name.split("-") for name in text.split()]
    return [Part(int(ends[0]), int(ends[-1])) for ends in numbers]


def test_many_threads_waiting_on_one_cold_partition_all_get_their_rows(tmp_path: Path) -> None:
    for start in range(0, 60, 3):
        put(ReplyStore(tmp_path), *(row(number) for number in range(start, start + 3)))
    store = ReplyStore(tmp_path)
    barrier = threading.Barrier(6)

    def read(_: int) -> int:
        barrier.wait()
        return len(get(store, *range(60)))

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(read, range(6))) == [60] * 6


def test_ctrl_c_reaches_a_waiting_main_thread_after_parts_were_scanned(tmp_path: Path) -> None:
    store = ReplyStore(tmp_path)
    put(store, row(1))
    code = (
        "import signal, sys, threading\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from blpo.data.frames import pl\n"
        "pl.scan_parquet(sys.argv[1]).collect()\n"
        "try:\n    print('waiting', flush=True)\n    threading.Event().wait()\n"
        "except KeyboardInterrupt:\n    print('interrupted')\n"
    )
    command = [sys.executable, "-c", code, str(parts_of(store)[0])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout is not None
        assert waiting.stdout.readline() == "waiting\n"
        main_thread = Path(f"/proc/{waiting.pid}/task/{waiting.pid}/stat")
        wait_for(lambda: ") S " in main_thread.read_text(), "a main thread that sleeps")
        waiting.send_signal(signal.SIGINT)
        try:
            assert waiting.communicate(timeout=LIMIT_S)[0] == "interrupted\n"
        finally:
            waiting.kill()
