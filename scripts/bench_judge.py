"""Judging in bulk: images a second, and whether memory grows with their number.

    .venv/bin/python scripts/bench_judge.py                      # a stand-in answers at once
    .venv/bin/python scripts/bench_judge.py --engine micro       # the micro model in vLLM

Renders a dataset of small images, all different, and judges its first thousand and then all of it,
each in a new process with a store of its own, then all of it again from the store. `rss_growth`
compares the peak resident size of the first two; with the stand-in that is everything but the
engine: reading, store, streaming and writing. Synthetic images, no labels.
"""

import argparse
import io
import json
import math
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from blpo.data.examples import Example, write_dataset
from blpo.data.images import ImageBounds, ImageRef, decode_image
from blpo.data.tasks import load_task
from blpo.models.engine import Engine, EngineIdentity, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.bulk.judge_source import JudgeSource
from blpo.pipeline.bulk.judging import judge_dataset
from blpo.pipeline.config import JudgeConfig
from blpo.pipeline.runs.engine_pool import EnginePool
from PIL import Image

TASK = "micro-unsafebench"
FEW_ROWS = 1000
IMAGE_SIDE = 56


class StandIn:
    """Decodes every image and answers a label request by its digest."""

    version = "stand-in"
    identity = EngineIdentity("stand-in", "stand-in", "1", "none")

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._reply(request) for request in requests]

    def close(self) -> None:
        pass

    def _reply(self, request: Request) -> Reply:
        assert request.image is not None
        decode_image(request.image)
        share = (int(request.image.digest[:8], 16) + 1) / (2**32 + 1)
        logprobs = [math.log(share), math.log(1 - share)]
        labels = dict(zip(request.labels, logprobs, strict=True))
        return Reply(max(labels, key=labels.__getitem__), "label", labels, prompt_tokens=60)


class StandInPool(EnginePool):
    def engine(self, settings: EngineSettings) -> Engine:
        del settings
        return StandIn()


def make_images(num_rows: int) -> Iterator[Example]:
    generator = np.random.default_rng(0)
    for number in range(num_rows):
        tile = generator.integers(0, 256, (4, 4, 3), np.uint8)
        image = Image.fromarray(tile).resize((IMAGE_SIDE, IMAGE_SIDE), Image.Resampling.NEAREST)
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        name = f"image-{number:07d}"
        ref = ImageRef(buffer.getvalue(), ImageBounds())
        yield Example(name, ref, None, "Safe", name, None, "test")


def resident_mb(name: str) -> float:
    """VmRSS or VmHWM of this process."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{name}:")[1].split()[0]) / 1024


def judge(folder: Path, dataset: str, engine: str, store: str) -> dict[str, float]:
    task = load_task(TASK)
    source = JudgeSource(task, task.judge_prompt, JudgeConfig())
    pool = StandInPool() if engine == "stand-in" else EnginePool()
    started = time.perf_counter()
    counts = judge_dataset(
        source,
        folder / f"{dataset}.parquet",
        folder / f"{dataset}-{store}.verdicts.parquet",
        folder / store,
        pool=pool,
        overwrite=True,
    )
    return {
        "rows": counts.rows,
        "new_calls": counts.new_calls,
        "seconds": time.perf_counter() - started,
        "peak_mb": resident_mb("VmHWM"),
    }


def judge_in_new_process(folder: Path, dataset: str, engine: str, store: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--judge", str(folder), dataset, engine, store]
    child = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(child.stdout.splitlines()[-1])
    print(
        f"{dataset:4} {store:9} {found['rows']:9,.0f} rows, {found['new_calls']:9,.0f} asked, "
        f"{found['rows'] / found['seconds']:7,.0f} rows/s, peak {found['peak_mb']:6.1f} MB",
        flush=True,
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--engine", choices=["stand-in", "micro"], default="stand-in")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary one by default")
    parser.add_argument("--judge", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.judge:
        folder, dataset, engine, store = args.judge
        print(json.dumps(judge(Path(folder), dataset, engine, store)))
        return
    folder = Path(tempfile.mkdtemp(prefix="bench-judge-", dir=args.folder))
    try:
        write_dataset(folder / "few.parquet", make_images(min(FEW_ROWS, args.rows)))
        write_dataset(folder / "all.parquet", make_images(args.rows))
        few = judge_in_new_process(folder, "few", args.engine, "store-few")
        many = judge_in_new_process(folder, "all", args.engine, "store-all")
        again = judge_in_new_process(folder, "all", args.engine, "store-all")
    finally:
        shutil.rmtree(folder)
    figures = {
        "engine": args.engine,
        "rows": args.rows,
        "rows_per_s": round(many["rows"] / many["seconds"], 1),
        "replayed_rows_per_s": round(again["rows"] / again["seconds"], 1),
        "peak_mb_few": round(few["peak_mb"], 1),
        "peak_mb": round(many["peak_mb"], 1),
        "rss_growth": round(many["peak_mb"] / few["peak_mb"] - 1, 4),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
