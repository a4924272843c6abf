"""Prompts with the sentences of `held_out.yaml`, for measuring who understands prompts."""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from random import Random

import yaml

from .meaning import Condition, Meaning, Weighing
from .wordings import compose, mentions
from .world import Family, aspect, aspect_names

ABILITIES = (
    "weighed", "excluded", "excluded_list", "except", "contrast", "conditional", "forgiven",
    "alone", "double",
)  # fmt: skip
_FILE = Path(__file__).with_name("held_out.yaml")


@cache
def held_out_sentences() -> Mapping[str, Sequence[str]]:
    """By ability, in the file's notation."""
    return yaml.safe_load(_FILE.read_text("utf-8"))


def draw_held_out(
    rng: Random, family: Family, ability: str, num_names: int, num_fillers: int = 0
) -> tuple[str, Meaning]:
    """A prompt with one held-out sentence, and what it means.

    num_names: aspects that plain sentences name; with even chances the sentence is about one of
    them.
    """
    own = aspect_names(family)
    names = rng.sample(own, num_names)
    a, b = rng.sample(own, 2)
    if names and rng.random() < 0.5:
        a = names[0]
        b = rng.choice([name for name in own if name != a])
    third = rng.choice([name for name in own if name not in (a, b)])
    template = rng.choice(held_out_sentences()[ability])
    sentences = [*(mentions(rng, names) if names else []), sentence(template, a, b, third)]
    rng.shuffle(sentences)
    weighed = dict.fromkeys(names, Weighing())
    meaning = _meaning(ability, own, weighed, template, a, b, third)
    return compose(rng, sentences, num_fillers), meaning


def sentence(template: str, a: str, b: str, third: str) -> str:
    """The sentence about these aspects."""
    fault, clean = aspect(a).states
    text = template.format(
        a=a, b=b, fault=fault, clean=clean, list=f"the {a}, the {b} and the {third}"
    )
    return text[0].upper() + text[1:]


def _meaning(
    ability: str,
    family: Sequence[str],
    named: Mapping[str, Weighing],
    template: str,
    a: str,
    b: str,
    third: str,
) -> Meaning:
    one = Weighing()
    if ability in ("excluded", "excluded_list"):
        gone = [a]
        if ability == "excluded_list":
            gone = [a, b, third] if "{list}" in template else [a, b]
        return _without(named, gone)
    if ability == "contrast":
        return _without({**named, b: one}, [a])
    if ability == "except":
        return _without(dict.fromkeys(family, one), [a])
    weighings = {
        "weighed": one,
        "conditional": Weighing(condition=Condition(b)),
        "forgiven": Weighing(condition=Condition(b, at_fault=False)),
        "alone": Weighing(condition=Condition(None)),
        "double": Weighing(2),
    }
    return Meaning({**named, a: weighings[ability]})


def _without(weighed: Mapping[str, Weighing], gone: Sequence[str]) -> Meaning:
    return Meaning({name: w for name, w in weighed.items() if name not in gone}, tuple(gone))
