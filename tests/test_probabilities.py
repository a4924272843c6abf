"""Scores of probabilities equal the libraries' and values worked out; ECE has its null."""

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from blpo.data.tasks import Task, load_task
from blpo.models.roles.judge import Verdict
from blpo.pipeline.metrics.label_mass import MassCounts
from blpo.pipeline.metrics.probabilities import (
    Calibration,
    ReliabilityBin,
    calibration,
    equal_mass_bins,
    expected_calibration_error,
    simulated_eces,
)
from blpo.pipeline.metrics.scorecard import scorecard
from blpo.pipeline.report.plots import reliability_plot
from blpo.pipeline.report.scorecard_rows import mass_warning, print_scorecard
from rich.console import Console
from sklearn import metrics  # pyright: ignore[reportMissingTypeStubs]
from test_scorecard import examples, steps

sklearn_metrics: Any = metrics

FIVE = load_task("agin")
SAFETY = load_task("unsafebench")
TEN = FIVE.model_copy(update={"labels": tuple(map(str, range(1, 11)))})


def judged(
    task: Task, probabilities: Sequence[Sequence[float]], mass: float = 1.0
) -> list[Verdict]:
    return [
        Verdict(task.labels[int(np.argmax(row))], dict(zip(task.labels, row, strict=True)), mass)
        for row in probabilities
    ]


def calibrated(
    task: Task, human: Sequence[int], probabilities: Sequence[Sequence[float]]
) -> Calibration:
    found = calibration(steps(human), judged(task, probabilities), task)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_scikit_learn_on_random_probabilities(seed: int) -> None:
    rng = np.random.default_rng(seed)
    human, probabilities = rng.integers(0, 5, 80), rng.dirichlet(np.ones(5), 80)
    found = calibrated(FIVE, human.tolist(), probabilities.tolist()).judge
    one_hot = np.eye(5)[human]
    assert found.brier == pytest.approx(float(np.square(probabilities - one_hot).sum()) / 80)
    clipped = np.maximum(probabilities, 1e-4)
    clipped /= clipped.sum(axis=1, keepdims=True)
    places = list(range(5))
    assert found.log_loss == pytest.approx(sklearn_metrics.log_loss(human, clipped, labels=places))
    assert found.rps == pytest.approx(
        np.mean((np.cumsum(probabilities, 1) - np.cumsum(one_hot, 1))[:, :-1] ** 2)
    )


def test_scores_equal_values_worked_out_by_hand() -> None:
    found = calibrated(FIVE, [0, 4], [[0.5, 0.5, 0, 0, 0], [0, 0, 0, 1, 0]])
    assert found.judge.brier == pytest.approx((0.5 + 2) / 2)
    # Cumulative: .5 below the human label at one of four bounds; 1 at one of four.
    assert found.judge.rps == pytest.approx((0.25 / 4 + 1 / 4) / 2)
    # Half of the examples have each of the two labels that occur.
    assert found.base_rates.brier == pytest.approx(0.5)
    assert found.base_rates.log_loss == pytest.approx(math.log(2), abs=1e-3)


def test_the_brier_score_of_two_labels_is_not_halved() -> None:
    found = calibrated(SAFETY, [0, 1], [[0.0, 1.0], [0.5, 0.5]]).judge
    assert found.brier == pytest.approx((2 + 0.5) / 2)
    assert found.rps is None
    halved = sklearn_metrics.brier_score_loss([0, 1], [1.0, 0.5])
    assert halved == pytest.approx(found.brier / 2)


def test_probabilities_belong_to_labels_in_declared_order_and_not_in_sorted_order() -> None:
    certain = np.eye(10)[[8, 9]].tolist()
    assert calibrated(TEN, [8, 9], certain).judge.log_loss == pytest.approx(0, abs=2e-3)
    human = [TEN.labels[8], TEN.labels[9]]
    with pytest.warns(UserWarning, match="lexicographically"):
        naive = sklearn_metrics.log_loss(human, certain, labels=list(TEN.labels))
    assert naive > 30


def test_a_certain_error_costs_no_more_than_the_least_probability_says() -> None:
    found = calibrated(SAFETY, [0, 1], [[0.0, 1.0], [0.0, 1.0]]).judge
    assert found.log_loss == pytest.approx(-math.log(1e-4) / 2, abs=1e-3)


# ------------------------------------------------------------------------------------ reliability


@pytest.mark.parametrize(
    ("n", "equal_width", "equal_mass"),
    [
        (100, 0.069, 0.101),
        (200, 0.050, 0.071),
        (1000, 0.023, 0.031),
    ],
)
def test_the_ece_of_a_judge_without_fault_is_what_its_sample_size_makes_it(
    n: int, equal_width: float, equal_mass: float
) -> None:
    confidences = 0.5 + (np.arange(n) + 0.5) / (2 * n)
    tenths = np.floor(confidences * 10).astype(np.int64)
    assert simulated_eces(confidences, tenths).mean() == pytest.approx(equal_width, abs=0.004)
    bins = equal_mass_bins(confidences, 10)
    assert simulated_eces(confidences, bins).mean() == pytest.approx(equal_mass, abs=0.004)


def test_the_ece_of_two_bins_is_worked_out_by_hand() -> None:
    confidences = np.array([0.6, 0.6, 0.9, 0.9])
    right = np.array([True, False, True, True])
    bins = equal_mass_bins(confidences, 2)
    found = expected_calibration_error(confidences, right, bins)
    assert found == pytest.approx((2 * abs(0.5 - 0.6) + 2 * abs(1 - 0.9)) / 4)


def test_bins_are_equally_large_and_equal_confidences_share_one() -> None:
    confidences = np.random.default_rng(0).permutation(np.linspace(0.2, 1, 100))
    assert np.bincount(equal_mass_bins(confidences, 5)).tolist() == [20] * 5
    tied = np.array([0.5] * 50 + [0.9] * 50)
    assert len(set(equal_mass_bins(tied, 5).tolist())) == 2
    # In the order of the examples: a split of equal confidences would tell classes apart.
    assert expected_calibration_error(
        tied, np.array([True, False] * 25 + [True] * 45 + [False] * 5), equal_mass_bins(tied, 5)
    ) == pytest.approx(0)


def test_an_overconfident_judge_stands_out_from_its_null_and_a_calibrated_one_does_not() -> None:
    rng = np.random.default_rng(1)
    unsafe = rng.uniform(0, 1, 200)
    human = (rng.random(200) < unsafe).astype(int).tolist()
    honest = calibrated(SAFETY, human, [[1 - p, p] for p in unsafe.tolist()])
    assert honest.ece < honest.ece_null_95
    sharp = unsafe**4 / (unsafe**4 + (1 - unsafe) ** 4)
    boastful = calibrated(SAFETY, human, [[1 - p, p] for p in sharp.tolist()])
    assert boastful.ece > 2 * boastful.ece_null_95
    assert boastful.judge.log_loss > honest.judge.log_loss
    assert sum(one.n for one in honest.bins) == honest.n == 200
    assert sum(one.num_right for one in honest.bins) == sum(
        (p > 0.5) == bool(y) for p, y in zip(unsafe.tolist(), human, strict=True)
    )


def test_verdicts_without_probabilities_are_left_out_and_counted() -> None:
    verdicts = [*judged(SAFETY, [[0.9, 0.1]]), Verdict(None, reason="failed")]
    found = calibration(steps([0, 1]), verdicts, SAFETY)
    assert found is not None
    assert found.n == 1
    assert calibration(steps([0, 1]), [Verdict("Safe"), Verdict("Unsafe")], SAFETY) is None


# ------------------------------------------------------------------------------------ label mass


def test_a_low_label_mass_is_told_with_what_to_do() -> None:
    rows = [[0.8, 0.2]] * 10
    low = calibration(steps([0] * 20), judged(SAFETY, rows) + judged(SAFETY, rows, 0.5), SAFETY)
    assert low is not None
    assert (low.low_mass_share, low.label_mass) == (0.5, pytest.approx(0.75))
    assert "below 0.9 for 50% of the verdicts" in mass_warning(low)
    assert "answer_instruction" in mass_warning(low)
    high = calibration(steps([0] * 10), judged(SAFETY, rows, 0.95), SAFETY)
    assert high is not None
    assert mass_warning(high) == ""


def test_evaluate_prints_scores_of_probabilities_and_the_warning() -> None:
    rows = [[0.1, 0.2, 0.4, 0.2, 0.1]] * 6
    card = scorecard(examples(["3", "3", "1", "5", "2", "4"]), judged(FIVE, rows, 0.3), FIVE)
    printed = io.StringIO()
    print_scorecard(Console(file=printed, width=400), card, FIVE)
    for part in ("Brier", "log loss", "RPS", "base rates", "on average", "below 0.9 for 100%"):
        assert part in printed.getvalue()
    assert card.model_dump(mode="json")["calibration"]["bins"][0]["n"] == 6


def test_the_reliability_plot_has_a_curve_and_intervals_for_both_prompts() -> None:
    one = ReliabilityBin(n=20, num_right=12, confidence=0.6)
    svg = reliability_plot({"initial prompt": [one], "final prompt": [one, one]})
    assert svg == reliability_plot({"initial prompt": [one], "final prompt": [one, one]})
    for part in ("initial prompt", "final prompt", "accuracy", "var(--final)"):
        assert part in svg


def test_low_label_masses_are_counted_over_all_batches() -> None:
    counts = MassCounts()
    assert counts.warning == ""
    counts.add([0.9, 0.99])
    counts.add([0.1])
    assert (counts.n, counts.num_low) == (3, 1)
    assert counts.total == pytest.approx(1.99)
    assert "33% of the verdicts (mean 0.663)" in counts.warning


def test_rows_of_a_calibration_are_the_judge_and_guessing_by_base_rates() -> None:
    found = calibrated(SAFETY, [0, 1], [[0.9, 0.1], [0.2, 0.8]])
    assert list(found.rows()) == ["judge", "base rates"]
