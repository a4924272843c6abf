"""How many verdicts are right, by what a prompt says and by who wrote the sentence."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import train_micro as micro
from blpo.data.micro.clauses import strip_marks
from blpo.data.micro.held_out import ABILITIES, draw_held_out
from blpo.data.micro.meaning import Meaning, understood_verdict
from blpo.data.micro.phrasings import combined
from blpo.data.micro.wordings import draw_prompt, instruction
from blpo.data.micro.world import FAMILIES, Family, Scale, Scene, draw_scene, family_aspects, render
from torch import Tensor

from .asking import Asked, compose_statements, draw_statements, named_meaning
from .batches import Batcher
from .plans import Plan
from .reading import read

SCALES: tuple[Scale, ...] = ("naturalness", "alignment", "safety")
_ROWS = 30
_SEED = 987_654


@dataclass(frozen=True, slots=True)
class Sight:
    """What a model sees: bags of the scenes' true values, or its own tokens of their pictures."""

    model: Any
    codes: Tensor
    pictures: bool

    def tokens(self, scenes: Sequence[Scene]) -> Tensor:
        """(scenes, image tokens, hidden)"""
        if not self.pictures:
            bags = micro.value_targets(scenes) @ self.codes
            return bags[:, None].expand(-1, micro.NUM_IMAGE_TOKENS, -1)
        images = micro.as_images([render(scene) for scene in scenes])
        return micro.see(self.model.model.visual, micro.patchify(images))


@torch.no_grad()
def measure(processor: Any, model: Any, *, number: int, pictures: bool) -> dict[str, list[float]]:
    """Shares of right verdicts on SCALES, by where the sentence is from and what it says."""
    model.eval()
    sight, batcher = Sight(model, micro.make_codes(), pictures), Batcher(processor)
    kinds = [
        "plain",
        *(f"{source} {kind}" for source in ("unseen", "trained") for kind in ABILITIES),
    ]
    return {kind: _share_right(batcher, sight, kind, number) for kind in kinds}


def _share_right(batcher: Batcher, sight: Sight, kind: str, number: int) -> list[float]:
    rng = random.Random(f"check {kind}")
    right: dict[Scale, list[float]] = {scale: [] for scale in SCALES}
    for start in range(0, number, _ROWS):
        families: list[Family] = [FAMILIES[k % 3] for k in range(_ROWS)]
        scenes = [draw_scene(f, _SEED, start + k) for k, f in enumerate(families)]
        asked = [[_ask(rng, scene, kind, scale) for scale in SCALES] for scene in scenes]
        batch = batcher.make(rng, scenes, asked, num_bridge=64)
        state = read(sight.model, batch, sight.tokens(scenes))[-1]
        for scale, is_right in answers(batcher, sight.model, state, batch):
            right[scale].append(is_right)
    return [round(sum(right[scale]) / len(right[scale]), 3) for scale in SCALES]


def answers(
    batcher: Batcher, model: Any, state: Tensor, batch: micro.Batch
) -> list[tuple[Scale, float]]:
    """Scale of each verdict asked for, and 1 where the likeliest token is the right label."""
    found: list[tuple[Scale, float]] = []
    for row, last, _, question in batch.notes.questions:
        label = batcher.tokenizer.encode(question.answer, add_special_tokens=False)[0]
        if question.scale:
            best = int(model.lm_head(state[row, last]).argmax())
            found.append((question.scale, float(best == label)))
    return found


def _ask(rng: random.Random, scene: Scene, kind: str, scale: Scale) -> Asked:
    prompt, meaning = _prompt(rng, scene.family, kind)
    verdict = understood_verdict(scene, meaning, scale)
    return Asked(f"{prompt}\n{instruction(rng, scale)}", scale, verdict, meaning)


def _prompt(rng: random.Random, family: Family, kind: str) -> tuple[str, Meaning]:
    if kind == "plain":
        own = [a.name for a in family_aspects(family)]
        prompt = draw_prompt(rng, rng.sample(own, rng.randint(1, 5)))
        return prompt, named_meaning(prompt, family)
    source, ability = kind.split()
    if source == "unseen":
        return draw_held_out(rng, family, ability, rng.randint(0, 4))
    plan = Plan(until=0, kinds={ability: 1.0}, max_statements=1)
    names, statements = draw_statements(rng, family, plan)
    prompt = strip_marks(compose_statements(rng, names, statements, 0))[0]
    return prompt, combined(family, names, statements)
