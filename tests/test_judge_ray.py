"""Judging on Ray Data over servers: the output of `blpo judge`, and nothing asked twice.

Ray is an extra (blpo[ray]) that the other tests do without: missing, these are skipped.
"""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import polars as pl
import pytest
from answering import AnsweringServer
from blpo.data.examples import write_dataset
from blpo.data.tasks import load_task
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.bulk.judge_source import JudgeSource
from blpo.pipeline.bulk.manifest import judge_manifest, shard_folder, write_manifest
from blpo.pipeline.bulk.shards import judge_missing
from blpo.pipeline.config import JudgeConfig
from blpo.pipeline.launchers.ray import JudgeActor
from command_line import Blpo
from ideal_engine import ideal_world
from test_openai_engine import Server, completion

TASK = "micro-unsafebench"
HAS_RAY = importlib.util.find_spec("ray") is not None
needs_ray = pytest.mark.skipif(
    not HAS_RAY, reason="RAY IS NOT INSTALLED (blpo[ray]): nothing was tried on it"
)


class Counting:
    """A pool of one server, which answers by the length of the image and counts."""

    def __init__(self, folder: Path) -> None:
        self.num_asked = 0
        self.words: tuple[str, str] = ("Safe", "Unsafe")
        self._lock = Lock()
        self.http = AnsweringServer(Server(self._answer).answer)
        self.http.start()
        folder.mkdir()
        (folder / "one.json").write_text(json.dumps({"url": f"{self.http.address}/v1"}))

    def _answer(self, body: dict[str, Any], _number: int) -> Any:
        with self._lock:
            self.num_asked += 1
        return completion(self.words[len(json.dumps(body)) % 2])


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counting]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    counting = Counting(tmp_path / "pool")
    yield counting
    counting.http.stop()


def judging(out: str, *, settings: tuple[str, ...] = ("kind=openai",)) -> list[str]:
    settings = (*settings, "model=any", "endpoint=pool:pool", "max_retries=1")
    options = [word for setting in settings for word in ("--set", f"judge.{setting}")]
    return ["judge", "data.parquet", "--task", TASK, "--out", out, "--json", *options]


def write_data() -> int:
    dataset, _ = ideal_world(TASK, num_train=24, num_test=280)
    write_dataset(Path("data.parquet"), [*dataset.train, *dataset.test])
    return len(dataset.train) + len(dataset.test)


@needs_ray
def test_ray_writes_what_judge_writes_and_asks_for_nothing_twice(
    server: Counting, blpo: Blpo
) -> None:
    num_rows = write_data()
    ray = ["--launcher", "ray", "--max-running", "2"]
    judged = blpo(*judging("ray.parquet"), *ray)
    assert judged.code == 0, judged.err
    assert json.loads(judged.out)["new_calls"] == json.loads(judged.out)["rows"] == num_rows
    assert server.num_asked == num_rows

    # The same store, so nothing is new: here, and on Ray.
    local = json.loads(blpo(*judging("local.parquet")).out)
    again = json.loads(blpo(*judging("again.parquet"), *ray).out)
    assert (local["new_calls"], again["new_calls"], server.num_asked) == (0, 0, num_rows)
    expected = pl.read_parquet("local.parquet")
    assert pl.read_parquet("ray.parquet").equals(expected)
    assert pl.read_parquet("again.parquet").equals(expected)


@pytest.mark.usefixtures("server")
def test_actors_judge_the_shards_that_slurm_and_this_machine_judge(
    caplog: pytest.LogCaptureFixture,
) -> None:
    num_rows = write_data()
    settings = EngineSettings(kind="openai", model="any", endpoint="pool:pool", max_retries=1)
    config = JudgeConfig(judge=settings)
    source = JudgeSource(load_task(TASK), "Is it safe?", config, aligned={"model": "another"})
    manifest = judge_manifest(source, Path("data.parquet"), Path("out"), Path("store"), 3)
    write_manifest(shard_folder(manifest), manifest)
    actor = JudgeActor(Path("out"))
    done = [table.to_pylist() for table in actor({"item": np.array([0, 2])})]
    said = "this prompt was aligned with another judge: model another, here any"
    assert [record.getMessage() for record in caplog.records] == [said] * 2
    assert manifest.missing() == [1]
    counts = judge_missing(manifest)
    assert counts.new_calls + sum(row["new_calls"] for [row] in done) == counts.rows == num_rows


@needs_ray
def test_verdicts_without_a_label_are_told_on_ray_too(
    blpo: Blpo, server: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    num_rows = write_data()
    server.words = ("perhaps", "neither")
    ray = ["--launcher", "ray", "--max-running", "1", "--max-failed-share", "1"]
    assert blpo(*judging("out.parquet"), *ray).code == 0
    assert f"{num_rows} of {num_rows} verdicts have no label" in caplog.text


@needs_ray
def test_what_an_actor_cannot_do_is_said_without_rays_wrapping(
    server: Counting, blpo: Blpo
) -> None:
    write_data()
    server.http.stop()
    refused = blpo(*judging("out.parquet"), "--launcher", "ray", "--max-running", "1")
    assert refused.code == 1
    assert re.search(r"error: .* did not answer after 2 tries", refused.err)
    assert "Traceback" not in refused.err
    assert not Path("out.parquet").exists()


def test_ray_asks_servers_only(blpo: Blpo) -> None:
    write_data()
    refused = blpo(*judging("out.parquet", settings=("kind=vllm",)), "--launcher", "ray")
    assert (refused.code, "set judge.kind=openai" in refused.err) == (1, True)
    refused = blpo(*judging("out.parquet"), "--launcher", "ray", "--shard", "1/2")
    assert "drop --shard" in refused.err


@pytest.mark.skipif(HAS_RAY, reason="ray is installed")
def test_without_ray_the_extra_is_named(blpo: Blpo) -> None:
    write_data()
    assert "install blpo[ray]" in blpo(*judging("out.parquet"), "--launcher", "ray").err
