"""How often a model finds the better of two pictures; what a fitted reading makes of a leaning."""

import random
from collections.abc import Sequence
from itertools import count, islice
from typing import Any

import torch
import train_micro as micro
from blpo.data.micro.held_out import ABILITIES
from blpo.data.micro.meaning import Meaning, counted_steps
from blpo.data.micro.wordings import draw_prompt
from blpo.data.micro.world import FAMILIES, Family, aspect_names, draw_scene
from blpo.models.roles.judge import Verdict

from .asking import named_meaning
from .knobs import Knobs
from .measuring import (
    NUM_FIT,
    NUM_TEST,
    Judged,
    Sight,
    draw_asked,
    share_right,
    verdict_at,
    with_reading,
)
from .pairs import INSTRUCTIONS, Pair, PairBatcher, asked_pair, rival
from .reading import read

LABELS = ("A", "B")
_NUM_PROMPTS = 3
_ROWS = 30
_SEED = 765_432
_MOST_TRIES = 50

Case = tuple[Pair, str, Meaning]
"""Two pictures, a prompt under which one is better, and what it means."""


@torch.no_grad()
def measure_pairs(processor: Any, model: Any, number: int) -> dict[str, float | dict[str, float]]:
    """Shares of right preferences between pictures of which one is better.

    By the source of the prompt; under prompts that name aspects also by leaning, before and after a
    fitted reading, with the share of A among the answers before it.
    """
    sight, rng = Sight(model.eval(), micro.make_codes(), pictures=True), random.Random("pairs")
    batcher, found = PairBatcher(processor), dict[str, float | dict[str, float]]()
    for source in ("plain", *(f"unseen {ability}" for ability in ABILITIES)):
        cases = [_draw_case(rng, FAMILIES[k % 3], source) for k in range(number)]
        found[source] = round(share_right(_judge(rng, batcher, sight, cases)), 3)
    for leaning in (None, "first"):
        found[f"leaning {leaning or 'none'}"] = _before_and_after(processor, sight, Knobs(leaning))
    return found


def _before_and_after(processor: Any, sight: Sight, knobs: Knobs) -> dict[str, float]:
    rng, batcher = random.Random("first"), PairBatcher(processor, knobs.arguments)
    before, after = list[tuple[str, Verdict]](), list[tuple[str, Verdict]]()
    for _ in range(_NUM_PROMPTS):
        prompt = draw_prompt(rng, rng.sample(aspect_names("objects"), 4))
        meaning = named_meaning(prompt, "objects")
        pairs = filter(None, (_unequal(rng, "objects", meaning) for _ in count()))
        cases = [(pair, prompt, meaning) for pair in islice(pairs, NUM_FIT + NUM_TEST)]
        judged = _judge(rng, batcher, sight, cases)
        test, read_again = with_reading(judged, LABELS)
        before += test
        after += read_again
    return {
        "before": round(share_right(before), 3),
        "after": round(share_right(after), 3),
        "A": round(sum(verdict.label == "A" for _, verdict in before) / len(before), 3),
    }


def _judge(rng: random.Random, batcher: PairBatcher, sight: Sight, cases: Sequence[Case]) -> Judged:
    judged, end = list[tuple[str, Verdict]](), f"\n{INSTRUCTIONS[0]}"
    for start in range(0, len(cases), _ROWS):
        some = cases[start : start + _ROWS]
        pairs = [pair for pair, _, _ in some]
        asked = [[asked_pair(prompt, end, pair, meaning)] for pair, prompt, meaning in some]
        tokens = torch.cat([sight.tokens([pair[k] for pair in pairs]) for k in (0, 1)], 1)
        batch = batcher.make_pairs(rng, pairs, asked)
        state = read(sight.model, batch, tokens)[-1]
        for row, last, _, question in batch.notes.questions:
            verdict = verdict_at(batcher, sight.model, state[row, last], LABELS)
            judged.append((question.answer, verdict))
    return judged


def _draw_case(rng: random.Random, family: Family, source: str) -> Case:
    while True:
        prompt, meaning = draw_asked(rng, family, source)
        if pair := _unequal(rng, family, meaning):
            return pair, prompt, meaning


def _unequal(rng: random.Random, family: Family, meaning: Meaning) -> Pair | None:
    """A pair of which one picture is better under a prompt of that meaning; None: hard to find, as
    where nothing counts."""
    for _ in range(_MOST_TRIES):
        scene = draw_scene(family, _SEED, rng.randrange(2**31))
        pair = (scene, rival(rng, scene)) if rng.random() < 0.5 else (rival(rng, scene), scene)
        first, second = (sum(counted_steps(one, meaning).values()) for one in pair)
        if first != second:
            return pair
    return None
