"""Bulk judging in shards over several processes, which are killed on the way.

Writes a dataset of so many rows as a folder of Parquet parts, judges it with a stand-in engine that
answers at once, kills all processes with SIGKILL whenever another share of the shards is done,
starts them again, and puts the output together. What is measured is what blpo itself costs.

    .venv/bin/python scripts/bench_shards.py FOLDER [--rows 100000] [--shards 64] [--processes 4]

Prints rows/s, the bytes that the shards read over the bytes of the dataset, the memory of a process
after its first and its last shard, and what was asked again after the kills; ends with a line of
JSON. FOLDER has to be new or empty, on Linux.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blpo.data.arrow import pa, pq
from blpo.data.shards import Shard
from blpo.data.table.items import iter_items
from blpo.data.tasks import load_task
from blpo.models.engine import Engine, EngineIdentity, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.bulk.judging import JudgeSource, Workers
from blpo.pipeline.bulk.shards import (
    JudgeManifest,
    collect_shards,
    judge_manifest,
    judge_shard,
    read_manifest,
    write_manifest,
)
from blpo.pipeline.config import JudgeConfig
from blpo.pipeline.runs.engine_pool import EnginePool

TASK = "micro-unsafebench"
GROUPS_PER_SHARD = 2
PARTS = 16
KILLS = 2
PEAK_KIB = 1024


class StandIn:
    """Answers by the image's digest, at once. Contract: `Engine`."""

    version = "stand-in"
    identity = EngineIdentity("stand-in", "stand-in", "1", "none")

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        pass

    def _answer(self, request: Request) -> Reply:
        first, second = request.labels
        digest = request.image.digest if request.image else "0"
        best, other = (first, second) if int(digest[0], 16) % 2 else (second, first)
        return Reply(best, "label", {best: -0.1, other: -2.4})


class StandInPool(EnginePool):
    def engine(self, settings: EngineSettings) -> Engine:
        del settings
        return StandIn()


def write_parts(folder: Path, num_rows: int, image_bytes: int, num_groups: int) -> int:
    """A folder of parts with so many row groups in all; their bytes."""
    folder.mkdir(parents=True)
    rows, per_part = -(-num_rows // num_groups), -(-num_groups // PARTS)
    groups = [range(start, min(start + rows, num_rows)) for start in range(0, num_rows, rows)]
    for number, first in enumerate(range(0, len(groups), per_part)):
        tables = [_table(group, image_bytes) for group in groups[first : first + per_part]]
        with pq.ParquetWriter(
            folder / f"part-{number:03d}.parquet", tables[0].schema, use_dictionary=False
        ) as writer:
            for table in tables:
                writer.write_table(table)
    return sum(file.stat().st_size for file in folder.iterdir())


def _table(rows: range, image_bytes: int) -> Any:
    ids = [f"image-{row:09d}" for row in rows]
    noise = os.urandom(image_bytes * len(rows))
    images = [
        {"bytes": noise[place * image_bytes : (place + 1) * image_bytes], "path": None}
        for place in range(len(rows))
    ]
    return pa.table({"example_id": ids, "image": images})


def work(folder: Path, process: int, num_processes: int, log: Path) -> None:
    """Judge every so-manieth shard; a line of JSON for each."""
    workers = Workers(StandInPool())
    manifest = read_manifest(folder)
    for number in manifest.missing():
        if number % num_processes == process:
            counts = judge_shard(folder, number, workers)
            done = {
                "shard": number,
                "rows": counts.rows,
                "new_calls": counts.new_calls,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / PEAK_KIB,
            }
            with log.open("a", encoding="utf-8") as file:
                file.write(json.dumps(done) + "\n")
    workers.close()


def bytes_read(manifest: JudgeManifest) -> int:
    """What all shards together read of the dataset, by the system's count of this process."""
    source = manifest.source
    read = [0]
    for index in range(1, manifest.num_shards + 1):
        cuts = manifest.extent.share(Shard(index, manifest.num_shards))
        for _ in iter_items(manifest.dataset, source.task, source.config.images.bounds, cuts=cuts):
            pass
        read.append(int(Path("/proc/self/io").read_text("ascii").split()[1]))
    # The first share has imports in it; another stands for it.
    return read[-1] - read[1] + read[2] - read[1]


def judge_all(manifest: JudgeManifest, folder: Path, num_processes: int) -> int:
    """Until nothing is missing; how often all processes were killed."""
    kills = 0
    while manifest.missing():
        processes = [
            subprocess.Popen(
                [sys.executable, __file__, str(folder), "--work", f"{number}/{num_processes}"]
            )
            for number in range(num_processes)
        ]
        goal = manifest.num_shards * (kills + 1) // (KILLS + 1) if kills < KILLS else None
        while any(process.poll() is None for process in processes):
            time.sleep(0.2)
            if goal and manifest.num_shards - len(manifest.missing()) >= goal:
                for process in processes:
                    process.kill()
                kills += 1
                break
        codes = [process.wait() for process in processes]
        if any(code > 0 for code in codes):
            raise SystemExit(f"processes ended with {codes}")
    return kills


def tell(folder: Path, manifest: JudgeManifest, size: int, seconds: float, kills: int) -> None:
    rows = manifest.extent.num_rows
    logs = [
        [json.loads(line) for line in log.read_text("utf-8").splitlines()]
        for log in sorted(folder.glob("log-*.jsonl"))
    ]
    shards = [shard for log in logs for shard in log]
    _, counts = collect_shards(manifest.folder)
    result = {
        "rows": rows,
        "shards": manifest.num_shards,
        "kills": kills,
        "judged": counts.rows,
        "without_label": counts.verdicts[None],
        "rows_per_s": round(rows / seconds),
        "dataset_mib": round(size / 2**20, 1),
        "read_over_dataset": round(bytes_read(manifest) / size, 4),
        "peak_mib_after_first_shard": round(max(log[0]["peak_mib"] for log in logs)),
        "peak_mib_after_last_shard": round(max(log[-1]["peak_mib"] for log in logs)),
        "taken_from_the_store": sum(shard["rows"] - shard["new_calls"] for shard in shards),
    }
    for name, value in result.items():
        print(f"{name.replace('_', ' ')}: {value:,}")
    print(json.dumps(result))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="new or empty; keeps what was written")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--image-bytes", type=int, default=20_000)
    parser.add_argument("--shards", type=int, default=64)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    out = folder / "verdicts"
    if arguments.work:
        process, processes = map(int, arguments.work.split("/"))
        work(out, process, processes, folder / f"log-{process}.jsonl")
        return
    data = folder / "data"
    groups = arguments.shards * GROUPS_PER_SHARD
    size = write_parts(data, arguments.rows, arguments.image_bytes, groups)
    source = JudgeSource(load_task(TASK), "Is there a weapon in the image?", JudgeConfig())
    manifest = judge_manifest(
        source, data, out, folder / "store", arguments.shards, own_stores=True
    )
    write_manifest(out, manifest)
    started = time.monotonic()
    kills = judge_all(manifest, folder, arguments.processes)
    tell(folder, manifest, size, time.monotonic() - started, kills)


if __name__ == "__main__":
    main()
