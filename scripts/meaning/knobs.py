"""Knobs of the judge: arguments of its chat template that make it lean, or describe less and worse.

Leanings and room mean what they mean to the ideal judge (`blpo.data.micro.graded.JudgeConfig`).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import train_micro as micro
from blpo.data.micro.graded import JudgeConfig
from blpo.data.micro.world import Scale, Scene, aspect, describe
from blpo.models.ideal.seeing import leaning_shares, scale_of

LEANINGS: Mapping[str, JudgeConfig] = {
    "lenient": JudgeConfig(leniency=0.6),
    "flat": JudgeConfig(flatness=0.6),
    "first": JudgeConfig(first_position=1.2),
}
"""By what the chat template calls them."""
OF_ONE_PICTURE = ("lenient", "flat")
"""Leanings of verdicts on single pictures; the other is of pairs."""
MAX_ROOM = 5
"""Most aspects that a room can be set to."""
NUM_LOOKED_AT = 2
"""Aspects of a description that a short attention lasts for."""

_SYSTEM_TEXT = "Look at the image."
_KNOBS = (
    "{% if leaning is defined and leaning is not none %}"
    "{% if leaning not in ['lenient', 'flat', 'first'] %}"
    "{{ raise_exception('leaning is ' ~ leaning ~ ': give lenient, flat or first') }}"
    "{% endif %} Leaning: {{ leaning }}.{% endif %}"
    "{% if room is defined and room is not none %}"
    "{% if room is not integer or room < 1 or room > MAX_ROOM %}"
    "{{ raise_exception('room is ' ~ room ~ ': give a whole number from 1 to MAX_ROOM') }}"
    "{% endif %} Room: {{ room }}.{% endif %}"
    "{% if attention is defined and attention is not none %}"
    "{% if attention != 'short' %}"
    "{{ raise_exception('attention is ' ~ attention ~ ': give short') }}"
    "{% endif %} Attention: short.{% endif %}"
).replace("MAX_ROOM", str(MAX_ROOM))
CHAT_TEMPLATE = micro.CHAT_TEMPLATE.replace(_SYSTEM_TEXT, _SYSTEM_TEXT + _KNOBS)
"""That of the micro judge; knobs add to the system text."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """leaning: of verdicts, one of LEANINGS. room: aspects that a description holds. attention:
    "short": further aspects than the first NUM_LOOKED_AT are told as one would expect them."""

    leaning: str | None = None
    room: int | None = None
    attention: str | None = None

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Of the chat template."""
        all_three = {"leaning": self.leaning, "room": self.room, "attention": self.attention}
        return {name: value for name, value in all_three.items() if value is not None}

    @property
    def changes_descriptions(self) -> bool:
        return self.room is not None or self.attention is not None

    @property
    def first_position(self) -> float:
        """Steps by which the first picture of a pair looks better."""
        return LEANINGS[self.leaning].first_position if self.leaning else 0.0

    def label_shares(self, verdict: str, scale: Scale) -> Mapping[str, float]:
        """What the leaning makes of a verdict: labels with their shares."""
        if self.leaning is None:
            return {verdict: 1.0}
        best_first = scale_of(micro.SCALE_LABELS[scale])
        assert best_first is not None
        return leaning_shares(best_first.index(verdict), best_first, LEANINGS[self.leaning])

    def description(self, scene: Scene, names: Sequence[str]) -> str:
        """These aspects of the scene, as many as there is room for."""
        if self.attention is None:
            return describe(scene, names[: self.room])
        said = {name: expected_value(scene, name) for name in names[NUM_LOOKED_AT:]}
        told = Scene(scene.family, {**scene.values, **said}, scene.claims, scene.seed)
        return describe(told, names[: self.room])


NO_KNOBS = Knobs()


def expected_value(scene: Scene, name: str) -> str:
    """What the text claims of the aspect, or its state without a fault."""
    if aspect(name).fault_value is None:
        return scene.claims.get(name, scene.values[name])
    return aspect(name).states[1]


def draw_knobs(rng: random.Random, share: float, num_rows: int) -> list[Knobs]:
    """For each row of a batch: no knob in all but that share of batches; else some.

    Rooms differ from row to row. The others do not: system texts of a batch are of one length.
    """
    if rng.random() >= share:
        return [NO_KNOBS] * num_rows
    which = rng.choice(_COMBINATIONS)
    leaning = rng.choice(OF_ONE_PICTURE) if "leaning" in which else None
    attention = "short" if "attention" in which else None
    rooms = [rng.randint(1, MAX_ROOM) if "room" in which else None for _ in range(num_rows)]
    return [Knobs(leaning, room, attention) for room in rooms]


_COMBINATIONS = (
    ("leaning",), ("leaning",), ("room",), ("room",), ("attention",), ("attention",),
    ("leaning", "room", "attention"), ("room", "attention"),
)  # fmt: skip
