"""A run is a pure function of configuration, dataset and replies, killed or not."""

import json
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from blpo.pipeline.cli.options import EXIT_STOPPED
from killable_run import make_run

SCRIPT = Path(__file__).with_name("killable_run.py")
Start = Callable[..., int]


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    """Exit code of the run of a folder in a process of its own; negative for a signal."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, SCRIPT], stdin=pipe, stdout=pipe, text=True) as server:
        yield partial(run_in, server)
        assert server.stdin is not None
        server.stdin.close()


def run_in(server: subprocess.Popen[str], folder: Path, *kill: str, method: str = "blpo") -> int:
    assert server.stdin is not None
    assert server.stdout is not None
    print(folder, method, *kill, file=server.stdin, flush=True)
    code = int(server.stdout.readline())
    assert code in {0, EXIT_STOPPED, -signal.SIGKILL}
    return code


def contents(folder: Path) -> dict[str, bytes]:
    """Bytes of every file of a run directory, less what may differ between two runs."""
    files = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "run").rglob("*"))
        if path.is_file() and path.name not in {"run_id", "ledger.jsonl"}
    }
    result = json.loads(files["run/result.json"])
    del result["seconds"]
    return files | {"run/result.json": json.dumps(result).encode()}


def asked(folder: Path) -> Counter[str]:
    return Counter((folder / "asked").read_text().split())


@pytest.fixture(scope="module")
def undisturbed(start: Start, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert start(folder) == 0
    return folder


def test_no_request_is_asked_twice(undisturbed: Path) -> None:
    assert set(asked(undisturbed).values()) == {1}


def test_killed_after_every_store_write_in_turn_it_ends_with_the_same_bytes_and_calls(
    start: Start, undisturbed: Path, tmp_path: Path
) -> None:
    kills = next(n for n in count() if start(tmp_path, "after", "1") == 0)
    assert kills > 10
    assert contents(tmp_path) == contents(undisturbed)
    assert asked(tmp_path) == asked(undisturbed)


def test_preset_plus_killed_after_every_third_store_write_ends_with_the_same_bytes(
    start: Start, tmp_path: Path
) -> None:
    folders = [tmp_path / "undisturbed", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
        (folder / "plus").touch()
    assert start(folders[0]) == 0
    kills = next(n for n in count() if start(folders[1], "after", "3") == 0)
    assert kills > 3
    assert contents(folders[1]) == contents(folders[0])
    assert asked(folders[1]) == asked(folders[0])


@pytest.mark.parametrize("write", ["1", "2", "5", "9"])
def test_killed_before_a_store_write_it_asks_again_for_nothing_that_was_answered(
    start: Start, undisturbed: Path, tmp_path: Path, write: str
) -> None:
    assert start(tmp_path, "before", write) == -signal.SIGKILL
    assert asked(tmp_path) < asked(undisturbed)
    assert start(tmp_path) == 0
    assert contents(tmp_path) == contents(undisturbed)
    assert asked(tmp_path) == asked(undisturbed)


@pytest.mark.parametrize("write", ["1", "4", "9"])
def test_asked_to_stop_it_stores_what_is_in_flight_and_repeats_no_call(
    start: Start, undisturbed: Path, tmp_path: Path, write: str
) -> None:
    assert start(tmp_path, "stop", write) == EXIT_STOPPED
    assert asked(tmp_path) < asked(undisturbed)
    assert start(tmp_path) == 0
    assert contents(tmp_path) == contents(undisturbed)
    assert asked(tmp_path) == asked(undisturbed)


def test_a_killed_baseline_ends_as_if_it_had_never_been_killed(
    start: Start, tmp_path: Path
) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for folder in (undisturbed, killed):
        folder.mkdir()
    assert start(undisturbed, method="apo") == 0
    for kill in (("after", "3"), ("before", "4"), ("after", "9")):
        assert start(killed, *kill, method="apo") == -signal.SIGKILL
    assert start(killed, method="apo") == 0
    assert contents(killed) == contents(undisturbed)
    assert asked(killed) == asked(undisturbed)


def test_a_finished_run_replays_without_asking_and_changes_no_file(undisturbed: Path) -> None:
    before = contents(undisturbed)
    times = {path: path.stat().st_mtime_ns for path in (undisturbed / "run").rglob("*")}
    calls = asked(undisturbed)
    run = make_run(undisturbed)
    run.execute()
    assert contents(undisturbed) == before
    assert asked(undisturbed) == calls
    assert {path: path.stat().st_mtime_ns for path in (undisturbed / "run").rglob("*")} == times
    assert sum(ledger.session.calls for ledger in run.ledgers.values()) == 0


def test_the_result_counts_every_call_as_new_or_from_the_store(undisturbed: Path) -> None:
    calls = json.loads((undisturbed / "run" / "result.json").read_text())["calls"]
    assert all(c["asked"] == c["new"] + c["from_store"] for c in calls.values())
    engine_calls = calls["judge"]["new"] + calls["verbalizer"]["new"]
    assert engine_calls == asked(undisturbed).total()


def test_a_run_of_another_directory_over_the_same_store_asks_nothing(
    undisturbed: Path, tmp_path: Path
) -> None:
    (tmp_path / "store").symlink_to(undisturbed / "store")
    run = make_run(tmp_path)
    result = run.execute()
    assert not (tmp_path / "asked").exists()
    assert all(counts.new == 0 for counts in result.calls.values())
