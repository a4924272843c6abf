"""A hybrid model: three ways to keep an image between judge prompts, and the one that is chosen.

    python scripts/bench_hybrid.py [--images 16] [--size 448]

A tiny Qwen3.5 (gated delta and full attention) under six judge prompts in turn. Encoder runs are
counted inside vLLM's model, computed tokens by what vLLM took from its cache; warming requests
count. Expected tokens and cost are what models/engines/vllm/image_reuse.py says. On so small a
model the seconds are those of steps and requests, not of tokens.
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
    JUDGE_PROMPTS,
    LABELS,
    SPECIAL,
    TEMPLATE,
    Inside,
    make_images,
    make_tokenizer,
    print_result,
    print_table,
)
from blpo.data.images import ImageRef
from blpo.models.engine import Request
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.vllm import engine as engine_module
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.engines.vllm.image_reuse import Shape, Way, question_cost, question_tokens
from blpo.models.engines.vllm.warming import Warming
from blpo.models.requests.layout import make_bridge

_WAYS: tuple[Way, ...] = ("long bridge", "fine grain", "warmed")


@dataclass(slots=True)
class Tally:
    """Of one way: encoder runs and computed tokens under each prompt, seconds in all."""

    encoded: list[int]
    computed: list[int]
    seconds: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--size", type=int, default=448, help="pixels a side; 28 to an image token")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        checkpoint = build_checkpoint(Path(folder))
        run(checkpoint, make_images(args.images, args.size))


def run(checkpoint: Path, images: Sequence[ImageRef]) -> None:
    tallies: dict[Way, Tally] = {}
    engine = started(checkpoint, images)
    inside = Inside(engine)
    block = inside.kv_cache.block_size
    chosen = "warmed" if inside.adapter.warms else "fine grain"
    shape = Shape(
        image=len(inside.renderer.render(images[:1], laid_out(inside), None)["prompt_token_ids"])
        - len(laid_out(inside)),
        prompt=inside.num_tokens_after_image(JUDGE_PROMPTS[0]) - len(inside.layout.bridges[1]),
        block=block,
        grain=inside.kv_cache.grain,
    )
    for way in ("fine grain", "warmed"):
        set_warming(inside, on=way == "warmed")
        tallies[way] = judged(engine, inside, images)
    engine.close()
    # Hits at whole blocks, as vLLM has them by itself, under a bridge of one.
    engine_module.match_unit = whole_blocks(block)
    engine = started(checkpoint, images)
    inside = Inside(engine)
    bridge = tuple(make_bridge(inside.layout.tokenizer, block))
    inside.layout = replace(inside.layout, bridges=((), bridge, bridge))
    set_warming(inside, on=False)
    tallies["long bridge"] = judged(engine, inside, images)
    engine.close()
    report(len(images), tallies, shape, chosen)


def started(checkpoint: Path, images: Sequence[ImageRef]) -> VllmEngine:
    settings = EngineSettings(
        model=str(checkpoint), load_format="dummy", label_reading="first_token"
    )
    engine = VllmEngine(settings)
    engine.ask([Request("Start.", images[0], labels=LABELS)])
    return engine


def whole_blocks(block: int) -> Callable[[EngineSettings], int]:
    def match_unit(_: EngineSettings) -> int:
        return block

    return match_unit


def laid_out(inside: Inside) -> list[int]:
    return inside.layout.token_ids("Start.", num_images=1, text=None)


def set_warming(inside: Inside, *, on: bool) -> None:
    inside.loop.__dict__["_warming"] = Warming(inside.layout) if on else None


def judged(engine: VllmEngine, inside: Inside, images: Sequence[ImageRef]) -> Tally:
    inside.forget_images()
    tally = Tally([], [])
    step: Any = inside.adapter.step

    def counting() -> Any:
        for rid, output in step():
            tally.computed[-1] += len(output.prompt_token_ids) - (output.num_cached_tokens or 0)
            yield rid, output

    inside.adapter.step = counting
    begun = time.perf_counter()
    for judge_prompt in JUDGE_PROMPTS:
        tally.computed.append(0)
        prompt = f"{judge_prompt}\n{ANSWER_INSTRUCTION}"
        with inside.counted_encoder() as encoded:
            engine.ask([Request(prompt, image, labels=LABELS) for image in images])
        tally.encoded.append(len(encoded))
    tally.seconds = time.perf_counter() - begun
    del inside.adapter.step
    return tally


def report(num_images: int, tallies: dict[Way, Tally], shape: Shape, chosen: str) -> None:
    num_prompts = len(JUDGE_PROMPTS)
    num_questions = num_images * num_prompts
    cost = {way: question_cost(way, shape, num_prompts) for way in _WAYS}
    expected = {way: question_tokens(way, shape, num_prompts) for way in _WAYS}
    print_table(
        f"{num_images} images of {shape.image} tokens under {num_prompts} judge prompts, hybrid "
        f"model, KV blocks of {shape.block} tokens, hits at multiples of {shape.grain}: encoder "
        "runs per image, tokens computed per question",
        (
            "way",
            "encoder runs/image",
            "by prompt",
            "tokens/question",
            "later",
            "expected",
            "cost",
            "",
            "s",
        ),
        [
            (
                way,
                sum(tally.encoded) / num_images,
                " ".join(str(count // num_images) for count in tally.encoded),
                sum(tally.computed) / num_questions,
                tally.computed[-1] / num_images,
                expected[way],
                cost[way],
                "chosen" if way == chosen else "",
                tally.seconds,
            )
            for way, tally in ((way, tallies[way]) for way in _WAYS)
        ],
    )
    figures = {
        way.replace(" ", "_"): {
            "encoder_runs_per_image": sum(tally.encoded) / num_images,
            "tokens_per_question": round(sum(tally.computed) / num_questions, 1),
            "tokens_per_later_question": round(tally.computed[-1] / num_images, 1),
            "seconds": round(tally.seconds, 2),
            "tokens_expected": round(expected[way], 1),
            "cost": round(cost[way], 1),
        }
        for way, tally in tallies.items()
    }
    print_result(
        "hybrid", {**figures, "chosen": chosen, "images": num_images, "block": shape.block}
    )


def build_checkpoint(folder: Path) -> Path:
    """A tiny Qwen3.5 without weights; the state of its first layer is as large as 17 blocks."""
    from transformers import (  # noqa: PLC0415
        Qwen2VLImageProcessor,
        Qwen3_5Config,
        Qwen3VLProcessor,
    )
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import (  # noqa: PLC0415
        Qwen3VLVideoProcessor,
    )

    tokenizer = make_tokenizer()
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL}
    config: Any = Qwen3_5Config(
        text_config=_text_config(len(tokenizer), ids),
        vision_config={
            "depth": 3,
            "hidden_size": 96,
            "intermediate_size": 192,
            "num_heads": 4,
            "out_hidden_size": 64,
            "patch_size": 14,
            "num_position_embeddings": 1024,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    config.architectures = ["Qwen3_5ForConditionalGeneration"]
    config.save_pretrained(folder)
    processor: Any = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(patch_size=14, max_pixels=4096 * 4096),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(patch_size=14),
        chat_template=TEMPLATE,
    )
    processor.save_pretrained(folder)
    return folder


def _text_config(num_tokens: int, ids: dict[str, int]) -> dict[str, Any]:
    return {
        "vocab_size": num_tokens,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 32,
        "layer_types": ["linear_attention", "full_attention"],
        "linear_key_head_dim": 64,
        "linear_value_head_dim": 64,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "max_position_embeddings": 8192,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1_000_000.0,
            "mrope_section": [6, 5, 5],
            "mrope_interleaved": True,
            "partial_rotary_factor": 1.0,
        },
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }


if __name__ == "__main__":
    main()
