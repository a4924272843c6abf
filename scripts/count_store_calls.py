"""What the reply store asks of a file system: the figures that `simulate_scale.py` takes for it.

A writer puts a part, which tells it whose rows hold, under strace; once alone in its partition,
and once with four parts of another writer before each of its own. Counted are calls on names and
folders, not reads and writes of data. Needs Linux and strace.

    .venv/bin/python scripts/count_store_calls.py
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from blpo.data.store.replies import ReplyRow
from blpo.data.store.store import ReplyStore

NUM_PUTS = 20
NUM_OTHERS = 4
NUM_ROWS = 64
_BEGIN, _END = "/begin-of-a-put", "/end-of-a-put"


def verdict(number: int) -> ReplyRow:
    return ReplyRow(
        key=sha256(f"{number}".encode()).hexdigest(),
        run_id="0" * 32,
        role="judge",
        prompt="Is the image safe? " * 20,
        example_text=None,
        image_digest=sha256(f"image {number}".encode()).hexdigest(),
        min_pixels=3136,
        max_pixels=1048576,
        labels=("Safe", "Unsafe"),
        engine="vllm",
        engine_version="vllm 0.32.0",
        model="model",
        revision="0" * 16,
        layout="image-first",
        settings="dtype=bfloat16",
        max_tokens=16,
        temperature=0.0,
        sample_index=0,
        text="Safe",
        label_logprobs=[-0.1 - number / 1e6, -2.3],
        label_mass=1.0,
        finish_reason="label",
        error=None,
        prompt_tokens=500,
        completion_tokens=1,
        cached_tokens=400,
        time=datetime.fromtimestamp(number, UTC),
    )


def put_parts(folder: Path, num_others: int) -> None:
    """Write parts between two marks that strace sees."""
    own, other = ReplyStore(folder), ReplyStore(folder)
    for put in range(NUM_PUTS):
        start = put * NUM_ROWS * (num_others + 1)
        parts = [
            [verdict(start + part * NUM_ROWS + row) for row in range(NUM_ROWS)]
            for part in range(num_others + 1)
        ]
        for rows in parts[1:]:
            other.put("verdicts", "prompt", rows)
        os.access(_BEGIN, os.F_OK)
        own.put("verdicts", "prompt", parts[0])
        os.access(_END, os.F_OK)


def calls_per_put(num_others: int) -> float:
    """The first put, which makes the folder and loads libraries, left out."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        strace = ["strace", "-f", "-e", "trace=%file,getdents64,fsync", "-o", str(trace)]
        own = [sys.executable, __file__, f"{folder}/store", str(num_others)]
        subprocess.run([*strace, *own], check=True)
        puts = trace.read_text().split(_BEGIN)[2:]
    lines = [line for put in puts for line in put.partition(_END)[0].splitlines()[1:-1]]
    return sum(bool(re.match(r"\d+\s+\w+\(", line)) for line in lines) / len(puts)


def part_bytes(num_rows: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        ReplyStore(Path(folder)).put("verdicts", "prompt", [verdict(n) for n in range(num_rows)])
        (part,) = Path(folder).rglob("part-*.parquet")
        return part.stat().st_size


def main() -> None:
    if len(sys.argv) == 3:
        put_parts(Path(sys.argv[1]), int(sys.argv[2]))
        return
    alone, beside = calls_per_put(0), calls_per_put(NUM_OTHERS)
    small, large = part_bytes(1), part_bytes(1001)
    result = {
        "calls_per_part": alone,
        "calls_per_other_part": (beside - alone) / NUM_OTHERS,
        "part_bytes": small,
        "row_bytes": (large - small) / 1000,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
