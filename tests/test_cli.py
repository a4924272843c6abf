"""The command line: bad input is named with its remedy, exit codes, nothing half-written."""

import io
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from blpo.data.errors import StoreError
from blpo.data.examples import Example, write_dataset
from blpo.data.images import ImageBounds, ImageRef
from blpo.pipeline.cli import app
from blpo.pipeline.cli.show import tasks as shown_tasks
from blpo.pipeline.runs import run_many as runner
from command_line import Blpo, Outcome
from ideal_engine import ideal_world
from killable_run import IdealPool, make_run
from PIL import Image


def png(color: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(buffer, "PNG")
    return buffer.getvalue()


def make_example(number: int, label: str, split: str = "train") -> Example:
    image = ImageRef(png("red"), ImageBounds())
    name = f"e{number}"
    side = "train" if split == "train" else "test"
    return Example(name, image, None, label, group=name, category=None, split=side)


GOOD = [
    make_example(1, "Safe"),
    make_example(2, "Unsafe"),
    make_example(3, "Safe", "test"),
    make_example(4, "Unsafe", "test"),
]


def write_run_file(**fields: object) -> None:
    content = {"task": "unsafebench", "dataset": "data.parquet", "output": "run"} | fields
    Path("run.yaml").write_text(yaml.safe_dump(content))


def refused(outcome: Outcome, *parts: str) -> None:
    assert outcome.code == 1, outcome
    assert "Traceback" not in outcome.err
    for part in parts:
        assert part in outcome.err


def test_an_unknown_key_is_refused_with_the_likely_one(blpo: Blpo) -> None:
    write_dataset(Path("data.parquet"), GOOD)
    write_run_file(sed=1)
    refused(blpo("optimize", "run.yaml"), "run.yaml", "`sed`", "did you mean `seed`?")
    assert not Path("run").exists()


DATASETS: dict[str, tuple[list[Example], tuple[str, ...]]] = {
    "a label outside the task's set": (
        [*GOOD, make_example(5, "unsure")],
        ("row 5", "'e5'", "'unsure'", "Safe, Unsafe"),
    ),
    "a truncated image": (
        [*GOOD, replace(GOOD[0], example_id="e5", image=ImageRef(png("red")[:60], ImageBounds()))],
        ("'e5'", "cut off"),
    ),
    "an empty dataset": ([], ("has no rows",)),
    "a class without a train example": ([GOOD[0], *GOOD[2:]], ("Unsafe", "train")),
    "a repeated example id": ([*GOOD, GOOD[0]], ("row 5", "'e1'")),
}


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_with_a_fault_is_refused_before_anything_is_written(
    blpo: Blpo, name: str
) -> None:
    examples, parts = DATASETS[name]
    write_dataset(Path("data.parquet"), examples)
    write_run_file()
    refused(blpo("optimize", "run.yaml"), "data.parquet", *parts)
    assert not Path("run").exists()
    assert not Path("store").exists()


def test_a_missing_image_of_a_table_is_refused_with_its_line(blpo: Blpo) -> None:
    Path("a.png").write_bytes(png("red"))
    Path("table.csv").write_text("image,label\na.png,Safe\nb.png,Unsafe\n")
    outcome = blpo("import", "table", "table.csv", "--task", "unsafebench", "--out", "d.parquet")
    refused(outcome, "table.csv", "b.png")
    assert not Path("d.parquet").exists()


def test_a_model_path_that_does_not_exist_is_refused(blpo: Blpo) -> None:
    write_dataset(Path("data.parquet"), GOOD)
    write_run_file(judge={"kind": "vllm", "model": "./no/such/model"})
    refused(blpo("optimize", "run.yaml"), "no/such/model")
    assert not Path("run").exists()


def test_a_used_run_directory_is_refused_to_another_configuration(
    tmp_path: Path, blpo: Blpo
) -> None:
    run = make_run(tmp_path)
    run.execute()
    write_run_file(task="micro-unsafebench", seed=5)
    before = (tmp_path / "run" / "result.json").read_bytes()
    refused(blpo("optimize", "run.yaml"), "run", "seed: 0 -> 5", "--start-over")
    assert (tmp_path / "run" / "result.json").read_bytes() == before


def test_a_directory_with_other_files_is_never_taken_for_a_run(blpo: Blpo) -> None:
    write_dataset(Path("data.parquet"), GOOD)
    write_run_file(output="mine")
    Path("mine").mkdir()
    Path("mine/thesis.tex").write_text("years of work")
    refused(blpo("optimize", "run.yaml", "--start-over"), "mine", "thesis.tex")
    assert Path("mine/thesis.tex").read_text() == "years of work"


def test_a_part_cut_off_in_the_middle_is_named_moved_aside_and_asked_again(
    tmp_path: Path, blpo: Blpo
) -> None:
    result = make_run(tmp_path).execute()
    part = max((tmp_path / "store" / "verdicts").rglob("*.parquet"), key=lambda p: p.stat().st_size)
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])

    with pytest.raises(StoreError, match=part.name):
        make_run(tmp_path).execute()
    outcome = blpo("store", "verify")
    assert outcome.code == 1
    assert part.name in outcome.out
    assert part.exists()

    assert blpo("store", "verify", "--quarantine").code == 0
    assert not part.exists()
    assert blpo("store", "verify").code == 0
    assert make_run(tmp_path).execute().test == result.test


def test_a_store_that_does_not_exist_is_refused(blpo: Blpo) -> None:
    refused(blpo("store", "stats", "--store", "nowhere"), "nowhere")


def test_the_tasks_are_listed_for_people_and_for_scripts(blpo: Blpo) -> None:
    assert "micro-agin" in blpo("tasks").out
    names = [task["name"] for task in json.loads(blpo("tasks", "--json").out)]
    assert {"unsafebench", "agin", "seetrue", "imagereward"} < set(names)


def test_it_says_its_version(blpo: Blpo) -> None:
    assert blpo("--version").out == f"blpo {version('blpo')}\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("init", "--judge", "A", "--judge", "B"), "--judge takes one value and is given 2: A"),
        (("judge", "x", "--run", "A", "--run=A"), "given 2: A and A: keep one"),
        (("import", "koniq-10k", "--seed", "1", "--seed", "2"), "--seed takes one value"),
        (("init", "--text", "--no-text"), "--text and --no-text: keep one of them"),
    ],
)
def test_an_option_of_one_value_is_given_once(
    blpo: Blpo, arguments: tuple[str, ...], told: str
) -> None:
    done = blpo(*arguments)
    assert (done.code, told in done.err) == (2, True), done.err


def test_wrong_usage_has_an_exit_code_of_its_own(blpo: Blpo) -> None:
    assert blpo("optimise").code == 2
    assert blpo("judge").code == 2
    assert "3 `doctor` found warnings only" in " ".join(blpo("--help").out.split())
    unknown = blpo("demo", "--method", "blop")
    assert (unknown.code, "textgrad" in unknown.err) == (2, True)


def test_judge_needs_a_run_or_a_task(blpo: Blpo) -> None:
    write_dataset(Path("data.parquet"), GOOD)
    refused(blpo("judge", "data.parquet", "--out", "v.parquet"), "--run", "--task")


def test_a_baseline_runs_from_the_command_line(blpo: Blpo, monkeypatch: pytest.MonkeyPatch) -> None:
    _, engine = ideal_world("micro-unsafebench")
    monkeypatch.setattr(runner, "EnginePool", lambda: IdealPool(engine))
    arguments = ("demo", "--task", "micro-unsafebench", "--method", "textgrad", "--method", "opro")
    outcome = blpo(*arguments, "--out", "demo", "--json")
    assert outcome.code == 0
    textgrad, opro = (run["result"] for run in json.loads(outcome.out))
    assert (textgrad["method"], opro["method"]) == ("textgrad", "opro")
    assert opro["test"]["gain"]["accuracy"] > 0
    steps = Path("demo/runs/micro-unsafebench-opro-0/steps")
    assert len(list(steps.iterdir())) == 20
    [line] = (steps.parent / "ledger.jsonl").read_text().splitlines()
    session, calls = json.loads(line)["roles"], opro["calls"]
    for role in ("judge", "optimizer"):
        for name in ("asked", "from_store", "new", "prompt_tokens"):
            assert session[role][name] == calls[role][name]


def test_import_says_what_it_took_and_can_be_asked_for_json(blpo: Blpo) -> None:
    for number in range(8):
        Path(f"{number}.png").write_bytes(png(f"#0000{number}0"))
    rows = "".join(f"{n}.png,{'good' if n % 2 else 'bad'},x\n" for n in range(8))
    Path("t.csv").write_text("image,label,note\n" + rows)
    labels = ("--label", "good=Safe", "--label", "bad=Unsafe")
    common = ("import", "table", "t.csv", "--task", "unsafebench", *labels)
    outcome = blpo(*common, "--out", "a.parquet")
    assert outcome.code == 0
    assert "8 examples" in outcome.out
    assert "not used: note" in outcome.out
    summary = json.loads(blpo(*common, "--out", "b.parquet", "--json").out)
    assert summary["num_rows"] == 8
    assert Path("a.parquet").read_bytes() == Path("b.parquet").read_bytes()


@pytest.mark.parametrize(
    "error", [MemoryError(), ImportError("a.so: failed to map segment from shared object")]
)
def test_want_of_memory_is_a_message(
    blpo: Blpo, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(app, "app", fail)
    refused(blpo("tasks"), "error: out of memory", "goes on where it stopped")


def test_an_interrupted_command_says_that_it_can_go_on(
    blpo: Blpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*, as_json: bool) -> None:
        raise KeyboardInterrupt(as_json)

    monkeypatch.setattr(shown_tasks, "show_tasks", interrupt)
    stopped = blpo("tasks")
    assert stopped.code == 130
    assert stopped.err.count("interrupted; the same command goes on where it stopped") == 1
