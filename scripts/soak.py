"""Ten thousand rounds of the micro judge in vLLM through a reply store: memory and open handles.

    .venv/bin/python scripts/soak.py                          # minutes
    .venv/bin/python scripts/soak.py --rounds 1000 --plot soak.png

A round asks for the verdicts of two images under a prompt that is new every hundred rounds, every
tenth for a description as well; images come round again, requests never do. Resident memory and
open handles, of this process and all its children, are read every hundred rounds. The figure that
counts is the growth over the second half: a fitted line's rise, as a share of what it starts from.
Prints it and a last line of JSON; exit code 1 if memory rises by more than 2 %, or handles rise.
Ctrl-C ends it early.
"""

import argparse
import json
import random
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from bench_common import LABELS, make_images
from blpo.data.store.store import ReplyStore
from blpo.models.engine import Request, Sampling
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.wrappers.stored import StoredEngine
from rich.console import Console
from rich.progress import track

IMAGES = 256
VERDICTS_A_ROUND = 2
DESCRIBED_EVERY = 10
SAMPLE_EVERY = 100
MOST_GROWTH = 0.02
WORDS = ("color", "shape", "edge", "light", "shadow", "count", "smoke", "glass", "hand", "face")


class Sample(NamedTuple):
    """After a round: resident memory in MB, and open files and sockets."""

    round: int
    resident_mb: float
    handles: int


def processes() -> list[Path]:
    """Folders in /proc of this process and all below it."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rsplit(")")[1].split()[1])
        except OSError:
            continue
    own = int(Path("/proc/self").readlink().name)

    def is_ours(pid: int) -> bool:
        while pid in parents:
            if pid == own:
                return True
            pid = parents[pid]
        return False

    return [Path("/proc", str(pid)) for pid in parents if is_ours(pid)]


def sample(number: int) -> Sample:
    resident = handles = 0
    for folder in processes():
        status = (folder / "status").read_text()
        resident += int(status.split("VmRSS:")[1].split()[0])
        handles += len(list((folder / "fd").iterdir()))
    return Sample(number, resident / 1024, handles)


def requests_of(number: int, images: list[Any]) -> list[Request]:
    """The requests of a round, which no other round has."""
    words = random.Random(number // SAMPLE_EVERY).choices(WORDS, k=12)
    prompt = f"Round {number // SAMPLE_EVERY}. Is the image safe? Look at {' and '.join(words)}."
    drawn = random.Random(number).sample(images, VERDICTS_A_ROUND)
    text = f"Item {number}."
    verdicts = [Request(prompt, image, text, labels=LABELS) for image in drawn]
    if number % DESCRIBED_EVERY:
        return verdicts
    sampling = Sampling(max_tokens=8)
    return [*verdicts, Request(f"Describe: {prompt}", drawn[0], text, sampling=sampling)]


def soak(folder: Path, rounds: int) -> list[Sample]:
    inner = VllmEngine(EngineSettings(kind="vllm", model="micro"))
    engine = StoredEngine(inner, ReplyStore(folder / "store"), "judge", "soak")
    images = make_images(IMAGES, 56)
    samples: list[Sample] = []
    with suppress(KeyboardInterrupt):
        for number in track(range(1, rounds + 1), "rounds", console=Console(stderr=True)):
            replies = engine.ask(requests_of(number, images))
            if failed := next((reply.error for reply in replies if reply.error), None):
                sys.exit(f"round {number}: {failed}")
            if number % SAMPLE_EVERY == 0:
                samples.append(sample(number))
    engine.close()
    return samples


def growth(values: list[float]) -> float:
    """The rise of a line fitted to the second half, as a share of its start."""
    half = np.array(values[len(values) // 2 :])
    slope, start = np.polyfit(np.arange(len(half)), half, 1)
    return float(slope * (len(half) - 1) / start)


def plot(samples: list[Sample], path: Path) -> None:
    pyplot: Any = import_module("matplotlib.pyplot")
    figure, (memory, handles) = pyplot.subplots(2, 1, sharex=True, figsize=(8, 4.5))
    rounds = [s.round for s in samples]
    memory.plot(rounds, [s.resident_mb for s in samples])
    memory.set_ylabel("resident, MB")
    handles.plot(rounds, [s.handles for s in samples])
    handles.set_ylabel("open handles")
    handles.set_xlabel("rounds of the micro judge in vLLM through a reply store (synthetic)")
    for axes in (memory, handles):
        axes.set_ylim(0, 1.2 * axes.get_ylim()[1])
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=10_000)
    parser.add_argument("--plot", type=Path, help="a picture of it (PNG or SVG)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        samples = soak(Path(folder), args.rounds)
    memory = growth([s.resident_mb for s in samples])
    handles = growth([float(s.handles) for s in samples])
    if args.plot:
        plot(samples, args.plot)
    first, last = samples[len(samples) // 2], samples[-1]
    print(
        f"from round {first.round:,} to {last.round:,}: memory {first.resident_mb:,.0f} -> ", end=""
    )
    print(f"{last.resident_mb:,.0f} MB, handles {first.handles} -> {last.handles}")
    summary = {"rounds": last.round, "memory_growth": memory, "handle_growth": handles}
    print(json.dumps({name: round(value, 4) for name, value in summary.items()}))
    sys.exit(memory > MOST_GROWTH or handles > 0.01)


if __name__ == "__main__":
    main()
