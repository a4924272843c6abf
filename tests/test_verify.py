"""`blpo verify` finds every figure that is not what the predictions give, and nothing else."""

import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import test_micro_pairs
from blpo.data.arrow import pa, pq
from blpo.data.errors import ConfigError, DataError
from blpo.data.examples import write_dataset
from blpo.models.engine import Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.methods.registry import SEARCHES
from blpo.pipeline.runs.run import Run
from blpo.pipeline.verify.findings import Findings
from blpo.pipeline.verify.page_differences import plots_agree
from blpo.pipeline.verify.run import verify_run
from command_line import Blpo
from ideal_engine import IdealEngine, ideal_world
from ideal_runs import ideal_dataset, ideal_run
from killable_run import IdealPool
from test_noise_floor import UnsteadyEngine

ORDINAL = "micro-agin"
BINARY = "micro-unsafebench"
METHODS = tuple(name for name, method in SEARCHES.items() if not method.rewrites_criteria)


class TextEngine(IdealEngine):
    """Gives its verdicts as texts without probabilities, to some questions none."""

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        replies = super().ask(requests)
        return [
            replace(reply, text="" if len(r.image.data) % 5 == 0 else reply.text, **AS_TEXT)
            if r.labels and r.image
            else reply
            for r, reply in zip(requests, replies, strict=True)
        ]


AS_TEXT: dict[str, Any] = {"label_logprobs": None, "finish_reason": "stop"}


def finished(folder: Path, name: str, engine: IdealEngine, task: str, **fields: Any) -> Path:
    config = RunConfig.model_validate(
        {
            "task": task,
            "dataset": folder / f"{task}.parquet",
            "output": folder / name,
            "store": folder / f"store-{name}",
            "optimizer": OptimizerConfig(engine=EngineSettings(kind="lexicon")),
            "max_failed_share": 1,
            **fields,
        }
    )
    Run(config, IdealPool(engine)).execute()
    return config.output


def make_runs(folder: Path) -> dict[str, Path]:
    """A finished run of every method, and of every kind of task and verdict."""
    data: dict[str, IdealEngine] = {}
    for task in (BINARY, ORDINAL):
        dataset, data[task] = ideal_world(task, num_train=12, num_test=24)
        write_dataset(folder / f"{task}.parquet", [*dataset.train, *dataset.test])
    pairs = test_micro_pairs.world(folder, num_train=20)
    (folder / "data.parquet").rename(folder / "micro-pairs.parquet")
    binary, ordinal = data[BINARY], data[ORDINAL]
    of_binary: dict[str, dict[str, Any]] = {method: {"method": method} for method in METHODS}
    of_binary |= {
        "plus": {"preset": "plus"},
        "reasoned": {"method": "none", "verdict": "reasoned"},
        "other seed": {"method": "none", "seed": 7},
        "read": {"method": "none", "reading": "auto"},
    }
    runs = {name: finished(folder, name, binary, BINARY, **f) for name, f in of_binary.items()}
    unsteady = UnsteadyEngine(binary.scenes, binary.scale)
    text = TextEngine(binary.scenes, binary.scale)
    asked_twice = {"method": "none", "noise_floor": True}
    return runs | {
        "noise floor": finished(folder, "noise", unsteady, BINARY, **asked_twice),
        "text": finished(folder, "text", text, BINARY, method="blpo"),
        "ordinal": finished(
            folder, "ordinal", ordinal, ORDINAL, preset="plus", reading="cutpoints"
        ),
        "pairs": finished(folder, "pairs", pairs, "micro-pairs", method="blpo"),
        "pairs, twice": finished(folder, "twice", pairs, "micro-pairs", **asked_twice),
    }


RUNS = [
    *METHODS,
    *(
        "plus",
        "reasoned",
        "other seed",
        "read",
        "noise floor",
        "text",
        "ordinal",
        "pairs",
        "pairs, twice",
    ),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return make_runs(tmp_path_factory.mktemp("runs"))


@pytest.fixture
def run(runs: dict[str, Path], tmp_path: Path) -> Path:
    """A copy of a run with a search, to be changed."""
    return Path(shutil.copytree(runs["blpo"], tmp_path / "run"))


@pytest.mark.parametrize("name", RUNS)
def test_a_run_of_every_method_and_kind_is_ok(runs: dict[str, Path], name: str) -> None:
    before = files_of(runs[name])
    findings = verify_run(runs[name])
    assert findings.differences == []
    assert findings.num_figures > 250
    assert len(findings.not_checked) == 1
    assert files_of(runs[name]) == before


def test_a_run_that_was_to_write_no_report_is_ok_and_gets_one_when_it_is_asked_for(
    tmp_path: Path,
) -> None:
    data, engine = ideal_world(BINARY, num_train=12, num_test=24)
    write_dataset(tmp_path / f"{BINARY}.parquet", [*data.train, *data.test])
    run = finished(tmp_path, "run", engine, BINARY, method="none", report=False)
    findings = verify_run(run)
    assert findings.differences == []
    assert findings.not_checked == ["report.html: the run was not to write one"]
    finished(tmp_path, "run", engine, BINARY, method="none")
    assert (run / "report.html").exists()
    assert verify_run(run).differences == []


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --------------------------------------------------------------------- one number at a time


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The places of all numbers in JSON values."""
    if isinstance(value, dict):
        children: list[tuple[str | int, Any]] = list(cast("dict[str, Any]", value).items())
    elif isinstance(value, list):
        children = list(enumerate(cast("list[Any]", value)))
    else:
        children = []
    if children:
        return [leaf for key, child in children for leaf in leaves(child, (*path, key))]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return [path] if is_number else []


def changed(value: Any, path: tuple[str | int, ...]) -> Any:
    """The same with the number at this place a little larger."""
    if not path:
        return value + (1 if isinstance(value, int) else 0.0011)
    key, *rest = path
    copy: Any = value.copy()
    copy[key] = changed(value[key], tuple(rest))
    return copy


def named(path: tuple[str | int, ...]) -> str:
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in path).removeprefix(".")


@pytest.mark.parametrize("name", ["blpo", "noise floor", "pairs, twice"])
def test_every_number_of_the_result_that_is_changed_is_found(
    runs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    run = Path(shutil.copytree(runs[name], tmp_path / "run"))
    kept = json.loads((run / "result.json").read_text())
    places = [place for place in leaves(kept) if place != ("seconds",)]
    assert len(places) > 50
    for place in places[::17]:
        (run / "result.json").write_text(json.dumps(changed(kept, place)))
        differences = verify_run(run).differences
        assert any(d.file == "result.json" for d in differences), place
        if place[0] == "test":
            assert named(place) in {d.figure for d in differences}


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("none", "blpo")])
def test_what_is_changed_in_the_run_of_another_method_is_found_in_every_file(
    runs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    run = Path(shutil.copytree(runs[name], tmp_path / "run"))
    (run / "checksums.json").unlink()
    for file, place in (
        ("result.json", ("test", "gain", "macro_f1")),
        ("steps/step-0.json", ("train", "accuracy")),
    ):
        kept = json.loads((run / file).read_text())
        (run / file).write_text(json.dumps(changed(kept, place)))
    report = (run / "report.html").read_text()
    (run / "report.html").write_text(re.sub(r"\d+ misjudged", "99 misjudged", report, count=1))
    differences = verify_run(run).differences
    found = {(d.file, d.figure) for d in differences}
    assert {("result.json", "test.gain.macro_f1"), ("steps/step-0.json", "train.accuracy")} <= found
    assert [d.figure for d in differences if d.file == "report.html"] == ["step 0 on train"]


def test_a_number_of_the_result_is_told_with_both_values(run: Path, blpo: Blpo) -> None:
    kept = json.loads((run / "result.json").read_text())
    accuracy = kept["test"]["final"]["accuracy"]
    kept["test"]["final"]["accuracy"] = 0.123
    (run / "result.json").write_text(json.dumps(kept))
    outcome = blpo("verify", str(run))
    assert outcome.code == 1
    told = f"result.json: test.final.accuracy: kept 0.123, recomputed {accuracy}"
    assert told in outcome.out
    as_json = json.loads(blpo("verify", str(run), "--json").out)
    assert as_json[0]["ok"] is False
    assert as_json[0]["differences"][0]["figure"] == "test.final.accuracy"


@pytest.mark.parametrize(
    ("name", "column"), [("blpo", "final_verdict"), ("blpo", "initial_verdict")]
)
def test_a_verdict_that_is_changed_shows_in_the_figures(run: Path, name: str, column: str) -> None:
    del name
    path = run / "predictions.parquet"
    table = pq.read_table(path)
    verdicts = table[column].to_pylist()
    labels = ["Safe", "Unsafe"]
    verdicts[3] = labels[1 - labels.index(verdicts[3])]
    place = table.schema.names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(verdicts)), path)
    figures = {d.figure for d in verify_run(run).differences}
    part = column.partition("_")[0]
    assert {f"test.{part}.accuracy", "test.gain.accuracy"} <= figures
    assert any(figure.startswith("summary: ") for figure in figures)


def test_a_human_label_or_probability_that_is_changed_is_found(run: Path) -> None:
    path = run / "predictions.parquet"
    table = pq.read_table(path)
    labels = table["human_label"].to_pylist()
    labels[0] = {"Safe": "Unsafe", "Unsafe": "Safe"}[labels[0]]
    place = table.schema.names.index("human_label")
    pq.write_table(table.set_column(place, "human_label", pa.array(labels)), path)
    assert "label of row 1" in {d.figure for d in verify_run(run).differences}
    shares = table["final_probabilities"].to_pylist()
    shares[0] = {label: 1 - share for label, share in shares[0].items()}
    place = table.schema.names.index("final_probabilities")
    kind = table.schema.field(place)
    pq.write_table(table.set_column(place, kind, pa.array(shares, kind.type)), path)
    differences = {d.figure.partition(":")[0] for d in verify_run(run).differences}
    assert {"probabilities", "scorecard"} <= differences


def test_every_figure_of_the_report_that_is_changed_is_found(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    """Those of every section, by themselves: without the checksums."""
    for name in ("blpo", "pairs, twice"):
        run = Path(shutil.copytree(runs[name], tmp_path / name))
        (run / "checksums.json").unlink()
        report = (run / "report.html").read_text()
        start = report.index('<section id="summary">')
        part = report[start : report.index('<section id="misjudged">')]
        figures = list(re.finditer(r"(?<=[>( +\N{MINUS SIGN}])\d\.\d{3}\b", part))
        assert len(figures) > 40
        for match in figures[::20]:
            place = start + match.end() - 1
            other = str((int(report[place]) + 5) % 10)
            (run / "report.html").write_text(report[:place] + other + report[place + 1 :])
            differences = verify_run(run).differences
            assert [d.file for d in differences] == ["report.html"], match[0]


def test_a_plot_that_shows_something_else_is_found(run: Path) -> None:
    (run / "checksums.json").unlink()
    report = (run / "report.html").read_text()
    for plot in range(report.count("<svg")):
        start = [m.start() for m in re.finditer("<svg", report)][plot]
        line = re.compile(r"\bL (\d+)").search(report, start)
        assert line
        moved = report[: line.start(1)] + str(int(line[1]) + 3) + report[line.end(1) :]
        (run / "report.html").write_text(moved)
        told = [d.figure for d in verify_run(run).differences]
        assert len(told) == 1, told
        assert "plot" in told[0]


def test_a_plot_agrees_with_itself_whatever_its_parts_are_called() -> None:
    plot = '<svg><path id="m3e9171" d="M 1.50 2"/></svg>'
    assert plots_agree(plot, plot)
    assert plots_agree(plot, plot.replace("1.50", "1.505"))
    assert not plots_agree(plot, plot.replace("1.50", "1.52"))


@pytest.mark.parametrize(
    ("shown", "told"),
    [
        ("what this step changed", "step 0: change of the judge prompt"),
        ('<p class="outcome ', "gallery: "),
        ("blpo judge IMAGES", "use: "),
    ],
)
def test_a_change_an_outcome_or_a_command_that_is_not_the_run_s_is_found(
    run: Path, shown: str, told: str
) -> None:
    (run / "checksums.json").unlink()
    report = (run / "report.html").read_text()
    assert shown in report
    (run / "report.html").write_text(report.replace(shown, f"sooner {shown}", 1))
    [difference] = verify_run(run).differences
    assert difference.figure.startswith(told)


@pytest.mark.parametrize("key", ["accuracy", "macro_f1", "n", "unparsable_share"])
def test_a_figure_of_a_step_is_found(run: Path, key: str) -> None:
    path = run / "steps" / "step-0.json"
    step = json.loads(path.read_text())
    step["train"][key] += 1
    path.write_text(json.dumps(step))
    figures = {(d.file, d.figure) for d in verify_run(run).differences}
    assert ("steps/step-0.json", f"train.{key}") in figures


def test_the_score_of_a_prompt_that_was_tried_is_found_in_the_report(run: Path) -> None:
    path = run / "steps" / "step-0.json"
    step = json.loads(path.read_text())
    step["tried"][1]["score"] += 0.1
    path.write_text(json.dumps(step))
    assert any("step 0, 1" in str(d) for d in verify_run(run).differences)


@pytest.mark.parametrize(
    "name", ["report.html", "task.yaml", "inputs.json", "steps/step-0.json", "prompts/*final*"]
)
def test_any_other_change_of_a_file_is_found_by_its_checksum(run: Path, name: str) -> None:
    for file in run.glob(name):
        content = file.read_bytes()
        file.write_bytes(content.replace(b" ", b"  ", 1) + b"\n")
        assert any(d.figure == "sha256" for d in verify_run(run).differences)
        file.write_bytes(content)
    assert verify_run(run).differences == []


def test_a_prompt_that_is_not_the_one_of_the_result_is_found(run: Path) -> None:
    (run / "prompts" / "judge_prompt_final.txt").write_text("another")
    told = {(d.figure, d.recomputed) for d in verify_run(run).differences}
    assert ("judge_prompt_final", '"another"') in told


# --------------------------------------------------------------- files that are not there or whole


@pytest.mark.parametrize(
    "name",
    [
        *("result.json", "config.json", "inputs.json", "predictions.parquet", "report.html"),
        *("steps/step-0.json", "prompts/judge_prompt_final.txt", "checksums.json"),
    ],
)
@pytest.mark.parametrize("damage", ["missing", "cut", "garbage", "folder"])
def test_a_file_that_is_missing_or_damaged_is_named(
    run: Path, blpo: Blpo, name: str, damage: str
) -> None:
    path = run / name
    content = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "garbage":
        path.write_bytes(b"\xff\xfe\x00")
    elif damage == "folder":
        path.mkdir()
    outcome = blpo("verify", str(run))
    if (name, damage) == ("checksums.json", "missing"):
        assert (outcome.code, "kept no checksums.json" in outcome.out) == (0, True)
        return
    assert outcome.code == 1
    assert name in outcome.out + outcome.err or "not finished" in outcome.err
    assert "Traceback" not in outcome.err


def set_value(path: Path, column: str, row: int, value: str | None) -> None:
    table = pq.read_table(path)
    values = table[column].to_pylist()
    values[row] = value
    place = table.schema.names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(values, pa.string())), path)


@pytest.mark.parametrize(
    ("column", "value"),
    [("final_verdict", "Saef"), ("human_label", "x"), ("human_label", None), ("group", None)],
)
def test_predictions_with_a_value_that_no_run_has_are_damaged(
    run: Path, column: str, value: str | None
) -> None:
    set_value(run / "predictions.parquet", column, 2, value)
    with pytest.raises(DataError, match=f"predictions.parquet: row 3: `{column}` is {value!r}"):
        verify_run(run)


def test_predictions_without_rows_or_columns_are_damaged(run: Path) -> None:
    path = run / "predictions.parquet"
    table = pq.read_table(path)
    pq.write_table(table.slice(0, 0), path)
    with pytest.raises(DataError, match="has no rows"):
        verify_run(run)
    pq.write_table(table.drop_columns(["final_reason"]), path)
    with pytest.raises(DataError, match="has no column `final_reason`"):
        verify_run(run)


def test_a_folder_that_is_no_finished_run_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a run directory"):
        verify_run(tmp_path)
    (run / "result.json").unlink()
    with pytest.raises(ConfigError, match="the run is not finished"):
        verify_run(run)


# ------------------------------------------------------------------------- earlier versions


def as_before(run: Path) -> None:
    """Without all that a run has kept only since it can be verified."""
    (run / "checksums.json").unlink()
    table = pq.read_table(run / "predictions.parquet")
    old = ("again_", "initial_raw_", "final_raw_")
    new = ("in_order", "turned", "num_orders")
    names = [n for n in table.schema.names if n.startswith(old) or n.endswith(new)]
    pq.write_table(table.drop_columns(names), run / "predictions.parquet")
    report = (run / "report.html").read_text()
    (run / "report.html").write_text(re.sub(r'\n<section id="\w+">', "", report))
    for file in run.glob("steps/*.json"):
        step = json.loads(file.read_text())
        del step["tried"], step["num_shown"]
        file.write_text(json.dumps(step))


@pytest.mark.parametrize("name", ["blpo", "noise floor", "pairs, twice", "ordinal"])
def test_a_run_of_an_earlier_version_is_checked_as_far_as_it_goes(
    runs: dict[str, Path], tmp_path: Path, name: str
) -> None:
    run = Path(shutil.copytree(runs[name], tmp_path / "run"))
    as_before(run)
    findings = verify_run(run)
    assert findings.differences == []
    told = "\n".join(findings.not_checked)
    assert "report.html: an earlier version has written it" in told
    assert "checksums: an earlier version" in told
    assert ("noise_floor" in told) == (name in ("noise floor", "pairs, twice"))
    assert ("position_consistency" in told) == name.startswith("pairs")
    kept = json.loads((run / "result.json").read_text())
    kept["test"]["final"]["ci95"]["macro_f1"][0] += 0.01
    (run / "result.json").write_text(json.dumps(kept))
    assert [d.figure for d in verify_run(run).differences] == ["test.final.ci95.macro_f1[0]"]


def remove_dataset(folder: Path) -> None:
    (folder / f"{BINARY}.parquet").unlink()


def damage_dataset(folder: Path) -> None:
    (folder / f"{BINARY}.parquet").write_bytes(b"x")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (remove_dataset, "scorecard and gallery"),
        (damage_dataset, "scorecard and gallery"),
    ],
)
def test_without_the_dataset_all_else_is_checked(
    tmp_path: Path, change: Callable[[Path], None], told: str
) -> None:
    dataset, engine = ideal_world(BINARY, num_train=12, num_test=24)
    write_dataset(tmp_path / f"{BINARY}.parquet", [*dataset.train, *dataset.test])
    run = finished(tmp_path, "run", engine, BINARY, method="none")
    num_figures = verify_run(run).num_figures
    change(tmp_path)
    findings = verify_run(run)
    assert findings.differences == []
    assert any(told in line for line in findings.not_checked)
    assert 100 < findings.num_figures < num_figures


def test_another_dataset_of_the_same_name_is_not_taken_for_the_runs(tmp_path: Path) -> None:
    dataset, engine = ideal_world(BINARY, num_train=12, num_test=24)
    path = tmp_path / f"{BINARY}.parquet"
    write_dataset(path, [*dataset.train, *dataset.test])
    run = finished(tmp_path, "run", engine, BINARY, method="none")
    path.unlink()
    write_dataset(path, [*dataset.train, *dataset.test[1:]])
    findings = verify_run(run)
    assert findings.differences == []
    assert any("is not the dataset of this run any more" in line for line in findings.not_checked)


def test_cut_points_that_give_other_verdicts_are_found(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(runs["ordinal"], tmp_path / "run"))
    kept = json.loads((run / "result.json").read_text())
    labels = ["1", "2", "3", "4", "5"]
    kept["reading"] = {"labels": labels, "cuts": [9.0, 9.0, 9.0, 9.0]}
    (run / "result.json").write_text(json.dumps(kept))
    figures = {d.figure for d in verify_run(run).differences}
    assert any(figure.startswith("final_verdict of") for figure in figures)


def test_a_log_loss_or_a_verdict_of_a_reading_that_is_changed_is_found(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    run = Path(shutil.copytree(runs["read"], tmp_path / "run"))
    kept = json.loads((run / "result.json").read_text())
    kept["readings"]["final"]["considered"][0]["log_loss"] += 0.01
    kept["readings"]["initial"]["considered"][-1]["refused"] = "nothing"
    (run / "result.json").write_text(json.dumps(kept))
    figures = {d.figure for d in verify_run(run).differences}
    assert "readings.final.considered[0].log_loss" in figures
    assert "readings.initial.considered[2].refused" in figures
    set_value(run / "predictions.parquet", "initial_verdict", 3, "Safe")
    set_value(run / "predictions.parquet", "initial_verdict", 4, "Unsafe")
    figures = {d.figure for d in verify_run(run).differences}
    assert any(figure.startswith("initial_verdict of") for figure in figures)
    (run / "train_predictions.parquet").unlink()
    assert any("train_predictions" in line for line in verify_run(run).not_checked)


# ------------------------------------------------------------------------------- command line


def test_a_sweep_stands_for_its_finished_cells(
    tmp_path: Path, blpo: Blpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset, _ = ideal_world(BINARY, num_train=8, num_test=12)
    write_dataset(tmp_path / "d.parquet", [*dataset.train, *dataset.test])
    Path("sweep.yaml").write_text(
        json.dumps(
            {
                "output": "sweep",
                "base": {"judge": {"kind": "lexicon"}, "method": "none", "max_failed_share": 1},
                "datasets": {BINARY: "d.parquet"},
                "grid": {"task": [BINARY], "seed": [0, 1]},
            }
        )
    )
    assert blpo("sweep", "sweep.yaml").code == 0
    outcome = blpo("verify", "sweep")
    assert outcome.code == 0, outcome.out
    assert outcome.out.count(": ok, ") == 2
    assert f"{BINARY}-1: ok" in outcome.out


def test_what_differs_is_shown_up_to_a_number(capsys: pytest.CaptureFixture[str]) -> None:
    from blpo.pipeline.cli.show.verify import show_verified  # noqa: PLC0415

    findings = Findings()
    for number in range(50):
        findings.compare("result.json", f"[red]{number}\x1b", number, number + 1)
    show_verified({Path("run"): findings}, as_json=False)
    printed = capsys.readouterr().out
    assert "run: 50 of 50 figures differ" in printed
    assert "[red]0\\x1b: kept 0, recomputed 1" in printed
    assert "and 10 more" in printed


def test_a_run_finished_again_has_the_same_checksums(tmp_path: Path) -> None:
    engine = ideal_dataset(tmp_path, num_test=20)
    run = ideal_run(tmp_path, engine, "run")
    before = (run / "checksums.json").read_bytes()
    ideal_run(tmp_path, engine, "run")
    assert (run / "checksums.json").read_bytes() == before
