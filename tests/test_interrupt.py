"""Ctrl-C ends a run within one batch, and keeps what was answered."""

import logging
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from blpo.models.engine import Engine, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.models.wrappers.around import AroundEngine
from blpo.models.wrappers.stopping import StoppableEngine, StopRequest
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.runs import run_many
from blpo.pipeline.runs.engine_pool import EnginePool
from ideal_runs import TASK, ideal_dataset
from waiting import wait_for


class Interrupting(AroundEngine):
    """Sends SIGINT to this process at its n-th ask, and answers once the engines are told to."""

    stop: StopRequest

    def __init__(self, engine: Engine, at: int) -> None:
        super().__init__(engine)
        self.at = at
        self.num_asks = 0
        self.num_answered = 0

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.num_asks += 1
        if self.num_asks == self.at:
            os.kill(os.getpid(), signal.SIGINT)
            wait_for(lambda: self.stop.is_made, "the stop")
        self.num_answered += len(requests)
        return super().ask(requests)


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """A shell starts its background jobs with SIGINT ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def config_of(folder: Path) -> RunConfig:
    return RunConfig.model_validate(
        {
            "task": TASK,
            "dataset": folder / "data.parquet",
            "output": folder / "run",
            "store": folder / "store",
            "optimizer": OptimizerConfig(engine=EngineSettings(kind="lexicon")),
            "algorithm": {"outer_steps": 2, "inner_steps": 1},
        }
    )


def give(patch: pytest.MonkeyPatch, engine: Interrupting) -> None:
    """Judge and verbalizer of every run are this engine."""
    original = EnginePool.engine

    def engine_of(pool: EnginePool, settings: EngineSettings) -> Engine:
        engine.stop = pool.stop
        return (
            original(pool, settings)
            if settings.kind == "lexicon"
            else StoppableEngine(engine, pool.stop)
        )

    patch.setattr(EnginePool, "engine", engine_of)


def test_an_interrupt_ends_a_run_with_the_batch_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine = Interrupting(ideal_dataset(tmp_path, num_test=8), at=3)
    give(monkeypatch, engine)
    with pytest.raises(KeyboardInterrupt):
        run_many.execute_runs([config_of(tmp_path)])
    assert engine.num_asks == 3
    assert not (tmp_path / "run" / "result.json").exists()
    told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert told[0] == "interrupted: asking no more"
    # The optimizer's replies come on top.
    kept = int(told[-1].removeprefix("run: stopped; the store keeps ").split()[0])
    assert kept >= engine.num_answered


def test_an_interrupt_after_the_last_question_lets_the_run_finish(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    counting = Interrupting(ideal_dataset(tmp_path, num_test=8), at=0)
    give(monkeypatch, counting)
    first = config_of(tmp_path)
    caplog.set_level(logging.INFO, "blpo")
    run_many.execute_runs([first])
    caplog.clear()
    run_many.execute_runs([first])
    assert caplog.messages == ["run: this run is finished: reading it back"]
    engine = Interrupting(ideal_dataset(tmp_path, num_test=8), at=counting.num_asks)
    give(monkeypatch, engine)
    again = first.model_copy(
        update={"output": tmp_path / "again", "store": tmp_path / "another-store"}
    )
    [run] = run_many.execute_runs([again])
    assert run.new_calls
    assert (tmp_path / "again" / "result.json").exists()
    assert "finished all the same" in caplog.messages[-1]
