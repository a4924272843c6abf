"""Every sweep file that ships is a grid of valid runs, and every one has its micro twin."""

from pathlib import Path

import pytest
from blpo.data.tasks import task_names
from blpo.pipeline.sweeps.sweep import SweepConfig, load_sweep, sweep_cells

SWEEPS = Path(__file__).parents[1] / "pipeline/sweeps/shipped"
FILES = sorted(SWEEPS.glob("*.yaml"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the micro datasets of all sweeps are rendered once."""
    return tmp_path_factory.mktemp("sweeps")


def load(path: Path, folder: Path) -> SweepConfig:
    return load_sweep(path, [f"output={folder}"])


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_cell_of_a_sweep_file_is_a_valid_run(path: Path, folder: Path) -> None:
    cells = sweep_cells(load(path, folder), path.name)
    assert {cell.task for cell in cells.values()} <= set(task_names())
    assert len({cell.seed for cell in cells.values()}) == 5
    is_micro = path.stem.startswith("micro-")
    assert all((cell.judge.model == "micro") == is_micro for cell in cells.values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_results_of_a_sweep_file_lie_under_its_own_name(path: Path) -> None:
    assert load_sweep(path).output == Path("sweep-results") / path.stem


def test_every_sweep_has_a_micro_twin_with_the_same_grid_but_for_the_tasks() -> None:
    names = {path.stem for path in FILES}
    real = {name for name in names if not name.startswith("micro-")}
    assert real <= {name.removeprefix("micro-") for name in names}
    for name in real:
        grid, twin = (load_sweep(SWEEPS / f"{prefix}{name}.yaml").grid for prefix in ("", "micro-"))
        assert [f"micro-{task}" for task in grid["task"]] == twin["task"]
        assert {**grid, "task": None} == {**twin, "task": None}
