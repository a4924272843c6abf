"""Knobs of the judge: arguments of its chat template that make it lean, or describe less and worse.

They mean what they mean to the ideal judge (`blpo.data.micro.graded.JudgeConfig`).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import train_micro as micro
from blpo.data.micro.graded import JudgeConfig
from blpo.data.micro.world import Scale, Scene, describe
from blpo.models.ideal.seeing import leaning_shares, scale_of
from torch import Tensor

LEANINGS: Mapping[str, JudgeConfig] = {
    "lenient": JudgeConfig(leniency=0.6),
    "flat": JudgeConfig(flatness=0.6),
}
MAX_ROOM = 5
"""Most aspects that a room can be set to."""
NOISE_GROWTH = 0.05
"""Where a room is set: share of values that are mistaken for each further aspect asked."""

_SYSTEM_TEXT = "Look at the image."
_KNOBS = (
    "{% if leaning is defined and leaning is not none %}"
    "{% if leaning not in ['lenient', 'flat'] %}"
    "{{ raise_exception('leaning is ' ~ leaning ~ ': give lenient or flat') }}"
    "{% endif %} Leaning: {{ leaning }}.{% endif %}"
    "{% if room is defined and room is not none %}"
    "{% if room is not integer or room < 1 or room > MAX_ROOM %}"
    "{{ raise_exception('room is ' ~ room ~ ': give a whole number from 1 to MAX_ROOM') }}"
    "{% endif %} Room: {{ room }}.{% endif %}"
).replace("MAX_ROOM", str(MAX_ROOM))
CHAT_TEMPLATE = micro.CHAT_TEMPLATE.replace(_SYSTEM_TEXT, _SYSTEM_TEXT + _KNOBS)
"""That of the micro judge; knobs add to the system text."""


class Doubt(NamedTuple):
    """clarity: share of pictures that show the aspect less clearly. other: the value that it looks
    like next."""

    clarity: float
    other: str


@dataclass(frozen=True, slots=True)
class Knobs:
    """leaning: of verdicts, one of LEANINGS. room: aspects that a description holds, which then
    gets noisier by what is asked for."""

    leaning: str | None = None
    room: int | None = None

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Of the chat template."""
        both = {"leaning": self.leaning, "room": self.room}
        return {name: value for name, value in both.items() if value is not None}

    def label_shares(self, verdict: str, scale: Scale) -> Mapping[str, float]:
        """What the leaning makes of a verdict: labels with their shares."""
        if self.leaning is None:
            return {verdict: 1.0}
        best_first = scale_of(micro.SCALE_LABELS[scale])
        assert best_first is not None
        return leaning_shares(best_first.index(verdict), best_first, LEANINGS[self.leaning])

    def description(
        self, scene: Scene, doubts: Mapping[str, Doubt], names: Sequence[str], num_asked: int
    ) -> str:
        """These aspects of the scene, as many as there is room for; the least clear are mistaken.

        num_asked: aspects that the prompt has weighed.
        """
        if self.room is None:
            return describe(scene, names)
        mistaken = NOISE_GROWTH * max(0, num_asked - 1)
        said = {n: d.other for n, d in doubts.items() if d.clarity < mistaken}
        seen = Scene(scene.family, {**scene.values, **said}, scene.claims, scene.seed)
        return describe(seen, names[: self.room])


NO_KNOBS = Knobs()
NO_DOUBTS: Mapping[str, Doubt] = {}


def find_doubts(scenes: Sequence[Scene], tokens: Tensor) -> list[dict[str, Doubt]]:
    """How clearly image tokens, (scenes, image tokens, hidden), show each aspect of a scene."""
    scores = tokens.float().mean(1) @ micro.make_codes().T
    doubts = [dict[str, Doubt]() for _ in scenes]
    for own in micro.ASPECTS:
        rows = [row for row, scene in enumerate(scenes) if own.name in scene.values]
        start, end = micro.VALUE_RANGES[own.name]
        best = scores[rows, start:end].topk(2)
        margins = best.values[:, 0] - best.values[:, 1]
        ranks: list[int] = micro.untyped(margins.argsort().argsort()).tolist()
        others: list[int] = micro.untyped(best.indices[:, 1]).tolist()
        for row, rank, other in zip(rows, ranks, others, strict=True):
            doubts[row][own.name] = Doubt(rank / len(rows), own.values[other])
    return doubts


def draw_knobs(rng: random.Random, share: float) -> Knobs:
    """No knob in all but that share; else a leaning, a room or both."""
    if rng.random() >= share:
        return NO_KNOBS
    which = rng.choice(("leaning", "leaning", "room", "room", "both"))
    return Knobs(
        None if which == "room" else rng.choice(list(LEANINGS)),
        None if which == "leaning" else rng.randint(1, MAX_ROOM),
    )
