"""Sweeps over draws of the graded bench: their worlds, and means over what is nested."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from blpo.data.errors import ConfigError
from blpo.data.micro.graded import load_world
from blpo.pipeline.metrics.nested import nested_mean, resampled_weights
from blpo.pipeline.sweeps.cells import finished_result
from blpo.pipeline.sweeps.step_counts import StepCounts, count_steps
from blpo.pipeline.sweeps.sweep import load_sweep, method_name, sweep_cells
from command_line import Blpo

WORLD: dict[str, Any] = {"draw": {"draws": "dev", "num_train": 8, "num_test": 8}}
TWICE = {"method": {"twice": {"method": "none", "reading": "auto"}}}


def write_sweep(folder: Path, **fields: Any) -> Path:
    content: dict[str, Any] = {
        "output": str(folder / "sweep"),
        "store": str(folder / "store"),
        "base": {"judge": {"kind": "ideal"}, "optimizer": {"engine": {"kind": "lexicon"}}},
        "world": WORLD,
        "named": TWICE,
        "grid": {
            "rubric": [0, 1],
            "data": [0],
            "task": ["micro-agin"],
            "method": ["none", "twice"],
            "seed": [0],
        },
    }
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(content | fields, sort_keys=False))
    return path


def test_every_draw_has_a_world_and_data_of_its_own_and_methods_keep_their_names(
    tmp_path: Path,
) -> None:
    sweep = load_sweep(write_sweep(tmp_path))
    cells = sweep_cells(sweep, "sweep.yaml")
    assert list(cells)[:2] == ["0-0-micro-agin-none-0", "0-0-micro-agin-twice-0"]
    worlds = {cell.judge.model for cell in cells.values()}
    assert {load_world(Path(world)).draw.rubric_seed for world in worlds} == {0, 1}
    assert worlds == {
        cell.optimizer.engine.model for cell in cells.values() if cell.optimizer.engine
    }
    assert len({cell.dataset for cell in cells.values()}) == 2
    points = dict(zip(cells, sweep.points, strict=True))
    assert {method_name(cells[name].method, points[name]) for name in cells} == {"none", "twice"}
    assert cells["1-0-micro-agin-twice-0"].reading.family == "auto"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"world": None}, "give the knobs under `world`"),
        ({"world": {"judge": {"romm": 3}}}, "unknown key `judge.romm`; did you mean `room`"),
        ({"named": {"budget": {}}}, "`named.budget` names values of a key that `grid` lacks"),
    ],
)
def test_a_mistake_about_draws_is_named(
    fields: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=r"sweep\.yaml") as caught:
        sweep_cells(load_sweep(write_sweep(tmp_path, **fields)), "sweep.yaml")
    assert message in str(caught.value)


def test_the_tables_of_draws_say_what_was_gained_and_at_what_cost(
    tmp_path: Path, blpo: Blpo
) -> None:
    path = str(write_sweep(tmp_path))
    swept = blpo("sweep", path)
    assert swept.code == 0
    agreement, _, means = swept.out.partition("Mean gain in accuracy")
    assert [agreement.count(f" {method} ") for method in ("none", "twice")] == [2, 2]
    assert [means.count(f"│ {method} ") for method in ("none", "twice")] == [1, 1]
    assert f"{tmp_path}/sweep/summary.csv, {tmp_path}/sweep/tables.md\n" in swept.out
    assert not (tmp_path / "sweep/running").exists()
    text = (tmp_path / "sweep/tables.md").read_text()
    assert "1 tasks; draws for each: 2 of `rubric`, 1 of `data`, 1 of `seed`" in text
    assert "## Difference from none" in text
    assert "| none | 0 | 0 | 0 | 0.0 | 0 | - | 0 of 2 | 0 of 2 |" in text
    with (tmp_path / "sweep/tables.csv").open() as file:
        rows = {(row["method"], row["what"]): row for row in csv.DictReader(file)}
    assert float(rows["none", "accuracy_gain"]["value"]) == 0
    assert float(rows["twice", "calls_judge"]["value"]) == 16
    assert rows["twice", "kappa_difference"]["low"]
    assert json.loads(blpo("table", path, "--json").out)[0]["method"] == "none"


def test_a_sweep_whose_folder_was_moved_is_gone_on_with(tmp_path: Path, blpo: Blpo) -> None:
    path = str(write_sweep(tmp_path))
    assert blpo("sweep", path).code == 0
    moved = (tmp_path / "sweep").rename(tmp_path / "moved")
    kept = {file: file.read_bytes() for file in moved.glob("cells/*/predictions.parquet")}
    unfinished = moved / "cells/0-0-micro-agin-none-0/result.json"
    unfinished.unlink()
    states = json.loads(blpo("sweep", "status", str(moved), "--json").out)["cells"]
    assert sorted(states.values()) == ["done", "done", "done", "missing"]
    here = ("--set", f"output={moved}")
    assert blpo("sweep", "collect", path, *here).code == 1
    again = blpo("sweep", path, *here, "--json")
    assert again.code == 0
    finished = json.loads(again.out)["finished"].values()
    assert [cell["session"]["new_calls"] for cell in finished] == [0, 0, 0, 0]
    assert unfinished.exists()
    assert {file: file.read_bytes() for file in kept} == kept
    assert "holds another run" not in (moved / "tables.md").read_text()
    assert not (tmp_path / "sweep").exists()


def test_a_moved_sweep_of_another_world_is_refused(tmp_path: Path, blpo: Blpo) -> None:
    path = write_sweep(tmp_path)
    assert blpo("sweep", str(path)).code == 0
    moved = (tmp_path / "sweep").rename(tmp_path / "moved")
    here = f"output={moved}"
    other = sweep_cells(load_sweep(path, [here, "world.judge.leniency=0.6"]), "sweep.yaml")
    with pytest.raises(ConfigError, match=r"belongs to another run, .*\n  judge.model"):
        finished_result(next(iter(other.values())))
    cells = sweep_cells(load_sweep(path, [here]), "sweep.yaml")
    first, last = next(iter(cells.values())), list(cells.values())[-1]
    world = Path(first.judge.model)
    world.write_text(world.read_text() + "\n")
    with pytest.raises(ConfigError, match="belongs to another run"):
        finished_result(first)
    assert finished_result(last)


def test_the_tables_say_why_a_cell_failed(tmp_path: Path, blpo: Blpo) -> None:
    small = {"draw": {"draws": "dev", "num_train": 3, "num_test": 8}}
    base = {"judge": {"kind": "ideal"}, "method": "none"}
    grid = {"rubric": [0], "data": [0], "task": ["micro-agin"]}
    sweep = write_sweep(tmp_path, world=small, base=base, grid=grid, named={})
    assert blpo("sweep", str(sweep)).code == 1
    table = blpo("table", str(sweep))
    assert "has no train example" in table.out
    assert "has not finished yet" not in table.out


def test_a_fitted_reading_without_a_search_shows_what_it_adds_to_the_first_prompt(
    tmp_path: Path, blpo: Blpo
) -> None:
    world = {"draw": {"draws": "dev", "num_train": 40, "num_test": 40}, "judge": {"leniency": 0.6}}
    named = {"method": {"twice": {"method": "none", "reading": "offset"}}}
    base = {
        "report": False,
        "judge": {"kind": "ideal"},
        "optimizer": {"engine": {"kind": "lexicon"}},
    }
    path = write_sweep(tmp_path, world=world, named=named, base=base)
    assert blpo("sweep", str(path)).code == 0
    text = (tmp_path / "sweep/tables.md").read_text()
    assert "| twice | prompt, with readings | +0.000 [+0.000, +0.000] |" in text
    with (tmp_path / "sweep/tables.csv").open() as file:
        rows = {(row["method"], row["what"]): float(row["value"]) for row in csv.DictReader(file)}
    assert rows["twice", "accuracy_gain"] != 0
    assert (
        rows["twice", "accuracy_gain of reading, under the initial prompt"]
        == (rows["twice", "accuracy_gain"])
    )


def test_a_sweep_without_reports_gets_them_when_they_are_asked_for(
    tmp_path: Path, blpo: Blpo
) -> None:
    path, report = str(write_sweep(tmp_path)), "sweep/cells/0-0-micro-agin-none-0/report.html"
    assert "report.html" not in blpo("sweep", path, "--set", "base.report=false").out
    assert not (tmp_path / report).exists()
    assert blpo("sweep", path).code == 0
    assert (tmp_path / report).exists()


def test_a_step_after_a_rejected_one_repeats_if_it_proposes_only_what_that_one_tried(
    tmp_path: Path,
) -> None:
    steps: list[tuple[str, str, list[str]]] = [
        ("a", "a", ["q1"]),
        ("a", "a", ["q1", "q0"]),
        ("a", "b", ["q1", "q2"]),
        ("b", "b", []),
    ]
    (tmp_path / "steps").mkdir()
    for number, (before, after, proposed) in enumerate(steps):
        record: dict[str, Any] = {
            "judge_prompt": before,
            "next_judge_prompt": after,
            "baseline": {"i2t_prompt": "q0"},
            "candidates": [{"i2t_prompt": prompt} for prompt in proposed],
            "tried": [{}] if proposed else [],
            "calls": {"judge": 10 * min(number, 2) + 10},
        }
        (tmp_path / f"steps/step-{number}.json").write_text(json.dumps(record))
    assert count_steps(tmp_path) == StepCounts(done=3, after_rejected=2, repeating=1)


# ------------------------------------------------------------------------------------ nested means

NEST = [(rubric, data, seed) for rubric in range(4) for data in range(2) for seed in range(2)]


def test_every_outermost_draw_weighs_the_same_however_much_lies_within_it() -> None:
    paths = [(0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 0, 0)]
    found = nested_mean([(paths, [1.0, 0.0, 2.0, 4.0])], 0)
    assert found.value == pytest.approx((1.0 + 4.0) / 2)
    weights = resampled_weights(paths, 0)
    assert weights.sum(axis=1) == pytest.approx(1)


def test_rubrics_that_differ_make_the_interval_wide_and_equal_ones_leave_the_rest() -> None:
    rubrics = [float(rubric) for rubric, _, _ in NEST]
    far = nested_mean([(NEST, rubrics)], 0)
    assert far.check is not None
    assert far.ci95 is not None
    spread = (far.ci95[1] - far.ci95[0]) / 2 / 1.96
    assert spread == pytest.approx(far.check.standard_error, rel=0.15)
    seeds = [float(seed) for _, _, seed in NEST]
    near = nested_mean([(NEST, seeds)], 0)
    assert near.check is not None
    assert near.ci95 is not None
    assert near.check.standard_error == 0
    assert 0 < near.ci95[1] - near.ci95[0] < far.ci95[1] - far.ci95[0]


def test_tasks_are_fixed_and_each_is_drawn_by_itself() -> None:
    tasks = [(NEST, list(np.full(len(NEST), value))) for value in (0.2, 0.4)]
    found = nested_mean(tasks, 0)
    assert found.value == pytest.approx(0.3)
    assert found.ci95 == pytest.approx((0.3, 0.3))


def test_one_rubric_says_nothing_about_others() -> None:
    found = nested_mean([([(0, data, 0) for data in range(4)], [0.1, 0.2, 0.3, 0.4])], 0)
    assert found.check is None
    data_alone = nested_mean([([(data, 0, 0) for data in range(4)], [0.1, 0.2, 0.3, 0.4])], 0)
    assert found.ci95 == data_alone.ci95


def test_seeds_on_one_draw_of_the_data_make_no_interval() -> None:
    one = [(0, 0, seed) for seed in range(3)]
    assert nested_mean([(one, [0.1, 0.2, 0.3])], 0).ci95 is None
    assert nested_mean([(NEST, [0.1] * len(NEST)), (one, [0.1, 0.2, 0.3])], 0).ci95 is None


def test_a_single_draw_is_told_without_interval_or_gain(tmp_path: Path, blpo: Blpo) -> None:
    path = str(write_sweep(tmp_path))
    assert blpo("sweep", path, "--set", "grid.rubric=[0]", "--set", "base.report=false").code == 0
    text = (tmp_path / "sweep/tables.md").read_text()
    assert "| none | +0.000 | +0.000 | +0.000 | +0.000 | - |" in text
    assert "nothing to tell a gain by" in text
    assert "[" not in text.partition("## Cost")[0]
    with (tmp_path / "sweep/tables.csv").open() as file:
        assert {row["low"] for row in csv.DictReader(file)} == {""}
