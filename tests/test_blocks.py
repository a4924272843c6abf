"""Long prompts of the micro world: what they say is what they name."""

from random import Random

import pytest
from blpo.data.micro.blocks import Blocks, manner_of
from blpo.data.micro.clauses import ENDS, strip_marks
from blpo.data.micro.held_out_blocks import draw_blocks, held_out_blocks
from blpo.data.micro.meaning import Meaning, understood_verdict
from blpo.data.micro.phrasings import Statement, combined
from blpo.data.micro.world import (
    FAMILIES,
    Family,
    Scale,
    aspect,
    aspect_names,
    draw_scene,
    family_aspects,
    named_aspects,
)

_NUM = 150
_GROUPS: dict[str, Family] = {"danger": "symbols", "flaw": "flaws", "text": "objects"}


def _judging(family: Family, scale: Scale, seed: int) -> tuple[str, list[Statement]]:
    return Blocks(Random(seed), family, manner_of(family, scale)).judging()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_judge_prompt_names_what_its_statements_are_about(family: Family) -> None:
    for seed in range(_NUM):
        marked, statements = _judging(family, "safety" if seed % 2 else "naturalness", seed)
        about = {name for s in statements for name in (*s.weighed, *s.excluded)}
        conditions = [w.condition for s in statements for w in s.weighed.values() if w.condition]
        about |= {condition.aspect for condition in conditions if condition.aspect}
        assert set(named_aspects(strip_marks(marked)[0], family)) == about


@pytest.mark.parametrize("family", FAMILIES)
def test_every_statement_of_a_judge_prompt_ends_in_one_mark(family: Family) -> None:
    for seed in range(_NUM):
        marked, statements = _judging(family, "naturalness", seed)
        assert marked.count(ENDS) == len(statements)
        assert all(s.text in marked and s.text.index(ENDS) == len(s.text) - 1 for s in statements)


def test_no_aspect_is_said_twice_to_count_or_not() -> None:
    for seed in range(_NUM):
        _, statements = _judging("flaws", "naturalness", seed)
        about = [name for s in statements for name in (*s.weighed, *s.excluded)]
        assert len(about) == len(set(about))


def test_items_below_a_heading_mean_what_it_says() -> None:
    marked, statements = _first_with("Double weight:")
    doubled = [n for s in statements for n, w in s.weighed.items() if w.steps == 2]
    items = strip_marks(marked)[0].partition("Double weight:")[2]
    assert doubled
    assert set(doubled) <= set(named_aspects(items, "flaws"))
    marked, statements = _first_with("Not weighed:")
    items = strip_marks(marked)[0].partition("Not weighed:")[2].strip().splitlines()
    assert named_aspects(items[0], "flaws")[0] in combined("flaws", (), statements).excluded


def _first_with(heading: str) -> tuple[str, list[Statement]]:
    drawn = (_judging("flaws", "naturalness", seed) for seed in range(5000))
    return next((marked, said) for marked, said in drawn if heading in marked)


@pytest.mark.parametrize("family", FAMILIES)
def test_some_prompts_ask_for_nothing_and_some_for_all(family: Family) -> None:
    asked = [len(named_aspects(Blocks(Random(k), family).asking(), family)) for k in range(_NUM)]
    assert {0, 3, len(family_aspects(family))} <= set(asked)


@pytest.mark.parametrize("group", held_out_blocks())
def test_a_held_out_prompt_names_what_it_means(group: str) -> None:
    for seed in range(_NUM):
        family = _GROUPS.get(group, FAMILIES[seed % 3])
        prompt, meaning = draw_blocks(Random(seed), family, group)
        assert set(named_aspects(prompt, family)) == {*meaning.weighed, *meaning.excluded}
        assert "{" not in prompt


def test_held_out_prompts_weigh_by_the_letter_of_a_slot() -> None:
    counted = _counted("flaw", "Heavy deduction")
    assert sorted(w.steps for w in counted.weighed.values()) == [1, 1, 2]
    assert len(counted.excluded) == 1
    scene = draw_scene("flaws", 0, 0, dict.fromkeys(aspect_names("flaws"), 1.0))
    assert understood_verdict(scene, counted, "naturalness") == "1"


def _counted(group: str, beginning: str) -> Meaning:
    drawn = (draw_blocks(Random(seed), "flaws", group) for seed in range(500))
    return next(meaning for prompt, meaning in drawn if beginning in prompt)


def test_held_out_prompts_are_long_and_all_different() -> None:
    for templates in held_out_blocks().values():
        assert len(set(templates)) == len(templates) >= 13


def test_no_judge_prompt_holds_a_line_of_a_held_out_one() -> None:
    held = _lines()
    for family in FAMILIES:
        for seed in range(_NUM):
            text = strip_marks(_judging(family, "safety", seed)[0])[0]
            assert not held & set(text.splitlines())


def _lines() -> set[str]:
    """Lines of held-out prompts of more than four words, about all aspects."""
    found = set[str]()
    for group, family in _GROUPS.items():
        for seed in range(_NUM):
            prompt, _ = draw_blocks(Random(seed), family, group)
            found |= {line for line in prompt.splitlines() if len(line.split()) > 4}
    return found


def test_what_is_said_of_a_state_is_the_aspects_own() -> None:
    prompt, meaning = draw_blocks(Random(3), "symbols", "danger")
    assert any(aspect(name).values[0] in prompt for name in meaning.weighed)
