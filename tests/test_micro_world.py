"""The micro world: what its images, texts, prompts and simulated people are."""

import hashlib
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from blpo.data.micro.rubrics import (
    MICRO_TASKS,
    RubricName,
    draw_examples,
    generate,
    shipped_draw,
)
from blpo.data.micro.wordings import ANSWER_INSTRUCTIONS, draw_prompt
from blpo.data.micro.world import (
    ASPECTS,
    COARSE_ASPECT,
    FAMILIES,
    Family,
    Scene,
    aspect,
    aspect_names,
    claim_text,
    described_aspects,
    draw_scene,
    family_aspects,
    faults,
    ideal_verbalization,
    ideal_verdict,
    is_fault,
    named_aspects,
    plural,
    png_bytes,
    render,
)

TASK_FILES = Path(__file__).resolve().parents[1] / "data/tasks"
HURTING = {
    "micro-agin": "vignette",
    "micro-seetrue": "side",
    "micro-imagereward": "border",
    "micro-unsafebench": "bottle",
}
RUBRICS: tuple[RubricName, ...] = ("main", "held-out")


def task_file(name: str) -> dict[str, Any]:
    return yaml.safe_load((TASK_FILES / f"{name}.yaml").read_text())


def accuracy(
    task_name: str, named: tuple[str, ...], rubric: RubricName = "main", num: int = 300
) -> float:
    """Of the ideal judge that goes by the named aspects."""
    examples = draw_examples(shipped_draw(task_name, 3, rubric), num)
    scale = MICRO_TASKS[task_name].scale
    return sum(ideal_verdict(scene, named, scale) == label for scene, label in examples) / num


@pytest.mark.parametrize("family", FAMILIES)
def test_a_scene_and_its_picture_are_pure_functions_of_seed_and_index(family: Family) -> None:
    first, again, other = (draw_scene(family, 5, index) for index in (1, 1, 2))
    assert first == again
    assert png_bytes(render(first)) == png_bytes(render(again))
    assert png_bytes(render(first)) != png_bytes(render(other))
    assert render(first).size == (84, 84)


def test_the_dataset_of_a_seed_does_not_depend_on_what_was_drawn_before() -> None:
    first = generate("micro-agin", 1, num_train=6, num_test=6)
    generate("micro-agin", 2, num_train=4, num_test=4)
    assert generate("micro-agin", 1, num_train=6, num_test=6) == first
    images = {hashlib.sha256(row["image"]).hexdigest() for row in first}
    assert len(images) == len(first)


def test_a_word_names_one_aspect_and_states_no_value() -> None:
    forms = [f for a in ASPECTS for word in a.words for f in {word, plural(word)}]
    values = {value for a in ASPECTS for value in a.values}
    assert len(forms) == len(set(forms))
    assert not values & set(forms)
    assert len([v for a in ASPECTS for v in a.values]) == len(values)


def test_prompts_name_aspects_by_synonym_plural_and_capital_once_in_order() -> None:
    prompt = "Check the HUES, the grain and then the Color; mind the sharpness."
    assert named_aspects(prompt) == ("color", "grain", "focus")
    assert named_aspects(prompt, "flaws") == ("grain", "focus")
    assert named_aspects("Answer with one number: 0 or 1. A red, grainy frame-like thing.") == (
        "border",
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_drawn_prompts_name_exactly_what_they_are_asked_to(family: Family) -> None:
    rng = Random(3)
    names = aspect_names(family)
    for _ in range(100):
        wanted = rng.sample(names, rng.randint(0, 6))
        assert named_aspects(draw_prompt(rng, wanted, 3)) == tuple(wanted)


def test_answer_instructions_and_task_prompts_name_only_what_they_should() -> None:
    for text in ANSWER_INSTRUCTIONS.values():
        assert named_aspects(text) == ()
    for name, task in MICRO_TASKS.items():
        on_file = task_file(name)
        assert on_file["answer_instruction"] == ANSWER_INSTRUCTIONS[task.scale]
        assert set(on_file["labels"]) == set(task.label_shares)
        assert named_aspects(on_file["i2t_prompt"]) == ()
        minded = task.rubrics["main"].minded
        assert not set(named_aspects(on_file["judge_prompt"])) & set(minded)


def test_a_fault_is_a_fault_value_or_a_claim_that_the_image_does_not_keep() -> None:
    values = {a.name: a.values[0] for a in family_aspects("objects")}
    scene = Scene("objects", values, {"color": "blue", "count": "one"}, seed=1)
    assert faults(scene) == ("color",)
    assert not is_fault(scene, "grain")
    assert claim_text(scene) == "one blue thing"
    clean = {a.name: a.values[1] for a in family_aspects("flaws")}
    flawed = Scene("flaws", clean | {"seam": "split", "grain": "grainy"}, {}, seed=1)
    assert faults(flawed) == ("grain", "seam")
    assert aspect("seam").fault_value == "split"


def test_the_ideal_judge_counts_named_faults_and_falls_back_on_the_coarse_aspect() -> None:
    clean = {a.name: a.values[1] for a in family_aspects("flaws")}
    scene = Scene("flaws", clean | {"seam": "split", "grain": "grainy"}, {}, seed=1)
    assert ideal_verdict(scene, ("grain", "seam", "grain", "color"), "naturalness") == "3"
    assert ideal_verdict(scene, ("grain",), "safety") == "Unsafe"
    assert ideal_verdict(scene, ("focus",), "match") == "1"
    assert ideal_verdict(scene, (), "alignment") == "7"
    dim = Scene("flaws", clean | {"lighting": "dim"}, {}, seed=1)
    assert ideal_verdict(dim, ("color",), "alignment") == "6"


@pytest.mark.parametrize("family", FAMILIES)
def test_a_description_reports_the_named_aspects_or_two_generic_ones(family: Family) -> None:
    scene = draw_scene(family, 5, 1)
    generic = described_aspects(family, ())
    assert generic[0] == COARSE_ASPECT[family]
    assert len(generic) == 2
    last, first = (family_aspects(family)[k].name for k in (-1, 0))
    said = ideal_verbalization(scene, (last, first, last))
    assert said == f"{last}: {scene.values[last]}. {first}: {scene.values[first]}."


@pytest.mark.parametrize("name", MICRO_TASKS)
def test_a_dataset_is_balanced_and_its_splits_share_no_group(name: str) -> None:
    rows = generate(name, 11, num_train=40, num_test=40)
    train, test = ([row for row in rows if row["split"] == s] for s in ("train", "test"))
    assert (len(train), len(test)) == (40, 40)
    assert not {row["group"] for row in train} & {row["group"] for row in test}
    assert len({row["example_id"] for row in rows}) == len(rows)
    assert all(bool(row["text"]) == task_file(name)["carries_text"] for row in rows)
    counts = Counter(row["label"] for row in rows)
    shares = MICRO_TASKS[name].label_shares
    assert all(abs(counts[label] / 80 - share) < 0.08 for label, share in shares.items())


@pytest.mark.parametrize("rubric", RUBRICS)
@pytest.mark.parametrize("name", MICRO_TASKS)
def test_naming_what_people_mind_pays_and_naming_the_hurting_aspect_costs(
    name: str, rubric: RubricName
) -> None:
    num = 120 if name == "micro-imagereward" else 300
    minded = MICRO_TASKS[name].rubrics[rubric].minded
    initial = named_aspects(task_file(name)["judge_prompt"])
    right = accuracy(name, minded, rubric, num)
    assert right > 0.86
    assert right - accuracy(name, initial, rubric, num) > 0.25
    assert right - accuracy(name, (*minded, HURTING[name]), rubric, num) > 0.1
    for left_out in minded:
        fewer = tuple(other for other in minded if other != left_out)
        assert right > accuracy(name, fewer, rubric, num)


def test_the_held_out_rubric_minds_other_things() -> None:
    for task in MICRO_TASKS.values():
        assert set(task.rubrics["main"].minded) != set(task.rubrics["held-out"].minded)
