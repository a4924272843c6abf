"""The long prompts of `held_out_blocks.yaml`, for measuring who understands prompts."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import yaml

from .meaning import Condition, Meaning, Weighing
from .world import Family, aspect, aspect_names

_FILE = Path(__file__).with_name("held_out_blocks.yaml")
_SLOT = re.compile(r"\{([a-z]\d)")
_WEIGHINGS: Mapping[str, Weighing] = {
    "w": Weighing(),
    "a": Weighing(),
    "d": Weighing(2),
    "n": Weighing(condition=Condition(None)),
}
"""By the letter of a slot; that of an aspect that is not weighed has none."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """What a template can say of an aspect."""

    name: str
    fault: str
    clean: str
    values: str

    @classmethod
    def of(cls, name: str) -> "_Slot":
        own = aspect(name)
        fault, clean = own.states
        *others, last = own.values
        return cls(name, fault, clean, f"{', '.join(others)} or {last}")

    def __format__(self, _: str) -> str:
        return self.name


@cache
def held_out_blocks() -> Mapping[str, Sequence[str]]:
    """By what they are after, in the file's notation."""
    return yaml.safe_load(_FILE.read_text("utf-8"))


def draw_blocks(rng: Random, family: Family, group: str) -> tuple[str, Meaning]:
    """A held-out prompt of a group without an answer instruction, and what it means.

    Where it asks for a description, the weighed aspects are those asked for.
    """
    template = rng.choice(held_out_blocks()[group])
    slots = list(dict.fromkeys(_SLOT.findall(template)))
    own = rng.sample(aspect_names(family), len(slots))
    names = dict(zip(slots, own, strict=True))
    prompt = template.format(**{slot: _Slot.of(name) for slot, name in names.items()})
    weighed = {name: _WEIGHINGS[slot[0]] for slot, name in names.items() if slot[0] != "x"}
    return prompt, Meaning(weighed, [name for slot, name in names.items() if slot[0] == "x"])
