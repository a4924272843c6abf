"""Fitted readings: better log loss out of fold on judges that lean, none where labels are few."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from blpo.data.errors import ConfigError
from blpo.data.tasks import Task, load_task
from blpo.models.roles.judge import Verdict
from blpo.models.roles.pair_judge import PairVerdict
from blpo.pipeline.config import RunConfig, parse_config
from blpo.pipeline.readings.choose import choose_reading, cross_fitted
from blpo.pipeline.readings.config import ReadingConfig, check_reading, fitted_families
from blpo.pipeline.readings.families import FAMILIES, LEAST_SLOPE
from blpo.pipeline.readings.fitted import FittedReading, fit_family, log_probabilities
from blpo.pipeline.readings.offset import fit_offset
from blpo.pipeline.runs.predictions import PastExample
from scipy import special
from sklearn.linear_model import LogisticRegression  # pyright: ignore[reportMissingTypeStubs]

_special: Any = special
_logistic: Any = LogisticRegression

BINARY = load_task("unsafebench")
ORDINAL = load_task("agin")
PAIRS = load_task("micro-pairs")
TIES = PAIRS.model_copy(update={"labels": ("A", "tie", "B")})
CATEGORICAL = BINARY.model_copy(update={"kind": "categorical", "labels": ("a", "b", "c", "d")})
TASKS = {
    "binary": BINARY,
    "categorical": CATEGORICAL,
    "ordinal": ORDINAL,
    "pairs": PAIRS,
    "pairs with ties": TIES,
}
AUTO = ReadingConfig(family="auto")

Judged = tuple[list[PastExample], list[Verdict]]


def judged(task: Task, rows: Any, human: Sequence[int]) -> Judged:
    """Examples with these human labels, and verdicts with these probabilities."""
    examples = [PastExample(f"e{i}", f"g{i}", task.labels[k]) for i, k in enumerate(human)]
    verdicts = [
        Verdict(task.labels[int(np.argmax(row))], dict(zip(task.labels, row, strict=True)), 1.0)
        for row in np.asarray(rows).tolist()
    ]
    return examples, verdicts


def leaning(task: Task, num: int, seed: int = 0, slope: float = 8.0, lean: float = 8.0) -> Judged:
    """A judge that is too sure, and leans to the last labels; to neither image of a pair."""
    rng = np.random.default_rng(seed)
    labels = len(task.labels)
    human = rng.integers(0, labels, num)
    places = np.arange(labels)
    odds = -((places - human[:, None] - rng.normal(0, 0.8, (num, 1))) ** 2)
    if task.kind != "ordinal":
        odds = rng.normal(0, 0.7, (num, labels)) + 1.5 * (places == human[:, None])
    direction = np.array([0, 0, 0]) if task.is_pairwise else np.linspace(0, lean, labels)
    if task is TIES:
        direction = np.array([0, -lean, 0])
    rows = _special.softmax(slope * odds + direction[:labels], axis=1)
    return judged(task, rows, human.tolist())


def log_loss(examples: Sequence[PastExample], verdicts: Sequence[Verdict]) -> float:
    pairs = zip(examples, verdicts, strict=True)
    return float(np.mean([-math.log((v.probabilities or {})[e.label]) for e, v in pairs]))


@pytest.mark.parametrize("kind", TASKS)
def test_a_fitted_reading_improves_log_loss_out_of_fold_and_on_new_images(kind: str) -> None:
    task = TASKS[kind]
    train, new = leaning(task, 200), leaning(task, 400, seed=1)
    choice = choose_reading(AUTO, task, *train)
    reading = choice.reading
    assert reading is not None
    found = {one.family: one.log_loss for one in choice.considered}
    assert (found[choice.family] or 0) < (found["none"] or 0)
    read = [reading(verdict) for verdict in new[1]]
    assert log_loss(new[0], read) < 0.8 * log_loss(*new)


@pytest.mark.parametrize("kind", TASKS)
def test_a_reading_is_refused_where_a_label_is_in_too_few_groups(kind: str) -> None:
    task = TASKS[kind]
    examples, verdicts = leaning(task, 200)
    few = [i for i, e in enumerate(examples) if e.label != task.labels[0]][:60]
    few += [i for i, e in enumerate(examples) if e.label == task.labels[0]][:4]
    choice = choose_reading(AUTO, task, [examples[i] for i in few], [verdicts[i] for i in few])
    assert choice.family == "none"
    assert set(choice.refusals) == set(fitted_families(task))
    assert all("4 of" in why for why in choice.refusals.values())


def test_images_of_one_group_count_once() -> None:
    examples, verdicts = leaning(BINARY, 200)
    together = [replace(example, group=f"g{i % 8}") for i, example in enumerate(examples)]
    assert "platt" in choose_reading(AUTO, BINARY, together, verdicts).refusals


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_leaves_probabilities_as_they_are_where_it_starts(family: Any) -> None:
    labels = {"platt": 2, "ties": 3}.get(family, 4)
    criteria = 2 if family == "combiner" else 0
    identity = FAMILIES[family].identity(labels, criteria)
    assert identity.shape == FAMILIES[family].spread(labels, criteria).shape
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(labels), 20)
    found = np.log(rows)
    if criteria:
        found = np.stack([found, *rng.normal(size=(criteria, 20, labels))], axis=1)
    reading = FittedReading(
        family=family, labels=tuple(map(str, range(labels))), parameters=tuple(identity.tolist())
    )
    assert reading.probabilities(found) == pytest.approx(rows)


@pytest.mark.parametrize("kind", TASKS)
def test_no_fit_turns_a_judge_round_that_goes_against_the_labels(kind: str) -> None:
    task = TASKS[kind]
    examples, verdicts = leaning(task, 200, lean=0.0)
    opposite = dict(zip(task.labels, reversed(task.labels), strict=True))
    against = [replace(example, label=opposite[example.label]) for example in examples]
    logs = log_probabilities(verdicts, task.labels)
    human = np.array([task.labels.index(example.label) for example in against])
    for name in fitted_families(task):
        rising = FAMILIES[name].rising
        if rising is None:
            continue
        theta = np.array(fit_family(name, task.labels, logs, human).parameters)
        assert (rising(len(theta), len(task.labels)) @ theta).min() >= LEAST_SLOPE - 1e-7
    named = ReadingConfig(family="temperature")
    choice = choose_reading(named, task, against, verdicts)
    reading = choice.reading
    assert isinstance(reading, FittedReading)
    assert reading.parameters == (LEAST_SLOPE,)
    read = cross_fitted(choice, task, against, verdicts)
    for before, after, out_of_fold in zip(verdicts, map(reading, verdicts), read, strict=True):
        assert before.label == after.label == out_of_fold.label


def test_a_constrained_fit_is_the_best_on_the_bound() -> None:
    examples, verdicts = leaning(BINARY, 200, lean=0.0)
    logs = log_probabilities(verdicts, BINARY.labels)
    human = np.array([int(example.label == BINARY.labels[0]) for example in examples])
    slope, intercept = fit_family("platt", BINARY.labels, logs, human).parameters
    assert slope == pytest.approx(LEAST_SLOPE, abs=1e-7)
    # There the derivative by the intercept, with its prior of deviation 3, is 0.
    odds = LEAST_SLOPE * (logs[:, 1] - logs[:, 0]) + intercept
    derivative = np.sum(_special.expit(odds) - human) + intercept / 9
    assert derivative == pytest.approx(0, abs=1e-4)


def test_a_reading_of_an_earlier_version_that_turns_the_judge_round_is_read_and_told_apart() -> (
    None
):
    stored = '{"family": "temperature", "labels": ["Safe", "Unsafe"], "parameters": [-0.168]}'
    reading = FittedReading.model_validate_json(stored)
    assert not reading.keeps_labels
    assert reading(Verdict("Safe", {"Safe": 0.8, "Unsafe": 0.2}, 1.0)).label == "Unsafe"


def test_platt_is_logistic_regression_on_the_log_odds_where_images_are_many() -> None:
    examples, verdicts = leaning(BINARY, 3000)
    logs = log_probabilities(verdicts, BINARY.labels)
    human = np.array([BINARY.labels.index(e.label) for e in examples])
    slope, intercept = fit_family("platt", BINARY.labels, logs, human).parameters
    library = _logistic(C=1e6).fit(logs[:, 1:] - logs[:, :1], human)
    assert slope == pytest.approx(library.coef_[0, 0], abs=0.01)
    assert intercept == pytest.approx(library.intercept_[0], abs=0.03)


def test_a_judge_that_is_calibrated_keeps_its_probabilities() -> None:
    rng = np.random.default_rng(0)
    kept = 0
    for _ in range(12):
        rows = rng.dirichlet(np.ones(4), 100)
        human = [int(rng.choice(4, p=row)) for row in rows]
        choice = choose_reading(AUTO, CATEGORICAL, *judged(CATEGORICAL, rows, human))
        kept += choice.family == "none"
    assert kept >= 9


def test_of_readings_within_a_standard_error_the_simplest_is_taken() -> None:
    choice = choose_reading(AUTO, CATEGORICAL, *leaning(CATEGORICAL, 150, lean=0.0))
    assert choice.family == "temperature"
    vector = next(one for one in choice.considered if one.family == "vector")
    assert (vector.log_loss or 0) < math.log(4)


def test_out_of_fold_readings_are_fitted_without_the_example() -> None:
    examples, verdicts = leaning(BINARY, 60)
    choice = choose_reading(ReadingConfig(family="platt"), BINARY, examples, verdicts)
    assert choice.family == "platt"
    read = cross_fitted(choice, BINARY, examples, verdicts)
    other = next(label for label in BINARY.labels if label != examples[0].label)
    flipped = [replace(examples[0], label=other), *examples[1:]]
    again = cross_fitted(choice, BINARY, flipped, verdicts)
    assert again[0].probabilities == read[0].probabilities
    assert any(a.probabilities != r.probabilities for a, r in zip(again, read, strict=True))


def test_an_offset_is_removed_without_labels() -> None:
    examples, verdicts = leaning(BINARY, 200, slope=3.0, lean=4.0)
    choice = choose_reading(ReadingConfig(family="offset"), BINARY, examples, verdicts)
    assert choice.reading is not None
    read = [choice.reading(verdict) for verdict in verdicts]
    right = [sum(v.label == e.label for e, v in zip(examples, each, strict=True)) for each in
             (verdicts, read)]  # fmt: skip
    assert right[1] > right[0] + 20
    prior = {"Safe": 0.8, "Unsafe": 0.2}
    fitted = fit_offset(BINARY.labels, log_probabilities(verdicts, BINARY.labels), prior)
    shares = fitted.probabilities(log_probabilities(verdicts, BINARY.labels)).mean(axis=0)
    assert shares == pytest.approx([0.8, 0.2], abs=1e-6)
    few = choose_reading(ReadingConfig(family="offset"), BINARY, examples[:15], verdicts[:15])
    assert few.refusals == {"offset": "needs 16 groups of images, and there are 15"}


def test_a_reading_of_pairs_treats_both_images_alike() -> None:
    reading = choose_reading(AUTO, TIES, *leaning(TIES, 200)).reading
    assert reading is not None
    there = PairVerdict("A", {"A": 0.7, "tie": 0.1, "B": 0.2}, num_orders=2)
    turned = replace(there, label="B", probabilities={"A": 0.2, "tie": 0.1, "B": 0.7})
    one, other = reading(there), reading(turned)
    assert isinstance(one, PairVerdict)
    assert one.num_orders == 2
    assert one.probabilities is not None
    assert other.probabilities is not None
    assert one.probabilities["A"] == pytest.approx(other.probabilities["B"])
    assert one.probabilities["tie"] == pytest.approx(other.probabilities["tie"])


def test_verdicts_without_probabilities_are_left_alone_and_said_so() -> None:
    examples, _ = leaning(BINARY, 40)
    choice = choose_reading(AUTO, BINARY, examples, [Verdict("Safe")] * 40)
    assert choice.refusals == {"auto": "the judge gives no label probabilities"}
    reading = FittedReading(family="platt", labels=BINARY.labels, parameters=(1.0, 2.0))
    assert reading(Verdict("Safe")) == Verdict("Safe")


def test_a_reading_for_another_kind_of_task_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigError, match="reading platt: is not for this task, which is ordinal"):
        check_reading(ReadingConfig(family="platt"), ORDINAL)
    with pytest.raises(ConfigError, match="the labels are Safe, Unsafe"):
        check_reading(ReadingConfig(family="offset", prior={"a": 0.5, "b": 0.5}), BINARY)


def test_old_keys_name_the_new_one() -> None:
    fields = {
        "task": "agin",
        "dataset": "d",
        "output": "o",
        "algorithm": {"calibrate": "cutpoints"},
    }
    with pytest.raises(ConfigError, match="such as `reading: cutpoints`"):
        parse_config(RunConfig, fields, "run.yaml")
    fields["algorithm"] = {}
    assert parse_config(RunConfig, fields, "run.yaml", ["reading=auto"]).reading == AUTO
    with pytest.raises(ConfigError, match="is a share above 0 for each label"):
        parse_config(
            RunConfig, fields, "run.yaml", ["reading={family: offset, prior: {Safe: 0.5}}"]
        )
