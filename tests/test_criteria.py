"""Several criteria per image: a question each over one image, and a rule that joins the answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from blpo.data.errors import DataError
from blpo.data.examples import Dataset, write_dataset
from blpo.data.tasks import Task, load_task, task_yaml
from blpo.models.cost import Cost
from blpo.models.engines.settings import EngineSettings
from blpo.models.roles.baselines import TriedPrompt
from blpo.models.roles.criteria_judge import combine
from blpo.models.roles.judge import Verdict
from blpo.models.roles.judges import make_judge, num_requests
from blpo.models.roles.optimizer import load_template
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.runs.predictions import read_predictions
from blpo.pipeline.verify.run import verify_run
from command_line import Blpo
from ideal_engine import IdealEngine, ideal_world
from ideal_runs import ideal_run
from test_reasoned import WritingEngine

LABELS = ["Safe", "Unsafe"]
QUESTIONS = {
    "weapons and drugs": "Look for any blade and any pill.",
    "threats": "Look for any skull and any chain.",
}
ASPECTS = {"weapons and drugs": ("blade", "pill"), "threats": ("skull", "chain")}
"""What the questions are about."""
World = tuple[Dataset, IdealEngine]


def fields(**changes: Any) -> dict[str, Any]:
    criteria = [{"name": n, "question": q, "labels": LABELS} for n, q in QUESTIONS.items()]
    return {
        "name": "checks",
        "description": "Is the image safe by every check?",
        "kind": "binary",
        "labels": LABELS,
        "judge_prompt": "Is the image safe?",
        "i2t_prompt": "Describe the image.",
        "answer_instruction": "Answer Safe or Unsafe.",
        "primary_metric": "macro_f1",
        "criteria": criteria,
        "rule": "any",
    } | changes


def task(**changes: Any) -> Task:
    return Task.model_validate(fields(**changes))


def rating(weights: Sequence[float] = (1, 1)) -> Task:
    criteria = [
        {"name": str(k), "question": "?", "labels": [1, 2, 3], "weight": weight}
        for k, weight in enumerate(weights)
    ]
    return task(kind="ordinal", labels=[1, 2, 3, 4, 5], rule="mean", criteria=criteria)


def spelled(name: str, instruction: str) -> dict[str, Any]:
    return {"name": name, "question": "?", "labels": LABELS, "answer_instruction": instruction}


def answer(*shares: float, labels: Sequence[str] = LABELS) -> Verdict:
    probabilities = dict(zip(labels, shares, strict=True))
    return Verdict(max(probabilities, key=probabilities.__getitem__), probabilities, 0.9)


def said(verdict: Verdict) -> Mapping[str, float]:
    assert verdict.probabilities is not None
    return verdict.probabilities


@pytest.mark.parametrize(("rule", "unsafe"), [("any", 0.7), ("all", 0.2), ("mean", 0.45)])
def test_a_rule_joins_the_answers(rule: str, unsafe: float) -> None:
    verdict = combine([answer(0.3, 0.7), answer(0.8, 0.2)], task(rule=rule))
    assert said(verdict) == pytest.approx({"Safe": 1 - unsafe, "Unsafe": unsafe})
    assert verdict.label == ("Unsafe" if unsafe > 0.5 else "Safe")
    assert verdict.reasoning == "weapons and drugs: Unsafe (0.70)\nthreats: Safe (0.80)"
    assert verdict.label_mass == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("weights", "expected"), [((1, 1), {"3": 1.0}), ((3, 1), {"4": 1.0}), ((2, 1), {"3": 1 / 3})]
)
def test_a_weighted_mean_lies_between_two_labels(
    weights: Sequence[float], expected: dict[str, float]
) -> None:
    own = ("1", "2", "3")
    best, worst = answer(0, 0, 1, labels=own), answer(1, 0, 0, labels=own)
    shares = said(combine([best, worst], rating(weights)))
    assert sum(shares.values()) == pytest.approx(1)
    assert {label: shares[label] for label in expected} == pytest.approx(expected)


def test_an_answer_in_words_is_certain_and_a_missing_one_leaves_no_verdict() -> None:
    verdict = combine([Verdict("Safe"), Verdict("Unsafe")], task())
    assert (verdict.label, verdict.probabilities) == ("Unsafe", None)
    failed = combine([Verdict("Safe"), Verdict(None, reason="cut off", is_error=True)], task())
    assert (failed.label, failed.is_error) == (None, True)
    assert failed.reason == "criterion threats: cut off"


def test_a_verdict_costs_what_its_answers_cost() -> None:
    answers = [Verdict("Safe", cost=Cost(1, 30, 0, 1)), Verdict("Safe", cost=Cost(2, 50, 40, 9))]
    assert combine(answers, task()).cost == Cost(3, 80, 40, 10)
    answers[1] = replace(answers[1], label=None, reason="cut off")
    assert combine(answers, task()).cost == Cost(3, 80, 40, 10)


@pytest.fixture(scope="module")
def world() -> World:
    return ideal_world("micro-unsafebench", num_train=40, num_test=20)


def test_every_question_about_an_image_is_asked_in_a_row(world: World) -> None:
    dataset, engine = world
    engine.asked.clear()
    first, second = dataset.train[:2]
    given = task(criteria=[*fields()["criteria"][:1], spelled("b", "Yes or no?")])
    verdicts = make_judge(engine, given)("Safe?", [first, second])
    asked = engine.asked
    assert len(asked) == 2 * num_requests(given, "both")
    assert [r.image for r in asked] == [first.image, first.image, second.image, second.image]
    assert asked[0].prompt == f"Safe?\n{QUESTIONS['weapons and drugs']}\nAnswer Safe or Unsafe."
    assert asked[1].prompt == "Safe?\n?\nYes or no?"
    assert all(verdict.label for verdict in verdicts)


def test_what_is_written_of_each_criterion_is_kept(world: World) -> None:
    engine = WritingEngine(["one", "two"], {"Safe": -0.1, "Unsafe": -3.0})
    judge = make_judge(engine, task(), reasoning_tokens=64)
    [verdict] = judge("Safe?", world[0].train[:1])
    assert (verdict.reasoning or "").splitlines()[1::2] == ["one", "two"]
    assert sum(map(len, engine.batches)) == num_requests(task(), "both", 64) == 4


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"rule": None}, "go together"),
        ({"criteria": []}, "go together"),
        ({"kind": "ordinal"}, "takes mean"),
        ({"kind": "categorical"}, "takes mean"),
        ({"kind": "categorical", "rule": "mean", "labels": ["Safe", "Unsafe", "?"]}, "of the task"),
        ({"kind": "pairwise"}, "A, B"),
        ({"criteria": [spelled("a", "?"), spelled("a", "?")]}, "two of the name 'a'"),
        ({"criteria": [{**spelled("a", "?"), "weight": 2}]}, "for `rule: mean`"),
        ({"criteria": [{**spelled("a", "?"), "labels": ["x", "x"]}]}, "all different"),
    ],
)
def test_criteria_that_make_no_task_are_refused(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    path = tmp_path / "checks.yaml"
    path.write_text(yaml.safe_dump(fields(**changes)))
    with pytest.raises(DataError, match=told):
        load_task(path)


def test_a_task_file_is_read_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "checks.yaml"
    path.write_text(task_yaml(rating((2, 1))))
    assert load_task(path) == rating((2, 1))


def test_the_optimizer_is_told_of_the_questions_where_there_are_any() -> None:
    template, history = load_template("propose_judge_prompt"), [TriedPrompt("Safe?", 0)]
    told = template.render(task=task(), history=history, cases=())
    assert all(f"- {question} (Safe, Unsafe)" in told for question in QUESTIONS.values())
    alone = template.render(task=task(criteria=(), rule=None), history=history, cases=())
    assert "question" not in alone
    assert "\n\n\n" not in alone


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, world: World) -> Path:
    """A finished run, with its task and dataset beside it."""
    folder = tmp_path_factory.mktemp("criteria")
    dataset, engine = world
    write_dataset(folder / "data.parquet", [*dataset.train, *dataset.test])
    (folder / "checks.yaml").write_text(yaml.safe_dump(fields()))
    engine.asked.clear()
    return ideal_run(folder, engine, "run", task=str(folder / "checks.yaml"))


def test_a_run_keeps_what_each_criterion_was_answered(finished: Path, world: World) -> None:
    assert len(world[1].asked) == 2 * 20
    result = json.loads((finished / "result.json").read_text())
    assert result["test"]["final"]["accuracy"] > 0.7
    kept = read_predictions(finished / "predictions.parquet").final
    assert all((verdict.reasoning or "").count(": ") == 2 for verdict in kept)
    assert verify_run(finished).differences == []


def test_other_programs_are_not_handed_one_question_of_several(blpo: Blpo, finished: Path) -> None:
    outcome = blpo("export", str(finished), "--format", "openai", "--out", "never.json")
    assert outcome.code == 1
    assert "every criterion is a question of its own" in outcome.err


def test_the_plan_says_what_a_question_costs(
    blpo: Blpo, finished: Path, world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def shared(_pool: EnginePool, _settings: EngineSettings) -> IdealEngine:
        return world[1]

    monkeypatch.setattr(EnginePool, "engine", shared)
    config = {
        "task": str(finished.parent / "checks.yaml"),
        "dataset": str(finished.parent / "data.parquet"),
        "output": str(tmp_path / "other"),
        "store": str(tmp_path / "store"),
        "method": "none",
    }
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(config))
    outcome = blpo("optimize", str(tmp_path / "run.yaml"), "--dry-run", "--no-probe")
    assert outcome.code == 0, outcome.err
    assert "Criteria: weapons and drugs, threats; each at most 40 judge calls" in outcome.out
