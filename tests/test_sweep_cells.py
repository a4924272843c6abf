"""A sweep in parts: chosen cells, their states, summary and tables that others' work goes into."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from blpo.data.examples import write_dataset
from blpo.pipeline.sweeps.cells import CellState, announced, cell_states
from blpo.pipeline.sweeps.sweep import load_sweep, sweep_cells
from command_line import Blpo
from ideal_engine import ideal_world


@pytest.fixture(autouse=True)
def sweep_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep without any model; the cells of one task fail, the data being another's."""
    monkeypatch.chdir(tmp_path)
    made, _ = ideal_world("micro-unsafebench", num_train=6, num_test=4)
    write_dataset(Path("data.parquet"), [*made.train, *made.test])
    content: dict[str, Any] = {
        "output": "sweep",
        "base": {
            "judge": {"kind": "lexicon"},
            "method": "none",
            "max_failed_share": 1,
            "dataset": "data.parquet",
        },
        "grid": {"task": ["micro-unsafebench", "micro-agin"], "seed": [0, 1]},
    }
    Path("sweep.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def states(blpo: Blpo) -> dict[str, str]:
    return json.loads(blpo("sweep", "status", "sweep", "--json").out)["cells"]


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file, less the column of measured seconds."""
    with path.open(newline="") as file:
        found = list(csv.DictReader(file))
    for row in found:
        row.pop("seconds", None)
    return found


def test_a_sweep_run_in_parts_and_collected_sums_up_like_one_that_was_not(blpo: Blpo) -> None:
    assert blpo("sweep", "sweep.yaml", "--set", "output=whole").code == 1
    for part, names in enumerate((["micro-unsafebench-0"], ["micro-agin-0", "micro-agin-1"])):
        Path(f"{part}.txt").write_text("\n".join(names))
        assert blpo("sweep", "sweep.yaml", "--cells", f"{part}.txt").code == part
    assert not [*Path("sweep").glob("summary*"), *Path("sweep").glob("tables*")]
    early = blpo("sweep", "collect", "sweep.yaml")
    assert early.code == 1
    assert "micro-unsafebench-1: missing" in early.out
    Path("2.txt").write_text("micro-unsafebench-1")
    assert blpo("sweep", "sweep.yaml", "--cells", "2.txt").code == 0
    blpo("sweep", "collect", "sweep.yaml")
    for name in ("summary.csv", "tables.csv"):
        assert rows(Path("sweep", name)) == rows(Path("whole", name))


def test_the_state_of_every_cell_is_told(blpo: Blpo) -> None:
    assert "no sweep.json" in blpo("sweep", "status", "sweep").err
    blpo("sweep", "run", "sweep.yaml")
    done = {f"micro-unsafebench-{seed}": "done" for seed in (0, 1)}
    assert states(blpo) == done | {f"micro-agin-{seed}": "failed" for seed in (0, 1)}
    config = load_sweep(Path("sweep.yaml"))
    cells = sweep_cells(config, "sweep.yaml")
    with announced(config, ["micro-agin-0"]):
        running = cell_states(config, cells, {"micro-agin-1": CellState.QUEUED})
    assert [running[f"micro-agin-{seed}"] for seed in (0, 1)] == ["running", "queued"]
    assert states(blpo)["micro-agin-0"] == "failed"


def test_a_name_that_is_no_cell_is_refused(blpo: Blpo) -> None:
    Path("names.txt").write_text("micro-unsafebench-7\n")
    refused = blpo("sweep", "sweep.yaml", "--cells", "names.txt")
    assert (refused.code, "micro-unsafebench-7 is no cell" in refused.err) == (1, True)


def test_without_slurm_the_launcher_says_so(blpo: Blpo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    refused = blpo("sweep", "sweep.yaml", "--launcher", "slurm")
    assert (refused.code, "on this machine" in refused.err) == (1, True)
