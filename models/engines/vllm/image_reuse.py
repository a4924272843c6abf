"""How requests about one image come to share what was computed for it, by kind of model.

A model of full attention reuses whole KV blocks: all that is needed is a bridge of one block behind
the image (`requests/layout.py`). A hybrid model (layers that keep a state in place of keys and
values) reuses a prefix only where the state at its end was kept, and vLLM keeps it at the last
block boundary of a request, and at its end. There are three ways to have it kept behind an image:

- a bridge of a block, which is of hundreds of tokens there: every request carries it, and computes
  half of it on average;
- a finer grain (`prefix_match_unit`), so that a hit may end within a block, with the bridge of an
  ordinary model: what is kept lies behind the changing prompt, so that no other prompt finds it;
- that grain and a warming request for each image, which ends where the bridge ends.

Measured by `scripts/bench_hybrid.py` on a tiny Qwen3.5, 32 images of 255 tokens under six prompts
of 37, blocks of 544, a grain of 32:

| way | encoder runs per image | tokens computed per question | `question_tokens` says |
|---|---|---|---|
| long bridge | 1 | 402 | 397 |
| fine grain | 6 | 342 | 324 |
| warmed | 1 | 106 | 101 |
"""

import logging
from dataclasses import dataclass
from typing import Literal

from .residency import KvCache

_log = logging.getLogger("blpo.engine")

Way = Literal["blocks", "long bridge", "fine grain", "warmed"]
ENCODER_TOKENS = 1.5
"""What encoding an image costs, in tokens of prefill for each of its tokens: of Qwen2.5-VL-7B, by
its floating-point operations. The choice does not hang on it."""
QUESTIONS_PER_IMAGE = 10
"""Of an alignment run, at the least: a judge prompt for each of some outer and inner steps."""
_IMAGE, _PROMPT = 256, 150
"""Tokens of an image and of a judge prompt as they often are: a start cannot know them."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Tokens of an image, of the prompt behind it, of a KV block, and of the finest grain."""

    image: int
    prompt: int
    block: int
    grain: int


def question_tokens(way: Way, shape: Shape, num_questions: int) -> float:
    """Tokens of prefill computed for each of so many questions about an image."""
    kept = shape.block if way == "long bridge" else shape.grain
    later = shape.prompt + kept / 2
    if way == "fine grain":
        return shape.image + shape.grain + shape.prompt
    first = shape.image + kept + (later if way == "warmed" else shape.prompt)
    return (first + (num_questions - 1) * later) / num_questions


def question_cost(way: Way, shape: Shape, num_questions: int = QUESTIONS_PER_IMAGE) -> float:
    """The same, with what encoding the image takes."""
    runs = 1.0 if way == "fine grain" else 1 / num_questions
    return question_tokens(way, shape, num_questions) + runs * ENCODER_TOKENS * shape.image


def way_to_reuse(cache: KvCache, bridge: int) -> Way:
    """The cheapest way that a started engine offers, under a bridge of so many tokens."""
    if not cache.keeps_states:
        return "blocks"
    shape = Shape(_IMAGE, _PROMPT, cache.block_size, cache.grain)
    ways: list[Way] = ["fine grain"]
    if bridge >= shape.grain - 1:
        ways.append("warmed")
    if bridge >= shape.block - 1:
        ways.append("long bridge")
    way = min(ways, key=lambda way: question_cost(way, shape))
    _log.info(
        "a hybrid model: KV blocks of %d tokens, prefixes reused at multiples of %d; images are "
        "kept by the way %r",
        shape.block,
        shape.grain,
        way,
    )
    return way
