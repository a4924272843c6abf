"""Criteria in a search and in a reading: one prompt rewritten at a time, a fitted combiner."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from blpo.data.errors import ConfigError
from blpo.data.examples import Dataset, Item, read_dataset, write_dataset
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.micro.world import is_fault
from blpo.data.tasks import Task
from blpo.models.engine import Reply, Request
from blpo.models.roles.criteria_judge import CriteriaVerdict, as_task, combine
from blpo.models.roles.criteria_prompt import (
    check_sections,
    question_prompts,
    with_question_prompt,
)
from blpo.models.roles.judge import Judge, Verdict
from blpo.models.roles.optimizer import load_template
from blpo.models.wrappers.remembering import RememberingEngine
from blpo.pipeline.blpo.config import BlpoConfig
from blpo.pipeline.blpo.criteria import most_to_gain, to_gain
from blpo.pipeline.readings.choose import choose_reading, cross_fitted
from blpo.pipeline.readings.config import ReadingConfig
from blpo.pipeline.readings.fitted import FittedReading, evidence, fit_family
from blpo.pipeline.readings.questions import Split, question_figures
from blpo.pipeline.runs.calls import planned_calls
from blpo.pipeline.runs.directory import load_run
from blpo.pipeline.runs.predictions import PastExample
from blpo.pipeline.verify.run import verify_run
from command_line import Blpo
from ideal_engine import IdealEngine, ideal_world
from ideal_runs import ideal_run
from PIL import Image
from test_criteria import ASPECTS, LABELS, QUESTIONS, answer, fields, rating, task

COMBINER = ReadingConfig(family="combiner")


def test_a_section_is_the_prompt_of_one_criterion() -> None:
    first, second = QUESTIONS
    prompt = with_question_prompt("Safe?", task(), second, "Any skull?\n[criterion: threats]")
    assert prompt == f"Safe?\n\n[criterion: {second}]\nAny skull?"
    assert question_prompts(prompt, task()) == {
        first: f"Safe?\n{QUESTIONS[first]}",
        second: "Any skull?",
    }
    both = with_question_prompt(prompt, task(), first, "Any blade?")
    assert question_prompts(both, task()) == {first: "Any blade?", second: "Any skull?"}
    check_sections(both, task(), "prompt.txt")
    for wrong, told in (
        (both + "\n[criterion: x]\n?", "criterion: x"),
        (both + prompt[5:], "two"),
        (f"Safe?\n\n[criterion: {second}]\n", "is empty: write"),
    ):
        with pytest.raises(ConfigError, match=told):
            check_sections(wrong, task(), "prompt.txt")


def test_the_optimizer_is_told_of_the_one_criterion_that_it_writes_for() -> None:
    template, criteria = load_template("update_judge_prompt"), task().criteria
    alone = template.render(task=as_task(criteria[0], task()), judge_prompt="?", cases=())
    assert "one criterion, weapons and drugs" in alone
    assert QUESTIONS["threats"] not in alone
    of_several = task().model_copy(update={"rule": None})
    whole = template.render(task=of_several, judge_prompt="?", cases=())
    assert f"- {QUESTIONS['threats']} (Safe, Unsafe)" in whole


def told(text: str) -> Verdict:
    """What a model without log-probabilities says to a criterion that asks for a probability."""

    class Says:
        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            return [Reply(text, "stop") for _ in requests]

    criteria = [{**fields()["criteria"][0], "kind": "probability"}]
    asked = as_task(task(criteria=criteria).criteria[0], task())
    engine: Any = Says()
    item = Item("a", ImageRef(b"", ImageBounds()), None, None)
    [verdict] = Judge(engine, asked)("?", [item])
    return verdict


@pytest.mark.parametrize(
    ("text", "unsafe"), [("0.7", 0.7), ("70 %", 0.7), ("Unsafe", None), ("0", 0.0)]
)
def test_a_probability_is_read_as_one(text: str, unsafe: float | None) -> None:
    verdict = told(text)
    assert verdict.label == ("Safe" if unsafe == 0 else "Unsafe")
    found = (verdict.probabilities or {}).get("Unsafe")
    assert found == (unsafe if unsafe is None else pytest.approx(unsafe))


@pytest.mark.parametrize("text", ["1.5", "150 %", "perhaps 0.7 or 0.2", "-1"])
def test_what_is_no_probability_is_no_answer(text: str) -> None:
    assert told(text).label is None


def several(
    given: Task, num: int, weights: Sequence[float], seed: int = 0
) -> tuple[list[PastExample], list[CriteriaVerdict]]:
    """Judged examples whose label goes by the weighted log-odds of the answers."""
    rng, size = np.random.default_rng(seed), len(given.labels)
    odds = rng.normal(0, 2, (num, len(weights)))
    total = odds @ np.array(weights) + rng.normal(0, 0.5, num)
    steps = np.searchsorted(np.quantile(total, np.linspace(0, 1, size + 1)[1:-1]), total)
    labels = [given.labels[int(step)] for step in steps.tolist()]
    examples = [PastExample(f"e{i}", f"g{i}", label) for i, label in enumerate(labels)]
    shares = 1 / (1 + np.exp(-odds))
    answers = [
        [_placed(share, c.labels) for share, c in zip(row, given.criteria, strict=True)]
        for row in shares
    ]
    return examples, [combine(own, given) for own in answers]


def _placed(share: float, labels: Sequence[str]) -> Verdict:
    """An answer whose place on the scale is the share."""
    step = share * (len(labels) - 1)
    return answer(*[max(0.0, 1 - abs(step - k)) for k in range(len(labels))], labels=labels)


CATEGORICAL = task(
    kind="categorical",
    labels=["a", "b", "c"],
    rule="mean",
    criteria=[{"name": n, "question": "?", "labels": ["a", "b", "c"]} for n in ("one", "two")],
)
KINDS = {"binary": task(), "ordinal": rating((1, 1)), "categorical": CATEGORICAL}


@pytest.mark.parametrize("kind", KINDS)
def test_a_combiner_weighs_the_answers_where_the_rule_is_wrong(kind: str) -> None:
    given = KINDS[kind]
    train, new = several(given, 400, (2, -1)), several(given, 400, (2, -1), seed=1)
    choice = choose_reading(COMBINER, given, *train)
    assert choice.family == "combiner"
    assert isinstance(choice.reading, FittedReading)
    num_right = {
        name: sum(v.label == e.label for e, v in zip(new[0], verdicts, strict=True))
        for name, verdicts in {
            "rule": new[1],
            "fit": [choice.reading(verdict) for verdict in new[1]],
        }.items()
    }
    assert num_right["fit"] > num_right["rule"] + 40


def test_a_combiner_is_logistic_regression_on_the_log_odds_of_the_answers() -> None:
    given = task(rule="mean")
    examples, verdicts = several(given, 3000, (1, 0.5))
    human = np.array([given.labels.index(e.label) for e in examples])
    found = evidence("combiner", verdicts, given.labels)
    assert found.shape == (3000, 3, 2)
    parameters = fit_family("combiner", given.labels, found, human).parameters
    odds = found[:, :, 1] - found[:, :, 0]
    library: Any = import_module("sklearn.linear_model").LogisticRegression(C=1e6).fit(odds, human)
    fitted = odds @ np.array(parameters[:3]) + parameters[4] - parameters[3]
    expected = library.decision_function(odds)
    assert np.corrcoef(fitted, expected)[0, 1] > 0.99
    assert np.mean(np.abs(fitted - expected)) < 0.15 * np.mean(np.abs(expected))


def test_a_combiner_is_refused_with_too_few_labels_and_keeps_to_the_rule_where_that_is_right() -> (
    None
):
    given = task(rule="mean", criteria=[spelled(str(k)) for k in range(4)])
    examples, verdicts = several(given, 60, (1, 1, 1, 1))
    few = [i for i, e in enumerate(examples) if e.label == "Safe"][:19]
    few += [i for i, e in enumerate(examples) if e.label == "Unsafe"]
    choice = choose_reading(COMBINER, given, [examples[i] for i in few], [verdicts[i] for i in few])
    assert choice.family == "none"
    assert choice.refusals["combiner"].startswith("needs 20 training groups of each label")
    rows = [answer(1 - p, p) for p in np.random.default_rng(0).random(200)]
    right = [PastExample(f"e{i}", f"g{i}", str(row.label)) for i, row in enumerate(rows)]
    one = task(rule="mean", criteria=[spelled("a"), spelled("b")])
    same = [combine([row, row], one) for row in rows]
    assert choose_reading(COMBINER, one, right, same).family in ("none", "combiner")


def spelled(name: str) -> dict[str, Any]:
    return {"name": name, "question": "?", "labels": LABELS}


def test_an_example_has_no_part_in_the_combiner_that_reads_it() -> None:
    given = task(rule="mean")
    examples, verdicts = several(given, 200, (2, -1))
    choice = choose_reading(COMBINER, given, examples, verdicts)
    read = cross_fitted(choice, given, examples, verdicts)
    flipped = [replace(examples[0], label=LABELS[examples[0].label == "Safe"]), *examples[1:]]
    again = cross_fitted(choice, given, flipped, verdicts)
    assert read[0].probabilities == again[0].probabilities
    assert any(a.probabilities != b.probabilities for a, b in zip(read, again, strict=True))


def test_a_question_that_only_guesses_adds_nothing() -> None:
    given = task(rule="mean")
    examples, verdicts = several(given, 200, (2, 0))
    train, test = Split(examples[:100], verdicts[:100]), Split(examples[100:], verdicts[100:])
    choice = choose_reading(COMBINER, given, train.examples, train.verdicts)
    assert choice.reading is not None
    read = [choice.reading(verdict) for verdict in test.verdicts]
    first, second = question_figures(COMBINER, given, train, test, read, seed=0)
    assert first.gain is not None
    assert second.gain is not None
    assert first.gain.accuracy > 0.2
    assert abs(second.gain.accuracy) < 0.05
    assert (first.answered, first.right, first.share) == (0, None, None)


def test_the_turn_has_the_criterion_with_the_most_to_gain_unless_it_led_nowhere() -> None:
    gains = {"a": 0.1, "b": 0.3, "c": 0.0}
    assert most_to_gain(gains, {}) == "b"
    assert most_to_gain(gains, {"b": 1}) == "a"
    assert most_to_gain({"a": 0.0}, {}) == "a"


@pytest.fixture(scope="module")
def world() -> tuple[Dataset, IdealEngine]:
    return ideal_world("micro-unsafebench", num_train=60, num_test=40)


def answered(dataset: Dataset, engine: IdealEngine, names: Sequence[str]) -> list[Any]:
    """The examples with what annotators would answer to some criteria."""
    return [
        replace(
            example,
            criteria={
                name: LABELS[
                    any(is_fault(engine.scenes[example.image.data], one) for one in ASPECTS[name])
                ]
                for name in names
            },
        )
        for example in (*dataset.train, *dataset.test)
    ]


def with_third() -> list[dict[str, Any]]:
    """Three criteria, of which the second says nothing yet and the third is right."""
    criteria = [dict(one) for one in fields()["criteria"]]
    criteria[1]["question"] = "Is it safe?"
    return [*criteria, {"name": "flames", "question": "Look for any crown.", "labels": LABELS}]


def searched(folder: Path, world: tuple[Dataset, IdealEngine], names: Sequence[str]) -> Path:
    dataset, engine = world
    examples = answered(dataset, engine, names)
    write_dataset(folder / "data.parquet", examples, criteria=names)
    (folder / "checks.yaml").write_text(yaml.safe_dump(fields(criteria=with_third())))
    return ideal_run(
        folder,
        engine,
        "run",
        task=str(folder / "checks.yaml"),
        method="blpo-criteria",
        algorithm=BlpoConfig(outer_steps=3, inner_steps=5),
        reading=ReadingConfig(family="auto"),
    )


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, world: tuple[Dataset, IdealEngine]) -> Path:
    """A run on criteria that annotators have answered, in part."""
    return searched(tmp_path_factory.mktemp("own"), world, list(QUESTIONS))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, world: tuple[Dataset, IdealEngine]) -> Path:
    """A run on labels of the whole alone."""
    return searched(tmp_path_factory.mktemp("whole"), world, [])


def steps_of(run: Path) -> list[Mapping[str, Any]]:
    return [json.loads(file.read_text()) for file in sorted((run / "steps").glob("step-*.json"))]


@pytest.mark.parametrize("name", ["own", "whole"])
def test_a_step_rewrites_one_criterion_and_asks_about_that_one_alone(
    name: str, request: pytest.FixtureRequest
) -> None:
    run: Path = request.getfixturevalue(name)
    steps = steps_of(run)
    given = task(criteria=with_third())
    assert steps[0]["to_gain"][steps[0]["criterion"]] == max(steps[0]["to_gain"].values())
    for before, after in pairwise(steps):
        old, new = (question_prompts(one["judge_prompt"], given) for one in (before, after))
        changed = {criterion for criterion in old if old[criterion] != new[criterion]}
        assert changed == {before["criterion"]} or not changed
        # At most all of train under the prompt that is new, and the minibatch under each proposal.
        asked = after["calls"]["judge"] - before["calls"]["judge"]
        assert asked <= 60 + 6 * 10
    assert steps[0]["calls"]["judge"] <= 3 * 60 + 6 * 10


def test_answers_of_annotators_are_what_their_criterion_is_aligned_with(own: Path) -> None:
    first = steps_of(own)[0]
    assert first["criterion"] == "threats"
    assert first["to_gain"]["threats"] > 0.2
    result = json.loads((own / "result.json").read_text())
    prompt = question_prompts(result["judge_prompt_final"], task(criteria=with_third()))["threats"]
    assert "skull" in prompt or "chain" in prompt
    by_name = {one["name"]: one for one in result["criteria"]}
    assert by_name["threats"]["answered"] == 40
    assert by_name["threats"]["right"] > 0.7
    assert by_name["flames"]["right"] is None


@pytest.mark.parametrize("name", ["own", "whole"])
def test_a_run_on_criteria_verifies(name: str, request: pytest.FixtureRequest) -> None:
    run: Path = request.getfixturevalue(name)
    found = verify_run(run)
    assert found.differences == []
    assert not [told for told in found.not_checked if "criteria" in told]
    result = json.loads((run / "result.json").read_text())
    assert "combiner" in {one["family"] for one in result["readings"]["final"]["considered"]}


def test_a_changed_figure_of_a_question_is_found(own: Path) -> None:
    path = own / "result.json"
    kept = path.read_text()
    result = json.loads(kept)
    result["criteria"][0]["without"] += 0.1
    path.write_text(json.dumps(result))
    told = [one.figure for one in verify_run(own).differences]
    path.write_text(kept)
    assert "criteria[0].without" in told


def test_the_plan_counts_one_question_in_a_step(own: Path) -> None:
    config, _ = load_run(own)
    given = task(criteria=with_third())
    planned = planned_calls(config, given, 60, 40)
    assert planned.search["judge"] == 2 * 60 + 3 * (60 + 6 * 10)


def test_a_prompt_of_ones_own_has_no_section_of_another_task(blpo: Blpo, own: Path) -> None:
    (own.parent / "prompt.txt").write_text("Safe?\n[criterion: glare]\nAny glare?")
    data, prompt = str(own.parent / "data.parquet"), str(own.parent / "prompt.txt")
    done = blpo("evaluate", data, "--run", str(own), "--prompt", prompt)
    assert done.code == 1
    assert "has a section [criterion: glare]; the criteria of task checks are" in done.err


def test_a_method_for_criteria_needs_some(
    tmp_path: Path, world: tuple[Dataset, IdealEngine]
) -> None:
    dataset, engine = world
    write_dataset(tmp_path / "data.parquet", [*dataset.train, *dataset.test])
    with pytest.raises(ConfigError, match="has no `criteria`"):
        ideal_run(tmp_path, engine, "run", method="blpo-criteria")


def test_what_was_answered_is_not_asked_again_but_for_failures() -> None:
    class Counting:
        asked = 0

        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            self.asked += len(requests)
            return [
                Reply("", "error", error="?") if one.prompt == "fails" else Reply("yes", "stop")
                for one in requests
            ]

    inner: Any = Counting()
    engine = RememberingEngine(inner)
    requests = [Request("one"), Request("fails"), Request("one")]
    assert [reply.text for reply in engine.ask(requests)] == ["yes", "", "yes"]
    assert inner.asked == 2
    engine.ask(requests)
    assert inner.asked == 3


def test_what_could_be_set_right_counts_for_a_criterion_without_answers() -> None:
    given = task()
    wrong = combine([answer(0.9, 0.1), answer(0.6, 0.4)], given)
    right = combine([answer(0.9, 0.1), answer(0.9, 0.1)], given)
    examples: Any = [PastExample("a", "a", "Unsafe"), PastExample("b", "b", "Safe")]
    gains = to_gain(given, examples, [wrong, right])
    assert gains == pytest.approx(dict.fromkeys(QUESTIONS, 0.3))


def test_columns_of_answers_are_imported_and_wrong_ones_named(tmp_path: Path, blpo: Blpo) -> None:
    (tmp_path / "checks.yaml").write_text(yaml.safe_dump(fields()))
    rows = _table(tmp_path, "UNSAFE")
    command = ["import", "table", str(rows), "--task", str(tmp_path / "checks.yaml")]
    out = str(tmp_path / "out.parquet")
    done = blpo(*command, "--criterion", "threats=seen", "--out", out)
    assert done.code == 0, done.err
    assert "criterion threats: column seen" in done.out
    read = read_dataset(tmp_path / "out.parquet", task())
    found = {example.example_id: dict(example.criteria) for example in (*read.train, *read.test)}
    assert found["i0"] == {"threats": "Unsafe"}
    assert found["i1"] == {}
    other = blpo(*command, "--criterion", "noise=seen", "--dry-run")
    assert "no such criterion; those of task checks: weapons and drugs, threats" in other.err
    rows = _table(tmp_path, "perhaps")
    wrong = blpo(*command, "--criterion", "threats=seen", "--dry-run")
    assert wrong.code == 1
    assert "line 2" in wrong.err
    assert "criterion threats: column seen says 'perhaps', which is not one of Safe" in wrong.err


def _table(folder: Path, answer: str) -> Path:
    lines = ["id,image,label,seen"]
    for i in range(8):
        Image.new("RGB", (64, 64), (30 * i, 0, 0)).save(folder / f"{i}.png")
        lines.append(f"i{i},{i}.png,{LABELS[i % 2]},{answer if i % 2 == 0 else ''}")
    path = folder / "rows.csv"
    path.write_text("\n".join(lines))
    return path
