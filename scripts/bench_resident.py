"""More images than the KV cache holds: passes that begin with what is resident.

    python scripts/bench_resident.py [--capacity 100] [--times 2]

Passes of a judge, each under a prompt of its own, over a multiple of the images that the planner
says the cache holds: in the order of the engine, and always in the same order. An image hits when
the tokens served from the cache reach past it. First of all, a set of just the planned size shows
whether the planner is right: all of it has to hit.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_common import (
    ANSWER_INSTRUCTION,
    JUDGE_PROMPTS,
    LABELS,
    TINY,
    Inside,
    build_checkpoint,
    make_images,
    print_result,
    print_table,
)
from blpo.data.images import ImageRef
from blpo.models.engine import Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.vllm.engine import VllmEngine

IMAGE_SIZE = 224
_TOKENS_PER_IMAGE = 160
"""Upper bound of a request's tokens, to choose the size of the cache."""
_BYTES_PER_TOKEN = 2 * TINY.num_layers * TINY.hidden_size * 4
"""Key and value of all layers in float32."""


@dataclass(frozen=True, slots=True)
class Pass:
    seconds: float
    hit_share: float


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--capacity", type=int, default=100, help="images that shall fit, about")
    parser.add_argument("--times", type=float, default=2.0, help="images, in capacities")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), args.capacity, args.times)


def run(folder: Path, capacity: int, times: float) -> None:
    gib = capacity * _TOKENS_PER_IMAGE * _BYTES_PER_TOKEN / (1 << 30)
    engine = VllmEngine(
        EngineSettings(
            model=str(build_checkpoint(folder, TINY)),
            load_format="dummy",
            kv_cache_gib=gib,
            max_model_len=1024,
        )
    )
    (first,) = engine.ask([request(make_images(1, IMAGE_SIZE, seed=1)[0], JUDGE_PROMPTS[0])])
    inside = Inside(engine)
    planned = inside.kv_cache.num_resident(first.prompt_tokens + first.completion_tokens)
    num_images = round(planned * times)
    # New ones for each: the loop sends again, behind the others, what it has sent and finds gone.
    few, many, same_number = (
        make_images(number, IMAGE_SIZE, seed=seed)
        for seed, number in enumerate((planned, num_images, num_images), start=2)
    )
    with inside.order_as_given():
        fitting = judge_all(engine, inside, few)
        as_given = judge_all(engine, inside, many)
    ours = judge_all(engine, inside, same_number)
    engine.close()
    report(planned, num_images, fitting, as_given, ours)


def request(image: ImageRef, judge_prompt: str) -> Request:
    return Request(f"{judge_prompt}\n{ANSWER_INSTRUCTION}", image, labels=LABELS)


def judge_all(engine: VllmEngine, inside: Inside, images: Sequence[ImageRef]) -> list[Pass]:
    """A pass for each judge prompt but the first, which finds an empty cache."""
    inside.forget_images()
    return [judge(engine, inside, images, prompt) for prompt in JUDGE_PROMPTS][1:]


def judge(
    engine: VllmEngine, inside: Inside, images: Sequence[ImageRef], judge_prompt: str
) -> Pass:
    requests = [request(image, judge_prompt) for image in images]
    started = time.perf_counter()
    replies = engine.ask(requests)
    seconds = time.perf_counter() - started
    prompt = requests[0].prompt
    hits = sum(hit(reply, inside.num_tokens_after_image(prompt)) for reply in replies)
    return Pass(seconds, hits / len(images))


def hit(reply: Reply, num_tokens_after_image: int) -> bool:
    return reply.cached_tokens >= reply.prompt_tokens - num_tokens_after_image


def report(
    planned: int, num_images: int, fitting: list[Pass], as_given: list[Pass], ours: list[Pass]
) -> None:
    rows = [
        (f"{planned} images, as given", fitting, planned),
        (f"{num_images} images, as given", as_given, num_images),
        (f"{num_images} images, resident first", ours, num_images),
    ]
    print_table(
        f"the planner says that {planned} images stay resident",
        ("passes", "hits", "lowest", "images/s"),
        [
            (
                name,
                f"{mean_hits(passes):.0%}",
                f"{min(p.hit_share for p in passes):.0%}",
                count / mean_seconds(passes),
            )
            for name, passes, count in rows
        ],
    )
    print_result(
        "resident",
        {
            "hit_share": round(mean_hits(ours), 4),
            "hit_share_as_given": round(mean_hits(as_given), 4),
            "hit_share_at_planned_size": round(mean_hits(fitting), 4),
            "ratio_vs_as_given": round(mean_seconds(as_given) / mean_seconds(ours), 2),
            "planned_images": planned,
            "images": num_images,
        },
    )


def mean_hits(passes: Sequence[Pass]) -> float:
    return sum(p.hit_share for p in passes) / len(passes)


def mean_seconds(passes: Sequence[Pass]) -> float:
    return sum(p.seconds for p in passes) / len(passes)


if __name__ == "__main__":
    main()
