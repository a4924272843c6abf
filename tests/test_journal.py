"""Journals: what has been received outlives its process, and nothing is made of damage."""

import fcntl
import logging
import os
import signal
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from blpo.data.arrow import is_temporary
from blpo.data.errors import NewerStoreError, StoreError
from blpo.data.store import journal as journal_module
from blpo.data.store.journal import Contents, read_journal
from blpo.data.store.replies import SCHEMA, ReplyRow
from blpo.data.store.store import ReplyStore
from command_line import Blpo
from test_store import PARTITION, get, key, put, reply, row
from test_store_errors import failed
from waiting import wait_for

Batch = Mapping[str, Sequence[ReplyRow]]

BATCHES: list[Batch] = [
    {PARTITION: [row(1), row(2, "naïve \N{GRINNING FACE}")]},
    {PARTITION: [row(3)], "fedcba9876543210": [row(4), failed(5, "refused")]},
]


def journals(root: Path) -> list[Path]:
    return sorted((root / "journals").glob("*.journal"))


def left_by_a_killed_writer(root: Path, batches: Sequence[Batch] = BATCHES) -> Path:
    """The journal of a writer that has not ended its work."""
    before = journals(root)
    with ReplyStore(root).journal() as journal:
        for batch in batches:
            journal.append("verbalizations", batch)
    (path,) = set(journals(root)) - {*before}
    return path


def rows_of(contents: Contents) -> list[tuple[str, ReplyRow]]:
    return [(record.partition, row) for record in contents.records for row in record.rows]


def rows_in(batches: Sequence[Batch]) -> list[tuple[str, ReplyRow]]:
    return [(name, row) for batch in batches for name, rows in batch.items() for row in rows]


def test_rows_are_in_the_journal_until_they_are_in_a_part(tmp_path: Path) -> None:
    with ReplyStore(tmp_path).journal() as journal:
        journal.append("verbalizations", {PARTITION: [row(1)]})
        (path,) = journals(tmp_path)
        assert rows_of(read_journal(path)) == [(PARTITION, row(1))]
        journal.clear()
        assert rows_of(read_journal(path)) == []
        journal.append("verbalizations", {PARTITION: [row(2)]})
        assert rows_of(read_journal(path)) == [(PARTITION, row(2))]
        journal.clear()
    assert journals(tmp_path) == []


def test_who_misses_a_key_finds_what_a_killed_writer_had_received(tmp_path: Path) -> None:
    left_by_a_killed_writer(tmp_path)
    put(ReplyStore(tmp_path), row(7))
    store = ReplyStore(tmp_path)
    assert get(store, 7) == {key(7): reply(row(7))}
    assert len(journals(tmp_path)) == 1, "nothing was missing"
    expected = {key(n): reply(r) for n, r in ((1, row(1)), (2, BATCHES[0][PARTITION][1]))}
    assert get(store, 1, 2, 8) == expected
    assert journals(tmp_path) == []
    assert get(ReplyStore(tmp_path), 1, 2) == expected
    assert sum(partition.num_rows for partition in store.stats()) == 6
    assert [partition.errors for partition in store.stats()] == [{}, {"refused": 1}]


def test_rows_that_are_in_a_part_and_in_a_journal_count_once(tmp_path: Path) -> None:
    put(ReplyStore(tmp_path), *BATCHES[0][PARTITION])
    left_by_a_killed_writer(tmp_path, BATCHES[:1])
    store = ReplyStore(tmp_path)
    assert set(get(store, 1, 2, 3)) == {key(1), key(2)}
    assert journals(tmp_path) == []
    assert [partition.num_rows for partition in store.stats()] == [2]


def test_compaction_and_forgetting_take_journals_up_first(tmp_path: Path) -> None:
    left_by_a_killed_writer(tmp_path, [{PARTITION: [failed(1, "request"), row(2)]}])
    assert ReplyStore(tmp_path).forget_errors() == 1
    left_by_a_killed_writer(tmp_path, [{PARTITION: [row(3)]}])
    (done,) = ReplyStore(tmp_path).compact()
    assert (done.parts_before, done.parts_after) == (3, 1)
    assert journals(tmp_path) == []
    assert set(get(ReplyStore(tmp_path), 1, 2, 3)) == {key(2), key(3)}


def test_cut_off_at_any_byte_a_journal_gives_its_whole_records_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = left_by_a_killed_writer(tmp_path)
    data = path.read_bytes()
    whole = [0]
    found: list[tuple[str, ReplyRow]] = []
    for size in range(len(data) + 1):
        path.write_bytes(data[:size])
        contents = read_journal(path)
        if contents.num_cut_off == 0:
            whole.append(size)
        assert contents.num_cut_off == size - whole[-1]
        assert rows_of(contents)[: len(found)] == found
        found = rows_of(contents)
    assert found == rows_in(BATCHES)
    assert len(whole) == 6, "the head, and a record for each partition of a batch"
    path.write_bytes(data[:-5])
    with caplog.at_level(logging.WARNING):
        assert set(get(ReplyStore(tmp_path), 1, 2, 3)) == {key(1), key(2), key(3)}
    assert f"the last {whole[-1] - whole[-2] - 5} bytes are no whole record" in caplog.text


def test_a_flipped_bit_is_found_wherever_it_is(tmp_path: Path) -> None:
    path = left_by_a_killed_writer(tmp_path)
    data = path.read_bytes()
    for bit in range(0, 8 * len(data), 37):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        with pytest.raises(OSError, match=r"^its bytes from [\d,]+ on "):
            read_journal(path)


def test_zeros_behind_the_last_record_are_what_a_power_cut_leaves(tmp_path: Path) -> None:
    path = left_by_a_killed_writer(tmp_path)
    path.write_bytes(path.read_bytes() + bytes(4096))
    contents = read_journal(path)
    assert (rows_of(contents), contents.num_cut_off) == (rows_in(BATCHES), 4096)


def test_a_damaged_journal_is_named_found_by_verify_and_moved_aside(
    tmp_path: Path, blpo: Blpo
) -> None:
    path = left_by_a_killed_writer(tmp_path)
    left_by_a_killed_writer(tmp_path, [{PARTITION: [row(6)]}])
    path.write_bytes(path.read_bytes().replace(b"a red square", b"a rod square", 1))
    with pytest.raises(StoreError, match=f"{path}: damaged journal .*verify --quarantine"):
        get(ReplyStore(tmp_path), 1)
    told = blpo("store", "verify", "--store", f"{tmp_path}")
    assert told.code == 1
    lines = " ".join(told.out.split())
    assert f"damaged: {path}" in lines
    assert "1 replies of killed runs wait in journals" in lines
    assert blpo("store", "verify", "--quarantine", "--store", f"{tmp_path}").code == 0
    assert (tmp_path / "quarantine" / "journals" / path.name).exists()
    assert set(get(ReplyStore(tmp_path), 1, 6)) == {key(6)}


def test_a_newer_journal_is_refused_and_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_by_a_killed_writer(tmp_path)
    known = [name for name in SCHEMA.names if name != "text"]
    monkeypatch.setattr(journal_module, "_COLUMNS", known)
    for look in (lambda: get(ReplyStore(tmp_path), 1), lambda: ReplyStore(tmp_path).verify()):
        with pytest.raises(NewerStoreError, match="column text of a newer blpo"):
            look()
    assert len(journals(tmp_path)) == 1


@contextmanager
def forked(work: Callable[[Callable[[bytes], int]], object]) -> Generator[tuple[int, int]]:
    """A child that does some work, given how to tell something: its process, and where it tells.

    It is killed in the end.
    """
    told, tell = os.pipe()
    if (child := os.fork()) == 0:
        try:
            work(lambda data: os.write(tell, data))
        finally:
            os._exit(0)
    os.close(tell)
    try:
        yield child, told
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(told)


def test_the_journal_of_a_process_is_taken_up_when_it_is_dead_and_not_before(
    tmp_path: Path,
) -> None:
    def write(tell: Callable[[bytes], int]) -> None:
        with ReplyStore(tmp_path).journal() as journal:
            journal.append("verbalizations", BATCHES[0])
            tell(b"written")
            signal.pause()

    with forked(write) as (_, told):
        assert os.read(told, 9) == b"written"
        assert get(ReplyStore(tmp_path), 1, 2) == {}
        assert ReplyStore(tmp_path).verify().num_waiting == 0
    assert ReplyStore(tmp_path).verify().num_waiting == 2
    assert set(get(ReplyStore(tmp_path), 1, 2)) == {key(1), key(2)}


def test_a_writer_of_this_process_keeps_its_journal_too(tmp_path: Path) -> None:
    with ReplyStore(tmp_path).journal() as journal:
        journal.append("verbalizations", {PARTITION: [row(1)]})
        assert get(ReplyStore(tmp_path), 1) == {}
        assert len(journals(tmp_path)) == 1


def test_a_forked_child_does_not_own_the_journals_of_its_parent(tmp_path: Path) -> None:
    def live_on(tell: Callable[[bytes], int]) -> None:
        tell(b"alive")
        signal.pause()

    with ExitStack() as child:
        with ReplyStore(tmp_path).journal() as journal:
            journal.append("verbalizations", {PARTITION: [row(1)]})
            _, told = child.enter_context(forked(live_on))
            assert os.read(told, 9) == b"alive"
        assert set(get(ReplyStore(tmp_path), 1)) == {key(1)}


def test_who_looks_while_another_takes_journals_up_waits_for_it(tmp_path: Path) -> None:
    left_by_a_killed_writer(tmp_path)
    turn = os.open(tmp_path / "journals" / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(turn, fcntl.LOCK_EX)

    def look(tell: Callable[[bytes], int]) -> None:
        os.close(turn)
        tell(f"{len(get(ReplyStore(tmp_path), 1, 2))} found".encode())

    with forked(look) as (child, told):
        wait_for(lambda: waits_for_a_lock(child), "the child to wait")
        put(ReplyStore(tmp_path), *BATCHES[0][PARTITION])
        for path in journals(tmp_path):
            path.unlink()
        os.close(turn)
        assert os.read(told, 9) == b"2 found"


def waits_for_a_lock(process: int) -> bool:
    lines = Path("/proc/locks").read_text().splitlines()
    return any("->" in line and f" {process} " in line for line in lines)


def test_without_locks_nothing_is_kept_nothing_fails_and_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left_by_a_killed_writer(tmp_path)

    def no_locks(*_: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with caplog.at_level(logging.WARNING), ReplyStore(tmp_path).journal() as journal:
        for batch in BATCHES:
            journal.append("verbalizations", batch)
            journal.clear()
    assert caplog.text.count("no locks on this file system") == 1
    assert get(ReplyStore(tmp_path), 1) == {}
    assert len(journals(tmp_path)) == 1
    assert not [path for path in (tmp_path / "journals").iterdir() if is_temporary(path.name)]


def test_when_the_store_is_moved_the_next_rows_go_where_its_parts_go(tmp_path: Path) -> None:
    root, moved = tmp_path / "store", tmp_path / "moved"
    with ReplyStore(root).journal() as journal:
        journal.append("verbalizations", {PARTITION: [row(1)]})
        root.rename(moved)
        put(ReplyStore(root), row(1))
        journal.clear()
        journal.append("verbalizations", {PARTITION: [row(2)]})
    assert set(get(ReplyStore(root), 1, 2)) == {key(1), key(2)}
    assert get(ReplyStore(moved), 1) == {}
    assert journals(moved) == []


def test_a_full_disk_is_a_named_error_and_what_was_noted_before_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write = os.write

    def some_of_it(descriptor: int, data: bytes) -> int:
        if len(data) < 200:
            raise OSError(28, "No space left on device")
        return real_write(descriptor, data[:-150])

    with ReplyStore(tmp_path).journal() as journal:
        journal.append("verbalizations", BATCHES[0])
        monkeypatch.setattr(os, "write", some_of_it)
        with pytest.raises(StoreError, match=r"cannot write to the store .*No space left"):
            journal.append("verbalizations", BATCHES[1])
        monkeypatch.undo()
    assert set(get(ReplyStore(tmp_path), 1, 2, 3, 4)) == {key(1), key(2), key(3)}


def test_where_nothing_can_be_written_journals_stay_and_what_is_in_parts_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    left_by_a_killed_writer(tmp_path)
    put(ReplyStore(tmp_path), row(7))
    real_open = os.open

    def read_only(path: str | Path, flags: int, *mode: int, **options: int) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(30, "Read-only file system", str(path))
        return real_open(path, flags, *mode, **options)

    def no_part(*_: object) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(os, "open", read_only)
    monkeypatch.setattr("blpo.data.store.partition.write_part", no_part)
    with caplog.at_level(logging.WARNING):
        assert get(ReplyStore(tmp_path), 7, 1) == {key(7): reply(row(7))}
    assert "5 replies of killed runs stay there" in caplog.text
    assert ReplyStore(tmp_path).verify().num_waiting == 5
    monkeypatch.undo()
    assert set(get(ReplyStore(tmp_path), 7, 1)) == {key(7), key(1)}
