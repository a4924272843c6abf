"""Bulk judging in shards over several processes, which are killed on the way.

Writes a dataset of so many rows as a folder of Parquet parts, judges it with a stand-in engine that
answers at once, kills all processes with SIGKILL whenever another share of the shards is done,
starts them again, and merges the output. What is measured is what blpo itself costs.

    .venv/bin/python scripts/bench_shards.py FOLDER [--rows 100000] [--shards 64] [--processes 4]

Checks that the output has every row once, in order, with the verdict that the engine gave, and
counts how often each row was asked. Prints rows/s, CPU, bytes and reads, the memory of the
processes over time, and a line of JSON; ends with 1 where a check fails. FOLDER has to be new or
empty, on Linux. With images of few bytes, a million rows take 0.7 GB there.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from blpo.data.arrow import open_parquet, pa, pq
from blpo.data.shards import Shard
from blpo.data.table.items import iter_items
from blpo.data.tasks import load_task
from blpo.models.engine import Engine, EngineIdentity, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.bulk.judge_source import JudgeSource
from blpo.pipeline.bulk.judging import Workers
from blpo.pipeline.bulk.manifest import JudgeManifest, judge_manifest, read_manifest, write_manifest
from blpo.pipeline.bulk.shards import collect_shards, judge_shard
from blpo.pipeline.config import JudgeConfig
from blpo.pipeline.runs.engine_pool import EnginePool

TASK = "micro-unsafebench"
GROUPS_PER_SHARD = 2
PARTS = 16
ROW_BYTES = 8
NOISE = 0x9E3779B97F4A7C15
SCHEMA = pa.schema(
    {"example_id": pa.string(), "image": pa.struct({"bytes": pa.binary(), "path": pa.string()})}
)
SAMPLE_S = 0.5
FEWEST_SAMPLES = 8
"""Of a shard, so that its memory is said to grow or not."""
COUNTED_SHARDS = 4
"""Whose reads of the dataset are counted; the others are like them."""


class StandIn:
    """Answers by the row in the image's first bytes, at once. Contract: `Engine`.

    asked: how often each row was asked, in a file that outlives the process.
    """

    version = "stand-in"
    identity = EngineIdentity("stand-in", "stand-in", "1", "none")

    def __init__(self, asked: Any) -> None:
        self._asked = asked

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        rows = [_row(request) for request in requests]
        self._asked[rows] += 1
        return [_answer(row, request.labels) for row, request in zip(rows, requests, strict=True)]

    def close(self) -> None:
        pass


class StandInPool(EnginePool):
    def __init__(self, asked: Any) -> None:
        super().__init__()
        self._asked = asked

    def engine(self, settings: EngineSettings) -> Engine:
        del settings
        return StandIn(self._asked)


@dataclass(frozen=True, slots=True)
class Sample:
    """Resident memory of a process at a moment of time.monotonic()."""

    process: int
    time: float
    mib: float


def _row(request: Request) -> int:
    assert request.image
    return int.from_bytes(request.image.data[:ROW_BYTES], "little")


def verdict_of(row: int, labels: Sequence[str]) -> str:
    return labels[row % 2]


def _answer(row: int, labels: Sequence[str]) -> Reply:
    best = verdict_of(row, labels)
    [other] = {*labels} - {best}
    # Another one in each row, as of a real judge: equal ones would take no space in a file.
    share = 0.5 + row * NOISE % 2**64 / 2**65
    return Reply(best, "label", {best: math.log(share), other: math.log1p(-share)})


def example_id(row: int) -> str:
    return f"image-{row:09d}"


def write_parts(folder: Path, num_rows: int, image_bytes: int, num_groups: int) -> int:
    """A folder of parts with so many row groups in all; their bytes."""
    folder.mkdir(parents=True)
    rows, per_part = -(-num_rows // num_groups), -(-num_groups // PARTS)
    groups = [range(start, min(start + rows, num_rows)) for start in range(0, num_rows, rows)]
    for number, first in enumerate(range(0, len(groups), per_part)):
        path = folder / f"part-{number:03d}.parquet"
        with pq.ParquetWriter(path, SCHEMA, use_dictionary=False) as writer:
            for group in groups[first : first + per_part]:
                writer.write_table(_table(group, image_bytes))
    return sum(file.stat().st_size for file in folder.iterdir())


def _table(rows: range, image_bytes: int) -> Any:
    """What stands for an image is its row, then noise, which no compression shortens."""
    images = [
        {"bytes": row.to_bytes(ROW_BYTES, "little") + os.urandom(image_bytes - ROW_BYTES)}
        for row in rows
    ]
    return pa.table({"example_id": list(map(example_id, rows)), "image": images}, SCHEMA)


def work(folder: Path, process: int, num_processes: int, asked: Path, log: Path) -> None:
    """Judge every so-manieth shard; a line of JSON for each."""
    workers = Workers(StandInPool(np.memmap(asked, np.uint8, "r+")))
    manifest = read_manifest(folder)
    for number in manifest.missing():
        if number % num_processes == process:
            started, cpu_s = time.monotonic(), time.process_time()
            counts = judge_shard(folder, number, workers)
            done = {
                "shard": number,
                "rows": counts.rows,
                "new_calls": counts.new_calls,
                "started": started,
                "ended": time.monotonic(),
                "cpu_s": time.process_time() - cpu_s,
                "process": os.getpid(),
            }
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done) + "\n")
    workers.close()


def judge_all(
    manifest: JudgeManifest, folder: Path, num_processes: int, num_kills: int
) -> list[Sample]:
    """Until nothing is missing, all processes killed on the way; their memory meanwhile."""
    samples: list[Sample] = []
    for kill in range(1, num_kills + 2):
        processes = [
            subprocess.Popen(
                [sys.executable, __file__, str(folder), "--work", f"{number}/{num_processes}"]
            )
            for number in range(num_processes)
        ]
        goal = manifest.num_shards * kill // (num_kills + 1)
        while any(process.poll() is None for process in processes):
            time.sleep(SAMPLE_S)
            samples += [_sample(process.pid) for process in processes if process.poll() is None]
            if kill <= num_kills and manifest.num_shards - len(manifest.missing()) >= goal:
                for process in processes:
                    process.kill()
        if any(process.wait() > 0 for process in processes):
            raise SystemExit("a process failed")
    return samples


def _sample(process: int) -> Sample:
    status = Path(f"/proc/{process}/statm").read_text("ascii")
    # A process that has just ended has no memory.
    pages = int((status.split() or ["0", "0"])[1])
    return Sample(process, time.monotonic(), pages * os.sysconf("SC_PAGE_SIZE") / 2**20)


def memory(samples: Sequence[Sample], shards: Sequence[dict[str, Any]]) -> dict[str, float]:
    """MiB: at most, and by how much it grows within a shard and from a process's first to its last.

    Within: from the third quarter of its time to the fourth, of the median shard and of the worst.
    """
    within: list[float] = []
    by_process: dict[int, list[float]] = {}
    for shard in shards:
        found = [
            sample.mib
            for sample in samples
            if sample.process == shard["process"]
            and shard["started"] <= sample.time <= shard["ended"]
        ]
        if len(found) >= FEWEST_SAMPLES:
            quarter = len(found) // 4
            last = statistics.mean(found[-quarter:])
            within.append(last - statistics.mean(found[-2 * quarter : -quarter]))
            by_process.setdefault(shard["process"], []).append(last)
    return {
        "peak_mib": max(sample.mib for sample in samples),
        "grows_within_a_shard_mib": statistics.median(within or [0]),
        "grows_within_a_shard_at_most_mib": max(within or [0]),
        "grows_over_shards_at_most_mib": max(
            (m[-1] - m[0] for m in by_process.values()), default=0
        ),
    }


def reads_of_a_shard(manifest: JudgeManifest) -> tuple[float, float]:
    """Bytes and read calls on the dataset, by the system's count of this process."""
    source = manifest.source
    found = [_io()]
    # The first share has imports in it, and is not counted.
    for index in range(1, min(COUNTED_SHARDS + 1, manifest.num_shards) + 1):
        cuts = manifest.extent.share(Shard(index, manifest.num_shards))
        for _ in iter_items(manifest.dataset, source.task, source.config.images.bounds, cuts=cuts):
            pass
        found.append(_io())
    num_shards = len(found) - 2
    (num_bytes, calls), (first_bytes, first_calls) = found[-1], found[1]
    return (num_bytes - first_bytes) / num_shards, (calls - first_calls) / num_shards


def _io() -> tuple[int, int]:
    fields = Path("/proc/self/io").read_text("ascii").split()
    return int(fields[1]), int(fields[5])


def check_output(out: Path, num_rows: int, labels: Sequence[str]) -> int:
    """Rows of the output that are not what they should be: every row once, in order, as judged."""
    row = wrong = 0
    with open_parquet(out) as file:
        for batch in file.iter_batches(columns=["example_id", "verdict"]):
            for found in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                wrong += found != (example_id(row), verdict_of(row, labels))
                row += 1
    return wrong + abs(num_rows - row)


def tell(
    folder: Path, manifest: JudgeManifest, samples: Sequence[Sample], seconds: float
) -> dict[str, Any]:
    """Put the shards together, check them, and say what all of it took."""
    logs = [log.read_text("utf-8").splitlines() for log in sorted(folder.glob("log-*.jsonl"))]
    shards = [json.loads(line) for log in logs for line in log]
    rows, size = manifest.extent.num_rows, _bytes_below(folder / "data")
    started, cpu_s = time.monotonic(), time.process_time()
    out, _ = collect_shards(manifest.folder)
    merge_s, merge_cpu_s = time.monotonic() - started, time.process_time() - cpu_s
    asked = np.memmap(folder / "asked", np.uint8, "r")
    num_bytes, calls = reads_of_a_shard(manifest)
    # Those that were under way when they were killed took replies from their stores.
    whole = [shard for shard in shards if shard["new_calls"] == shard["rows"]]
    judged, cpu = (sum(shard[name] for shard in whole) for name in ("rows", "cpu_s"))
    return {
        "rows": rows,
        "shards": manifest.num_shards,
        "wrong_rows": check_output(out, rows, manifest.task.labels),
        "never_asked": int((asked == 0).sum()),
        "asked_twice": int((asked == 2).sum()),
        "asked_more_often": int((asked > 2).sum()),
        "taken_from_the_store": sum(shard["rows"] - shard["new_calls"] for shard in shards),
        "seconds": seconds,
        "rows_per_s": rows / seconds,
        "cpu_us_per_row": cpu / judged * 1e6,
        "rows_per_s_of_a_free_cpu": judged / cpu,
        "merge_s": merge_s,
        "merge_cpu_us_per_row": merge_cpu_s / rows * 1e6,
        **memory(samples, shards),
        "dataset_mib": size / 2**20,
        "read_over_dataset": num_bytes * manifest.num_shards / size,
        "reads_per_shard": calls,
        "reads_of_mib_per_shard": num_bytes / 2**20,
        "output_bytes_per_row": out.stat().st_size / rows,
        "store_bytes_per_row": _bytes_below(folder / "store") / rows,
        "store_files": sum(1 for file in (folder / "store").rglob("*") if file.is_file()),
    }


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def show(result: dict[str, Any]) -> None:
    for name, value in result.items():
        digits = 1 if isinstance(value, float) and value >= 10 else 4
        print(f"{name.replace('_', ' ')}: {round(value, digits):,}")
    print(json.dumps({name: round(value, 4) for name, value in result.items()}))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="new or empty; keeps what was written")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--image-bytes", type=int, default=20_000, help="at least 8")
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--kills", type=int, default=2)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    out, asked = folder / "verdicts.parquet", folder / "asked"
    source = JudgeSource(load_task(TASK), "Is there a weapon in the image?", JudgeConfig())
    if arguments.work:
        process, processes = map(int, arguments.work.split("/"))
        work(Path(f"{out}.shards"), process, processes, asked, folder / f"log-{process}.jsonl")
        return
    groups = arguments.shards * GROUPS_PER_SHARD
    write_parts(folder / "data", arguments.rows, arguments.image_bytes, groups)
    np.memmap(asked, np.uint8, "w+", shape=(arguments.rows,)).flush()
    manifest = judge_manifest(
        source, folder / "data", out, folder / "store", arguments.shards, own_stores=True
    )
    write_manifest(manifest.folder, manifest)
    started = time.monotonic()
    samples = judge_all(manifest, folder, arguments.processes, arguments.kills)
    result = tell(folder, manifest, samples, time.monotonic() - started)
    show(result)
    if result["wrong_rows"] or result["never_asked"]:
        raise SystemExit("rows are wrong or were never asked")


if __name__ == "__main__":
    main()
