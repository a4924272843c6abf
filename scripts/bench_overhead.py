"""The engine never waits: a judge pass through judge, store and engine against the bare loop.

    python scripts/bench_overhead.py [--requests 2000] [--repeats 5]

The bare loop gives vLLM's LLMEngine the same token ids, with images that it knows already, and
steps it until all are answered. Both use one engine; passes alternate, each under a prompt of its
own and of the same length, and the medians are compared. The first pass, in which images are
decoded and encoded, is reported on its own. The ratio of the processor seconds of all threads
bounds what the pass costs where no second core takes over the storing, and a busy machine
disturbs it less.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_common import (
    ANSWER_INSTRUCTION,
    JUDGE_PROMPTS,
    LABELS,
    TASK,
    TINY,
    Inside,
    Shown,
    build_checkpoint,
    make_images,
    print_result,
    print_table,
)
from blpo.data.images import decode_image
from blpo.data.store import ReplyStore
from blpo.models.judge import Judge
from blpo.models.labels import LabelPlan
from blpo.models.settings import EngineSettings
from blpo.models.stored import StoredEngine
from blpo.models.vllm_engine import VllmEngine

IMAGE_SIZE = 224


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds, and processor seconds of all threads."""

    wall_s: float
    cpu_s: float


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--requests", type=int, default=2000, help="images, and requests in a pass")
    parser.add_argument("--repeats", type=int, default=5, help="passes of each kind")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), args.requests, args.repeats)


def run(folder: Path, num_requests: int, repeats: int) -> None:
    checkpoint = build_checkpoint(folder / "model", TINY)
    engine = VllmEngine(EngineSettings(model=str(checkpoint), load_format="dummy", kv_cache_gib=4))
    stored = StoredEngine(engine, ReplyStore(folder / "store"), "judge", "bench")
    judge = Judge(stored, TASK)
    examples = [Shown(image) for image in make_images(num_requests, IMAGE_SIZE)]
    judge("Round 00.", [Shown(make_images(1, IMAGE_SIZE, seed=1)[0])])  # starts the engine
    decode = timed(lambda: [decode_image(example.image) for example in examples])
    first = timed(lambda: judge(prompt_of(1), examples))
    ours: list[Spent] = []
    bare: list[Spent] = []
    for i in range(repeats):
        one, two = prompt_of(2 * i + 2), prompt_of(2 * i + 3)
        if i % 2:
            ours.append(timed(lambda p=one: judge(p, examples)))
            bare.append(bare_pass(engine, two, examples))
        else:
            bare.append(bare_pass(engine, one, examples))
            ours.append(timed(lambda p=two: judge(p, examples)))
    engine.close()
    report(num_requests, decode, first, ours, bare)


def prompt_of(number: int) -> str:
    """Judge prompts of the same length that differ from the start."""
    return f"{number:02d}. {JUDGE_PROMPTS[0]}"


def bare_pass(engine: VllmEngine, judge_prompt: str, examples: Sequence[Shown]) -> Spent:
    """The same requests through vLLM's own engine, given ready token ids."""
    inside = Inside(engine)
    prompt = f"{judge_prompt}\n{ANSWER_INSTRUCTION}"
    token_ids = inside.layout.token_ids(prompt, num_images=1, text=None)
    plan = LabelPlan.make(inside.layout.tokenizer, LABELS, inside.layout.end_of_turn)
    (read,) = plan.reads
    prompts = [_vllm_prompt([*token_ids, *read.prefix_ids], e.image.digest) for e in examples]
    params = inside.label_params(read)
    return timed(lambda: answer_all(inside.llm, prompts, params))


def answer_all(llm: Any, prompts: Sequence[Any], params: Any) -> list[Any]:
    for i, prompt in enumerate(prompts):
        (rendered,) = llm.renderer.render_cmpl([prompt])
        llm.add_request(str(i), rendered, params)
    outputs: list[Any] = []
    while llm.has_unfinished_requests():
        outputs += [output for output in llm.step() if output.finished]
    if len(outputs) != len(prompts):
        raise RuntimeError(f"{len(outputs)} of {len(prompts)} requests were answered")
    return outputs


def _vllm_prompt(token_ids: list[int], digest: str) -> dict[str, Any]:
    return {
        "prompt_token_ids": token_ids,
        "multi_modal_data": {"image": [None]},
        "multi_modal_uuids": {"image": [digest]},
    }


def timed(work: Callable[[], object]) -> Spent:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def report(
    num_requests: int, decode: Spent, first: Spent, ours: list[Spent], bare: list[Spent]
) -> None:
    (ours_s, ours_cpu), (bare_s, bare_cpu) = medians(ours), medians(bare)
    print_table(
        f"{num_requests} label requests, {IMAGE_SIZE} x {IMAGE_SIZE} images, tiny model",
        ("pass", "seconds", "processor seconds"),
        [
            ("first: images decoded and encoded", first.wall_s, first.cpu_s),
            ("decoding alone, one thread", decode.wall_s, decode.cpu_s),
            (f"bare engine loop, median of {len(bare)}", bare_s, bare_cpu),
            (f"judge + store + engine, of {len(ours)}", ours_s, ours_cpu),
            ("ratio", ours_s / bare_s, ours_cpu / bare_cpu),
        ],
    )
    print_result(
        "overhead",
        {
            "ratio_vs_bare_engine": round(ours_s / bare_s, 4),
            "cpu_ratio_vs_bare_engine": round(ours_cpu / bare_cpu, 4),
            "requests": num_requests,
            "bare_s": [round(spent.wall_s, 3) for spent in bare],
            "ours_s": [round(spent.wall_s, 3) for spent in ours],
            "first_pass_s": round(first.wall_s, 3),
            "decode_s": round(decode.wall_s, 3),
        },
    )


def medians(passes: Sequence[Spent]) -> tuple[float, float]:
    """Median seconds and median processor seconds."""
    return (
        statistics.median(spent.wall_s for spent in passes),
        statistics.median(spent.cpu_s for spent in passes),
    )


if __name__ == "__main__":
    main()
