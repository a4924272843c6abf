"""A run directory has one process at work in it."""

import fcntl
import logging
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from blpo.data.errors import ConfigError
from blpo.data.owners import hold
from blpo.models.engine import Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.runs import run_lock as module
from blpo.pipeline.runs.run import Run
from blpo.pipeline.runs.run_lock import LOCK_FILE, run_lock
from ideal_engine import IdealEngine
from ideal_runs import TASK, ideal_dataset
from killable_run import IdealPool

HOLDER = """\
import signal, sys
from pathlib import Path
from blpo.pipeline.runs.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    signal.pause()
"""


@pytest.fixture
def engine(tmp_path: Path) -> IdealEngine:
    return ideal_dataset(tmp_path, num_test=10)


def open_run(folder: Path, engine: IdealEngine, *, start_over: bool = False, **fields: Any) -> Run:
    config = RunConfig(
        task=TASK,
        dataset=folder / "data.parquet",
        output=folder / "run",
        store=folder / "store",
        optimizer=OptimizerConfig(engine=EngineSettings(kind="lexicon")),
        method="none",
        **fields,
    )
    return Run(config, IdealPool(engine), start_over=start_over)


def at_work_in(folder: Path) -> subprocess.Popen[str]:
    """A process that holds the lock of a run directory until it is killed."""
    command = [sys.executable, "-c", HOLDER, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


@pytest.mark.parametrize("start_over", [False, True])
def test_a_second_process_is_refused_until_the_first_is_gone_even_killed(
    tmp_path: Path, engine: IdealEngine, *, start_over: bool
) -> None:
    open_run(tmp_path, engine).execute()
    output = tmp_path / "run"
    before = {path: path.read_bytes() for path in output.rglob("*") if path.is_file()}
    with at_work_in(output) as other:
        refused = rf"output .*run: a run is at work there \(process {other.pid} on .+\): wait"
        with pytest.raises(ConfigError, match=refused):
            open_run(tmp_path, engine, start_over=start_over)
        assert {path: path.read_bytes() for path in before} == before
        other.send_signal(signal.SIGKILL)
    assert (output / LOCK_FILE).exists()
    open_run(tmp_path, engine, start_over=start_over).execute()
    assert not (output / LOCK_FILE).exists()


def test_a_run_keeps_others_out_for_as_long_as_it_works(
    tmp_path: Path, engine: IdealEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = list[str]()
    ask: Callable[[Sequence[Request]], list[Reply]] = engine.ask

    def look_and_ask(requests: Sequence[Request]) -> list[Reply]:
        with pytest.raises(ConfigError) as raised:
            open_run(tmp_path, engine)
        refusals.append(str(raised.value))
        return ask(requests)

    monkeypatch.setattr(engine, "ask", look_and_ask)
    open_run(tmp_path, engine).execute()
    assert refusals
    assert all("a run is at work there" in refusal for refusal in refusals)
    open_run(tmp_path, engine)


def test_a_run_that_was_started_over_by_another_since_it_was_opened_is_refused(
    tmp_path: Path, engine: IdealEngine
) -> None:
    first = open_run(tmp_path, engine)
    second = open_run(tmp_path, engine, start_over=True, seed=1)
    with pytest.raises(ConfigError, match="another run was started over there"):
        first.execute()
    assert second.execute().seed == 1


def test_who_opens_the_lock_of_a_run_that_is_just_ending_makes_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed = list[Path]()

    def hold_late(descriptor: int) -> bool:
        if not removed:
            removed.append(tmp_path / LOCK_FILE)
            removed[0].unlink()
        return hold(descriptor)

    monkeypatch.setattr(module, "hold", hold_late)
    with run_lock(tmp_path), pytest.raises(ConfigError, match="at work"), run_lock(tmp_path):
        pass
    assert removed


@pytest.mark.parametrize("dies", [True, False])
def test_a_job_that_slurm_starts_again_waits_for_the_lock_of_its_dead_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, *, dies: bool
) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    waits = list[float]()
    with at_work_in(tmp_path) as other:

        def die_at_the_third_look(seconds: float) -> None:
            waits.append(seconds)
            if dies and len(waits) == 3:
                other.kill()
                other.wait()

        monkeypatch.setattr(module.time, "sleep", die_at_the_third_look)
        if dies:
            with run_lock(tmp_path):
                assert len(waits) == 3
        else:
            with pytest.raises(ConfigError, match="at work"), run_lock(tmp_path):
                pass
            assert sum(waits) == module.RESTART_WAIT_S
        other.kill()
    (message,) = [record.message for record in caplog.records]
    assert f"process {other.pid} on {socket.gethostname()}" in message
    assert message.endswith("Waiting up to 300 s: its host may be dead")


def test_without_locks_runs_go_on_and_that_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def no_locks(*_: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    module.warn_of_no_locks.cache_clear()
    with caplog.at_level(logging.WARNING), run_lock(tmp_path), run_lock(tmp_path):
        pass
    assert [record.message for record in caplog.records] == [
        "no locks on this file system: two runs in one run directory at once are not noticed"
    ]
    assert not (tmp_path / LOCK_FILE).exists()
