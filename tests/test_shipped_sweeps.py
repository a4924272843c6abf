"""Every sweep file that ships is a grid of valid runs, and every one has its micro twin."""

import json
from pathlib import Path

import pytest
from blpo.data.tasks import task_names
from blpo.pipeline.sweeps.sweep import SweepConfig, load_sweep, shipped_sweeps, sweep_cells
from command_line import Blpo

SWEEPS = Path(__file__).parents[1] / "pipeline/sweeps/shipped"
LIST = ("sweep", "list")
NAMES = sorted(path.stem for path in SWEEPS.glob("*.yaml"))
GRADED = [name for name in NAMES if name.startswith("graded-")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the micro datasets of all sweeps are rendered once."""
    return tmp_path_factory.mktemp("sweeps")


def load(name: str, folder: Path) -> SweepConfig:
    """The sweep; of one over draws a single small one."""
    small = ["world.draw.num_train=2", "world.draw.num_test=2", "grid.rubric=[0]", "grid.data=[0]"]
    return load_sweep(name, [f"output={folder}", *(small if name in GRADED else [])])


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_of_a_shipped_sweep_is_a_valid_run(name: str, folder: Path) -> None:
    cells = sweep_cells(load(name, folder), name)
    assert {cell.task for cell in cells.values()} <= set(task_names())
    is_micro = name.startswith("micro-")
    assert all((cell.judge.model == "micro") == is_micro for cell in cells.values())


def test_seeds_vary_in_every_sweep_or_else_draws_do() -> None:
    for name in NAMES:
        grid = load_sweep(name).grid
        assert len(grid["seed"]) == 5 or len(grid["rubric"]) * len(grid["data"]) >= 4


@pytest.mark.parametrize("name", GRADED)
def test_graded_sweeps_are_developed_on_draws_that_no_table_is_made_of(name: str) -> None:
    sweep = load_sweep(name)
    assert sweep.world is not None
    assert sweep.world["draw"] == {"draws": "dev"}
    assert sweep.base["optimizer"]["own_draws"]


@pytest.mark.parametrize("name", NAMES)
def test_results_of_a_shipped_sweep_lie_under_its_own_name(name: str) -> None:
    assert load_sweep(name).output == Path("sweep-results") / name
    assert load_sweep(SWEEPS / f"{name}.yaml") == load_sweep(name)


def test_every_sweep_has_a_micro_twin_with_the_same_grid_but_for_the_tasks() -> None:
    real = {name for name in NAMES if not name.startswith(("micro-", "graded-"))}
    assert real
    assert real <= {name.removeprefix("micro-") for name in NAMES if name.startswith("micro-")}
    for name in real:
        grid, twin = (load_sweep(f"{prefix}{name}").grid for prefix in ("", "micro-"))
        assert [f"micro-{task}" for task in grid["task"]] == twin["task"]
        assert {**grid, "task": None} == {**twin, "task": None}


def test_the_shipped_sweeps_are_listed_in_a_line_each(blpo: Blpo) -> None:
    listed = {
        sweep["name"]: sweep["description"] for sweep in json.loads(blpo(*LIST, "--json").out)
    }
    assert sorted(listed) == NAMES
    assert listed == shipped_sweeps()
    assert all(line[0].isupper() and line.endswith(".") for line in listed.values())
    printed = blpo(*LIST).out
    assert all(name in printed and line in printed for name, line in listed.items())


def test_a_sweep_is_found_by_name_or_path_and_an_unknown_name_lists_the_names(blpo: Blpo) -> None:
    for command in (("sweep",), ("sweep", "collect"), ("table",)):
        refused = blpo(*command, "micro-table7")
        assert refused.code == 1
        assert "unknown sweep 'micro-table7'" in refused.err
        assert "micro-table1, micro-table2" in refused.err
    assert "cannot read the file" in blpo("sweep", "micro-table7.yaml").err
    Path("mine").write_text("output: x\ngrid: {task: [unsafebench]}\n")
    assert "mine: task 'unsafebench' has no dataset" in blpo("sweep", "mine").err


def test_a_shipped_sweep_is_run_by_its_name(blpo: Blpo) -> None:
    without_model = (
        "base.judge.kind=lexicon",
        "base.max_failed_share=1",
        "base.method=none",
        "grid.method=[none]",
    )
    small = ("grid.task=[micro-unsafebench]", "grid.seed=[0]", *without_model)
    options = [word for override in small for word in ("--set", override)]
    assert blpo("sweep", "micro-table2", *options, "--set", "reference=none").code == 0
    assert blpo("sweep", "collect", "micro-table2", *options, "--set", "reference=none").code == 0
    assert Path("sweep-results/micro-table2/cells/micro-unsafebench-none-0/report.html").exists()
