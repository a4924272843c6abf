"""What a run tells while it goes, and how much it says is left."""

import logging
from collections.abc import Mapping
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from blpo.models.cost import Cost
from blpo.models.engines.settings import EngineSettings
from blpo.models.roles.optimizer import Proposal
from blpo.models.wrappers.ledger import Role, RoleLedger
from blpo.pipeline.blpo.records import Candidate, Scored
from blpo.pipeline.cli.show.runs import show_run
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.runs.calls import PlannedCalls
from blpo.pipeline.runs.directory import num_steps_asked
from blpo.pipeline.runs.run import Run
from blpo.pipeline.runs.run_many import FinishedRun
from blpo.pipeline.runs.story import Detail, Story
from blpo.pipeline.search.step import Step
from ideal_engine import IdealEngine
from ideal_runs import TASK, ideal_dataset
from killable_run import IdealPool

SEARCH: dict[Role, int] = {"judge": 500, "optimizer": 50}
PLANNED = PlannedCalls(SEARCH, SEARCH, test=40, fits=0)


def run_of(
    folder: Path, engine: IdealEngine, keys: Mapping[str, Any] | None = None, **algorithm: Any
) -> Run:
    config = RunConfig.model_validate(
        {
            "task": TASK,
            "dataset": folder / "data.parquet",
            "output": folder / "run",
            "store": folder / "store",
            "optimizer": OptimizerConfig(engine=EngineSettings(kind="lexicon")),
            "algorithm": {"outer_steps": 2, "inner_steps": 1, **algorithm},
        }
        | dict(keys or {})
    )
    return Run(config, IdealPool(engine))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "blpo.story"]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "blpo")
    return caplog


def test_every_prompt_and_step_is_told_with_its_calls(
    tmp_path: Path, told: pytest.LogCaptureFixture
) -> None:
    engine = ideal_dataset(tmp_path, num_test=8)
    run = run_of(tmp_path, engine)
    run.story.detail = Detail.PROMPTS
    run.execute()
    first, *_ = found = lines(told)
    assert first.startswith("run: step 0, initial I2T prompt: score ")
    assert found[1].startswith("run: step 0, I2T prompt 1: score ")
    report = (tmp_path / "run" / "report.html").read_text()
    assert '<div class="name"><bdi>initial</bdi></div>' in report
    assert [(": score " in line, " done: " in line) for line in found] == [
        *[(True, False), (True, False), (False, True)] * 2,
        (False, False),
    ]
    assert "over the start of step 0 (95 % interval" in found[5]
    assert (
        found[6]
        == "run: search over after 2 steps; judging initial and final prompt on 8 test images"
    )
    told.clear()
    again = run_of(tmp_path, engine)
    again.story.detail = Detail.STEPS
    again.execute()
    replayed = lines(told)
    assert len(replayed) == 3
    for line in replayed[:2]:
        calls, _, held = line.rpartition("; ")[2].removesuffix(" from the store").partition(", ")
        assert calls == f"{held} calls" != "0 calls"


@pytest.mark.parametrize("preset", ["paper", "plus"])
def test_a_search_that_the_budget_stops_at_once_has_made_no_step(
    tmp_path: Path, told: pytest.LogCaptureFixture, preset: str
) -> None:
    engine = ideal_dataset(tmp_path, num_test=8)
    keys = {"preset": preset, "budget": {"judge_calls": 1}}
    run = run_of(tmp_path, engine, keys, inner_width=1)
    run.story.detail = Detail.PROMPTS
    result = run.execute()
    assert num_steps_asked(run.config.output) == 0
    [line] = lines(told)
    assert line.startswith(f"run: search over after 0 steps (stopped early: {result.stopped}); ")
    page = (tmp_path / "run/report.html").read_text()
    assert f"The search stopped early: {result.stopped}." in page


def test_the_end_of_a_run_says_after_how_many_steps_the_budget_stopped_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ideal_dataset(tmp_path, num_test=8)
    run = run_of(tmp_path, engine, keys={"budget": {"optimizer_calls": 4}})
    result = run.execute()
    assert num_steps_asked(run.config.output) == 1
    show_run(FinishedRun(run.config, result, 0, 0.0), as_json=False)
    stopped = f"The budget stopped the search after 1 step: {result.stopped}."
    assert stopped in " ".join(capsys.readouterr().out.split())


def test_a_prompt_that_repeats_one_is_told_as_such(told: pytest.LogCaptureFixture) -> None:
    found, _ = story({"judge": 10})
    found.detail = Detail.PROMPTS
    candidates = [
        Candidate("q", [], Proposal("p", is_repeat=is_repeat), "p", Scored(0.0))
        for is_repeat in (False, True)
    ]
    found.scored(0, candidates[:1])
    found.scored(0, candidates[:1], candidates[1:])
    assert lines(told) == [
        "run: step 0, initial I2T prompt: score 0.000; 10 calls, 0 from the store",
        "run: step 0, I2T prompt 1: score 0.000; repeats a judge prompt that was there; 0 calls, "
        "0 from the store",
    ]


@pytest.mark.parametrize(
    ("after", "details", "outcome"),
    [
        ("p", {}, "the judge prompt stays"),
        ("p2", {}, "taken without a test, as the published method takes each"),
        ("p2", {"gain": {"n": 0}}, "accepted"),
    ],
)
def test_a_rewrite_that_no_test_has_seen_is_not_called_accepted(
    told: pytest.LogCaptureFixture, after: str, details: dict[str, Any], outcome: str
) -> None:
    found, _ = story({"judge": 10})
    found.detail = Detail.STEPS
    found.stepped(Step(0, "p", after, [], [], details, i2t_prompt="q"))
    assert outcome in lines(told)[0]


def test_a_rejected_proposal_is_told_with_its_gain_and_the_reason(
    tmp_path: Path, told: pytest.LogCaptureFixture
) -> None:
    run = run_of(tmp_path, ideal_dataset(tmp_path, num_test=8), accept="paired")
    run.story.detail = Detail.STEPS
    run.execute()
    assert any("not accepted: no gain" in line for line in lines(told))


def test_one_run_tells_all_some_their_steps_and_a_sweep_nothing(
    tmp_path: Path, told: pytest.LogCaptureFixture
) -> None:
    assert [Detail.of(number) for number in (1, 5, 100)] == [
        Detail.PROMPTS,
        Detail.STEPS,
        Detail.NOTHING,
    ]
    run_of(tmp_path, ideal_dataset(tmp_path, num_test=8)).execute()
    assert lines(told) == []


def story(asked: Mapping[Role, int], num_steps: int = 5) -> tuple[Story, dict[Role, RoleLedger]]:
    """Ledgers in which each model call took half a second."""
    ledgers: dict[Role, RoleLedger] = {
        role: RoleLedger(number, answered=number, session=Cost(number), session_seconds=number / 2)
        for role, number in asked.items()
    }
    return Story("run", ledgers, PLANNED, num_steps), ledgers


def test_what_is_left_follows_what_steps_took_and_not_the_plan() -> None:
    found, ledgers = story({"judge": 60, "optimizer": 4})
    assert found.calls_left == {"judge": 500 + 40 - 60, "optimizer": 46}
    found.stepped(Step(0, "p", "p", [], [], details={}))
    assert found.calls_left == {"judge": 4 * 60 + 40, "optimizer": 4 * 4}
    assert found.seconds_left == (4 * 60 + 40 + 4 * 4) / 2
    found.tests(20, stopped=None)
    ledgers["judge"].answered += 10
    assert found.calls_left == {"judge": 30, "optimizer": 0}


def test_a_budget_that_ends_the_search_ends_it_for_every_role(tmp_path: Path) -> None:
    engine = ideal_dataset(tmp_path, num_test=8)
    free = run_of(tmp_path / "free", engine, {"dataset": tmp_path / "data.parquet"}, outer_steps=50)
    keys = {"dataset": tmp_path / "data.parquet", "budget": {"judge_calls": 80}}
    run = run_of(tmp_path, engine, keys, outer_steps=50)
    judged = free.story.calls_left["judge"] - 2 * 8
    assert run.story.calls_left["judge"] == 80 + 2 * 8
    for role in ("verbalizer", "optimizer"):
        likely = ceil(free.story.calls_left[role] * 80 / judged)
        assert run.story.calls_left[role] == likely < free.story.calls_left[role]
    found, _ = story({"judge": 250, "optimizer": 4}, num_steps=50)
    found.stepped(Step(0, "p", "p", [], [], details={}))
    assert found.calls_left == {"judge": 250 + 40, "optimizer": 4}


def test_without_a_rate_for_a_role_that_will_be_asked_no_time_is_told() -> None:
    found, _ = story({"judge": 10, "optimizer": 0})
    assert found.seconds_left is None
    found.tests(20, stopped=None)
    assert found.seconds_left is not None
