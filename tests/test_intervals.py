"""Statistics equal published examples, a library's, and what simulation says they promise."""

import math
from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
import pytest
from blpo.pipeline.metrics.agreement import accuracy, macro_f1, resample
from blpo.pipeline.metrics.intervals import (
    Counts,
    Estimate,
    Values,
    bootstrap_weights,
    detectable_difference,
    holm,
    mcnemar,
    mcnemar_power,
    mean_estimate,
    minimum_detectable_gain,
    paired_permutation,
    percentiles,
    seeds_component,
    wilson,
)
from scipy.stats import permutation_test

NUM_LABELS = 4


def one_example_each(human: Counts, judged: Counts) -> Counts:
    """Counts of units of one example each: [examples, labels, labels + 1]."""
    counts = np.zeros((len(human), NUM_LABELS, NUM_LABELS + 1), dtype=np.int64)
    counts[np.arange(len(human)), human, judged] = 1
    return counts


def judge(human: Counts, chance_right: float, rng: np.random.Generator) -> Counts:
    guess = rng.integers(0, NUM_LABELS, len(human))
    return np.where(rng.random(len(human)) < chance_right, human, guess)


# ------------------------------------------------------------------------------ worked examples


def test_wilson_equals_the_worked_values_of_newcombe_1998() -> None:
    # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)


@pytest.mark.parametrize(
    ("won", "lost", "p_value"),
    [
        # Armitage and Berry, Statistical Methods in Medical Research (1994), p. 127: two media.
        (12, 2, 0.0129),
        # Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91 (2013), table 1.
        (1, 7, 0.0703),
        # Agresti, Categorical Data Analysis, approval of a prime minister in two surveys: 150 and
        # 86 changed their minds, P < .0001.
        (150, 86, 3.7e-5),
    ],
)
def test_the_exact_mcnemar_test_equals_worked_examples(won: int, lost: int, p_value: float) -> None:
    assert mcnemar(won, lost) == pytest.approx(p_value, rel=0.01)
    assert mcnemar(lost, won) == mcnemar(won, lost)


def test_fewer_than_six_discordant_examples_never_differ_significantly() -> None:
    assert mcnemar(0, 0) == 1.0
    assert min(mcnemar(won, 5 - won) for won in range(6)) > 0.05
    assert mcnemar(6, 0) < 0.05


def test_holm_equals_a_worked_example_and_keeps_the_order() -> None:
    # Holm, Scandinavian Journal of Statistics 6 (1979); these four p-values stand in many texts.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


# ----------------------------------------------------------------------------------- permutation


@pytest.mark.parametrize("statistic", [accuracy, macro_f1])
def test_the_paired_permutation_equals_scipy_where_all_swaps_can_be_tried(
    statistic: Callable[[Counts | Values], Values],
) -> None:
    rng = np.random.default_rng(3)
    human = rng.integers(0, NUM_LABELS, 11)
    first, second = judge(human, 0.3, rng), judge(human, 0.9, rng)

    def difference(one: Counts, other: Counts, axis: int) -> Values:
        del axis
        rows = product(*map(range, one.shape[:-1]))
        values = [
            statistic(one_example_each(human, other[row]).sum(axis=0))
            - statistic(one_example_each(human, one[row]).sum(axis=0))
            for row in rows
        ]
        return np.array(values, dtype=np.float64).reshape(one.shape[:-1])

    expected = permutation_test(
        (first, second), difference, permutation_type="samples", vectorized=True, n_resamples=10**6
    )
    found = paired_permutation(
        one_example_each(human, first), one_example_each(human, second), statistic, seed=0
    )
    assert found == pytest.approx(float(expected.pvalue))


def test_on_accuracy_all_swaps_and_drawn_swaps_agree_with_mcnemar() -> None:
    human = np.zeros(200, dtype=np.int64)
    for num_won, num_lost in ((9, 3), (30, 15)):
        first, second = human.copy(), human.copy()
        first[:num_won] = 1
        second[num_won : num_won + num_lost] = 1
        found = paired_permutation(
            one_example_each(human, first), one_example_each(human, second), accuracy, seed=0
        )
        assert found == pytest.approx(mcnemar(num_won, num_lost), abs=0.01)


@pytest.mark.parametrize(("num_pairs", "is_exact"), [(13, True), (14, False)])
def test_all_swaps_are_tried_up_to_ten_thousand(num_pairs: int, is_exact: bool) -> None:
    human = np.zeros(num_pairs, dtype=np.int64)
    found = paired_permutation(
        one_example_each(human, human + 1), one_example_each(human, human), accuracy, seed=0
    )
    assert (found == 2 / 2**num_pairs) is is_exact
    assert found == pytest.approx(2 / 2**num_pairs, abs=5e-4)


def test_swapping_whole_groups_is_what_makes_dependent_examples_count_once() -> None:
    human = np.zeros(40, dtype=np.int64)
    first = np.ones(40, dtype=np.int64)
    second = np.repeat([0, 0, 0, 1], 10)
    first[30:] = 0
    alone = paired_permutation(
        one_example_each(human, first), one_example_each(human, second), accuracy, seed=0
    )
    first_groups, second_groups = (
        one_example_each(human, side).reshape(4, 10, NUM_LABELS, NUM_LABELS + 1).sum(axis=1)
        for side in (first, second)
    )
    grouped = paired_permutation(first_groups, second_groups, accuracy, seed=0)
    assert alone < 0.01
    assert grouped == pytest.approx(10 / 16)


def test_equal_sides_have_p_value_1_and_the_least_p_value_is_above_0() -> None:
    human = np.zeros(100, dtype=np.int64)
    right, wrong = one_example_each(human, human), one_example_each(human, human + 1)
    assert paired_permutation(right, right, accuracy, seed=0) == 1.0
    assert paired_permutation(wrong, right, accuracy, seed=0) == pytest.approx(1e-4)


# ------------------------------------------------------------------------------------- bootstrap


def test_every_resample_keeps_the_size_of_every_stratum() -> None:
    strata = np.array([0] * 10 + [1] * 3 + [2] * 2)
    weights = bootstrap_weights(strata, seed=0, resamples=500)
    assert weights.shape == (500, 15)
    for stratum, size in ((0, 10), (1, 3), (2, 2)):
        assert weights[:, strata == stratum].sum(axis=1) == pytest.approx(np.full(500, size))


def test_the_variance_of_a_bootstrapped_mean_is_that_of_the_textbook() -> None:
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1, 2], [4, 6, 10])
    values = rng.normal(size=20) + 5 * strata
    means = bootstrap_weights(strata, seed=0, resamples=40_000) @ values / 20
    parts = [values[strata == stratum] for stratum in range(3)]
    expected = sum(len(part) * np.var(part, ddof=1) for part in parts) / 20**2
    assert np.var(means) == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("strata", [[0, 1, 2], [0, 0, 0, 1], [0, 0, 1, 1, 1, 2, 3]])
def test_a_unit_alone_in_its_stratum_varies_all_the_same(strata: Sequence[int]) -> None:
    weights = bootstrap_weights(np.array(strata), seed=0)
    assert (weights.std(axis=0) > 0).all()
    assert weights.sum(axis=1) == pytest.approx(np.full(len(weights), len(strata)))


def test_a_single_unit_cannot_be_resampled() -> None:
    assert (bootstrap_weights(np.array([3]), seed=0) == 1).all()


# ------------------------------------------------------------------------------------ simulation


def drawn_groups(
    chance_right: float, per_class: int, group_size: int, rng: np.random.Generator
) -> Counts:
    """Counts of groups of one class each, on which a judge is right as a whole or not at all."""
    human = np.repeat(np.arange(NUM_LABELS), per_class)
    right = np.repeat(rng.random(len(human) // group_size) < chance_right, group_size)
    wrong = (human + rng.integers(1, NUM_LABELS, len(human))) % NUM_LABELS
    counts = one_example_each(human, np.where(right, human, wrong))
    return counts.reshape(-1, group_size, NUM_LABELS, NUM_LABELS + 1).sum(axis=1)


def gain_of_macro_f1(before: Counts | Values, after: Counts | Values) -> Values:
    return macro_f1(after) - macro_f1(before)


def coverage(per_class: int, group_size: int, seed: int, repeats: int = 400) -> float:
    """How often the interval of a paired gain in macro F1 holds the true gain."""
    rng = np.random.default_rng(seed)
    many_before, many_after = (drawn_groups(p, 50_000, 1, rng).sum(axis=0) for p in (0.6, 0.75))
    truth = float(gain_of_macro_f1(many_before, many_after))
    held = 0
    for repeat in range(repeats):
        before, after = (drawn_groups(p, per_class, group_size, rng) for p in (0.6, 0.75))
        resampled = (resample(side, repeat, resamples=1000) for side in (before, after))
        low, high = percentiles(gain_of_macro_f1(*resampled))
        held += low <= truth <= high
    return held / repeats


@pytest.mark.parametrize(("per_class", "group_size"), [(25, 1), (10, 1), (40, 4)])
def test_95_percent_intervals_of_a_paired_gain_hold_it_95_times_in_100(
    per_class: int, group_size: int
) -> None:
    # 400 repeats: the standard error of a coverage of .95 is .011.
    assert 0.92 <= coverage(per_class, group_size, seed=per_class) <= 0.98


def test_on_judges_that_do_not_differ_the_tests_find_a_difference_at_most_5_times_in_100() -> None:
    rng = np.random.default_rng(0)
    repeats = 400
    found = {"mcnemar": 0, "permutation": 0}
    for repeat in range(repeats):
        human = rng.integers(0, NUM_LABELS, 100)
        first, second = judge(human, 0.6, rng), judge(human, 0.6, rng)
        won = int(np.sum((first != human) & (second == human)))
        lost = int(np.sum((first == human) & (second != human)))
        found["mcnemar"] += mcnemar(won, lost) <= 0.05
        sides = one_example_each(human, first), one_example_each(human, second)
        found["permutation"] += paired_permutation(*sides, macro_f1, repeat) <= 0.05
    # .05 and two standard errors; the exact test stays well below its level.
    assert found["mcnemar"] / repeats <= 0.05
    assert 0.02 <= found["permutation"] / repeats <= 0.072


@pytest.mark.parametrize("seed_spread", [0.0, 0.08])
def test_the_interval_over_seeds_and_examples_holds_the_mean_95_times_in_100(
    seed_spread: float,
) -> None:
    # Five seeds on the same 150 examples; the true difference is 0.
    rng = np.random.default_rng(1)
    repeats, held = 2000, 0
    for _ in range(repeats):
        examples = rng.normal(0, 0.4, 150)
        seeds = rng.normal(0, seed_spread, 5)
        noise = rng.normal(0, 0.3, (5, 150))
        differences = examples[None, :] + seeds[:, None] + noise
        by_example = differences.mean(axis=0)
        of_examples = (float(np.var(by_example, ddof=1)) / 150, 149)
        estimate = Estimate(
            float(differences.mean()),
            (of_examples, seeds_component(differences.mean(axis=1))),
        )
        low, high = estimate.ci95
        assert (estimate.p_value > 0.05) == (low <= 0 <= high)
        held += low <= 0 <= high
    assert 0.935 <= held / repeats <= 0.985


def test_the_power_of_mcnemar_equals_its_simulation() -> None:
    rng = np.random.default_rng(0)
    cells = (0.15, 0.05, 0.80)
    draws = rng.multinomial(140, cells, 5000)
    pairs, times_drawn = np.unique(draws[:, :2], axis=0, return_counts=True)
    is_found = [mcnemar(int(won), int(lost)) <= 0.05 and won > lost for won, lost in pairs]
    found = np.average(is_found, weights=times_drawn)
    # Three standard errors.
    assert mcnemar_power(140, 0.2, 0.1) == pytest.approx(float(found), abs=0.02)


# ----------------------------------------------------------------------------------------- power


def test_the_minimum_detectable_gain_is_found_with_80_percent_power() -> None:
    for n, discordance in ((100, 0.3), (140, 0.2), (200, 0.2), (500, 0.1)):
        gain = minimum_detectable_gain(n, discordance)
        assert gain is not None
        assert mcnemar_power(n, discordance, gain) == pytest.approx(0.8, abs=1e-3)


def test_on_100_examples_only_gains_of_12_points_and_more_show_reliably() -> None:
    assert minimum_detectable_gain(100, 0.2) == pytest.approx(0.128, abs=1e-3)
    assert minimum_detectable_gain(200, 0.2) == pytest.approx(0.091, abs=1e-3)


def test_a_gain_larger_than_the_discordance_takes_the_discordance_with_it() -> None:
    least = minimum_detectable_gain(200, 0.0)
    assert least == pytest.approx(0.0392, abs=1e-3)
    assert minimum_detectable_gain(200, 0.02) == pytest.approx(least)


def test_five_examples_show_no_gain_whatever() -> None:
    assert minimum_detectable_gain(5, 0.5) is None


def test_a_detectable_difference_is_2_8_standard_errors() -> None:
    assert detectable_difference((-1.96, 1.96)) == pytest.approx(1.96 + 0.8416, abs=1e-3)


# -------------------------------------------------------------------------------------- estimate


def test_an_estimate_from_seeds_alone_is_the_t_test() -> None:
    # Student, Biometrika 6 (1908), additional hours of sleep under two drugs: t = 4.06 on 9
    # degrees of freedom, mean 1.58.
    hours = np.array([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    estimate = Estimate(float(hours.mean()), (seeds_component(hours),))
    assert estimate.value == pytest.approx(1.58)
    assert estimate.value / estimate.standard_error == pytest.approx(4.06, abs=0.005)
    assert estimate.p_value == pytest.approx(0.0028, abs=5e-5)
    assert estimate.ci95 == pytest.approx((0.70, 2.46), abs=0.005)


def test_satterthwaite_of_two_equal_sources_adds_their_degrees_of_freedom() -> None:
    one = Estimate(1.0, ((0.5, 4),))
    two = Estimate(1.0, ((0.25, 4), (0.25, 4)))
    eight = Estimate(1.0, ((0.5, 8),))
    assert two.ci95 == pytest.approx(eight.ci95)
    assert two.p_value < one.p_value


def test_the_mean_of_estimates_has_the_variance_of_a_mean() -> None:
    mean = mean_estimate([Estimate(0.1, ((0.04, 4),)), Estimate(0.3, ((0.04, 4), (0.01, 99)))])
    assert mean.value == pytest.approx(0.2)
    assert mean.standard_error == pytest.approx(math.sqrt(0.09 / 4))


def test_no_difference_anywhere_is_no_difference() -> None:
    none = Estimate(0.0, ((0.0, 4), (0.0, 99)))
    assert none.ci95 == (0.0, 0.0)
    assert none.p_value == 1.0
