"""blpo from Python, on the world's engine."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import blpo
import polars as pl
import pytest
from blpo import BlpoError, Judge, LoadedRun, evaluate, import_table, load_run, optimize
from blpo.data.errors import ConfigError, DataError
from blpo.pipeline.api.errors import in_parameters
from documented_world import furnish_photos, working_in


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoadedRun]:
    """A finished run in a folder with photos.csv, which is the working directory."""
    folder = tmp_path_factory.mktemp("python")
    furnish_photos(folder)
    with working_in(folder):
        import_table(pl.read_csv("photos.csv"), "photos.parquet", task="product-photos.yaml")
        yield optimize(**KEYS)


KEYS: dict[str, Any] = {
    "task": "product-photos.yaml",
    "dataset": "photos.parquet",
    "output": "runs/photos",
    "algorithm": {"outer_steps": 2, "inner_steps": 2},
}


def test_importing_blpo_is_light_and_offers_its_names() -> None:
    code = (
        "import sys, blpo\nassert set(blpo.__all__) == set(dir(blpo))\n"
        "print(sorted({'polars', 'pyarrow', 'torch', 'numpy', 'pydantic'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_name_that_blpo_offers_exists() -> None:
    assert all(getattr(blpo, name) for name in blpo.__all__)
    with pytest.raises(AttributeError, match="optimise"):
        blpo.optimise  # noqa: B018 # pyright: ignore


def test_a_frame_of_paths_and_one_of_bytes_make_the_same_examples(run: LoadedRun) -> None:
    paths = pl.read_csv("photos.csv")
    data = [Path(name).read_bytes() for name in paths["image"]]
    frame = paths.with_columns(pl.Series("image", data), id=pl.col("image"))
    import_table(frame, "bytes.parquet", task=run.task)
    assert Path("bytes.parquet").read_bytes() == Path("photos.parquet").read_bytes()


def test_a_judge_takes_a_folder_and_paths_from_a_root(run: LoadedRun) -> None:
    folder = Path(pl.read_csv("photos.csv")["image"][0]).parent
    names = sorted(path.name for path in folder.iterdir())
    with Judge(run.path) as judge:
        found = judge(folder)
        assert found["example_id"].to_list() == names
        rooted = judge(names[:3], image_root=folder)
        assert rooted["verdict"].to_list() == found["verdict"].to_list()[:3]
        assert judge.one(names[0], image_root=folder).label == found["verdict"][0]
        with pytest.raises(DataError, match="a path of no folder: give a list"):
            judge("nowhere")
        with pytest.raises(DataError) as refused:
            judge(pl.DataFrame({"image": [names[0], "gone.png"]}))
    told = str(refused.value)
    assert "row 1: " in told
    assert "row 2: image gone.png: no such file" in told
    assert "image_root=FOLDER, or drop the row" in told


def test_a_frame_with_a_wrong_label_is_refused_by_row(run: LoadedRun) -> None:
    frame = pl.read_csv("photos.csv").with_columns(label=pl.lit("acept"))
    with pytest.raises(DataError, match=r"(?s)^frame: .*row 1: label 'acept'"):
        import_table(frame, "wrong.parquet", task=run.task)
    assert not Path("wrong.parquet").exists()


def test_the_same_call_resumes_and_another_is_refused(run: LoadedRun) -> None:
    assert optimize(KEYS, seed=0).result == run.result
    with pytest.raises(ConfigError, match=r"(?s)seed: 0 -> 1.*values \(the key seed=0\), or"):
        optimize(KEYS, seed=1)


def test_a_wrong_key_is_named() -> None:
    with pytest.raises(BlpoError, match="outptu"):
        optimize(task="agin", dataset="d.parquet", outptu="o")


def test_a_run_is_read_back_with_its_frames(run: LoadedRun) -> None:
    again = load_run("runs/photos")
    assert again.result == run.result
    assert again.judge_prompt in again.steps["next_judge_prompt"]
    assert len(again.predictions) == again.result.test.final.n
    right = (again.predictions["final_verdict"] == again.predictions["human_label"]).mean()
    assert right == pytest.approx(again.result.test.final.accuracy)
    assert again.report.exists()
    assert "acro F1" in again.summary


def test_what_is_no_finished_run_is_refused(run: LoadedRun, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a run directory"):
        load_run(tmp_path)
    with pytest.raises(ConfigError, match="nowhere: no such run directory or bundle"):
        Judge("nowhere")
    with (
        run.judge() as judge,
        pytest.raises(DataError, match=r"source: no image of task .*: image"),
    ):
        judge.one({"source": "a.png"})
    with run.judge() as judge, pytest.raises(DataError, match=r"^x\.png: no such file"):
        judge.one("x.png")


def test_a_judge_repeats_the_verdicts_of_its_run(run: LoadedRun) -> None:
    test = pl.read_parquet("photos.parquet").filter(pl.col("split") == "test")
    with Judge("runs/photos") as judge:
        verdicts = judge(test)
        measured = evaluate(judge, "photos.parquet")
        from_frame = evaluate(judge, test)
        assert judge.engine.ledger.session.calls == 0
    assert verdicts["verdict"].equals(run.predictions["final_verdict"], check_names=False)
    assert measured.agreement == from_frame.agreement == run.result.test.final


def test_a_judge_takes_paths_bytes_and_frames_alike(run: LoadedRun) -> None:
    paths = pl.read_csv("photos.csv")["image"].to_list()[:3]
    with run.judge() as judge:
        by_path = judge(paths)
        by_bytes = judge([Path(path).read_bytes() for path in paths])
        one = judge.one(paths[0])
    assert by_path["example_id"].to_list() == paths
    assert by_path.drop("example_id").equals(by_bytes.drop("example_id"))
    assert one.label == by_path["verdict"][0]


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"picture": ["a.png"]}), "column `image`: is missing.*picture"),
        (pl.DataFrame({"image": ["none.png"]}), "row 1: image none.png: no such file"),
        (pl.DataFrame({"image": [b"no image"]}), "row 1: image: cannot be decoded"),
        (pl.DataFrame({"image": [None]}, {"image": pl.String}), "row 1: has no image"),
        (pl.DataFrame({"image": []}, {"image": pl.String}), "has no rows"),
    ],
)
def test_images_that_cannot_be_judged_are_told_by_row(
    run: LoadedRun, frame: pl.DataFrame, message: str
) -> None:
    with run.judge() as judge, pytest.raises(DataError, match=message):
        judge(frame)


def test_rows_that_stand_twice_and_labels_of_no_task_are_refused(run: LoadedRun) -> None:
    image = pl.read_csv("photos.csv")["image"][0]
    with run.judge() as judge:
        with pytest.raises(DataError, match="stands in 2 rows"):
            judge([image, image])
        with pytest.raises(DataError, match=r"row 1: .*'fine'"):
            evaluate(judge, pl.DataFrame({"image": [image], "label": ["fine"]}))


def test_a_judge_of_no_run_takes_a_task_and_a_prompt(run: LoadedRun) -> None:
    image = pl.read_csv("photos.csv")["image"][0]
    with Judge.of_task(run.task, prompt=run.judge_prompt) as judge, run.judge() as aligned:
        assert judge([image]).equals(aligned([image]))
    with pytest.raises(ConfigError, match="judgee"):
        Judge.of_task(run.task, judgee={})


def test_errors_name_parameters_and_no_option_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    frame = pl.DataFrame({"image": ["a.png"], "verdict": ["Safe"]})
    frame.write_csv("t.csv")
    for call in (
        lambda: import_table("t.csv", "d.parquet", task="unsafebench"),
        lambda: import_table("t.csv", "d.parquet", task="unsafebench", columns={"label": "x"}),
        lambda: import_table("t.csv", "t.parquet", task="unsafebench", image_root="none"),
    ):
        with pytest.raises(BlpoError) as raised:
            call()
        assert "--" not in re.sub("`[^`]*`", "", str(raised.value))


def test_options_in_messages_become_parameters_and_commands_stay() -> None:
    for message, told in {
        "pass --overwrite": "pass overwrite=True",
        "or pass --start-over to replace": "or pass start_over=True to replace",
        "with --column label=COLUMN (or x)": "with columns={'label': 'COLUMN'} (or x)",
        "rename it with --label FOUND=TASK": "rename it with label_map={'FOUND': 'TASK'}",
        "pass --max-failed-share (now 0.1)": "pass max_failed_share (now 0.1)",
        "with --image-root FOLDER": "with image_root=FOLDER",
        "go on with `blpo label --task x`": "go on with `blpo label --task x`",
    }.items():
        assert in_parameters(message) == told
