"""A vLLM server against the engine in this process: verdicts, probabilities, bytes on the wire.

    .venv/bin/python scripts/bench_server.py                      # a pool of two servers
    .venv/bin/python scripts/bench_server.py --scale-out          # which take tokens
    .venv/bin/python scripts/bench_server.py --layout chat        # asked as any server is

Judges the test images of a micro task with the micro model, in this process and over a pool of
servers that it starts on loopback, under the prompt of a file and then under the task's own. Prints
one JSON line: verdicts that differ, the largest difference of a label's probability, bytes sent per
question under the first prompt and under the second.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from blpo.data.examples import Example, read_dataset
from blpo.data.images import ImageBounds
from blpo.data.tasks import Task, load_task
from blpo.models.engine import Engine, Request, Sampling
from blpo.models.engines.openai.engine import OpenAIEngine
from blpo.models.engines.settings import EngineSettings, Layout
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.roles.judge import Judge, Verdict
from blpo.pipeline.runs.demo import micro_dataset
from vllm_servers import running_servers

FINAL_PROMPT = (
    "Look at the image and rate how natural it looks to people. Pay attention to the horizon, the "
    "shadow, the seam and the focus."
)
"""The final prompt of the demo's run on micro-agin."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts under each prompt in turn, with what that took."""

    verdicts: list[list[Verdict]]
    bytes_per_question: list[float]
    seconds: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--task", default="micro-agin")
    parser.add_argument("--prompt", type=Path, help="default: the demo's final prompt")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--servers", type=int, default=2)
    parser.add_argument("--layout", choices=get_args(Layout), default="auto")
    parser.add_argument("--scale-out", action="store_true", help="servers that take tokens")
    args = parser.parse_args()
    prompt = args.prompt.read_text("utf-8").strip() if args.prompt else FINAL_PROMPT
    with tempfile.TemporaryDirectory() as folder:
        found = compare(args, prompt, Path(folder))
    print(json.dumps(found))


def compare(args: argparse.Namespace, prompt: str, folder: Path) -> dict[str, object]:
    task = load_task(args.task)
    dataset = read_dataset(micro_dataset(folder, args.task), task, ImageBounds())
    examples = dataset.test[: args.images]
    prompts = [prompt, task.judge_prompt]
    here = judged(VllmEngine(EngineSettings(kind="vllm", model="micro")), task, prompts, examples)
    options = ["--enable-scale-out"] if args.scale_out else []
    (folder / "pool").mkdir()
    with running_servers(args.servers, folder, options) as urls:
        for number, url in enumerate(urls):
            (folder / "pool" / f"{number}.json").write_text(json.dumps({"url": url}))
        settings = EngineSettings(
            kind="openai", model="micro", endpoint=f"pool:{folder / 'pool'}", layout=args.layout
        )
        there = judged(OpenAIEngine(settings), task, prompts, examples)
    pairs = [
        (one, other)
        for ours, theirs in zip(here.verdicts, there.verdicts, strict=True)
        for one, other in zip(ours, theirs, strict=True)
    ]
    per_prompt = [
        sum(a.label != b.label for a, b in zip(ours, theirs, strict=True))
        for ours, theirs in zip(here.verdicts, there.verdicts, strict=True)
    ]
    return {
        "task": args.task,
        "images": len(examples),
        "servers": args.servers,
        "layout": args.layout,
        "scale_out": args.scale_out,
        "verdicts_that_differ": per_prompt,
        "largest_difference": max(_difference(one, other) for one, other in pairs),
        "bytes_per_question": [round(b) for b in there.bytes_per_question],
        "seconds_in_process": [round(s, 2) for s in here.seconds],
        "seconds_over_servers": [round(s, 2) for s in there.seconds],
    }


def judged(
    engine: VllmEngine | OpenAIEngine,
    task: Task,
    prompts: Sequence[str],
    examples: Sequence[Example],
) -> Judged:
    """What an engine says under each prompt; it is closed at the end."""
    judge = Judge(engine, task)
    result = Judged([], [], [])
    _warm(engine)
    for prompt in prompts:
        started, sent = time.perf_counter(), _bytes_sent(engine)
        result.verdicts.append(judge(prompt, examples))
        result.seconds.append(time.perf_counter() - started)
        result.bytes_per_question.append((_bytes_sent(engine) - sent) / len(examples))
    engine.close()
    return result


def _warm(engine: Engine) -> None:
    """Start the engine, so that its start is not timed."""
    engine.ask([Request("Say yes.", sampling=Sampling(max_tokens=1))])


def _bytes_sent(engine: VllmEngine | OpenAIEngine) -> int:
    return engine.num_bytes_sent if isinstance(engine, OpenAIEngine) else 0


def _difference(one: Verdict, other: Verdict) -> float:
    if one.probabilities is None or other.probabilities is None:
        return 1.0
    pairs = [(one.probabilities[label], other.probabilities[label]) for label in one.probabilities]
    return max(abs(p - q) for p, q in pairs)


if __name__ == "__main__":
    main()
