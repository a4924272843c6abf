"""A sweep runs every combination, and a failing cell stops no other."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from blpo.data.errors import ConfigError
from blpo.data.examples import write_dataset
from blpo.pipeline.sweeps.sweep import load_sweep, sweep_cells
from command_line import Blpo
from ideal_engine import ideal_world

# The lexicon answers judge requests with error replies: a run without any model.
BASE: dict[str, Any] = {"judge": {"kind": "lexicon"}, "method": "none", "max_failed_share": 1}


def write_sweep(**fields: Any) -> Path:
    content: dict[str, Any] = {"output": "sweep", "base": BASE} | fields
    path = Path("sweep.yaml")
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    made, _ = ideal_world("micro-unsafebench", num_train=6, num_test=4)
    write_dataset(Path("data.parquet"), [*made.train, *made.test])
    return "data.parquet"


def test_every_combination_is_a_cell_with_an_output_of_its_own(dataset: str) -> None:
    path = write_sweep(
        datasets={"unsafebench": dataset},
        grid={"task": ["unsafebench"], "seed": [0, 1], "algorithm.inner_steps": [2, 3]},
    )
    cells = sweep_cells(load_sweep(path), "sweep.yaml")
    assert list(cells) == [f"unsafebench-{seed}-{k}" for seed in (0, 1) for k in (2, 3)]
    assert [cell.algorithm.inner_steps for cell in cells.values()] == [2, 3, 2, 3]
    assert len({cell.output for cell in cells.values()}) == 4


def test_a_dotted_key_keeps_what_the_base_says_beside_it(dataset: str) -> None:
    path = write_sweep(
        base={**BASE, "task": "unsafebench", "dataset": dataset, "algorithm": {"outer_steps": 1}},
        grid={"algorithm.inner_steps": [2, 3]},
    )
    cells = sweep_cells(load_sweep(path), "sweep.yaml")
    steps = [(c.algorithm.outer_steps, c.algorithm.inner_steps) for c in cells.values()]
    assert steps == [(1, 2), (1, 3)]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"grid": {"task": ["unsafebench"]}}, "task 'unsafebench' has no dataset"),
        ({"grid": {"seed": []}}, "`grid.seed` is an empty list"),
        ({"grid": {"task": ["micro-unsafebench"], "sed": [1]}}, "did you mean `seed`?"),
        ({"gird": {}}, "did you mean `grid`?"),
    ],
)
def test_a_mistake_in_the_sweep_file_is_named(
    dataset: str, fields: dict[str, Any], message: str
) -> None:
    assert dataset
    with pytest.raises(ConfigError) as error:
        sweep_cells(load_sweep(write_sweep(**fields)), "sweep.yaml")
    assert message in str(error.value)
    assert "sweep.yaml" in str(error.value)


def test_a_reference_that_is_no_method_of_the_grid_is_refused_before_anything_is_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    grid = {"task": ["micro-unsafebench"], "variant": ["a", "b"], "seed": [0, 1]}
    named = {"variant": {"a": {"method": "none"}, "b": {"method": "blpo-fixed-i2t"}}}
    path = write_sweep(grid=grid, named=named, reference="blpo")
    known = "'none, variant=a', 'blpo-fixed-i2t, variant=b'"
    with pytest.raises(ConfigError) as error:
        sweep_cells(load_sweep(path), "sweep.yaml")
    assert str(error.value) == f"sweep.yaml: `reference` is 'blpo': choose from {known}"
    assert not Path("sweep").exists()


def test_a_failing_cell_is_reported_and_stops_no_other(dataset: str, blpo: Blpo) -> None:
    write_sweep(
        base=BASE | {"dataset": dataset},
        grid={"task": ["micro-unsafebench", "micro-agin"], "seed": [0, 1]},
    )
    outcome = blpo("sweep", "sweep.yaml", "--json")
    assert outcome.code == 1
    printed = json.loads(outcome.out)
    assert set(printed["finished"]) == {"micro-unsafebench-0", "micro-unsafebench-1"}
    assert set(printed["failed"]) == {"micro-agin-0", "micro-agin-1"}
    with Path(printed["summary"]).open() as file:
        rows = list(csv.DictReader(file))
    assert [bool(row["error"]) for row in rows] == [False, False, True, True]
    assert Path("sweep/cells/micro-unsafebench-0/report.html").exists()
    assert not Path("sweep/cells/micro-agin-0").exists()


def test_a_sweep_again_asks_nothing_and_changes_nothing(dataset: str, blpo: Blpo) -> None:
    write_sweep(
        base=BASE | {"dataset": dataset}, grid={"task": ["micro-unsafebench"], "seed": [0, 1]}
    )
    assert blpo("sweep", "sweep.yaml").code == 0
    before = {p: p.read_bytes() for p in Path("sweep").rglob("*") if p.is_file()}
    again = json.loads(blpo("sweep", "sweep.yaml", "--json").out)
    assert sum(run["session"]["new_calls"] for run in again["finished"].values()) == 0
    assert {p: p.read_bytes() for p in Path("sweep").rglob("*") if p.is_file()} == before


def test_finished_cells_are_read_back_and_the_others_run(dataset: str, blpo: Blpo) -> None:
    write_sweep(
        base=BASE | {"dataset": dataset}, grid={"task": ["micro-unsafebench"], "seed": [0, 1]}
    )
    assert blpo("sweep", "sweep.yaml").code == 0
    summary = Path("sweep/summary.csv").read_bytes()
    shutil.rmtree("store")
    Path("sweep/cells/micro-unsafebench-1/result.json").unlink()
    again = json.loads(blpo("sweep", "sweep.yaml", "--json").out)
    new_calls = {name: run["session"]["new_calls"] for name, run in again["finished"].items()}
    assert new_calls["micro-unsafebench-0"] == 0
    assert new_calls["micro-unsafebench-1"] > 0
    assert Path("sweep/summary.csv").read_bytes() == summary
