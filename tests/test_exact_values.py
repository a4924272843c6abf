"""Statistics whose values another formula or library gives, to the last digits.

Simulations of coverage notice a wrong formula only if it errs by much.
"""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from blpo.data.errors import ConfigError
from blpo.data.examples import Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.tasks import load_task
from blpo.models.roles.judge import Verdict
from blpo.models.roles.optimizer import Proposal, ScoredPrompt
from blpo.models.roles.verbalizer import Verbalization
from blpo.pipeline.blpo.policies.informing import with_noise
from blpo.pipeline.blpo.policies.lineage import Lineage
from blpo.pipeline.blpo.records import Candidate, Scored
from blpo.pipeline.decisions.control import (
    Point,
    hoeffding_bentkus,
    labels_needed,
    recall_points,
    selective_points,
)
from blpo.pipeline.decisions.decide import Decision, Outcome, read_decision, write_decision
from blpo.pipeline.decisions.target import parse_target
from blpo.pipeline.metrics.agreement import agreement
from blpo.pipeline.metrics.coverage import risk_coverage
from blpo.pipeline.metrics.drift import Distribution
from blpo.pipeline.metrics.intervals import Values, percentiles
from blpo.pipeline.metrics.nested import nested_mean, resampled_weights
from blpo.pipeline.metrics.prevalence import Prevalence, prevalence
from blpo.pipeline.metrics.scorecard import scorecard
from blpo.pipeline.metrics.scores import score
from blpo.pipeline.readings.choose import ReadingChoice, choose_reading, cross_fitted
from blpo.pipeline.readings.config import ReadingConfig
from blpo.pipeline.readings.cutpoints import CutPoints, nearest
from blpo.pipeline.readings.families import FAMILIES
from blpo.pipeline.runs.predictions import PastExample
from scipy import special, stats

_special: Any = special
_stats: Any = stats

BINARY, ORDINAL = load_task("unsafebench"), load_task("agin")


# --------------------------------------------------------------------------------- decisions


@pytest.mark.parametrize(("total_loss", "num", "risk"), [(3.4, 80, 0.1), (0.0, 30, 0.05)])
def test_the_bound_for_losses_between_0_and_1_is_the_lower_of_two(
    total_loss: float, num: int, risk: float
) -> None:
    mean = total_loss / num
    divergence = _special.rel_entr(mean, risk) + _special.rel_entr(1 - mean, 1 - risk)
    bentkus = math.e * _stats.binom.cdf(math.ceil(total_loss), num, risk)
    expected = min(1.0, math.exp(-num * divergence), bentkus)
    assert hoeffding_bentkus(total_loss, num, risk) == pytest.approx(expected)


def test_losses_above_the_risk_are_no_evidence() -> None:
    assert hoeffding_bentkus(30.0, 100, 0.1) == 1.0


@pytest.mark.parametrize(
    ("num_errors", "num", "rate"),
    [(2, 50, 2.5 / 51), (5, 52, 5 / 52)],
    ids=["cautious", "the rate itself, where a cautious one would break the target"],
)
def test_so_many_labels_show_the_target_and_fewer_do_not(
    num_errors: int, num: int, rate: float
) -> None:
    risk, level = 0.1, 0.1 / 3
    needed = labels_needed([Point(0.5, num, num, num_errors)], 2 * num, risk, 0.9)
    assert needed is not None

    def p_value(units: float) -> float:
        return float(_stats.binom.cdf(math.floor(rate * units), math.floor(units), risk))

    assert p_value(needed / 2) <= level
    assert p_value(needed / 2 * 0.7) > level


def test_a_threshold_misses_what_lies_below_it() -> None:
    points = recall_points(np.array([0.9, 0.6, 0.6, 0.3]), np.ones(4, bool))
    assert [(p.threshold, p.num_acts, p.total_loss) for p in points] == [
        (0.3, 4, 0),
        (0.6, 3, 1),
        (0.9, 1, 3),
    ]


def test_losses_add_up_from_the_most_confident_down() -> None:
    points = selective_points(np.array([0.2, 0.9, 0.5]), np.array([1.0, 0.0, 0.5]))
    assert [(p.num_units, p.total_loss, p.is_count) for p in points] == [
        (1, 0.0, False),
        (2, 0.5, False),
        (3, 1.5, False),
    ]


def test_a_decision_is_for_one_prompt_under_one_reading(tmp_path: Path) -> None:
    reading = {"family": "temperature", "temperature": 2.0}
    result: dict[str, object] = {"judge_prompt_final": "Is it safe?", "reading": reading}
    digest = hashlib.sha256(json.dumps(["Is it safe?", reading]).encode()).hexdigest()
    nothing = Outcome(n=9, num_acts=0, num_units=0, coverage=0.0, value=None, ci95={})
    target = parse_target("error <= .1", [], BINARY.labels)
    decision = Decision(
        result=digest, target=target, confidence=0.9, threshold=0.5, train=nothing, test=nothing
    )
    write_decision(tmp_path, decision, overwrite=False)
    assert read_decision(tmp_path, result) == decision
    for other in ({"reading": {**reading, "temperature": 3.0}}, {"judge_prompt_final": "Safe?"}):
        with pytest.raises(ConfigError, match="belongs to another prompt or reading"):
            read_decision(tmp_path, result | other)


# ------------------------------------------------------------------------------------ policies


def test_a_score_in_the_history_has_its_standard_error_if_anything_was_judged() -> None:
    before: dict[str, float] = {"e0": 1.0, "e1": 1.0, "e2": 0.0, "e3": 0.0}
    lineage = Lineage(before, dict.fromkeys(before, True), frozenset())
    seen = [Verbalization("A blade.")]
    some = Candidate("q1", seen, Proposal("p"), "p", Scored(0.25, losses={**before, "e0": 0.0}))
    none = Candidate("q2", seen, Proposal("p"), "p", Scored(0.25))
    first, second = with_noise([some, none], lineage)
    # The differences 1, 0, 0, 0 and the two that are added have the sample variance 1/6.
    assert first.standard_error == pytest.approx(math.sqrt(1 / 6 / 4))
    assert replace(first, standard_error=None) == ScoredPrompt("q1", 0.25)
    assert second == ScoredPrompt("q2", 0.25)


# -------------------------------------------------------------------------------- prevalence


def estimate(has_label: Values, judged: Values, unlabelled: Values) -> Prevalence:
    return prevalence("x", has_label, judged, list(map(str, range(len(judged)))), unlabelled, 0.0)


def test_verdicts_weigh_what_makes_the_variance_least() -> None:
    rng = np.random.default_rng(0)
    judged, unlabelled = rng.random(60), rng.random(90)
    has_label = (rng.random(60) < judged).astype(float)
    weight = np.cov(has_label, judged)[0, 1] / (judged.var(ddof=1) * (1 + 60 / 90))
    found = estimate(has_label, judged, unlabelled)
    assert 0 < weight < 1
    assert found.weight == pytest.approx(weight)
    corrected = has_label.mean() + weight * (unlabelled.mean() - judged.mean())
    assert found.share == pytest.approx(corrected)


def test_without_verdicts_the_interval_is_wilsons() -> None:
    has_label = np.repeat([1.0, 0.0], [12, 89])
    found = estimate(has_label, np.zeros(101), np.zeros(10))
    z = float(_stats.t.isf(0.025, 100))
    for bound in found.ci95:
        assert abs(found.share - bound) == pytest.approx(z * math.sqrt(bound * (1 - bound) / 100))


def test_a_share_is_one_at_most() -> None:
    judged = np.repeat([0.4, 0.6], 30)
    has_label = np.repeat([0.0, 1.0], 30)
    assert estimate(has_label, judged, np.ones(1000)).share == 1.0


# ------------------------------------------------------------------------------------- drift


def test_bins_of_label_mass_hold_about_as_many_each() -> None:
    found = Distribution.of([Verdict("Safe", label_mass=i / 100) for i in range(100)])
    assert found.masses == (20, 20, 20, 20, 20)
    assert found.mass_edges == pytest.approx([0.198, 0.396, 0.594, 0.792])


def test_of_a_hundred_thousand_images_a_small_difference_is_significant_and_not_told() -> None:
    expected = Distribution(verdicts={"Safe": 50_000, "Unsafe": 50_000})
    assert expected.drift({"Safe": 59_000, "Unsafe": 41_000}, {}) == []
    assert expected.drift({"Safe": 61_000, "Unsafe": 39_000}, {}) != []


# ---------------------------------------------------------------------------------- readings


def judged(rows: Values, human: list[int]) -> tuple[list[PastExample], list[Verdict]]:
    labels = BINARY.labels
    examples = [PastExample(f"e{i}", f"g{i // 2}", labels[k]) for i, k in enumerate(human)]
    verdicts = [
        Verdict(labels[int(np.argmax(row))], dict(zip(labels, row, strict=True)), 1.0)
        for row in rows.tolist()
    ]
    return examples, verdicts


def losses(examples: list[PastExample], verdicts: list[Verdict]) -> Values:
    """-log P(human label), with probabilities of at least 1e-4 that sum to 1."""
    found: list[float] = []
    for example, verdict in zip(examples, verdicts, strict=True):
        clipped = {label: max(p, 1e-4) for label, p in (verdict.probabilities or {}).items()}
        found.append(-math.log(clipped[example.label] / sum(clipped.values())))
    return np.array(found)


def test_a_family_is_compared_by_its_mean_loss_and_the_spread_over_groups() -> None:
    rng = np.random.default_rng(0)
    human = rng.integers(0, 2, 120).tolist()
    odds = 6 * (np.array(human) - 0.5 + rng.normal(0, 0.6, 120))
    rows = np.stack([1 - 1 / (1 + np.exp(-odds)), 1 / (1 + np.exp(-odds))], axis=1)
    rows[:3] = [[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]]
    examples, verdicts = judged(rows, human)
    choice = choose_reading(ReadingConfig(family="temperature"), BINARY, examples, verdicts)
    none, temperature = choice.considered
    plain = losses(examples, verdicts)
    assert choice.reading is not None
    read = losses(examples, cross_fitted(choice, BINARY, examples, verdicts))
    assert none.log_loss == pytest.approx(plain.mean())
    assert temperature.log_loss == pytest.approx(read.mean())
    assert none.behind == pytest.approx((plain - read).mean())
    by_group = (plain - read).reshape(-1, 2).mean(axis=1)
    error = by_group.std(ddof=1) / math.sqrt(len(by_group))
    assert none.standard_error == pytest.approx(error)


def test_cut_points_are_applied_as_they_are_out_of_fold() -> None:
    verdict = Verdict("1", {"1": 0.4, "2": 0.3, "3": 0.3, "4": 0.0, "5": 0.0}, 1.0)
    reading = CutPoints(labels=ORDINAL.labels, cuts=(0.0, 0.8, 3.0, 4.0))
    example = PastExample("e", "g", "3")
    choice = ReadingChoice(reading=reading)
    assert [v.label for v in cross_fitted(choice, ORDINAL, [example], [verdict])] == ["3"]
    assert cross_fitted(ReadingChoice(), ORDINAL, [example], [verdict]) == [verdict]


def test_nearest_cut_points_lie_half_way() -> None:
    assert nearest(("a", "b", "c", "d")).cuts == (0.5, 1.5, 2.5)


def test_the_parameter_of_ties_raises_the_tie_alone() -> None:
    features = FAMILIES["ties"].features(np.log([[0.5, 0.2, 0.3]]))
    assert features[0, :, 0].tolist() == np.log([0.5, 0.2, 0.3]).tolist()
    assert features[0, :, 1].tolist() == [0.0, 1.0, 0.0]


# ------------------------------------------------------------------------------------ scores


def test_scores_with_weights_are_those_of_rows_that_often() -> None:
    rng = np.random.default_rng(0)
    human, verdict = rng.integers(0, 5, (2, 40))
    weights = rng.integers(0, 4, 40)
    weighted = score(human, verdict, ORDINAL, weights=weights.astype(float))
    repeated = score(np.repeat(human, weights), np.repeat(verdict, weights), ORDINAL)
    # Rank correlations know no weights.
    names = {"accuracy", "macro_f1", "kappa", "mae", "macro_mae", "within_one"}
    assert weighted.model_dump(include=names) == pytest.approx(repeated.model_dump(include=names))


def test_a_scorecard_compares_with_raw_scores_where_all_examples_have_one() -> None:
    rng = np.random.default_rng(0)
    human: list[int] = rng.integers(0, 5, 40).tolist()
    judged: list[int] = rng.integers(0, 5, 40).tolist()
    raw: list[float] = (np.array(human) + rng.normal(size=40)).tolist()
    image = ImageRef(b"", ImageBounds())
    examples = [
        Example(f"e{i}", image, None, ORDINAL.labels[k], f"g{i}", None, "test", score=s)
        for i, (k, s) in enumerate(zip(human, raw, strict=True))
    ]
    verdicts = [Verdict(ORDINAL.labels[k]) for k in judged]
    found = scorecard(examples, verdicts, ORDINAL).judge.score_spearman
    assert found == pytest.approx(_stats.spearmanr(raw, judged).statistic)
    examples[0] = replace(examples[0], score=None)
    assert scorecard(examples, verdicts, ORDINAL).judge.score_spearman is None


# -------------------------------------------------------------------- agreement and coverage


def test_an_interval_leaves_out_as_much_at_either_end() -> None:
    assert percentiles(np.arange(1001, dtype=np.float64)) == pytest.approx((25, 975))


def test_an_agreement_is_drawn_by_its_seed_and_has_the_mean_label_mass() -> None:
    examples, _ = judged(np.ones((40, 2)) / 2, [0, 1] * 20)
    verdicts = [Verdict(BINARY.labels[i % 3 == 0], label_mass=0.5 + i / 100) for i in range(40)]
    drawn = [agreement(examples, verdicts, BINARY.labels, seed) for seed in (0, *range(5))]
    assert drawn[0] == drawn[1]
    assert len({found.ci95["macro_f1"] for found in drawn}) > 1
    assert drawn[0].label_mass == pytest.approx(0.695)


def test_coverage_grows_from_the_most_confident_verdict_and_equal_ones_come_together() -> None:
    confident = [0.99] * 10 + [0.8] * 5 + [0.6] * 5
    rows = np.array([[c, 1 - c] for c in reversed(confident)])
    examples, verdicts = judged(rows, [1] * 4 + [0] * 16)
    assert risk_coverage(examples, verdicts) == [(0.5, 0.0), (0.75, 0.0), (1.0, 0.2)]


def test_every_outermost_draw_counts_the_same_on_average() -> None:
    paths = [(0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 1)]
    weights = resampled_weights(paths, seed=0, resamples=20_000)
    assert weights.sum(axis=1) == pytest.approx(np.ones(20_000))
    expected = [1 / 9, 1 / 9, 1 / 9, 1 / 3, 1 / 6, 1 / 6]
    assert weights.mean(axis=0) == pytest.approx(expected, abs=0.01)


def test_the_check_of_a_nested_mean_is_over_all_strata() -> None:
    units = [(0, 0), (1, 0)]
    found = nested_mean([(units, [0.1, 0.3]), (units, [0.5, 0.7])], seed=0)
    assert found.check is not None
    assert (found.value, found.check.value) == pytest.approx((0.4, 0.4))
