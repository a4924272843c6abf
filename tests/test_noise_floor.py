"""The noise floor counts what a second draw changes, and a run asks for it only when told to."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from blpo.data.examples import Example, write_dataset
from blpo.data.images import ImageBounds, ImageRef
from blpo.models.engine import Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.models.roles.judge import Verdict
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.metrics.noise_floor import noise_floor
from blpo.pipeline.runs.run import Run
from ideal_engine import IdealEngine, ideal_world
from killable_run import IdealPool

TASK = "micro-unsafebench"


class UnsteadyEngine(IdealEngine):
    """The second draw of a judge's reply is "Safe" whatever the first was."""

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        replies = super().ask(requests)
        return [
            replace(reply, label_logprobs={"Safe": -0.1, "Unsafe": -3.0})
            if request.sampling.sample_index
            else reply
            for request, reply in zip(requests, replies, strict=True)
        ]


def run_on(folder: Path, engine: IdealEngine, *, asked_twice: bool) -> Run:
    os.chdir(folder)
    config = RunConfig(
        task=TASK,
        dataset=Path("data.parquet"),
        output=Path("run"),
        method="none",
        noise_floor=asked_twice,
        optimizer=OptimizerConfig(engine=EngineSettings(kind="lexicon")),
    )
    return Run(config, IdealPool(engine))


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IdealEngine:
    monkeypatch.chdir(tmp_path)
    dataset, engine = ideal_world(TASK, num_train=12, num_test=20)
    write_dataset(tmp_path / "data.parquet", [*dataset.train, *dataset.test])
    return engine


def test_flips_and_differences_are_counted_on_the_same_examples() -> None:
    image = ImageRef(b"", ImageBounds())
    examples = [Example(f"e{i}", image, None, "1", f"g{i}", None, "test") for i in range(10)]
    first = [Verdict("1", {"1": 0.9, "2": 0.1})] * 9 + [Verdict("2", {"1": 0.4, "2": 0.6})]
    second = [Verdict(None, {"1": 0.9, "2": 0.1})] + [Verdict("1", {"1": 0.8, "2": 0.2})] * 9
    found = noise_floor(examples, first, second, ("1", "2"))
    assert found.flip_rate == pytest.approx(0.2)
    assert found.accuracy == 0.0
    assert found.max_probability_change == pytest.approx(0.4)
    low, high = found.ci95["flip_rate"]
    assert 0 < low < 0.2 < high


def test_without_log_probabilities_no_change_of_probability_is_claimed() -> None:
    example = Example("e", ImageRef(b"", ImageBounds()), None, "1", "g", None, "test")
    found = noise_floor([example], [Verdict("1")], [Verdict("1")], ("1", "2"))
    assert found.max_probability_change is None


def test_a_run_asks_the_test_split_again_and_reports_the_flips(
    world: IdealEngine, tmp_path: Path
) -> None:
    engine = UnsteadyEngine(world.scenes, world.scale)
    result = run_on(tmp_path, engine, asked_twice=True).execute()
    noise = result.test.noise_floor
    assert noise is not None
    unsafe = sum(row[1] for row in result.test.final.confusion)
    assert noise.flip_rate == pytest.approx(unsafe / 20)
    assert result.calls["judge"].asked == 3 * 20
    assert "Noise floor" in (tmp_path / "run" / "report.html").read_text()


def test_a_steady_engine_has_no_noise(world: IdealEngine, tmp_path: Path) -> None:
    noise = run_on(tmp_path, world, asked_twice=True).execute().test.noise_floor
    assert noise is not None
    assert (noise.flip_rate, noise.accuracy, noise.max_probability_change) == (0.0, 0.0, 0.0)


def test_without_the_switch_a_run_makes_no_further_call(world: IdealEngine, tmp_path: Path) -> None:
    result = run_on(tmp_path, world, asked_twice=False).execute()
    assert result.test.noise_floor is None
    assert result.calls["judge"].asked == 2 * 20
    assert "Noise floor" not in (tmp_path / "run" / "report.html").read_text()
