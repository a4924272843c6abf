"""The trajectory of runs, looked at afterwards: calls until a prompt, steps that harm."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from blpo.data.errors import DataError
from blpo.pipeline.blpo.config import BlpoConfig
from blpo.pipeline.runs.directory import load_run
from blpo.pipeline.sweeps.plots import write_trajectory_plot
from blpo.pipeline.sweeps.sweep import load_sweep, sweep_cells
from blpo.pipeline.sweeps.tables import Cell, make_tables, read_cells
from blpo.pipeline.sweeps.trajectory import Point, Trajectory, harms, judge_trajectories, reaches
from blpo.pipeline.sweeps.trajectory_text import trajectory_csv, trajectory_markdown
from ideal_engine import IdealEngine
from ideal_runs import TASK, ideal_dataset, ideal_run
from killable_run import IdealPool


def trajectory(method: str, *points: tuple[int, float]) -> Trajectory:
    """A run whose prompts are told apart by their calls."""
    made = tuple(Point(f"after {calls}", calls, right, right) for calls, right in points)
    return Trajectory("task", method, 0, made)


def test_a_step_harms_if_fewer_verdicts_are_right_after_it() -> None:
    [found] = harms(
        [trajectory("a", (0, 0.5), (10, 0.7), (20, 0.6)), trajectory("a", (0, 0.5), (9, 0.5))]
    )
    assert (found.steps, found.harmful) == (3, 1)
    low, high = found.ci95
    assert low < 1 / 3 < high


def test_a_step_that_keeps_the_prompt_is_not_counted() -> None:
    kept = Trajectory("task", "a", 0, (Point("p", 0, 0.5, 0.5), Point("p", 9, 0.5, 0.5)))
    [found] = harms([kept])
    assert (found.steps, found.share) == (0, None)


def test_calls_are_counted_until_the_first_prompt_with_90_percent_of_the_best() -> None:
    quick, slow = trajectory("quick", (0, 0.5), (10, 0.95)), trajectory("slow", (0, 0.5), (50, 0.9))
    never = trajectory("slow", (0, 0.5), (60, 0.6))
    found = {reach.method: reach for reach in reaches([quick, slow, never])}
    assert found["quick"].target == pytest.approx(0.855)
    assert (found["quick"].reached, found["quick"].calls) == (1, 10)
    assert (found["slow"].reached, found["slow"].runs, found["slow"].calls) == (1, 2, 50)


@pytest.fixture
def engine(tmp_path: Path) -> IdealEngine:
    return ideal_dataset(tmp_path, num_test=16)


def finished_cells(folder: Path, engine: IdealEngine) -> list[Cell]:
    content: dict[str, Any] = {
        "output": str(folder / "sweep"),
        "store": str(folder / "store"),
        "base": {
            "optimizer": {"engine": {"kind": "lexicon"}},
            "algorithm": {"outer_steps": 2, "inner_steps": 1},
        },
        "datasets": {TASK: str(folder / "data.parquet")},
        "grid": {"task": [TASK], "method": ["blpo", "none"]},
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content))
    config = load_sweep(folder / "sweep.yaml")
    cells = sweep_cells(config, "sweep.yaml")
    algorithm = BlpoConfig(outer_steps=2, inner_steps=1)
    for name, method in zip(cells, ("blpo", "none"), strict=True):
        ideal_run(folder, engine, f"sweep/cells/{name}", method=method, algorithm=algorithm)
    return read_cells(config, cells)


def test_a_step_from_a_prompt_that_was_not_accepted_is_no_move_to_it(
    tmp_path: Path, engine: IdealEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = finished_cells(tmp_path, engine)[0]
    assert cell.run is not None
    first = cell.run.result.judge_prompt_initial
    led = [(first, first), ("tried", "tried"), ("tried", "better"), ("other", "other")]
    records: list[dict[str, Any]] = [
        {"judge_prompt": before, "next_judge_prompt": after, "calls": {"judge": 10 * place}}
        for place, (before, after) in enumerate(led, 1)
    ]

    def recorded(_run: Path) -> list[dict[str, Any]]:
        return records

    monkeypatch.setattr("blpo.pipeline.sweeps.trajectory.step_records", recorded)
    [found] = judge_trajectories([cell], IdealPool(engine))
    assert [(point.judge_prompt, point.calls) for point in found.points] == [
        (first, 0),
        (first, 10),
        (first, 20),
        ("better", 30),
        ("better", 40),
    ]


def test_the_trajectory_starts_at_the_initial_and_ends_at_the_final_prompt(
    tmp_path: Path, engine: IdealEngine
) -> None:
    cells = finished_cells(tmp_path, engine)
    found, none = judge_trajectories(cells, IdealPool(engine))
    run = cells[0].run
    assert run is not None
    test = run.result.test
    assert found.points[0].accuracy == pytest.approx(test.initial.accuracy)
    assert found.points[-1].macro_f1 == pytest.approx(test.final.macro_f1)
    calls = [point.calls for point in found.points]
    assert calls[0] == 0
    assert calls == sorted(calls)
    asked = sum(counts.asked for counts in run.result.calls.values())
    assert calls[-1] == asked - 2 * 16
    assert len(none.points) == 1


def test_the_trajectory_is_written_as_text_numbers_and_plot(
    tmp_path: Path, engine: IdealEngine
) -> None:
    cells = finished_cells(tmp_path, engine)
    trajectories = judge_trajectories(cells, IdealPool(engine))
    tables = make_tables(load_sweep(tmp_path / "sweep.yaml"), cells)
    text = trajectory_markdown(tables, trajectories)
    assert "## Harmful steps" in text
    assert "| none | 0 | 0 | - | - |" in text
    assert len(trajectory_csv(trajectories).splitlines()) == 1 + sum(
        len(c.points) for c in trajectories
    )
    assert write_trajectory_plot(tables, trajectories, tmp_path).exists()


def test_a_run_whose_steps_do_not_tell_their_calls_is_named(
    tmp_path: Path, engine: IdealEngine
) -> None:
    cells = finished_cells(tmp_path, engine)
    assert cells[0].run is not None
    _, directory = load_run(cells[0].run.path)
    record = directory.read_json("steps/step-0.json")
    del record["calls"]
    directory.write_json("steps/step-0.json", record)
    with pytest.raises(DataError, match="do not tell their calls; start the run again"):
        judge_trajectories(cells, IdealPool(engine))
