"""What sentences say by construction, and the micro judge that was trained on them."""

import re
from collections.abc import Mapping
from math import exp
from random import Random

import pytest
from blpo.data.errors import LayoutError
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.micro.clause_words import DISMISSING_PREDICATES, POSITIVE_PREDICATES
from blpo.data.micro.clauses import AT_FAULT, CLEAN, ENDS, strip_marks, turned_round
from blpo.data.micro.held_out import held_out_sentences, sentence
from blpo.data.micro.meaning import Meaning, Weighing, understood_verdict
from blpo.data.micro.phrasings import KINDS, Phrasings, Statement, combined, is_held_out
from blpo.data.micro.wordings import ANSWER_INSTRUCTIONS
from blpo.data.micro.world import (
    FAMILIES,
    Family,
    aspect,
    aspect_names,
    draw_scene,
    family_aspects,
    named_aspects,
    png_bytes,
    render,
)
from blpo.models.engine import SHIPPED, Reply, Request, Sampling
from blpo.models.engines.checkpoint import find_folder
from blpo.models.engines.factory import make_engine
from blpo.models.engines.identity import local_identity
from blpo.models.engines.settings import EngineSettings
from blpo.models.ideal.english import understand
from blpo.models.requests.chat_template import stored_template

MAX_BYTES = 30_000_000
READ_ALIKE = 0.9
"""The share of the plainest statements that the ideal judge's parser reads as they are meant."""


def draw(rng: Random, kind: str, family: Family, breadth: float = 1.0) -> Statement:
    names = aspect_names(family)
    return Phrasings(rng, breadth).draw(kind, rng.sample(names, max(2, KINDS[kind])))


@pytest.mark.parametrize("kind", KINDS)
def test_a_statement_names_what_it_is_about_and_nothing_else(kind: str) -> None:
    rng = Random(1)
    for _ in range(150):
        statement = draw(rng, kind, "symbols")
        conditions = [w.condition.aspect for w in statement.weighed.values() if w.condition]
        about = {*statement.weighed, *statement.excluded, *filter(None, conditions)}
        assert set(named_aspects(strip_marks(statement.text)[0], "symbols")) == about


@pytest.mark.parametrize("kind", KINDS)
def test_plain_statements_mean_to_the_parser_what_they_were_made_to_mean(kind: str) -> None:
    rng, alike = Random(2), 0
    for _ in range(100):
        statement = draw(rng, kind, "symbols", breadth=0.0)
        meaning = combined("symbols", [], [statement])
        alike += understand(strip_marks(statement.text)[0], "symbols").weighed == meaning.weighed
    assert alike >= 100 * READ_ALIKE


def test_a_condition_is_turned_round_by_unless_by_dismissal_and_by_a_clean_state() -> None:
    rng = Random(3)
    for _ in range(300):
        kind = rng.choice(("conditional", "forgiven"))
        statement = draw(rng, kind, "flaws")
        states = [mark for _, mark in strip_marks(statement.text)[1] if mark in (AT_FAULT, CLEAN)]
        (weighing,) = statement.weighed.values()
        assert weighing.condition is not None
        assert weighing.condition.at_fault == (kind == "conditional")
        assert len(states) == 1


@pytest.mark.parametrize("frame", [*POSITIVE_PREDICATES, *DISMISSING_PREDICATES])
def test_every_predicate_can_be_turned_round(frame: str) -> None:
    assert turned_round(Random(0), frame) != frame


@pytest.mark.parametrize("family", FAMILIES)
def test_no_statement_is_a_held_out_sentence(family: Family) -> None:
    names = aspect_names(family)
    for sentences in held_out_sentences().values():
        assert all(is_held_out(sentence(template, *names[:3])) for template in sentences)
    rng = Random(4)
    drawn = [draw(rng, kind, family) for kind in KINDS for _ in range(60)]
    assert not any(is_held_out(strip_marks(statement.text)[0]) for statement in drawn)
    assert all(statement.text.endswith(ENDS) for statement in drawn)


def test_statements_go_together_as_the_parser_takes_sentences() -> None:
    names, weighed = ["tint", "seam"], {"seam": Weighing(2), "grain": Weighing()}
    statements = [Statement("", weighed), Statement("", excluded=("tint",))]
    assert combined("flaws", names, statements) == Meaning(weighed, ("tint",))
    every = combined("flaws", [], [Statement("", excluded=("tint",), all_weighed=True)])
    assert "tint" not in every.weighed
    assert len(every.weighed) == len(family_aspects("flaws")) - 1


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_judge_is_found_by_its_name_and_is_small(name: str) -> None:
    folder = find_folder(name)
    assert folder is not None
    assert sum(file.stat().st_size for file in folder.iterdir()) <= MAX_BYTES
    settings = EngineSettings(model=name)
    assert local_identity("vllm", settings).model == name
    assert settings.is_synthetic
    assert local_identity("vllm", settings).is_synthetic


KNOBS = ("leaning", "room", "attention")


def rendered(name: str, **knobs: object) -> str:
    """A request to a shipped judge as its chat template writes it."""
    folder = find_folder(name)
    assert folder is not None
    template = stored_template(lambda file: p if (p := folder / file).is_file() else None, knobs)
    assert template is not None
    said = [{"type": "image"}, {"type": "text", "text": "Check the tint."}]
    return template.render([{"role": "user", "content": said}], generate=True)


def test_without_knobs_the_taught_judge_is_asked_as_the_micro_judge_is() -> None:
    assert rendered("micro-meaning") == rendered("micro")
    assert rendered("micro-meaning", **dict.fromkeys(KNOBS)) == rendered("micro")


@pytest.mark.parametrize(
    ("knobs", "told"),
    [
        ({"leaning": "lenient"}, " Leaning: lenient."),
        ({"room": 3}, " Room: 3."),
        ({"attention": "short"}, " Attention: short."),
        ({"room": 1, "leaning": "flat"}, " Leaning: flat. Room: 1."),
        ({"attention": "short", "leaning": "first"}, " Leaning: first. Attention: short."),
    ],
)
def test_knobs_are_told_in_the_system_turn_alone(knobs: dict[str, object], told: str) -> None:
    system = "Look at the image."
    plain = rendered("micro-meaning")
    assert plain.count(system) == 1
    assert rendered("micro-meaning", **knobs) == plain.replace(system, system + told)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"leaning": "strict"}, "leaning is strict: give lenient, flat or first"),
        ({"leaning": ""}, "leaning is : give lenient, flat or first"),
        ({"room": 0}, "room is 0: give a whole number from 1 to 5"),
        ({"room": 6}, "room is 6: give a whole number from 1 to 5"),
        ({"room": "2"}, "room is 2: give a whole number from 1 to 5"),
        ({"room": True}, "room is True: give a whole number from 1 to 5"),
        ({"attention": "long"}, "attention is long: give short"),
    ],
)
def test_a_knob_that_cannot_be_so_is_refused(knobs: dict[str, object], message: str) -> None:
    with pytest.raises(LayoutError, match=message):
        rendered("micro-meaning", **knobs)


PROMPTS: Mapping[str, Meaning] = {
    "Check the grain and the seam. Do not weigh the tint.": Meaning(
        {"grain": Weighing(), "seam": Weighing()}, ("tint",)
    ),
    "Check the grain and the tint. Ignore the tint.": Meaning({"grain": Weighing()}, ("tint",)),
    "Check the horizon. The seam costs two steps.": Meaning(
        {"horizon": Weighing(), "seam": Weighing(2)}
    ),
}


def test_the_judge_that_was_taught_meaning_leaves_out_what_a_prompt_excludes() -> None:
    scenes = [draw_scene("flaws", 77, index) for index in range(40)]
    images = [ImageRef(png_bytes(render(scene)), ImageBounds()) for scene in scenes]
    labels = tuple("12345")
    shares = dict[str, float]()
    for name in SHIPPED:
        engine = make_engine(EngineSettings(kind="transformers", model=name))
        right = list[bool]()
        for prompt, meaning in PROMPTS.items():
            asked = f"{prompt}\n{ANSWER_INSTRUCTIONS['naturalness']}"
            replies = engine.ask([Request(asked, image, labels=labels) for image in images])
            wanted = [understood_verdict(scene, meaning, "naturalness") for scene in scenes]
            right += [reply.text == label for reply, label in zip(replies, wanted, strict=True)]
        engine.close()
        shares[name] = sum(right) / len(right)
    assert shares["micro-meaning"] > shares["micro"] + 0.15
    assert shares["micro-meaning"] > 0.65


def test_the_taught_judge_leans_and_describes_no_more_than_its_knobs_say() -> None:
    scenes = [draw_scene("flaws", 78, index) for index in range(30)]
    images = [ImageRef(png_bytes(render(scene)), ImageBounds()) for scene in scenes]
    prompt, labels = "Check the grain, the tint, the seam and the focus.", tuple("12345")
    steps, listed = list[float](), list[set[int]]()
    for knobs in ({}, {"leaning": "lenient", "room": 2}):
        engine = make_engine(
            EngineSettings(kind="transformers", model="micro-meaning", chat_template_kwargs=knobs)
        )
        asked = f"{prompt}\n{ANSWER_INSTRUCTIONS['naturalness']}"
        verdicts = engine.ask([Request(asked, image, labels=labels) for image in images])
        steps.append(sum(map(expected_step, verdicts)) / len(verdicts))
        described = engine.ask([Request(prompt, image, sampling=Sampling(40)) for image in images])
        listed.append({reply.text.count(":") for reply in described})
        engine.close()
    assert steps[1] > steps[0] + 0.25
    assert listed == [{4}, {2}]


def expected_step(reply: Reply) -> float:
    """The label to be expected, a number."""
    logs = reply.label_logprobs or {}
    return sum(int(label) * exp(log) for label, log in logs.items())


def test_a_short_attention_tells_later_aspects_as_one_would_expect_them() -> None:
    scenes = [draw_scene("flaws", 79, index) for index in range(30)]
    names = ("grain", "tint", "seam", "focus", "shadow", "horizon")
    prompt = f"Check the {', the '.join(names[:-1])} and the {names[-1]}."
    engine = make_engine(
        EngineSettings(
            kind="transformers", model="micro-meaning", chat_template_kwargs={"attention": "short"}
        )
    )
    images = [ImageRef(png_bytes(render(scene)), ImageBounds()) for scene in scenes]
    replies = engine.ask([Request(prompt, image, sampling=Sampling(60)) for image in images])
    engine.close()
    told = [dict(re.findall(r"(\w+): (\w+)\.", reply.text)) for reply in replies]
    wrong = dict.fromkeys(names, 0)
    for own, scene in zip(told, scenes, strict=True):
        for name in names:
            wrong[name] += own.get(name) != scene.values[name]
    first, later = names[:2], names[3:]
    assert sum(wrong[name] for name in first) / len(first) < 0.15 * len(scenes)
    assert sum(wrong[name] for name in later) / len(later) > 0.25 * len(scenes)


def test_the_taught_judge_compares_two_pictures_and_can_lean_to_the_first() -> None:
    scenes = [draw_scene("flaws", 80, index) for index in range(80)]
    counts = [
        sum(scene.values[name] == aspect(name).fault_value for name in ("grain", "seam", "tint"))
        for scene in scenes
    ]
    pairs = [
        (first, second)
        for first, second in zip(range(0, 80, 2), range(1, 80, 2), strict=True)
        if counts[first] != counts[second]
    ]
    images = [ImageRef(png_bytes(render(scene)), ImageBounds()) for scene in scenes]
    prompt = "Check the grain, the seam and the tint.\nAnswer with one letter: A or B."
    requests = [
        Request(prompt, images[first], labels=("A", "B"), further_images=(images[second],))
        for first, second in pairs
    ]
    answers = dict[str, list[str]]()
    for leaning in (None, "first"):
        settings = EngineSettings(
            kind="transformers",
            model="micro-meaning",
            images_per_request=2,
            chat_template_kwargs={"leaning": leaning} if leaning else {},
        )
        engine = make_engine(settings)
        answers[leaning or "none"] = [reply.text for reply in engine.ask(requests)]
        engine.close()
    better = ["A" if counts[first] < counts[second] else "B" for first, second in pairs]
    right = sum(map(str.__eq__, answers["none"], better)) / len(pairs)
    assert right > 0.75
    assert answers["first"].count("A") > answers["none"].count("A") + 0.1 * len(pairs)
