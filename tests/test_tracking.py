"""Runs that are logged to MLflow and Weights & Biases, whose servers may be gone."""

import json
import re
import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from blpo import import_table, load_run, optimize
from blpo.data.errors import ConfigError
from blpo.data.tasks import load_task
from blpo.pipeline.config import RunConfig, comparable, parse_config
from blpo.pipeline.runs.directory import load_run as open_run
from blpo.pipeline.tracking import run_log, tracker
from blpo.pipeline.tracking.mlflow import MlflowTracker
from blpo.pipeline.tracking.run_log import open_run_log
from blpo.pipeline.tracking.tracker import Background
from documented_world import furnish_photos, run_blpo, working_in

RUN_FILE = """
task: product-photos.yaml
dataset: photos.parquet
output: runs/photos
algorithm: {outer_steps: 2, inner_steps: 1}
"""


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine is no silent server; and files in place of one."""
    monkeypatch.setattr(tracker, "_PATIENCE_WITH_THE_SILENT_S", 600)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory, with a finished run that is logged nowhere."""
    path = tmp_path_factory.mktemp("tracking")
    furnish_photos(path)
    with working_in(path):
        import_table(pl.read_csv("photos.csv"), "photos.parquet", task="product-photos.yaml")
        Path("logged.yaml").write_text(RUN_FILE)
        optimize("logged.yaml")
        yield path


def logged(*names: str) -> tuple[int, str]:
    """The finished run again, which asks no model, logged to these."""
    return run_blpo(["optimize", "logged.yaml", "--set", f"log_to=[{','.join(names)}]"])


def test_a_log_is_no_part_of_a_run(folder: Path) -> None:
    config, _ = open_run(Path("runs/photos"))
    asked = config.model_copy(update={"log_to": ("mlflow",)})
    assert comparable(asked) == comparable(config)
    assert "log_to" not in (folder / "runs/photos/config.json").read_text()
    with pytest.raises(ConfigError, match="log_to"):
        parse_config(RunConfig, config.model_dump(mode="json") | {"log_to": ["mlfow"]}, "run.yaml")


def test_mlflow_has_settings_steps_figures_and_artefacts_of_a_run_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (folder / "mlruns").as_uri())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "photos")
    for _ in range(2):
        code, printed = logged("mlflow")
        assert code == 0, printed
        assert "mlflow: run " in printed
    import mlflow  # noqa: PLC0415

    client: Any = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("photos")
    assert experiment is not None
    [run] = client.search_runs([experiment.experiment_id])
    result = load_run("runs/photos").result
    assert run.info.status == "FINISHED"
    assert run.data.params["method"] == "blpo"
    assert run.data.params["algorithm.outer_steps"] == "2"
    assert run.data.metrics["test.final.accuracy"] == pytest.approx(result.test.final.accuracy)
    low, _ = result.test.gain.ci95["macro_f1"]
    assert run.data.metrics["test.gain.macro_f1.low"] == pytest.approx(low)
    steps = {m.step for m in client.get_metric_history(run.info.run_id, "train.accuracy")}
    assert steps == {0, 1}
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert names == {"report.html", "result.json", "judge.bundle.json"}


def test_weights_and_biases_has_them_offline(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(folder))
    code, printed = logged("wandb")
    assert code == 0, printed
    assert "wandb: offline in" in printed
    [file] = (folder / "wandb").glob("offline-run-*/*.wandb")
    kept = file.read_bytes()
    for name in (b"test.gain.macro_f1.low", b"train.accuracy", b"judge.bundle.json"):
        assert name in kept


def test_without_a_key_weights_and_biases_is_not_asked_on_the_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("NETRC", str(folder / "no-netrc"))
    code, printed = logged("wandb")
    assert code == 0, printed
    assert "wandb: not logged: no key: run `wandb login`" in printed


def test_a_server_that_is_gone_costs_a_warning_and_a_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = (folder / "runs/photos/result.json").read_bytes()
    code, printed = logged("mlflow")
    assert code == 0, printed
    assert "report: runs/photos/report.html" in printed
    assert printed.count("  mlflow: not logged: ") == 1
    assert (folder / "runs/photos/result.json").read_bytes() == before


@pytest.mark.parametrize(("address", "told"), [(None, "is not set"), ("gpu:5000", "is gpu:5000")])
def test_mlflow_without_an_address_that_it_can_log_to_is_told_what_to_set(
    address: str | None, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    if address is None:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    remedy = f"MLFLOW_TRACKING_URI {told}: set it to the address of an MLflow server"
    with pytest.raises(ConfigError, match=re.escape(remedy)):
        MlflowTracker().start("run", "id", {})


def test_a_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracker, "_PATIENCE_WITH_THE_SILENT_S", 0.01)
    answers = threading.Event()

    def silent() -> str:
        answers.wait()
        return "there"

    background = Background("mlflow", silent)
    background.put(lambda: None)
    assert background.close().startswith("mlflow: not logged: no answer")
    answers.set()


def test_after_a_call_that_fails_no_other_is_made(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    def fail() -> None:
        raise RuntimeError("disk full\nmore of it")

    background = Background("wandb", lambda: "there")
    for call in (lambda: calls.append(1), fail, lambda: calls.append(2)):
        background.put(call)
    assert background.close() == "wandb: not logged from here on: disk full"
    assert calls == [1]
    assert len(caplog.records) == 1


def test_a_tracker_that_is_not_installed_is_named_with_the_command(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(_: str) -> None:
        return None

    monkeypatch.setattr(run_log, "find_spec", nothing)
    config, directory = open_run(folder / "runs/photos")
    asked = config.model_copy(update={"log_to": ("wandb",)})
    with pytest.raises(ConfigError, match=r"wandb is not installed: .*setup.sh wandb"):
        open_run_log(asked, load_task("agin"), directory)


def test_a_run_that_writes_no_report_is_logged_without_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copytree(folder / "runs/photos", folder / "runs/bare")
    (copy / "report.html").unlink()
    logged: list[str] = []

    class Kept:
        def start(self, name: str, run_id: str, params: Mapping[str, str]) -> str:
            return f"there {bool(name and run_id and params)}"

        def log(self, metrics: Mapping[str, float], step: int) -> None:
            raise AssertionError(metrics, step)

        def finish(
            self, metrics: Mapping[str, float], files: Sequence[Path], texts: Mapping[str, str]
        ) -> None:
            logged.extend([*(file.name for file in files if metrics and file.read_bytes()), *texts])

    monkeypatch.setitem(run_log.TRACKERS, "mlflow", Kept)
    config, directory = open_run(copy)
    asked = config.model_copy(update={"log_to": ("mlflow",)})
    log = open_run_log(asked, load_task("agin"), directory)
    log.finished(load_run(copy).result)
    assert log.close() == ["mlflow: there True"]
    assert logged == ["result.json", "judge.bundle.json"]


def test_what_was_logged_is_in_the_json(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (folder / "mlruns").as_uri())
    code, printed = run_blpo(
        ["optimize", "logged.yaml", "--json", "--quiet", "--set", "log_to=[mlflow]"]
    )
    assert code == 0, printed
    runs: list[dict[str, Any]] = json.loads(printed[printed.index("[\n") :])
    assert runs[0]["session"]["logged"][0].startswith("mlflow: run ")
