"""Every method through a whole run on the ideal engine, with and without a budget."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from blpo.data.errors import ConfigError
from blpo.data.examples import write_dataset
from blpo.models.engines.settings import EngineSettings
from blpo.models.roles.judges import num_requests
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.methods.registry import SEARCHES
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.runs.run import Run
from ideal_engine import ideal_world
from ideal_runs import criteria_task
from killable_run import IdealPool

NUM_TEST = 16
SEARCHING = [method for method in SEARCHES if method != "none"]


def make_run(folder: Path, method: str, **fields: Any) -> Run:
    dataset, engine = ideal_world("micro-unsafebench", num_train=24, num_test=NUM_TEST)
    path = folder / "data.parquet"
    of_criteria = SEARCHES[method].rewrites_criteria
    folder.mkdir(exist_ok=True)
    if not path.exists():
        write_dataset(path, [*dataset.train, *dataset.test])
    config = RunConfig.model_validate(
        {
            "task": criteria_task(folder) if of_criteria else "micro-unsafebench",
            "dataset": path,
            "output": folder / "run",
            "store": folder / "store",
            "method": method,
            "optimizer": OptimizerConfig(engine=EngineSettings(kind="lexicon")),
            "algorithm": {"outer_steps": 2, "inner_steps": 2},
            "opro": {"steps": 3, "proposals": 4},
            "apo": {"rounds": 2, "minibatch_size": 12, "bandit_rounds": 3},
            "textgrad": {"steps": 3},
        }
        | fields
    )
    return Run(config, IdealPool(engine))


def steps_of(run: Run) -> list[dict[str, Any]]:
    files = sorted((run.config.output / "steps").glob("step-*.json"))
    return [json.loads(file.read_text()) for file in files]


@pytest.mark.parametrize("method", SEARCHING)
def test_every_step_says_what_was_asked_for_until_then_and_leads_to_the_next(
    tmp_path: Path, method: str
) -> None:
    run = make_run(tmp_path, method)
    result = run.execute()
    steps = steps_of(run)
    assert [step["step"] for step in steps] == list(range(len(steps)))
    for one, following in pairwise(steps):
        assert one["next_judge_prompt"] == following["judge_prompt"]
        assert one["calls"]["judge"] < following["calls"]["judge"]
    assert steps[0]["judge_prompt"] == run.judge_prompt
    assert steps[-1]["next_judge_prompt"] == result.judge_prompt_final
    num_tested = 2 * NUM_TEST * num_requests(run.task, "both")
    assert steps[-1]["calls"]["judge"] == result.calls["judge"].asked - num_tested
    assert steps[-1]["calls"]["optimizer"] == result.calls["optimizer"].asked > 0
    assert steps[-1]["train"]["n"] > 0
    assert result.stopped is None
    assert sum(calls.asked for calls in result.calls.values()) <= run.expected_calls
    assert "Step 0" in (run.config.output / "report.html").read_text()


@pytest.mark.parametrize("method", SEARCHING)
def test_a_budget_stops_every_search_at_the_same_place_and_leaves_the_final_test_alone(
    tmp_path: Path, method: str
) -> None:
    run = make_run(tmp_path, method, budget={"judge_calls": 20})
    result = run.execute()
    assert result.calls["judge"].asked <= 20 + 2 * NUM_TEST * num_requests(run.task, "both")
    assert result.test.final.n == NUM_TEST
    assert result.stopped is not None
    assert "of 20 judge calls asked" in result.stopped
    again = make_run(tmp_path, method, budget={"judge_calls": 20})
    assert again.execute() == result
    assert all(ledger.session.calls == 0 for ledger in again.ledgers.values())


def test_a_budget_of_optimizer_calls_is_kept_too(tmp_path: Path) -> None:
    run = make_run(tmp_path, "blpo", budget={"optimizer_calls": 7})
    unlimited = make_run(tmp_path / "unlimited", "blpo")
    assert run.expected_calls == unlimited.expected_calls - (2 * 5 - 7)
    result = run.execute()
    assert result.calls["optimizer"].asked == 7
    assert result.stopped == "7 of 7 optimizer calls asked, the next batch needs 1"
    assert "The search stopped early: 7 of 7" in (tmp_path / "run/report.html").read_text()


@pytest.mark.parametrize("kind", ["vllm", "transformers"])
def test_an_optimizer_that_cannot_see_images_is_refused_before_anything_is_written(
    tmp_path: Path, kind: str
) -> None:
    dataset, _ = ideal_world("micro-unsafebench", num_train=6, num_test=4)
    write_dataset(tmp_path / "data.parquet", [*dataset.train, *dataset.test])
    config = RunConfig.model_validate(
        {
            "task": "micro-unsafebench",
            "dataset": tmp_path / "data.parquet",
            "output": tmp_path / "run",
            "method": "apo-image",
            "judge": {"kind": kind},
        }
    )
    with pytest.raises(ConfigError, match=f"kind {kind} does not take.*kind: openai"):
        Run(config, EnginePool())
    assert not (tmp_path / "run").exists()
