"""Sweeps on a real Slurm: two nodes with simulated GPUs, a stub server in place of a model."""

import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from blpo.data.arrow import open_parquet
from blpo.data.examples import write_dataset
from blpo.pipeline.launchers import slurm_commands
from command_line import Blpo
from ideal_engine import ideal_world
from shadows import read_shadows, write_shadows
from slurm_cluster import SlurmCluster, is_installed, running_cluster
from waiting import LIMIT_S, wait_for

# Several waits, of which each may take up to LIMIT_S.
pytestmark = pytest.mark.timeout(4 * LIMIT_S)

BLPO = Path(sys.executable).with_name("blpo")
ROOT = Path(__file__).parents[1]

SERVER = (sys.executable, str(Path(__file__).with_name("stub_server.py")))


@pytest.fixture(scope="module")
def cluster() -> Iterator[SlurmCluster]:
    if not is_installed():
        if os.environ.get("CI") == "true":
            pytest.fail("no Slurm here: scripts/test_packages.sh installs it")
        pytest.skip("NO SLURM HERE: nothing was tried on a real one")
    with running_cluster() as running:
        yield running


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server in place of the judge's model: tasks start within a second."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with subprocess.Popen([*SERVER, "--port", str(port)]) as server:
        yield f"http://127.0.0.1:{port}/v1"
        server.terminate()


@pytest.fixture
def slurm(cluster: SlurmCluster, monkeypatch: pytest.MonkeyPatch) -> SlurmCluster:
    """The cluster, for commands of this process too."""
    for name in os.environ.keys() - cluster.environment.keys():
        monkeypatch.delenv(name)
    for name in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(name, cluster.environment[name])
    return cluster


def write_sweep(**fields: Any) -> None:
    content = {"output": "sweep"} | fields
    Path("sweep.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def write_datasets(*tasks: str) -> dict[str, str]:
    for task in tasks:
        made, _ = ideal_world(task, num_train=24, num_test=40)
        write_dataset(Path(f"{task}.parquet"), [*made.train, *made.test])
    return {task: f"{task}.parquet" for task in tasks}


def without_model(**fields: Any) -> None:
    """A sweep whose judge answers with error replies: no model is started."""
    datasets = write_datasets("micro-unsafebench")
    base = {"judge": {"kind": "lexicon"}, "method": "none", "max_failed_share": 1}
    write_sweep(**({"base": base, "datasets": datasets} | fields))


def stored(column: str) -> list[str]:
    """A column of all rows of the reply store, as often as they were written."""
    while True:
        parts = sorted(Path("store").rglob("part-*.parquet"))
        # Parts are merged meanwhile.
        with suppress(FileNotFoundError):
            tables = [open_parquet(part).read(columns=[column]) for part in parts]
            return [value for table in tables for value in table[column].to_pylist()]


def have_replies(cells: list[str]) -> bool:
    """Whether the store holds a reply that was asked for by one of these cells."""
    files = [Path("sweep", "cells", cell, "run_id") for cell in cells]
    run_ids = {file.read_text().split()[0] for file in files if file.exists()}
    return not run_ids.isdisjoint(stored("run_id"))


def worker_of(task: int) -> int | None:
    """Id of the process that runs a task's cells; None if there is none."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_text().rstrip("\0")
            is_here = (folder / "cwd").readlink() == Path.cwd()
            if is_here and command.endswith(f"tasks/{task}.txt"):
                return int(folder.name)
    return None


def process_of(card: Path) -> int | None:
    """Id of the server that a card of a pool names; None if there is none."""
    port = json.loads(card.read_text())["url"].removesuffix("/v1").rpartition(":")[2]
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_text()
            if command.endswith(f"--port\0{port}\0"):
                return int(folder.name)
    return None


def test_a_sweep_whose_tasks_are_killed_and_preempted_ends_like_a_local_one(
    slurm: SlurmCluster, blpo: Blpo, endpoint: str
) -> None:
    judge = {"kind": "openai", "model": "stub", "endpoint": endpoint, "max_concurrency": 4}
    write_sweep(
        base={
            "judge": judge,
            "optimizer": {"engine": {"kind": "lexicon"}},
            # Long enough that no task is at its last batch when it is told to stop.
            "algorithm": {"outer_steps": 3, "inner_steps": 3, "minibatch_size": 4},
        },
        datasets=write_datasets("micro-unsafebench"),
        grid={
            "task": ["micro-unsafebench"],
            "method": ["blpo", "blpo-fixed-i2t"],
            "seed": [0, 1],
        },
        slurm={"cells_per_task": 2},
    )
    local = ["--set", "output=local", "--set", "store=local/store"]
    here = subprocess.Popen([BLPO, "sweep", "sweep.yaml", *local], stdout=subprocess.DEVNULL)
    submitted = json.loads(blpo("sweep", "sweep.yaml", "--launcher", "slurm", "--json").out)
    array = submitted["array"]
    assert [len(task) for task in submitted["tasks"]] == [2, 2]

    wait_for(lambda: all(map(have_replies, submitted["tasks"])), "replies to both tasks")
    os.kill(wait_for(lambda: worker_of(0), "the process of task 0"), signal.SIGKILL)
    slurm.run("scancel", "--batch", "--signal=USR2", f"{array}_1")
    before = set(stored("key"))
    assert set(slurm.wait(array).values()) == {"COMPLETED"}
    slurm.wait(submitted["collect"])
    assert here.wait(LIMIT_S) == 0

    logs = {path.name: path.read_text() for path in Path("sweep/slurm/001/logs").glob("*.log")}
    assert {f"blpo-sweep-{array}_{task}.restart-1.log" for task in (0, 1)} <= set(logs)
    assert "ends with 137" in logs[f"blpo-sweep-{array}_0.restart-0.log"]
    assert "ends with 75" in logs[f"blpo-sweep-{array}_1.restart-0.log"]
    keys = Counter(stored("key"))
    assert before <= set(keys)
    assert set(keys.values()) == {1}
    assert Path("sweep/summary.csv").read_bytes() == Path("local/summary.csv").read_bytes()
    assert Path("sweep/tables.md").exists()
    states = json.loads(blpo("sweep", "status", "sweep", "--json").out)["cells"]
    assert set(states.values()) == {"done"}
    assert len(states) == 4


def test_a_failed_cell_does_not_keep_collect_from_saying_what_is_missing(
    slurm: SlurmCluster, blpo: Blpo
) -> None:
    datasets = write_datasets("micro-unsafebench")
    without_model(
        # The labels of the one task are not those of the other.
        datasets=datasets | {"micro-agin": datasets["micro-unsafebench"]},
        grid={"task": ["micro-unsafebench", "micro-agin"], "seed": [0, 1]},
        slurm={"cells_per_task": 2},
    )
    submitted = json.loads(blpo("sweep", "sweep.yaml", "--launcher", "slurm", "--json").out)
    assert set(slurm.wait(submitted["collect"]).values()) == {"FAILED"}
    with Path("sweep/summary.csv").open() as file:
        errors = {row["cell"]: row["error"] for row in csv.DictReader(file)}
    assert [bool(errors[f"{task}-0"]) for task in ("micro-unsafebench", "micro-agin")] == [0, 1]
    status = json.loads(blpo("sweep", "status", "sweep", "--json").out)
    assert Counter(status["cells"].values()) == {"done": 2, "failed": 2}
    assert "label" in status["failures"]["micro-agin-0"]

    again = json.loads(blpo("sweep", "sweep.yaml", "--launcher", "slurm", "--json").out)
    assert again["tasks"] == [["micro-agin-0", "micro-agin-1"]]
    waiting = json.loads(blpo("sweep", "sweep.yaml", "--launcher", "slurm", "--json").out)
    assert waiting["array"] is None
    slurm.run("scancel", again["collect"], again["array"])
    slurm.wait(again["collect"])


def test_a_cancelled_task_stays_away(slurm: SlurmCluster, blpo: Blpo, tmp_path: Path) -> None:
    # In place of blpo: a program that stops when it is asked to.
    stand_in = tmp_path / "blpo"
    stand_in.write_text("#!/bin/bash\ntrap 'exit 75' USR2\ntouch started\nsleep 3600 & wait\n")
    stand_in.chmod(0o755)
    without_model(
        grid={"task": ["micro-unsafebench"], "seed": [0]}, slurm={"container": str(tmp_path / "c")}
    )
    (tmp_path / "c").write_text(f"#!/bin/bash\nexec {stand_in}\n")
    (tmp_path / "c").chmod(0o755)
    array = json.loads(blpo("sweep", "sweep.yaml", "--launcher", "slurm", "--json").out)["array"]
    wait_for(Path("started").exists, "the task")
    status = json.loads(blpo("sweep", "status", "sweep", "--json").out)["cells"]
    assert set(status.values()) == {"running"}
    slurm.run("scancel", array)
    assert set(slurm.wait(array).values()) == {"CANCELLED"}
    [log] = Path("sweep/slurm/001/logs").glob(f"*{array}_0.restart-0.log")
    wait_for(lambda: "not requeued" in log.read_text(), "the last line")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"slurm": {"gpus": 9}}, "tasks cannot be submitted (--array=0%8 --gpus-per-node=9)"),
        ({"slurm": {"options": ["--partition=nope"]}}, "invalid partition"),
        (
            {"slurm": {"collect_options": ["--mem=9999G"]}},
            "job that collects cannot be submitted",
        ),
        ({"grid": {"seed": list(range(101))}, "slurm": {"cells_per_task": 1}}, "may have 100 here"),
        ({"base": {"judge": {"kind": "vllm", "tensor_parallel_size": 2}}}, "but a task is given 1"),
        (
            {"base": {"judge": {"engines": 4, "tensor_parallel_size": 2}}, "slurm": {"gpus": 7}},
            "4 engines, each with micro on 2 GPUs (tensor_parallel_size), but a task is given 7",
        ),
        (
            {"base": {"judge": {"tensor_parallel_size": 8}}, "slurm": {"gpus": 8}},
            "heads do not divide by 8",
        ),
        ({"base": {"judge": {"kind": "vllm", "model": "nobody/has-this"}}}, "jobs run offline"),
        ({"base": {"judge": {"kind": "vllm", "model": "./nowhere"}}}, "does not exist"),
    ],
)
def test_an_impossible_request_is_refused_before_submission(
    slurm: SlurmCluster, blpo: Blpo, fields: dict[str, Any], reason: str
) -> None:
    grid = {"task": ["micro-unsafebench"], **fields.pop("grid", {"seed": [0]})}
    without_model(grid=grid, **fields)
    ids = ("squeue", "-h", "-t", "all", "-o", "%i")
    before = sorted(slurm.run(*ids).split())
    refused = blpo("sweep", "sweep.yaml", "--launcher", "slurm")
    assert refused.code == 1
    assert reason in refused.err
    assert sorted(slurm.run(*ids).split()) == before
    assert not Path("sweep/slurm").exists()


def test_an_array_judges_the_shards_that_are_missing_and_merges_them_in_the_datasets_order(
    slurm: SlurmCluster, blpo: Blpo
) -> None:
    write_datasets("micro-unsafebench")
    data = [
        "micro-unsafebench.parquet",
        "--task",
        "micro-unsafebench",
        "--set",
        "judge.kind=lexicon",
        "--max-failed-share",
        "1",
    ]
    assert blpo("judge", *data, "--out", "here.parquet", "--store", "local").code == 0
    array = ["judge", *data, "--out", "out.parquet", "--launcher", "slurm", "--shards", "3"]
    submitted = json.loads(blpo(*array, "--json").out)
    assert submitted["shards"] == [1, 2, 3]
    assert json.loads(blpo(*array, "--json").out)["collect"] is None
    slurm.wait(submitted["collect"])
    assert pl.read_parquet("out.parquet").equals(pl.read_parquet("here.parquet"))

    Path("out.parquet").unlink()
    Path("out.parquet.shards/part-00001.parquet").unlink()
    refused = blpo("judge", "collect", "out.parquet.shards")
    assert (refused.code, "1 of 3 shards are missing (of 1 to 3: 2)" in refused.err) == (1, True)
    assert "num_shards: 3 -> 4" in blpo(*array[:-1], "4").err
    again = json.loads(blpo(*array, "--json").out)
    assert again["shards"] == [2]
    assert set(slurm.states(again["array"])) == {f"{again['array']}_2"}
    slurm.wait(again["collect"])
    assert pl.read_parquet("out.parquet").equals(pl.read_parquet("here.parquet"))
    other = ["out3.parquet" if word == "out.parquet" else word for word in array[:-1]]
    too_many = blpo(*other, "101").err
    assert "an array may have 100 tasks" in too_many


ODD = "it's a folder, $HOME é 100%"


def test_paths_with_spaces_quotes_and_dollars_work_in_jobs(
    slurm: SlurmCluster, blpo: Blpo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Working folder, dataset, output, store, the environment of Python and the job scripts."""
    folder = tmp_path / ODD
    (folder / "my venv").mkdir(parents=True)
    (folder / "my venv" / "bin").symlink_to(BLPO.parent)
    shutil.copytree(ROOT / "slurm", folder / "job scripts")
    monkeypatch.setattr(sys, "executable", str(folder / "my venv" / "bin" / "python"))
    monkeypatch.setattr(slurm_commands, "_scripts", lambda: folder / "job scripts")
    monkeypatch.chdir(folder)
    write_shadows(folder)
    datasets = write_datasets("micro-unsafebench")
    data = folder / "data $(touch x) 'set'.parquet"
    Path(datasets["micro-unsafebench"]).rename(data)
    store, out = str(folder / "my store"), str(folder / "my out.parquet")
    judge = ["judge", str(data), "--task", "micro-unsafebench", "--set", "judge.kind=lexicon"]
    judge += ["--max-failed-share", "1", "--out", out, "--store", store]
    judging = json.loads(blpo(*judge, "--launcher", "slurm", "--shards", "2", "--json").out)
    without_model(
        datasets={"micro-unsafebench": str(data)},
        output=str(folder / "my sweep"),
        grid={"task": ["micro-unsafebench"], "seed": [0]},
    )
    sweeping = json.loads(blpo("sweep", "sweep.yaml", "--launcher", "slurm", "--json").out)
    for job in (judging, sweeping):
        assert set(slurm.wait(job["collect"]).values()) == {"COMPLETED"}
    assert len(pl.read_parquet(out)) == 64
    assert (folder / "my sweep" / "summary.csv").exists()
    assert not (folder / "x").exists()
    assert read_shadows(folder) == []


def test_a_pool_of_which_one_server_is_killed_halfway_loses_nothing(
    slurm: SlurmCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_shadows(tmp_path)
    write_datasets("micro-unsafebench")
    monkeypatch.setenv("BLPO_SLURM", str(ROOT / "slurm"))
    script = [str(ROOT / "slurm" / "pool.sbatch"), "pool", *SERVER]
    submitted = ["sbatch", "--parsable", "--array=0-1", "--output=pool-%a.out", *script]
    sbatch = subprocess.run(submitted, check=True, capture_output=True, text=True)
    pool = sbatch.stdout.strip()
    cards = [Path(f"pool/{pool}_{task}.json") for task in (0, 1)]
    wait_for(lambda: all(card.exists() for card in cards), "two servers")

    judge = ["judge", "micro-unsafebench.parquet", "--task", "micro-unsafebench"]
    settings = ["kind=openai", "model=stub", "endpoint=pool:pool", "max_concurrency=2"]
    options = [word for setting in settings for word in ("--set", f"judge.{setting}")]
    judging = subprocess.Popen([BLPO, *judge, *options, "--out", "out.parquet"])
    log = Path(f"logs/blpo-pool-{pool}_1.restart-0.log")
    wait_for(lambda: log.read_text().count("/v1/chat/completions") >= 5, "answers")
    os.kill(wait_for(lambda: process_of(cards[1]), "server 1"), signal.SIGKILL)
    assert judging.wait(LIMIT_S) == 0
    verdicts = pl.read_parquet("out.parquet")
    assert len(verdicts) == 64
    assert verdicts["reason"].null_count() == 64
    assert len(set(stored("key"))) == len(stored("key")) == 64
    # The other was there all the time; this one comes back under its name.
    assert cards[0].exists()
    wait_for(Path(f"logs/blpo-pool-{pool}_1.restart-1.log").exists, "its return")
    slurm.run("scancel", pool)
    slurm.wait(pool)
    wait_for(lambda: not any(card.exists() for card in cards), "no cards")
    assert read_shadows(tmp_path) == []
