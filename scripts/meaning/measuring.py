"""How many verdicts are right, by what a prompt says and by who wrote the sentence.

How far label probabilities can be believed, and what a fitted reading makes of a leaning judge.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import train_micro as micro
from blpo.data.micro.blocks import manner_of
from blpo.data.micro.clauses import strip_marks
from blpo.data.micro.held_out import ABILITIES, draw_held_out
from blpo.data.micro.held_out_blocks import draw_blocks
from blpo.data.micro.meaning import Meaning, understood_verdict
from blpo.data.micro.phrasings import combined
from blpo.data.micro.wordings import ANSWER_INSTRUCTIONS, draw_prompt, instruction
from blpo.data.micro.world import FAMILIES, Family, Scale, Scene, aspect_names, draw_scene, render
from blpo.data.tasks import load_task
from blpo.models.roles.judge import Verdict
from blpo.pipeline.metrics.probabilities import Calibration, calibration
from blpo.pipeline.readings.fitted import fit_family, log_probabilities
from torch import Tensor

from .asking import Asked, compose_statements, draw_statements, named_meaning
from .batches import Batcher
from .knobs import OF_ONE_PICTURE, Knobs
from .plans import Plan
from .reading import read

SCALES: tuple[Scale, ...] = ("naturalness", "alignment", "safety")
TASKS: Mapping[Scale, str] = {
    "naturalness": "micro-agin", "alignment": "micro-imagereward", "safety": "micro-unsafebench",
}  # fmt: skip
NUM_FIT, NUM_TEST = 120, 240
"""Scenes on which a reading is fitted, and on which it is tried."""
_NUM_PROMPTS = 3
_FAMILIES: Mapping[Scale, Family] = {
    "naturalness": "flaws", "alignment": "objects", "safety": "symbols",
}  # fmt: skip
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


Judged = list[tuple[str, Verdict]]
"""Right labels and verdicts."""


@torch.no_grad()
def measure(processor: Any, model: Any, *, number: int, pictures: bool) -> dict[str, list[float]]:
    """Shares of right verdicts on SCALES, by where the sentence is from and what it says.

    Behind them log loss and expected calibration error, under plain prompts and unseen sentences.
    """
    model.eval()
    sight, batcher = Sight(model, micro.make_codes(), pictures), Batcher(processor)
    unseen = [f"unseen {kind}" for kind in ABILITIES]
    kinds = ["plain", *unseen, *(f"trained {kind}" for kind in ABILITIES)]
    judged = {kind: _judge(batcher, sight, kind, number) for kind in kinds}
    found = {
        kind: [round(share_right(own[scale]), 3) for scale in SCALES]
        for kind, own in judged.items()
    }
    for name, own in (("plain", ["plain"]), ("unseen", unseen)):
        scored = [
            _calibration(scale, [j for k in own for j in judged[k][scale]]) for scale in SCALES
        ]
        found[f"log loss, {name}"] = [round(one.judge.log_loss, 3) for one in scored]
        found[f"calibration error, {name}"] = [round(one.ece, 3) for one in scored]
    return found


@torch.no_grad()
def measure_blocks(processor: Any, model: Any, number: int) -> list[float]:
    """Shares of right verdicts on SCALES under held-out long prompts, about pictures."""
    sight, batcher = Sight(model.eval(), micro.make_codes(), pictures=True), Batcher(processor)
    return [round(share_right(_judge_blocks(batcher, sight, s, number)), 3) for s in SCALES]


def _judge_blocks(batcher: Batcher, sight: Sight, scale: Scale, number: int) -> Judged:
    rng, judged, family = (
        random.Random(f"blocks {scale}"),
        list[tuple[str, Verdict]](),
        _FAMILIES[scale],
    )
    for start in range(0, number, _ROWS):
        scenes = [draw_scene(family, _SEED + 2, start + k) for k in range(_ROWS)]
        asked = [[_ask_blocks(rng, scene, scale)] for scene in scenes]
        found = _answers(batcher, sight, rng, scenes, asked)
        judged += [(question.answer, verdict) for question, verdict in found]
    return judged


def _ask_blocks(rng: random.Random, scene: Scene, scale: Scale) -> Asked:
    prompt, meaning = draw_blocks(rng, scene.family, manner_of(scene.family, scale))
    verdict = understood_verdict(scene, meaning, scale)
    return Asked(f"{prompt}\n{instruction(rng, scale)}", scale, verdict, meaning)


def share_right(judged: Judged) -> float:
    return sum(label == verdict.label for label, verdict in judged) / len(judged)


def _calibration(scale: Scale, judged: Judged) -> Calibration:
    task = load_task(TASKS[scale])
    human = np.array([task.labels.index(label) for label, _ in judged])
    found = calibration(human, [verdict for _, verdict in judged], task)
    assert found is not None
    return found


def _judge(batcher: Batcher, sight: Sight, kind: str, number: int) -> dict[Scale, Judged]:
    rng = random.Random(f"check {kind}")
    judged: dict[Scale, Judged] = {scale: [] for scale in SCALES}
    for start in range(0, number, _ROWS):
        families: list[Family] = [FAMILIES[k % 3] for k in range(_ROWS)]
        scenes = [draw_scene(f, _SEED, start + k) for k, f in enumerate(families)]
        asked = [[_ask(rng, scene, kind, scale) for scale in SCALES] for scene in scenes]
        for question, verdict in _answers(batcher, sight, rng, scenes, asked):
            assert question.scale is not None
            judged[question.scale].append((question.answer, verdict))
    return judged


def _answers(
    batcher: Batcher,
    sight: Sight,
    rng: random.Random,
    scenes: Sequence[Scene],
    asked: Sequence[Sequence[Asked]],
) -> list[tuple[micro.Question, Verdict]]:
    """Every question with the verdict; its label is the likeliest token."""
    batch = batcher.make(rng, scenes, asked, num_bridge=64)
    state = read(sight.model, batch, sight.tokens(scenes))[-1]
    found: list[tuple[micro.Question, Verdict]] = []
    for row, last, _, question in batch.notes.questions:
        assert question.scale is not None
        labels = micro.SCALE_LABELS[question.scale]
        found.append((question, verdict_at(batcher, sight.model, state[row, last], labels)))
    return found


def verdict_at(batcher: Batcher, model: Any, state: Tensor, labels: Sequence[str]) -> Verdict:
    """What the model answers at a question's last token, whose state is (hidden,).

    Its label is the likeliest token.
    """
    ids = [batcher.tokenizer.encode(label, add_special_tokens=False)[0] for label in labels]
    chances = model.lm_head(state).softmax(-1)
    mass = float(chances[ids].sum())
    shares = {label: float(chances[i]) / mass for label, i in zip(labels, ids, strict=True)}
    return Verdict(batcher.tokenizer.decode([int(chances.argmax())]), shares, mass)


@torch.no_grad()
def measure_leanings(processor: Any, model: Any) -> dict[str, dict[str, list[float]]]:
    """Shares of right verdicts on pictures, on SCALES, before and after a fitted reading.

    By leaning. Prompts name aspects; for each a reading is fitted on NUM_FIT scenes and tried on
    NUM_TEST others: `ordered`, or `platt` where there are two labels.
    """
    model.eval()
    sight = Sight(model, micro.make_codes(), pictures=True)
    found = dict[str, dict[str, list[float]]]()
    for leaning in (None, *OF_ONE_PICTURE):
        batcher = Batcher(processor, Knobs(leaning).arguments)
        pairs = [_before_and_after(batcher, sight, scale) for scale in SCALES]
        before, after = ([round(pair[at], 3) for pair in pairs] for at in (0, 1))
        found[leaning or "none"] = {"before": before, "after": after}
    return found


def _before_and_after(batcher: Batcher, sight: Sight, scale: Scale) -> tuple[float, float]:
    rng, family = random.Random(f"leaning {scale}"), _FAMILIES[scale]
    own = aspect_names(family)
    prompts = [draw_prompt(rng, rng.sample(own, 4)) for _ in range(_NUM_PROMPTS)]
    judged: list[Judged] = [[] for _ in prompts]
    for start in range(0, NUM_FIT + NUM_TEST, _ROWS):
        scenes = [draw_scene(family, _SEED + 1, start + k) for k in range(_ROWS)]
        asked = [[_plain(scene, prompt, scale) for prompt in prompts] for scene in scenes]
        answers = _answers(batcher, sight, rng, scenes, asked)
        for place, (question, verdict) in enumerate(answers):
            judged[place % _NUM_PROMPTS].append((question.answer, verdict))
    labels = load_task(TASKS[scale]).labels
    before, after = list[float](), list[float]()
    for own_verdicts in judged:
        test, read_again = with_reading(own_verdicts, labels)
        before.append(share_right(test))
        after.append(share_right(read_again))
    return sum(before) / len(before), sum(after) / len(after)


def with_reading(judged: Judged, labels: Sequence[str]) -> tuple[Judged, Judged]:
    """All but the first NUM_FIT, and the same by a reading that is fitted on those."""
    fit, test = judged[:NUM_FIT], judged[NUM_FIT:]
    human = np.array([labels.index(label) for label, _ in fit])
    logs = log_probabilities([verdict for _, verdict in fit], labels)
    reading = fit_family("platt" if len(labels) == 2 else "ordered", labels, logs, human)
    return test, [(label, reading(verdict)) for label, verdict in test]


def _plain(scene: Scene, prompt: str, scale: Scale) -> Asked:
    meaning = named_meaning(prompt, scene.family)
    verdict = understood_verdict(scene, meaning, scale)
    return Asked(f"{prompt}\n{ANSWER_INSTRUCTIONS[scale]}", scale, verdict, meaning)


def _ask(rng: random.Random, scene: Scene, kind: str, scale: Scale) -> Asked:
    prompt, meaning = draw_asked(rng, scene.family, kind)
    verdict = understood_verdict(scene, meaning, scale)
    return Asked(f"{prompt}\n{instruction(rng, scale)}", scale, verdict, meaning)


def draw_asked(rng: random.Random, family: Family, kind: str) -> tuple[str, Meaning]:
    """A prompt without an answer instruction, and what it means; kind: plain, or source and
    ability."""
    if kind == "plain":
        own = aspect_names(family)
        prompt = draw_prompt(rng, rng.sample(own, rng.randint(1, 5)))
        return prompt, named_meaning(prompt, family)
    source, ability = kind.split()
    if source == "unseen":
        return draw_held_out(rng, family, ability, rng.randint(0, 4))
    plan = Plan(until=0, kinds={ability: 1.0}, max_statements=1)
    names, statements = draw_statements(rng, family, plan)
    prompt = strip_marks(compose_statements(rng, names, statements, 0))[0]
    return prompt, combined(family, names, statements)
