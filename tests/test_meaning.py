"""What a judge prompt means, and whether it is understood."""

from random import Random

import pytest
from blpo.data.micro.held_out import ABILITIES, draw_held_out, held_out_sentences
from blpo.data.micro.meaning import (
    Condition,
    Meaning,
    Weighing,
    counted_steps,
    described,
    understood_verdict,
)
from blpo.data.micro.wordings import draw_prompt
from blpo.data.micro.world import FAMILIES, Scene, aspect_names, family_aspects
from blpo.models.ideal.english import understand

ONE = Weighing()
UNDERSTOOD = {
    "weighed": 0.95, "excluded": 0.88, "excluded_list": 0.75, "except": 0.95, "contrast": 0.75,
    "conditional": 0.9, "forgiven": 0.7, "alone": 0.65, "double": 0.85,
}  # fmt: skip
"""The share of held-out prompts that the parser reads right, at least."""


def flawed(*names: str) -> Scene:
    values = {
        a.name: a.values[0] if a.name in names else a.values[1] for a in family_aspects("flaws")
    }
    return Scene("flaws", values, {}, seed=1)


@pytest.mark.parametrize(
    ("prompt", "weighed"),
    [
        ("Check the tint and the focus.", {"tint": ONE, "focus": ONE}),
        ("Check the tint. Do not weigh the focus.", {"tint": ONE}),
        ("Check the tint and the focus. Ignore the focus.", {"tint": ONE}),
        ("Do not ignore the tint.", {"tint": ONE}),
        ("Nobody minds the tint or the seam; the focus is what matters.", {"focus": ONE}),
        ("Judge the focus rather than the tint.", {"focus": ONE}),
        ("Focus on the grain.", {"grain": ONE}),
        ("The tint matters only if the focus is bad.", {"tint": Weighing(1, Condition("focus"))}),
        ("Ignore the tint unless the seam is split.", {"tint": Weighing(1, Condition("seam"))}),
        (
            "The tint counts unless the lighting is dim.",
            {"tint": Weighing(1, Condition("lighting", at_fault=False))},
        ),
        ("A bad seam lowers the rating by two.", {"seam": Weighing(2)}),
        ("The tint alone is no reason for a lower rating.", {"tint": Weighing(1, Condition(None))}),
        ("1. tint\n2) focus", {"tint": ONE, "focus": ONE}),
        ("Check the seam. Do not weigh:\n- the tint\n- grain: look away", {"seam": ONE}),
        ("Check the seam. Ignore: tint, grain.", {"seam": ONE}),
        ("Ignore everything that is not mentioned here. Check the seam.", {"seam": ONE}),
        ("Rate how natural it looks.", {}),
    ],
)
def test_a_prompt_is_understood(prompt: str, weighed: dict[str, Weighing]) -> None:
    assert understand(prompt, "flaws").weighed == weighed


def test_everything_but_one_is_all_others() -> None:
    every = set(aspect_names("flaws"))
    assert set(understand("Check everything except the tint.", "flaws").weighed) == every - {"tint"}


def test_only_what_is_weighed_and_at_fault_costs_steps_where_its_condition_holds() -> None:
    meaning = Meaning(
        {
            "tint": Weighing(2),
            "focus": Weighing(1, Condition("seam")),
            "grain": Weighing(1, Condition("lighting", at_fault=False)),
            "shadow": Weighing(1, Condition(None)),
        }
    )
    assert counted_steps(flawed("tint", "focus"), meaning) == {"tint": 2}
    assert counted_steps(flawed("focus", "seam"), meaning) == {"focus": 1}
    assert counted_steps(flawed("grain"), meaning) == {"grain": 1}
    assert counted_steps(flawed("grain", "lighting"), meaning) == {}
    assert counted_steps(flawed("shadow"), meaning) == {}
    assert counted_steps(flawed("shadow", "tint"), meaning) == {"shadow": 1, "tint": 2}
    assert understood_verdict(flawed("tint", "shadow"), meaning, "naturalness") == "2"


def test_nothing_weighed_falls_back_on_the_coarse_aspect_unless_it_is_excluded() -> None:
    assert counted_steps(flawed("lighting"), Meaning()) == {"lighting": 1}
    assert counted_steps(flawed("lighting"), Meaning(excluded=("lighting",))) == {}
    assert described("flaws", "", Meaning(excluded=("tint",))) == ["lighting"]


def test_a_description_reports_what_a_condition_rests_on() -> None:
    prompt = "The tint matters only if the focus is bad."
    assert described("flaws", prompt, understand(prompt, "flaws")) == ["tint", "focus"]


def test_a_prompt_that_only_names_aspects_weighs_them() -> None:
    rng, right = Random(8), 0
    for _ in range(200):
        family = rng.choice(FAMILIES)
        names = rng.sample(aspect_names(family), rng.randint(1, 4))
        right += set(understand(draw_prompt(rng, names), family).weighed) == set(names)
    assert right > 185


@pytest.mark.parametrize("ability", ABILITIES)
def test_held_out_sentences_are_understood_as_often_as_the_docs_say(ability: str) -> None:
    rng, right = Random(3), 0
    for _ in range(200):
        family = rng.choice(FAMILIES)
        prompt, meaning = draw_held_out(rng, family, ability, rng.randint(0, 3))
        right += understand(prompt, family).weighed == meaning.weighed
    assert right / 200 > UNDERSTOOD[ability]


def test_every_held_out_ability_has_sentences() -> None:
    assert set(held_out_sentences()) == set(ABILITIES)
    assert all(len(set(s)) == len(s) >= 3 for s in held_out_sentences().values())
