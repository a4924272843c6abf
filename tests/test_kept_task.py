"""A run keeps its task: later edits of the task file reach neither it nor what uses its prompt."""

import json
import os
import shutil
from pathlib import Path

import pytest
import yaml
from blpo.data.errors import ConfigError
from blpo.data.examples import write_dataset
from blpo.data.store.store import ReplyStore
from blpo.data.tasks import load_task, task_names, task_yaml
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.bulk import judge_source, judging
from blpo.pipeline.config import RunConfig
from blpo.pipeline.runs import run_many
from blpo.pipeline.runs.directory import load_run
from blpo.pipeline.runs.local_model import model_from_here
from blpo.pipeline.runs.run import Run
from blpo.pipeline.sweeps.cells import finished_result
from command_line import Blpo
from ideal_engine import IdealEngine, ideal_world
from killable_run import IdealPool

TASK = load_task("micro-unsafebench")
FIRST_LINE = "judge: micro (vllm); judge prompt: final prompt of runs/photos; store: store\n"
SYNTHETIC = "Synthetic test bench: these figures say nothing about real judges."


def write_task(**changes: object) -> None:
    Path("task.yaml").write_text(task_yaml(TASK.model_copy(update=changes)), "utf-8")


@pytest.fixture
def engine(blpo: Blpo, monkeypatch: pytest.MonkeyPatch) -> IdealEngine:
    """A finished run in runs/photos of ./task.yaml, and the engine of every later command."""
    del blpo  # It goes into the test's folder.
    dataset, engine = ideal_world(TASK.name, num_train=12, num_test=16)
    write_dataset(Path("data.parquet"), [*dataset.train, *dataset.test])
    write_task()
    fields = {
        "task": "task.yaml",
        "dataset": "data.parquet",
        "output": "runs/photos",
        "method": "none",
    }
    Path("run.yaml").write_text(yaml.safe_dump(fields), "utf-8")
    for module in (judge_source, judging, run_many):
        monkeypatch.setattr(module, "EnginePool", lambda: IdealPool(engine))
    Run(RunConfig.model_validate(fields), IdealPool(engine)).execute()
    engine.asked.clear()
    return engine


@pytest.mark.parametrize("name", task_names())
def test_a_written_task_file_is_read_as_the_same_task(name: str, tmp_path: Path) -> None:
    odd = {
        "judge_prompt": "a: b\n\n#c\ttab \u2028 \x07 '\"{{x}} - \U0001f600",
        "description": "- yes",
    }
    for task in (load_task(name), load_task(name).model_copy(update=odd)):
        (tmp_path / "task.yaml").write_text(task_yaml(task), "utf-8")
        assert load_task(tmp_path / "task.yaml") == task


@pytest.mark.usefixtures("engine")
def test_a_run_keeps_its_task_and_where_its_store_is(tmp_path: Path) -> None:
    assert load_task("runs/photos/task.yaml") == TASK
    assert json.loads(Path("runs/photos/config.json").read_text())["store"] == "../../store"
    assert load_run(Path("runs/photos"))[0].store == Path("store")
    os.chdir("runs")
    assert load_run(Path("photos"))[0].store == tmp_path / "store"


def test_a_run_whose_task_file_has_changed_is_refused_with_the_difference(
    engine: IdealEngine, blpo: Blpo
) -> None:
    before = Path("runs/photos/result.json").read_bytes()
    write_task(answer_instruction="Say Safe or Unsafe.", primary_metric="accuracy")
    refused = blpo("optimize", "run.yaml")
    assert (refused.code, engine.asked) == (1, [])
    assert refused.err == (
        "error: output runs/photos: belongs to another run, which differs in\n"
        f'  task.answer_instruction: "{TASK.answer_instruction}" -> "Say Safe or Unsafe."\n'
        '  task.primary_metric: "macro_f1" -> "accuracy"\n'
        "Name another output, restore these values (the run's task is in runs/photos/task.yaml), "
        "or pass --start-over to replace that run (replies in the store are kept).\n"
    )
    assert Path("runs/photos/result.json").read_bytes() == before
    assert blpo("optimize", "run.yaml", "--start-over").code == 0
    assert load_task("runs/photos/task.yaml").primary_metric == "accuracy"


def test_the_task_file_may_be_renamed_and_moved(engine: IdealEngine, blpo: Blpo) -> None:
    Path("elsewhere").mkdir()
    Path("task.yaml").rename("elsewhere/photos.yaml")
    assert blpo("optimize", "run.yaml", "--set", "task=elsewhere/photos.yaml").code == 0
    assert engine.asked == []


def test_a_prompt_is_used_with_the_task_and_the_store_of_its_run(
    engine: IdealEngine, blpo: Blpo
) -> None:
    Path("task.yaml").unlink()
    evaluated = blpo("evaluate", "data.parquet", "--run", "runs/photos")
    assert evaluated.out.startswith(FIRST_LINE)
    assert evaluated.out.endswith(SYNTHETIC + "\n")
    assert engine.asked == []
    judged = blpo("judge", "data.parquet", "--run", "runs/photos", "--out", "v.parquet")
    assert judged.out.startswith(FIRST_LINE)
    assert judged.out.endswith(SYNTHETIC + "\n")
    # The training images, which the run has not judged; those of the test are in its store.
    assert len(engine.asked) == 12


def test_a_run_is_used_from_any_folder(
    engine: IdealEngine, blpo: Blpo, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    run = ("--run", str(tmp_path / "runs/photos"))
    assert blpo("evaluate", "../data.parquet", *run).code == 0
    assert engine.asked == []
    assert not Path("store").exists()
    assert blpo("evaluate", "../data.parquet", *run, "--store", "new").code == 0
    assert len(engine.asked) == 16
    assert ReplyStore(Path("new")).stats()


def test_a_store_behind_links_is_found(
    engine: IdealEngine, blpo: Blpo, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    scratch = tmp_path_factory.mktemp("scratch") / "deep"
    scratch.mkdir()
    shutil.rmtree("runs")
    Path("runs").symlink_to(scratch)
    assert blpo("optimize", "run.yaml").code == 0
    for run in ("runs/photos", str(scratch / "photos")):
        assert load_run(Path(run))[0].store.resolve() == tmp_path / "store"
    assert engine.asked == []


def test_without_its_store_a_run_asks_where_the_replies_are(
    engine: IdealEngine, blpo: Blpo
) -> None:
    Path("store").rename("moved")
    refused = blpo("evaluate", "data.parquet", "--run", "runs/photos")
    assert refused.code == 1
    assert refused.err == (
        "error: runs/photos: its reply store store is not there; name it with --store, or a new "
        "folder, in which every reply is asked for anew\n"
    )
    assert blpo("evaluate", "data.parquet", "--run", "runs/photos", "--store", "moved").code == 0
    assert engine.asked == []


@pytest.mark.usefixtures("engine")
def test_a_judge_without_a_run_is_named_too(blpo: Blpo) -> None:
    Path("p.txt").write_text("Is it safe?")
    task = ("data.parquet", "--task", "micro-unsafebench")
    own = blpo("evaluate", *task).out
    assert own.startswith(
        "judge: micro (vllm); judge prompt: initial prompt of task micro-unsafebench; "
        "store: store\n"
    )
    other = blpo(
        *("evaluate", *task, "--prompt", "p.txt"),
        *("--set", "judge={kind: openai, model: gpt, revision: r1}", "--json"),
    )
    found = json.loads(other.out)
    assert (found["judge"], found["synthetic"]) == ("gpt@r1 (openai)", False)


# --------------------------------------------------------------------- runs of earlier versions


@pytest.fixture
def old_run(engine: IdealEngine) -> IdealEngine:
    """The run as an earlier version left it."""
    Path("runs/photos/task.yaml").unlink()
    fields = json.loads(Path("runs/photos/config.json").read_text())
    del fields["store"]
    Path("runs/photos/config.json").write_text(json.dumps(fields))
    return engine


def test_an_old_run_reads_its_task_file_and_says_so(
    old_run: IdealEngine, blpo: Blpo, caplog: pytest.LogCaptureFixture
) -> None:
    assert blpo("evaluate", "data.parquet", "--run", "runs/photos").out.startswith(FIRST_LINE)
    assert old_run.asked == []
    assert caplog.messages[0] == (
        "runs/photos keeps no copy of its task, as runs of earlier versions: task.yaml is read as "
        "it is now"
    )
    Path("task.yaml").unlink()
    gone = blpo("evaluate", "data.parquet", "--run", "runs/photos")
    assert (gone.code, "task.yaml: no such task file" in gone.err) == (1, True)


def test_an_old_run_that_is_resumed_keeps_its_task_from_then_on(
    old_run: IdealEngine, blpo: Blpo
) -> None:
    moved = blpo("optimize", "run.yaml", "--set", "task=micro-unsafebench")
    assert 'task: "task.yaml" -> "micro-unsafebench"' in moved.err
    assert blpo("optimize", "run.yaml").code == 0
    assert old_run.asked == []
    assert load_task("runs/photos/task.yaml") == TASK


# ---------------------------------------------------------------------------------- damaged files


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("content", ["[]", "{}", '{"models": [], "a": ' + "9" * 5000 + "}"])
@pytest.mark.parametrize("name", ["config.json", "inputs.json", "result.json"])
def test_a_run_whose_files_hold_other_json_is_a_named_error(
    blpo: Blpo, name: str, content: str
) -> None:
    """Nothing but a message of ours, wherever it is read; what does not need the file goes on."""
    (Path("runs/photos") / name).write_text(content)
    for command in (
        ("evaluate", "data.parquet", "--run", "runs/photos"),
        ("verify", "runs/photos"),
        ("compare", "runs/photos", "runs/photos"),
        ("optimize", "run.yaml"),
    ):
        ended = blpo(*command)
        assert ended.code in (0, 1), command
        assert "Traceback" not in ended.err
        if ended.code:
            assert "runs/photos" in ended.out + ended.err


# ------------------------------------------------------------------------------ sweeps, comparison


@pytest.mark.usefixtures("engine")
def test_a_cell_of_a_sweep_is_finished_only_under_the_task_it_was_run_on(blpo: Blpo) -> None:
    cell, _ = load_run(Path("runs/photos"))
    assert finished_result(cell) is not None
    write_task(judge_prompt="Is it safe?")
    with pytest.raises(ConfigError, match=r"task.judge_prompt"):
        finished_result(cell)
    changed = blpo("optimize", "run.yaml", "--set", "output=runs/changed")
    assert changed.code == 0
    compared = blpo("compare", "runs/photos", "runs/changed").out
    assert f'task.judge_prompt: "{TASK.judge_prompt}" -> "Is it safe?"' in compared


def test_a_model_with_a_relative_path_is_found_from_any_folder(
    blpo: Blpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worlds").mkdir()
    (tmp_path / "worlds/w.yaml").write_text("draw: {num_train: 6, num_test: 8}\n")
    drawn = ("import", "micro", "worlds/w.yaml", "--task", TASK.name, "--out", "data.parquet")
    assert blpo(*drawn).code == 0
    fields = {
        "task": TASK.name,
        "dataset": "data.parquet",
        "output": "runs/photos",
        "method": "none",
        "judge": {"kind": "ideal", "model": "worlds/w.yaml"},
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(fields), "utf-8")
    assert blpo("optimize", "run.yaml").code == 0
    kept = (tmp_path / "runs/photos/config.json").read_bytes()
    exported = blpo("export", "runs/photos", "--out", "photos.json").out
    assert "its model worlds/w.yaml is a path from this folder: from another one" in exported
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    command = ("judge", "../data.parquet", "--run", "../runs/photos", "--json", "--out")
    done = blpo(*command, "v.parquet")
    assert done.code == 0, done.err
    # The test images are in the store, by the same judge; the others are new.
    assert json.loads(done.out)["new_calls"] == 6
    bundled = ("judge", "../data.parquet", "--bundle", "../photos.json", "--out", "b.parquet")
    assert "verdicts: b.parquet" in blpo(*bundled).out
    (tmp_path / "worlds").rename(tmp_path / "moved")
    told = blpo(*bundled, "--overwrite").err
    assert "its model worlds/w.yaml is neither here nor in a folder above the bundle" in told
    assert "where the bundle was exported, from which this path starts" in told
    assert "--set judge.model=PATH" in told
    lost = blpo(*command, "w.parquet")
    assert "its model worlds/w.yaml is neither here nor in a folder above the run" in lost.err
    there = ("--set", "judge.model=../moved/w.yaml")
    assert blpo(*command, "w.parquet", *there).code == 0
    assert blpo(*bundled, "--overwrite", *there).code == 0
    assert (tmp_path / "runs/photos/config.json").read_bytes() == kept


def test_a_name_of_the_hub_is_no_lost_path(tmp_path: Path) -> None:
    judge = EngineSettings(kind="vllm", model="Qwen/Qwen3-VL-8B-Instruct")
    assert model_from_here(tmp_path, judge, "") == judge
    for settings in (
        EngineSettings(kind="vllm", model="../checkpoints/judge"),
        EngineSettings(kind="ideal", model="worlds/one.yaml"),
    ):
        with pytest.raises(ConfigError, match="is neither here nor in a folder above"):
            model_from_here(tmp_path, settings, "")
