"""How fast answered requests come back from the reply store.

    .venv/bin/python scripts/bench_replay.py

Stores verdicts through a StoredEngine over a stand-in, then asks the same requests again in a new
process whose engine refuses to answer: once in batches of 1,000, as a judge pass does. The clock
covers keys, look-up and replies, opening of the store included.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from blpo.data.images import ImageBounds, ImageRef
from blpo.data.store.store import ReplyStore
from blpo.models.engine import EngineIdentity, Reply, Request, Sampling
from blpo.models.wrappers.stored import StoredEngine

LABELS = ("1", "2", "3", "4", "5")
LOGPROBS = {"1": -2.3, "2": -1.9, "3": -0.7, "4": -1.8, "5": -3.1}
PROMPT = "How natural is the image? " * 20
IMAGE_BYTES = 4096
BATCH = 1000


class StandIn:
    """Answers label requests, or refuses to answer any."""

    version = "stand-in"
    identity = EngineIdentity("stand-in", "stand-in", "1", "none")

    def __init__(self, *, answers: bool) -> None:
        self._answers = answers

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        if not self._answers:
            raise SystemExit(f"{len(requests)} requests reached the engine in a replay")
        return [Reply("3", "label", LOGPROBS, prompt_tokens=300) for _ in requests]

    def close(self) -> None:
        pass


def make_requests(num_requests: int) -> list[Request]:
    bounds = ImageBounds()
    images = (number.to_bytes(8, "big") * (IMAGE_BYTES // 8) for number in range(num_requests))
    refs = (ImageRef(image, bounds) for image in images)
    return [Request(PROMPT, ref, None, LABELS, Sampling(max_tokens=16)) for ref in refs]


def ask_all(store: Path, num_requests: int, *, answers: bool) -> float:
    """Seconds for all requests; making them is not timed."""
    requests = make_requests(num_requests)
    started = time.perf_counter()
    engine = StoredEngine(StandIn(answers=answers), ReplyStore(store), "judge", "run")
    for start in range(0, num_requests, BATCH):
        engine.ask(requests[start : start + BATCH])
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--replay", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.replay:
        print(ask_all(args.replay, args.requests, answers=False))
        return
    with tempfile.TemporaryDirectory(prefix="bench-replay-") as folder:
        first_s = ask_all(Path(folder), args.requests, answers=True)
        command = [sys.executable, __file__, "--requests", str(args.requests), "--replay", folder]
        replays = [
            float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
            for _ in range(3)
        ]
    print(f"asked and stored: {args.requests / first_s:,.0f} replies/s")
    print(f"replayed:         {args.requests / min(replays):,.0f} replies/s")
    figures = {
        "requests": args.requests,
        "stored_per_s": round(args.requests / first_s, 1),
        "replies_per_s": round(args.requests / min(replays), 1),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
