"""The bench of judging in shards: what it says of an output and of memory holds."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_shards import (
    TASK,
    Sample,
    StandInPool,
    check_output,
    memory,
    work,
    write_parts,
)
from blpo.data.arrow import pq
from blpo.data.tasks import load_task
from blpo.pipeline.bulk.judge_source import JudgeSource
from blpo.pipeline.bulk.judging import Workers
from blpo.pipeline.bulk.manifest import judge_manifest, read_manifest, write_manifest
from blpo.pipeline.bulk.shards import collect_shards, judge_shard
from blpo.pipeline.config import JudgeConfig


def test_rows_that_are_missing_wrong_or_asked_again_are_counted(tmp_path: Path) -> None:
    task = load_task(TASK)
    write_parts(tmp_path / "data", 40, 16, 8)
    asked: Any = np.memmap(tmp_path / "asked", np.uint8, "w+", shape=(40,))
    source = JudgeSource(task, "Is it safe?", JudgeConfig())
    manifest = judge_manifest(
        source,
        tmp_path / "data",
        tmp_path / "verdicts.parquet",
        tmp_path / "store",
        4,
        own_stores=True,
    )
    write_manifest(manifest.folder, manifest)
    workers = Workers(StandInPool(asked))
    judge_shard(manifest.folder, 1, workers)
    workers.close()
    manifest.part(1).unlink()
    work(manifest.folder, 0, 1, tmp_path / "asked", tmp_path / "log")
    assert read_manifest(manifest.folder).missing() == []
    assert asked.tolist() == [1] * 40
    out, _ = collect_shards(manifest.folder)
    assert check_output(out, 40, task.labels) == 0
    table = pq.read_table(out)
    pq.write_table(table.slice(0, 39), tmp_path / "short.parquet")
    assert check_output(tmp_path / "short.parquet", 40, task.labels) == 1
    pq.write_table(table.take([1, 0, *range(2, 40)]), tmp_path / "order.parquet")
    assert check_output(tmp_path / "order.parquet", 40, task.labels) == 2


def test_memory_is_compared_by_quarters_of_a_shard_and_between_shards() -> None:
    shards = [{"process": 1, "started": 0.0, "ended": 7.0}]
    shards += [{"process": 1, "started": 8.0, "ended": 15.0}]
    mib = [100, 100, 100, 100, 110, 110, 112, 112, 112, 112, 112, 112, 115, 115, 115, 115]
    samples = [Sample(1, float(time), value) for time, value in enumerate(mib)]
    assert memory([*samples, Sample(2, 3.0, 500.0)], shards) == {
        "peak_mib": 500,
        "grows_within_a_shard_mib": pytest.approx(1),
        "grows_within_a_shard_at_most_mib": pytest.approx(2),
        "grows_over_shards_at_most_mib": pytest.approx(3),
    }
