"""What commands write has the name of its format."""

from pathlib import Path

import pytest
from command_line import Blpo
from ideal_runs import TASK, ideal_dataset, ideal_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outputs")
    return ideal_run(folder, ideal_dataset(folder, num_test=12), "run")


@pytest.mark.parametrize(
    ("command", "name", "written"),
    [
        ("compare {run} {run} --html", "c.csv", "c.html"),
        ("label {data} --task {task} --out", "label", "label.html"),
        ("judge {data} --run {run} --out", "v.json", "v.parquet"),
        ("judge {data} --run {run} --shards 2 --out", "v.csv", "v.parquet"),
        ("next {data} --run {run} --out", "n.parquet", "n.csv"),
        ("import table {data} --task {task} --out", "d.csv", "d.parquet"),
        ("export {run} --out", "b.yaml", "b.json"),
        ("export {run} --format text --out", "p.json", "p.txt"),
        ("export {run} --format promptfoo --out", "p.json", "p.yaml"),
        ("export {run} --format inspect --out", "p.txt", "p.py"),
    ],
)
def test_an_output_named_as_another_format_is_refused_with_a_name_that_fits(
    command: str, name: str, written: str, run: Path, blpo: Blpo, tmp_path: Path
) -> None:
    words = command.format(run=run, data=run.parent / "data.parquet", task=TASK).split()
    refused = blpo(*words, name)
    assert refused.code == 1
    told = f"{name}: what is written there ends in {Path(written).suffix}: name it {written}\n"
    assert refused.err.endswith(f"error: {told}")
    assert not list(tmp_path.glob("[!.]*"))
