"""How requests about one image come to share what was computed for it, by kind of model.

A model of full attention reuses whole KV blocks: all that is needed is a bridge of one block behind
the image (`requests/layout.py`). A hybrid model (layers that keep a state in place of keys and
values) reuses a prefix only where the state at its end was kept, and vLLM keeps it at the end of a
request alone, or at a block of hundreds of tokens. There are three ways to have it kept behind an
image, measured by `scripts/bench_hybrid.py`:

- a bridge of a block: the second request about an image keeps the state, at the cost of encoding
  the image twice, and every request carries and on average computes half a block of constant text;
- a finer grain (`prefix_match_unit`), so that a hit may end within a block, with the bridge of an
  ordinary model: what is kept lies behind the changing prompt, so that no other prompt finds it;
- that grain and a warming request for each image, which ends where the bridge ends: one encoder
  run, and each question computes its own tokens and half a grain.

`question_cost` is what these come to, in tokens that are computed for a question.
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


def question_cost(way: Way, shape: Shape, num_questions: int = QUESTIONS_PER_IMAGE) -> float:
    """Tokens computed for each of so many questions about an image, its encoding counted in."""
    encoding = (1 + ENCODER_TOKENS) * shape.image
    own = shape.prompt + shape.grain / 2
    if way == "fine grain":
        return encoding + shape.grain + shape.prompt
    if way == "warmed":
        return (encoding + shape.grain) / num_questions + own
    if way == "long bridge":
        twice = 2 * (encoding + shape.block) / num_questions
        return twice + shape.prompt + shape.block / 2
    return encoding / num_questions + own


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
