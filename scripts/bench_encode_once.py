"""Encode once: the same images under six judge prompts in turn, in three request layouts.

    python scripts/bench_encode_once.py [--images 64] [--size 448]

Text first, image first without a bridge, and ours run on one engine with its caches cleared
between them. Calls of the vision encoder are counted inside vLLM's model. At the end a
verbalization of every image under our layout: it shares the images with the judge.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from bench_common import (
    ANSWER_INSTRUCTION,
    I2T_PROMPT,
    JUDGE_PROMPTS,
    LABELS,
    TINY,
    Inside,
    build_checkpoint,
    make_images,
    print_result,
    print_table,
    text_first,
)
from blpo.data.images import ImageRef
from blpo.models.engine import Reply, Request, Sampling
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.vllm.engine import VllmEngine

_VERBALIZATION_TOKENS = 4


@dataclass(frozen=True, slots=True)
class Pass:
    """One prompt over all images. encoded: images that went through the vision encoder."""

    seconds: float
    encoded: int
    cached_share: float


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--size", type=int, default=448, help="pixels a side; 28 to an image token")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), make_images(args.images, args.size))


def run(folder: Path, images: Sequence[ImageRef]) -> None:
    checkpoint = build_checkpoint(folder, TINY)
    engine = VllmEngine(EngineSettings(model=str(checkpoint), load_format="dummy"))
    engine.ask([Request("Start.", make_images(1, 56, seed=1)[0], labels=LABELS)])
    inside = Inside(engine)
    ours = inside.layout
    passes: dict[str, list[Pass]] = {}
    for name, layout in (
        ("text first", text_first(ours)),
        ("no bridge", replace(ours, bridges=((),) * len(ours.bridges))),
        ("ours", ours),
    ):
        inside.layout = layout
        inside.forget_images()
        passes[name] = [judge_all(engine, inside, images, prompt) for prompt in JUDGE_PROMPTS]
    verbalization = verbalize_all(engine, inside, images)
    engine.close()
    report(len(images), passes, verbalization)


def judge_all(
    engine: VllmEngine, inside: Inside, images: Sequence[ImageRef], judge_prompt: str
) -> Pass:
    prompt = f"{judge_prompt}\n{ANSWER_INSTRUCTION}"
    requests = [Request(prompt, image, labels=LABELS) for image in images]
    return measured(inside, lambda: engine.ask(requests))


def verbalize_all(engine: VllmEngine, inside: Inside, images: Sequence[ImageRef]) -> Pass:
    sampling = Sampling(max_tokens=_VERBALIZATION_TOKENS)
    requests = [Request(I2T_PROMPT, image, sampling=sampling) for image in images]
    return measured(inside, lambda: engine.ask(requests))


def measured(inside: Inside, ask: Callable[[], list[Reply]]) -> Pass:
    with inside.counted_encoder() as encoded:
        started = time.perf_counter()
        replies = ask()
        seconds = time.perf_counter() - started
    failed = next((reply.error for reply in replies if reply.error), None)
    if failed is not None:
        raise RuntimeError(f"a request failed: {failed}")
    cached, total = (
        sum(getattr(reply, name) for reply in replies)
        for name in ("cached_tokens", "prompt_tokens")
    )
    return Pass(seconds, len(encoded), cached / total)


def report(num_images: int, passes: dict[str, list[Pass]], verbalization: Pass) -> None:
    later = {name: passes_of[1:] for name, passes_of in passes.items()}
    seconds = {name: sum(p.seconds for p in some) / len(some) for name, some in later.items()}
    print_table(
        f"{num_images} images under {len(JUDGE_PROMPTS)} judge prompts, tiny model",
        ("layout", "1st, s", "later, s", "images/s", "cached", "runs/image"),
        [
            (
                name,
                some[0].seconds,
                seconds[name],
                num_images / seconds[name],
                f"{later[name][-1].cached_share:.0%}",
                sum(p.encoded for p in some) / num_images,
            )
            for name, some in passes.items()
        ],
    )
    figures: dict[str, Any] = {
        "ratio_vs_text_first": round(seconds["text first"] / seconds["ours"], 2),
        "ratio_vs_no_bridge": round(seconds["no bridge"] / seconds["ours"], 2),
        "encoder_runs_per_image": sum(p.encoded for p in passes["ours"]) / num_images,
        "encoder_runs_of_verbalizations": verbalization.encoded,
        "images": num_images,
        "images_per_s_later_prompts": round(num_images / seconds["ours"], 1),
    }
    print_result("encode_once", figures)


if __name__ == "__main__":
    main()
