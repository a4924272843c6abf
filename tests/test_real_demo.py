"""`blpo demo --real`: plan, question, refusals, and the run on folders like the Hub's cache."""

import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
import yaml
from blpo.data import hub
from blpo.data.errors import DataError
from blpo.data.hub import look_up, snapshot_in
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.runs import progress
from blpo.pipeline.starter import machine, real
from blpo.pipeline.starter.real import DATA, DEFAULT_JUDGE, JUDGES
from command_line import Blpo
from public_sources import genai_bench
from test_init import Terminal

GB = 10**9
JUDGE = "models--Qwen--Qwen3-VL-4B-Instruct"
DATASET = "datasets--BaiqiL--GenAI-Bench"
SMALL = ("--num-train", "36", "--num-test", "12")
SHORT = (
    *("--set", "max_failed_share=1", "--set", "judge.kv_cache_gib=0.25"),
    *("--set", "algorithm.outer_steps=1", "--set", "algorithm.inner_steps=1"),
    *("--set", "optimizer.max_tokens=16", "--set", "verbalizer.max_tokens=8"),
)


class Disk(NamedTuple):
    free: int


def nearly_full(_: Path) -> Disk:
    return Disk(5 * GB)


class FakeHub:
    """The Hub's client: files of a judge and of a dataset, by size; down without them."""

    def __init__(self, judge: int = 9 * GB, data: int = 4 * GB // 10) -> None:
        self.sizes = {
            "model": {"config.json": 1000, "model.safetensors": judge},
            "dataset": {"data/train-00000-of-00012.parquet": data},
        }
        self.is_up = True
        self.asked: list[dict[str, Any]] = []

    def snapshot_download(self, repo: str, **options: Any) -> Any:
        self.asked.append({"repo": repo, **options})
        if not self.is_up:
            raise ConnectionError("no route to host")
        assert options.get("dry_run"), "nothing may be fetched"
        commit = JUDGES[DEFAULT_JUDGE] if options["revision"] == "main" else options["revision"]
        return [
            SimpleNamespace(filename=name, file_size=size, commit_hash=commit, will_download=True)
            for name, size in self.sizes[options["repo_type"]].items()
        ]


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub()
    monkeypatch.setattr(hub, "_hub", fake)
    return fake


@pytest.fixture
def on_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Makes this a machine with a GPU of so many bytes."""

    def has(num_bytes: int) -> None:
        monkeypatch.setattr(EngineSettings, "device", "cuda")
        monkeypatch.setattr(machine, "gpu_bytes", lambda: num_bytes)

    return has


def test_the_plan_names_sources_licences_bytes_and_calls_and_waits_for_a_yes(
    blpo: Blpo,
    fake_hub: FakeHub,
    on_gpu: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    on_gpu(24 * GB)
    outcome = blpo("demo", "--real")
    assert outcome.code == 1
    assert "pass --yes" in outcome.err
    for told in (
        f"{DATA.card.hub_id} at {DATA.card.revision} (apache-2.0), 0.40 GB",
        f"{DEFAULT_JUDGE} at {JUDGES[DEFAULT_JUDGE]} (apache-2.0), 9.00 GB",
        "download: 9.40 GB",
        "150 images to align on, 210 to test on",
        "min after the download",
    ):
        assert told in outcome.err
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    assert blpo("demo", "--real").code == 1
    assert list(tmp_path.iterdir()) == []
    assert all(asked["dry_run"] for asked in fake_hub.asked)


def test_another_judge_is_pinned_at_the_commit_that_the_plan_shows(
    fake_hub: FakeHub, on_gpu: Callable[[int], None]
) -> None:
    on_gpu(80 * GB)
    plan = real.plan_real(Path("out"), "other/judge", None, (150, 210))
    assert fake_hub.asked[0]["revision"] == "main"
    assert plan.run.judge["revision"] == JUDGES[DEFAULT_JUDGE]
    assert yaml.safe_load(plan.run.text())["judge"] == dict(plan.run.judge)


def test_what_is_missing_is_named_with_a_remedy_before_anything_is_fetched(
    blpo: Blpo,
    fake_hub: FakeHub,
    on_gpu: Callable[[int], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(EngineSettings, "device", "cpu")
    refused = blpo("demo", "--real", "--yes")
    assert "needs an NVIDIA GPU" in refused.err
    assert fake_hub.asked == []
    assert "needs an NVIDIA GPU" in blpo("demo", "--real", "--yes", "--judge", "other/judge").err
    on_gpu(8 * GB)
    assert "9.0 GB of weights" in blpo("demo", "--real", "--yes").err
    on_gpu(24 * GB)
    monkeypatch.setattr(shutil, "disk_usage", nearly_full)
    refused = blpo("demo", "--real", "--yes")
    assert "5.0 GB are free, and 11.4 GB needed" in refused.err
    assert "HF_HOME" in refused.err
    fake_hub.is_up = False
    refused = blpo("demo", "--real", "--yes")
    assert "out of reach (no route to host)" in refused.err
    assert "--judge" in refused.err


def test_a_whole_copy_in_the_cache_does_without_a_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")

    def offline(_: str, *, local_files_only: bool = False, **options: Any) -> str:
        if local_files_only:
            return str(folder)
        raise ConnectionError(str(options))

    monkeypatch.setattr(hub, "_hub", SimpleNamespace(snapshot_download=offline))
    found = look_up("own/judge", "model", None, ["*.json"])
    assert (found.commit, found.sizes, found.bytes_to_fetch) == ("abc", {"config.json": 2}, 0)
    assert found.fetch() == folder


def test_of_several_snapshots_in_a_folder_none_is_guessed(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "snapshots" / name).mkdir(parents=True)
        (tmp_path / "snapshots" / name / "config.json").write_text("{}")
    with pytest.raises(DataError, match=r"several snapshots \(one, two\)"):
        snapshot_in(tmp_path, "config.json")
    with pytest.raises(DataError, match="has no config"):
        snapshot_in(tmp_path / "snapshots", "config.json")
    assert snapshot_in(tmp_path / "snapshots" / "one", "config.json").name == "one"


def test_options_of_the_other_demo_are_refused(blpo: Blpo) -> None:
    assert "--real does not take --task" in blpo("demo", "--real", "--task", "micro-agin").err
    assert "without --real does not take --judge" in blpo("demo", "--judge", "x").err


@pytest.mark.engine
def test_the_whole_of_it_runs_on_folders_like_those_of_the_cache(
    blpo: Blpo,
    tiny_qwen3: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    shutil.copytree(tiny_qwen3, tmp_path / JUDGE / "snapshots" / JUDGES[DEFAULT_JUDGE])
    genai_bench(tmp_path / DATASET / "snapshots" / str(DATA.card.revision), num_prompts=20)
    command = ("demo", "--real", "--judge", JUDGE, "--data", DATASET, *SMALL, *SHORT, "--yes")
    outcome = blpo(*command, "--json")
    assert outcome.code == 0, outcome.err
    [run] = json.loads(outcome.out)
    assert (run["result"]["task"], run["result"]["synthetic"]) == ("genai-bench", False)
    assert run["result"]["test"]["final"]["n"] == 12
    assert run["result"]["judge"] == run["result"]["optimizer"] == run["result"]["verbalizer"]
    for told in (
        "download: nothing",
        "starting vLLM",
        "vLLM started",
        "step 0 done: it started from accuracy",
    ):
        assert told in outcome.err + caplog.text
    assert (tmp_path / run["output"] / "report.html").is_file()
    assert (tmp_path / "blpo-demo" / "real" / JUDGE / "run.yaml").is_file()
    again = blpo(*command)
    assert again.code == 0, again.err
    assert "genai-bench-36-12.parquet: there already" in caplog.text
    assert again.out.splitlines()[-1].startswith("next")
    assert " 0 of them to a model in this session" in again.out
    monkeypatch.setattr(progress, "_is_quiet", False)
    level = logging.getLogger("blpo").level
    quiet = blpo(*command, "--quiet")
    logging.getLogger("blpo").setLevel(level)
    assert (quiet.code, quiet.err) == (0, "")
