"""Agreement equals what the libraries say, with unparsable verdicts counted as wrong."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from blpo.data.examples import Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.models.roles.judge import Verdict
from blpo.pipeline.metrics.agreement import (
    GAIN_METRICS,
    Gain,
    agreement,
    classes,
    gain,
    group_confusions,
    kappa,
    resample,
)
from blpo.pipeline.metrics.intervals import percentiles
from sklearn import metrics  # pyright: ignore[reportMissingTypeStubs]

sklearn_metrics: Any = metrics

LABELS = ("1", "2", "3", "4")


def make_examples(labels: list[str], groups: list[str] | None = None) -> list[Example]:
    image = ImageRef(b"", ImageBounds())
    return [
        Example(f"e{i}", image, None, label, groups[i] if groups else f"g{i}", None, "test")
        for i, label in enumerate(labels)
    ]


def make_verdicts(labels: Sequence[str | None]) -> list[Verdict]:
    return [Verdict(label) for label in labels]


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_and_macro_f1_equal_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    human = [str(label) for label in rng.choice(LABELS[:3], 60)]
    judged = [str(label) if rng.random() > 0.1 else None for label in rng.choice(LABELS, 60)]
    found = agreement(make_examples(human), make_verdicts(judged), LABELS, seed=0)
    strings = [label or "none" for label in judged]
    expected = sklearn_metrics.f1_score(
        human, strings, labels=list(LABELS), average="macro", zero_division=0
    )
    assert found.macro_f1 == pytest.approx(expected)
    assert found.accuracy == pytest.approx(sklearn_metrics.accuracy_score(human, strings))
    assert found.unparsable_share == pytest.approx(judged.count(None) / 60)


def test_macro_f1_counts_a_declared_label_that_never_occurs() -> None:
    found = agreement(make_examples(["1", "2"]), make_verdicts(["1", "2"]), LABELS, seed=0)
    assert (found.accuracy, found.macro_f1) == (1.0, 0.5)


def test_the_confusion_matrix_has_a_column_for_verdicts_without_a_label() -> None:
    found = agreement(make_examples(["1", "1", "2"]), make_verdicts(["1", None, "1"]), LABELS, 0)
    assert found.confusion[0] == [1, 0, 0, 0, 1]
    assert found.confusion[1] == [1, 0, 0, 0, 0]


@pytest.mark.parametrize("seed", range(3))
def test_kappa_equals_scikit_learn_with_verdicts_without_a_label_as_a_label_of_their_own(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    human = [str(label) for label in rng.choice(LABELS, 80)]
    judged = [None if rng.random() < 0.1 else str(label) for label in rng.choice(LABELS, 80)]
    counts = group_confusions(make_examples(human), make_verdicts(judged), LABELS).sum(axis=0)
    named = [label or "none" for label in judged]
    assert kappa(counts) == pytest.approx(sklearn_metrics.cohen_kappa_score(human, named))


def test_kappa_is_0_where_chance_is_always_right() -> None:
    counts = group_confusions(make_examples(["1", "1"]), make_verdicts(["1", "1"]), LABELS)
    assert kappa(counts.sum(axis=0)) == 0


def test_guesses_spread_as_people_are_gain_macro_f1_but_are_not_found_to_tell_more() -> None:
    # Before, one label for all; after, each label by turns, on examples of each label alike.
    examples = make_examples([label for label in LABELS for _ in range(48)])
    before, after = make_verdicts(["1"] * 192), make_verdicts(LABELS * 48)
    found = gain(examples, before, after, LABELS, seed=0)
    assert (found.accuracy, found.kappa) == (0.0, 0.0)
    assert found.macro_f1 == pytest.approx(0.15)
    assert found.ci95["macro_f1"][0] > 0
    assert not found.is_found("macro_f1")


def test_verdicts_that_tell_more_are_found_to() -> None:
    examples = make_examples(["1", "2"] * 50)
    after = make_verdicts(["1", "2"] * 40 + ["2", "1"] * 10)
    found = gain(examples, make_verdicts(["1", "1"] * 50), after, LABELS, seed=0)
    assert found.is_found("macro_f1")
    assert found.is_found("accuracy")


def test_without_information_a_gain_is_found_in_at_most_one_test_of_forty() -> None:
    # From mostly one verdict to all labels in people's shares: macro F1 truly rises.
    rng, repeats = np.random.default_rng(0), 400
    examples = make_examples([label for label in LABELS for _ in range(30)])
    rises, found = 0, 0
    for _ in range(repeats):
        shares = (0.8, 0.1, 0.05, 0.05), None
        sides = (
            group_confusions(examples, make_verdicts([str(v) for v in drawn]), LABELS)
            for drawn in (rng.choice(LABELS, len(examples), p=own) for own in shares)
        )
        before, after = (resample(side, 0, resamples=500) for side in sides)
        above = {
            name: percentiles(metric(after) - metric(before))[0] > 0
            for name, metric in GAIN_METRICS.items()
        }
        rises += above["macro_f1"]
        found += above["macro_f1"] and above["kappa"]
    assert rises / repeats > 0.3
    # .025 and three standard errors.
    assert found / repeats <= 0.048


def test_the_gain_is_paired_so_that_equal_verdicts_gain_exactly_nothing() -> None:
    examples = make_examples(["1", "2"] * 20)
    verdicts = make_verdicts(["1", "1"] * 20)
    found = gain(examples, verdicts, verdicts, LABELS, seed=0)
    assert found.accuracy == 0.0
    assert found.ci95 == dict.fromkeys(GAIN_METRICS, (0.0, 0.0))


def test_the_interval_of_the_gain_holds_the_gain_and_excludes_zero_when_it_is_large() -> None:
    examples = make_examples(["1", "2"] * 50)
    before = make_verdicts(["1", "1"] * 50)
    after = make_verdicts(["1", "2"] * 45 + ["1", "1"] * 5)
    found = gain(examples, before, after, LABELS, seed=0)
    low, high = found.ci95["accuracy"]
    assert found.accuracy == pytest.approx(0.45)
    assert 0 < low < found.accuracy < high


def test_intervals_are_wider_when_examples_come_in_groups() -> None:
    labels = ["1"] * 80
    verdicts = make_verdicts((["1"] * 4 + ["2"] * 4) * 10)
    alone = agreement(make_examples(labels), verdicts, LABELS, seed=0)
    groups = [f"g{i // 4}" for i in range(80)]
    grouped = agreement(make_examples(labels, groups), verdicts, LABELS, seed=0)
    width_alone = np.diff(alone.ci95["macro_f1"])
    assert np.diff(grouped.ci95["macro_f1"]) > 1.3 * width_alone


def test_a_group_of_several_classes_is_drawn_with_the_class_of_most_of_its_examples() -> None:
    examples = make_examples(["1", "2", "2", "3", "3", "1"], ["a", "a", "a", "b", "c", "c"])
    by_group = group_confusions(examples, make_verdicts(["1"] * 6), LABELS)
    assert [LABELS[index] for index in classes(by_group)] == ["2", "3", "1"]


def test_resamples_keep_the_size_of_every_class() -> None:
    human = ["1"] * 10 + ["2"] * 6 + ["3"] * 4
    by_group = group_confusions(make_examples(human), make_verdicts(["1", "2"] * 10), LABELS)
    sizes = resample(by_group, seed=0).sum(axis=2)
    assert sizes == pytest.approx(np.broadcast_to([10, 6, 4, 0], sizes.shape))


def test_the_same_seed_gives_the_same_intervals() -> None:
    examples, verdicts = make_examples(["1", "2", "3"] * 9), make_verdicts(["1", "2", "2"] * 9)
    assert agreement(examples, verdicts, LABELS, 1) == agreement(examples, verdicts, LABELS, 1)


def test_a_gain_is_found_where_both_lower_bounds_are_above_zero() -> None:
    def is_found(macro_f1: tuple[float, float], kappa: tuple[float, float]) -> bool:
        ci95 = {"macro_f1": macro_f1, "accuracy": (0.1, 0.2), "kappa": kappa}
        return Gain(accuracy=0.1, macro_f1=0.1, kappa=0.1, ci95=ci95).is_found("macro_f1")

    above, around, at_zero = (0.01, 0.2), (-0.01, 0.2), (0.0, 0.2)
    assert is_found(above, above)
    assert not any(is_found(*pair) for pair in ((around, above), (above, around)))
    assert not any(is_found(*pair) for pair in ((at_zero, above), (above, at_zero)))


def test_kappa_of_many_confusions_is_that_of_each() -> None:
    rng = np.random.default_rng(0)
    confusions = rng.integers(0, 9, (5, 3, 4))
    expected = [float(kappa(one)) for one in confusions]
    assert kappa(confusions) == pytest.approx(expected)
    assert len(set(expected)) == 5
