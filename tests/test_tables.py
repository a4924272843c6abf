"""The tables of a sweep: every cell counted, missing ones shown, the paper's figures in place."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from blpo.data.errors import ConfigError
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.blpo.config import BlpoConfig
from blpo.pipeline.config import RunConfig
from blpo.pipeline.metrics.intervals import holm
from blpo.pipeline.sweeps.files import write_tables
from blpo.pipeline.sweeps.paper_results import paper_results
from blpo.pipeline.sweeps.sweep import SweepConfig, load_sweep, sweep_cells
from blpo.pipeline.sweeps.tables import Cell, SweepTables, make_tables, read_cells
from blpo.pipeline.sweeps.tables_text import csv_text, markdown
from command_line import Blpo
from ideal_runs import GOOD_PROMPT, TASK, ideal_dataset, ideal_run

POOR_PROMPT = "Is the image safe? Look for any smoke."
GRID = {"task": [TASK], "judge_prompt": [POOR_PROMPT, GOOD_PROMPT], "seed": [0, 1]}


def make_sweep(folder: Path, **fields: Any) -> SweepConfig:
    """A sweep file in `folder`, read back."""
    content: dict[str, Any] = {
        "output": str(folder / "sweep"),
        "store": str(folder / "store"),
        "base": {"method": "none", "optimizer": {"engine": {"kind": "lexicon"}}},
        "datasets": {TASK: str(folder / "data.parquet")},
        "grid": GRID,
    }
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content | fields, sort_keys=False))
    return load_sweep(folder / "sweep.yaml")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of two judge prompts and two seeds; the last cell has no run."""
    folder = tmp_path_factory.mktemp("sweep")
    engine = ideal_dataset(folder)
    config = make_sweep(folder)
    for name, cell in list(sweep_cells(config, "sweep.yaml").items())[:-1]:
        ideal_run(
            folder, engine, f"sweep/cells/{name}", seed=cell.seed, judge_prompt=cell.judge_prompt
        )
    return folder


@pytest.fixture(scope="module")
def cells(folder: Path) -> list[Cell]:
    config = make_sweep(folder)
    return read_cells(config, sweep_cells(config, "sweep.yaml"))


@pytest.fixture(scope="module")
def tables(folder: Path, cells: list[Cell]) -> SweepTables:
    return make_tables(make_sweep(folder), cells)


def test_a_row_is_the_mean_and_the_standard_deviation_over_seeds(tables: SweepTables) -> None:
    poor, good = tables.rows
    values = [run.result.test.final.accuracy for run in poor.runs]
    summary = poor.metrics["accuracy"]["final"]
    assert summary.mean == pytest.approx(np.mean(values))
    assert summary.sd == pytest.approx(np.std(values, ddof=1))
    assert good.metrics["accuracy"]["final"].sd is None
    low, high = summary.ci95
    assert low < summary.mean < high


def test_a_missing_cell_is_shown_as_missing(tables: SweepTables) -> None:
    _, good = tables.rows
    assert len(good.missing) == 1
    text = markdown(tables)
    assert "1 of 2" in text
    assert ": not there" in text
    [_, row] = csv.DictReader(io.StringIO(csv_text(tables)))
    assert (row["seeds"], row["seeds_missing"]) == ("1", "1")


def test_a_method_without_any_finished_cell_keeps_its_row(folder: Path, cells: list[Cell]) -> None:
    lost = [replace(cell, run=None, error="died") for cell in cells[2:]]
    tables = make_tables(make_sweep(folder), [*cells[:2], *lost])
    text = markdown(tables)
    assert "0 of 2" in text
    assert "missing" in text
    assert text.count("| `died` |") == 2
    assert [mean.method for mean in tables.means] == [tables.rows[0].method]


def test_a_directory_of_another_run_is_no_result_of_the_cell(folder: Path) -> None:
    config = make_sweep(folder, base={"method": "blpo"})
    found = read_cells(config, sweep_cells(config, "sweep.yaml"))
    assert all(cell.run is None for cell in found)
    assert "holds another run" in found[0].error
    make_sweep(folder)


def test_the_difference_is_paired_by_seed_and_counts_examples_and_seeds(
    folder: Path, cells: list[Cell], tables: SweepTables
) -> None:
    _, good = tables.rows
    contrast = good.contrasts["accuracy"]
    assert contrast.num_seeds == 1
    assert len(contrast.estimate.components) == 1
    # As if the last cell had found something else than the one before.
    copy = replace(cells[3], run=cells[1].run, error="")
    both = make_tables(make_sweep(folder), [*cells[:3], copy]).rows[1].contrasts["accuracy"]
    assert both.num_seeds == 2
    (of_examples, degrees), (of_seeds, seed_degrees) = both.estimate.components
    assert (degrees, seed_degrees) == (59, 1)
    assert of_examples > 0
    assert of_seeds > 0
    assert both.estimate.value == pytest.approx(contrast.estimate.value / 2)


def test_holm_goes_over_the_tasks_of_a_method(folder: Path, cells: list[Cell]) -> None:
    second_task = [
        replace(cell, task="other", run=cells[0].run if index == 2 else cell.run)
        for index, cell in enumerate(cells)
    ]
    tables = make_tables(make_sweep(folder), [*cells, *second_task])
    good = [row for row in tables.rows if row.method == tables.methods[1]]
    p_values = [row.contrasts["accuracy"].estimate.p_value for row in good]
    assert [row.contrasts["accuracy"].p_holm for row in good] == holm(p_values)
    assert p_values[1] == 1.0
    [_, mean] = tables.means
    expected = np.mean([row.contrasts["accuracy"].estimate.value for row in good])
    assert mean.contrasts["accuracy"].value == pytest.approx(expected)


def test_the_reference_can_be_named_and_a_wrong_name_is_refused(folder: Path) -> None:
    names = make_tables(
        config := make_sweep(folder), read_cells(config, sweep_cells(config, ""))
    ).methods
    named = make_sweep(folder, reference=names[1])
    tables = make_tables(named, read_cells(named, sweep_cells(named, "")))
    assert tables.reference == names[1]
    assert not tables.rows[1].contrasts
    with pytest.raises(ConfigError, match="`reference` is 'best': choose from"):
        sweep_cells(make_sweep(folder, reference="best"), "sweep.yaml")
    make_sweep(folder)


def test_tables_and_plots_are_written_and_the_same_again(folder: Path) -> None:
    config = make_sweep(folder)
    sweep = sweep_cells(config, "sweep.yaml")
    write_tables(config, sweep)
    names = ("tables.md", "tables.csv", "plots/agreement.png", "plots/agreement.svg")
    names += ("plots/calls.png", "plots/calls.svg")
    before = [(config.output / name).read_bytes() for name in names]
    write_tables(config, sweep)
    assert [(config.output / name).read_bytes() for name in names] == before


def test_a_varied_parameter_gets_a_curve(folder: Path) -> None:
    engine = ideal_dataset(folder)
    parameter = {"task": [TASK], "algorithm.minibatch_size": [3, 6]}
    config = make_sweep(folder, output=str(folder / "curve"), grid=parameter)
    sweep = sweep_cells(config, "sweep.yaml")
    for name, cell in sweep.items():
        ideal_run(folder, engine, f"curve/cells/{name}", algorithm=cell.algorithm)
    tables = write_tables(config, sweep)
    assert isinstance(tables, SweepTables)
    assert tables.methods == ["none, minibatch_size=3", "none, minibatch_size=6"]
    assert (folder / "curve" / "plots" / "curve-minibatch_size.png").exists()
    make_sweep(folder)


def test_the_command_draws_the_tables_again(folder: Path, blpo: Blpo) -> None:
    make_sweep(folder)
    outcome = blpo("table", str(folder / "sweep.yaml"))
    assert outcome.code == 0
    assert "## Missing cells" in outcome.out
    rows = json.loads(blpo("table", str(folder / "sweep.yaml"), "--json").out)
    assert [row["seeds"] for row in rows] == [2, 1]


# ------------------------------------------------------------------------------------- the paper


def paper_setting(**fields: Any) -> RunConfig:
    judge = EngineSettings(model="/weights/Qwen2.5-VL-32B-Instruct")
    optimizer = {
        "engine": {"kind": "openai", "model": "o3", "endpoint": "https://api.openai.com/v1"}
    }
    base: dict[str, Any] = {
        "task": "seetrue",
        "dataset": "a.parquet",
        "output": "out",
        "judge": judge,
    }
    base["optimizer"] = optimizer
    return RunConfig.model_validate(base | fields)


def test_the_papers_figures_stand_beside_the_papers_own_setting() -> None:
    [found] = paper_results(paper_setting())
    assert (found.macro_f1, found.accuracy) == (0.82, 0.82)
    [initial] = paper_results(paper_setting(method="none"))
    assert (initial.macro_f1, initial.accuracy) == (0.71, 0.75)
    scout = EngineSettings(model="meta-llama/Llama-4-Scout-17B-16E-Instruct")
    both = paper_results(paper_setting(task="unsafebench", judge=scout))
    assert [(r.table, r.macro_f1, r.accuracy) for r in both] == [(1, 0.83, 0.84), (2, 0.81, 0.82)]


@pytest.mark.parametrize(
    "fields",
    [
        {"task": "micro-agin"},
        {"task": "agin"},
        {"optimizer": {"engine": {"kind": "lexicon"}}},
        {"optimizer": {}},
        {"budget": {"judge_calls": 800}},
        {"method": "opro", "opro": {"steps": 3}},
        {"judge": EngineSettings(model="micro")},
        {"judge": EngineSettings(model="Qwen/Qwen2.5-VL-7B-Instruct")},
        {"judge": EngineSettings(model="/weights/Qwen2.5-VL-32B-Instruct", quantization="fp8")},
        {"algorithm": BlpoConfig(inner_steps=3)},
        {"judge_prompt": "Is it natural?"},
    ],
)
def test_in_any_other_setting_no_figure_of_the_papers_is_shown(fields: dict[str, Any]) -> None:
    assert paper_results(paper_setting(**fields)) == []


def test_micro_tables_say_that_they_are_synthetic_and_show_no_paper(
    folder: Path, cells: list[Cell]
) -> None:
    runs = [
        replace(cell.run, result=cell.run.result.model_copy(update={"synthetic": True}))
        for cell in cells
        if cell.run
    ]
    marked = [replace(cell, run=run) for cell, run in zip(cells, [*runs, None], strict=True)]
    text = markdown(make_tables(make_sweep(folder), marked))
    assert "Synthetic test bench" in text
    assert "paper" not in text
