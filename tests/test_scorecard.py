"""Scores equal the libraries', the traps are avoided, and every reference is in the table."""

import io
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import krippendorff
import numpy as np
import pytest
from blpo.data.examples import Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.tasks import Task, load_task
from blpo.models.roles.judge import Verdict
from blpo.pipeline.bulk.evaluation import Evaluation
from blpo.pipeline.bulk.judge_source import JudgeSource
from blpo.pipeline.cli.show.judging import show_evaluation
from blpo.pipeline.config import JudgeConfig
from blpo.pipeline.metrics.agreement import agreement
from blpo.pipeline.metrics.human_ceiling import (
    human_ceiling,
    krippendorff_alpha,
    label_counts,
    simulated_ceiling,
)
from blpo.pipeline.metrics.scorecard import scorecard
from blpo.pipeline.metrics.scores import NO_LABEL, Scores, score
from blpo.pipeline.report.scorecard_rows import print_scorecard, score_columns
from blpo.pipeline.result import RoleFailures
from rich.console import Console
from scipy import stats
from sklearn import metrics  # pyright: ignore[reportMissingTypeStubs]

sklearn_metrics: Any = metrics
scipy_stats: Any = stats
krippendorff_library: Any = krippendorff

SEVEN = load_task("imagereward")
FIVE = load_task("agin")
SAFETY = load_task("unsafebench")


def steps(labels: Sequence[int]) -> Any:
    return np.array(labels, dtype=np.int64)


def examples(
    labels: Sequence[str],
    *,
    categories: Sequence[str | None] | None = None,
    scores: Sequence[float] | None = None,
    ratings: Sequence[tuple[str, ...]] | None = None,
) -> list[Example]:
    image = ImageRef(b"", ImageBounds())
    return [
        Example(
            f"e{i}",
            image,
            None,
            label,
            f"g{i}",
            categories[i] if categories else None,
            "test",
            scores[i] if scores else None,
            ratings[i] if ratings else (),
        )
        for i, label in enumerate(labels)
    ]


def judged_by(answers: Sequence[str | None]) -> list[Verdict]:
    return [Verdict(answer) for answer in answers]


@pytest.mark.parametrize("seed", range(5))
def test_ordinal_scores_equal_the_libraries(seed: int) -> None:
    rng = np.random.default_rng(seed)
    human = rng.integers(0, 7, 120)
    judged = np.clip(human + rng.integers(-2, 3, 120), 0, 6)
    raw = human + rng.normal(size=120)
    found = score(human, judged, SEVEN, raw)
    labels = list(range(7))
    assert found.accuracy == pytest.approx(sklearn_metrics.accuracy_score(human, judged))
    assert found.macro_f1 == pytest.approx(
        sklearn_metrics.f1_score(human, judged, labels=labels, average="macro", zero_division=0)
    )
    assert found.kappa == pytest.approx(
        sklearn_metrics.cohen_kappa_score(human, judged, labels=labels, weights="quadratic")
    )
    assert found.spearman == pytest.approx(scipy_stats.spearmanr(human, judged).statistic)
    assert found.score_spearman == pytest.approx(scipy_stats.spearmanr(raw, judged).statistic)
    assert found.kendall == pytest.approx(scipy_stats.kendalltau(human, judged).statistic)
    assert found.mae == pytest.approx(sklearn_metrics.mean_absolute_error(human, judged))
    by_class = [np.mean(np.abs(human - judged)[human == k]) for k in range(7)]
    assert found.macro_mae == pytest.approx(np.mean(by_class))
    assert found.within_one == pytest.approx(np.mean(np.abs(human - judged) < 2))
    assert (found.positive_f1, found.auroc) == (None, None)


@pytest.mark.parametrize("seed", range(5))
def test_binary_scores_equal_the_libraries(seed: int) -> None:
    rng = np.random.default_rng(seed)
    human, unsafe = rng.integers(0, 2, 80), rng.random(80)
    verdicts = [
        Verdict(SAFETY.labels[int(p > 0.5)], {"Safe": 1 - p, "Unsafe": p}) for p in unsafe.tolist()
    ]
    found = scorecard(examples([SAFETY.labels[int(k)] for k in human]), verdicts, SAFETY).judge
    judged = (unsafe > 0.5).astype(int)
    assert found.kappa == pytest.approx(sklearn_metrics.cohen_kappa_score(human, judged))
    assert found.positive_f1 == pytest.approx(sklearn_metrics.f1_score(human, judged))
    assert found.auroc == pytest.approx(sklearn_metrics.roc_auc_score(human, unsafe))
    assert found.mae is None


# ----------------------------------------------------------------------------------------- traps


def test_quadratic_weights_count_a_label_that_does_not_occur_as_a_step() -> None:
    # Label 5 of 7 is absent: without the declared labels kappa is 0.286.
    human, judged = steps([3, 5, 5, 6, 6, 3]), steps([0, 6, 6, 5, 2, 1])
    assert score(human, judged, SEVEN).kappa == pytest.approx(0.422, abs=5e-4)
    naive = sklearn_metrics.cohen_kappa_score(human, judged, weights="quadratic")
    assert naive == pytest.approx(0.286, abs=5e-4)


def test_quadratic_kappa_equals_a_value_worked_out_by_hand() -> None:
    # Squared distances of the pairs sum to 8; of all 16 crossed pairs to 54, a quarter of which
    # is expected by chance: 1 - 8 / (54 / 4).
    found = score(steps([0, 1, 3, 3]), steps([0, 3, 3, 1]), FIVE)
    assert found.kappa == pytest.approx(1 - 8 / 13.5)


def test_answers_without_a_label_are_kept_as_the_furthest_label() -> None:
    human, judged = steps([0, 1, 3, 4, 4]), steps([0, 1, 3, NO_LABEL, 4])
    found = score(human, judged, FIVE)
    assert found.accuracy == pytest.approx(0.8)
    assert found.mae == pytest.approx(4 / 5)
    assert found.within_one == pytest.approx(0.8)
    imputed = sklearn_metrics.cohen_kappa_score(
        human, [0, 1, 3, 0, 4], labels=list(range(5)), weights="quadratic"
    )
    assert found.kappa == pytest.approx(imputed)
    dropped = sklearn_metrics.cohen_kappa_score(
        human, judged, labels=list(range(5)), weights="quadratic"
    )
    assert dropped == pytest.approx(1.0)


def test_answers_without_a_label_lower_the_kappa_of_a_nominal_task() -> None:
    human = steps([0, 0, 1, 1])
    assert score(human, human, SAFETY).kappa == pytest.approx(1.0)
    found = score(human, steps([0, NO_LABEL, 1, NO_LABEL]), SAFETY)
    # Observed 1/2; by chance 1/2 * 1/4 twice.
    assert found.kappa == pytest.approx((0.5 - 0.25) / (1 - 0.25))
    assert found.macro_f1 == pytest.approx(2 / 3)


def test_macro_f1_counts_declared_labels_that_never_occur() -> None:
    found = score(steps([0, 1]), steps([0, 1]), FIVE)
    assert (found.accuracy, found.macro_f1) == (1.0, pytest.approx(2 / 5))


def test_a_correlation_with_constant_answers_is_undefined_and_not_zero() -> None:
    found = score(steps([0, 1, 2, 3]), steps([2, 2, 2, 2]), FIVE)
    assert (found.spearman, found.kendall) == (None, None)
    assert found.kappa == pytest.approx(0.0)
    assert score(steps([2, 2]), steps([2, 2]), FIVE).kappa is None


def test_coarse_labels_cannot_reach_a_tau_of_one_against_a_continuous_score() -> None:
    raw = np.linspace(1, 5, 50)
    labels = np.clip(np.floor(raw + 0.5).astype(int) - 1, 0, 4)
    found = score(labels, labels, FIVE, raw)
    assert found.kendall == pytest.approx(1.0)
    assert scipy_stats.kendalltau(labels, raw).statistic < 0.91


# ------------------------------------------------------------------------------------- references


def test_always_safe_scores_what_the_base_rate_of_unsafebench_says() -> None:
    # 6,098 safe and 4,048 unsafe images: 60.1 % accuracy, macro F1 0.375.
    labels = ["Safe"] * 6098 + ["Unsafe"] * 4048
    card = scorecard(examples(labels), judged_by(["Unsafe"] * len(labels)), SAFETY)
    assert card.majority.accuracy == pytest.approx(0.601, abs=5e-4)
    assert card.majority.macro_f1 == pytest.approx(0.375, abs=5e-4)
    assert card.majority.positive_f1 == 0.0


def test_chance_is_one_in_as_many_labels_and_does_not_correlate() -> None:
    labels = [str(1 + i % 5) for i in range(100)]
    chance = scorecard(examples(labels), judged_by(labels), FIVE).chance
    assert chance.accuracy == pytest.approx(0.2)
    assert chance.macro_f1 == pytest.approx(0.2)
    assert chance.kappa == pytest.approx(0.0)
    assert (chance.spearman, chance.kendall) == (0.0, 0.0)
    # Mean distance of two labels drawn evenly from five: (K^2 - 1) / (3 K).
    assert chance.mae == pytest.approx(24 / 15)


def test_chance_equals_the_mean_of_many_random_raters() -> None:
    rng = np.random.default_rng(0)
    human = rng.choice(5, 200, p=[0.4, 0.3, 0.1, 0.1, 0.1])
    labels = [FIVE.labels[int(k)] for k in human.tolist()]
    chance = scorecard(examples(labels), judged_by(labels), FIVE).chance
    drawn = [score(human, rng.integers(0, 5, 200), FIVE) for _ in range(60)]
    for name in ("accuracy", "macro_f1", "mae", "macro_mae", "within_one"):
        mean = np.mean([getattr(scores, name) for scores in drawn])
        assert getattr(chance, name) == pytest.approx(mean, abs=0.02), name


def test_categories_are_scored_apart() -> None:
    human = ["Safe", "Unsafe", "Safe", "Unsafe"]
    card = scorecard(
        examples(human, categories=["Hate", "Hate", "Spam", None]),
        judged_by(["Safe", "Safe", None, "Unsafe"]),
        SAFETY,
    )
    hate, spam = card.categories["Hate"], card.categories["Spam"]
    assert (hate.n, hate.accuracy, hate.no_label) == (2, 0.5, 0)
    assert (spam.n, spam.accuracy, spam.no_label) == (1, 0.0, 1)
    assert list(card.categories) == ["Hate", "Spam"]


# ---------------------------------------------------------------------------------- human ceiling


def test_each_rater_is_held_against_the_rest() -> None:
    found = human_ceiling([("1", "1", "3"), ("5", "5", "5"), ("2",)], FIVE)
    assert found is not None
    assert (found.num_examples, found.num_raters) == (2, 3)
    # Against the rest's rounded mean: raters 1 and 2 see 2 and 5, rater 3 sees 1 and 5.
    assert found.scores.accuracy == pytest.approx((1 + 1 + 1) / 6)
    assert found.scores.mae == pytest.approx((1 + 1 + 2) / 6)


def test_a_rater_is_held_against_the_rest_where_that_rater_has_rated() -> None:
    found = human_ceiling([("1", "1"), ("5", "5"), ("2", "2", "4")], FIVE)
    assert found is not None
    assert (found.num_examples, found.num_raters) == (3, 3)
    # Rater 3 has rated the third example alone, where the others say 2.
    assert found.scores.accuracy == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert human_ceiling([("1", "1"), ("5", "5"), ("2", "2", "4")], FIVE) == found


def test_examples_that_one_person_rated_have_no_ceiling() -> None:
    assert human_ceiling([("1",), ()], FIVE) is None


def test_people_who_agree_reach_the_ceiling_and_random_ones_do_not() -> None:
    rng = np.random.default_rng(0)
    truth = [str(k) for k in rng.integers(1, 6, 100)]
    same = human_ceiling([(label,) * 3 for label in truth], FIVE)
    assert same is not None
    assert (same.scores.accuracy, same.scores.kappa, same.alpha) == (1.0, 1.0, pytest.approx(1.0))
    drawn = rng.integers(1, 6, (100, 3)).tolist()
    random = human_ceiling([tuple(map(str, row)) for row in drawn], FIVE)
    assert random is not None
    assert random.alpha is not None
    assert abs(random.alpha) < 0.15
    assert random.scores.accuracy < 0.4


def test_alpha_equals_the_published_example() -> None:
    # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011): 4 raters, 12 units,
    # nominal 0.743, ordinal 0.815.
    raters = (
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    )
    columns = list(zip(*(row.split() for row in raters), strict=True))
    rated = [steps([int(x) - 1 for x in column if x != "."]) for column in columns]
    counts = label_counts(rated, FIVE)
    assert krippendorff_alpha(counts, FIVE) == pytest.approx(0.815, abs=5e-4)
    nominal = FIVE.model_copy(update={"kind": "categorical"})
    assert krippendorff_alpha(counts, nominal) == pytest.approx(0.743, abs=5e-4)


def test_the_interval_of_alpha_holds_it_and_narrows_with_more_examples() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(1, 6, 400)
    raters = np.clip(truth[:, None] + rng.integers(-1, 2, (400, 3)), 1, 5)
    ratings = [tuple(map(str, row)) for row in raters.tolist()]
    few, many = human_ceiling(ratings[:60], FIVE), human_ceiling(ratings, FIVE)
    widths: list[float] = []
    for found in (few, many):
        assert found is not None
        assert found.alpha is not None
        assert found.alpha_ci95 is not None
        low, high = found.alpha_ci95
        assert low < found.alpha < high
        widths.append(high - low)
    assert widths[1] < 0.6 * widths[0]
    assert human_ceiling(ratings[:60], FIVE) == few


def test_people_who_give_one_label_only_have_no_alpha_and_no_interval() -> None:
    found = human_ceiling([("1", "1"), ("1", "1")], FIVE)
    assert found is not None
    assert (found.alpha, found.alpha_ci95) == (None, None)


def spread(labels: Sequence[str], scores: Sequence[float], sd: float | None) -> list[Example]:
    return [replace(e, score_sd=sd) for e in examples(labels, scores=scores)]


def test_a_simulated_rater_is_right_as_often_as_the_normal_distribution_says() -> None:
    places = np.linspace(0.5, 5.5, 200, endpoint=False)
    labels = [str(int(k)) for k in np.floor(places + 0.5)]
    found = simulated_ceiling(spread(labels, places.tolist(), 0.8), FIVE)
    assert found is not None
    own = np.array([float(label) for label in labels])
    low, high = np.where(own == 1, -np.inf, own - 0.5), np.where(own == 5, np.inf, own + 0.5)
    normal = scipy_stats.norm(places, 0.8)
    expected = float((normal.cdf(high) - normal.cdf(low)).sum()) / 200
    assert found.scores.accuracy == pytest.approx(expected, abs=0.02)
    assert (found.simulated, found.name) == (True, "one annotator, simulated")
    sure = simulated_ceiling(spread(labels, places.tolist(), 0.0), FIVE)
    assert sure is not None
    assert (sure.scores.accuracy, sure.scores.kappa) == (1.0, 1.0)


def test_labels_that_nobody_gave_take_no_share_of_the_scores() -> None:
    sure = simulated_ceiling(spread(["3", "3", "5"], [2.0, 3.0, 5.0], 0.0), FIVE)
    assert sure is not None
    assert sure.scores.accuracy == 1.0


def test_nobody_is_simulated_without_spreads_or_where_labels_do_not_follow_scores() -> None:
    labels, scores = ["1", "2", "3"], [1.0, 2.0, 3.0]
    assert simulated_ceiling(spread(labels, scores, None), FIVE) is None
    assert simulated_ceiling(spread(labels, scores[::-1], 0.5), FIVE) is None
    assert simulated_ceiling(spread(["Safe", "Unsafe"], scores[:2], 0.5), SAFETY) is None


def test_real_ratings_go_before_simulated_ones_and_a_table_says_which_they_are() -> None:
    labels = ["1", "2", "3"]
    rows = spread(labels, [1.0, 2.0, 3.0], 0.5)
    text = shown(FIVE, scorecard(rows, judged_by(labels), FIVE))
    assert "one annotator, simulated: 50 raters drawn from the mean and the standard" in text
    rated = [replace(e, ratings=(e.label, e.label)) for e in rows]
    assert "simulated" not in shown(FIVE, scorecard(rated, judged_by(labels), FIVE))


# ----------------------------------------------------------------------------------------- table


def shown(task: Task, card: Any) -> str:
    printed = io.StringIO()
    print_scorecard(Console(file=printed, width=160), card, task)
    return printed.getvalue()


def test_the_table_has_the_judge_people_the_majority_and_chance() -> None:
    labels = ["1", "2", "3", "4", "5", "5"]
    card = scorecard(
        examples(
            labels, ratings=[(label, label) for label in labels], scores=[float(x) for x in labels]
        ),
        judged_by([*labels[:5], None]),
        FIVE,
    )
    text = shown(FIVE, card)
    for part in ("judge ", "one annotator", "majority class", "chance ", "QWK", "Kendall tau-b"):
        assert part in text
    assert "on 6 examples; Krippendorff's alpha 1.000 (95 % 1.000 to 1.000)" in text
    assert "-" in next(line for line in text.splitlines() if "majority" in line)


def test_evaluate_shows_the_scorecard_to_people_and_to_scripts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    labels = ["Safe", "Unsafe", "Unsafe"]
    data = examples(labels, categories=["Hate", "Hate", "Spam"])
    verdicts = judged_by(["Safe", "Safe", "Unsafe"])
    failures = RoleFailures(asked=30, failed=2, reasons={"HTTP 403: flagged": 2})
    evaluation = Evaluation(
        agreement(data, verdicts, SAFETY.labels, 0), scorecard(data, verdicts, SAFETY), failures
    )
    source = JudgeSource(SAFETY, "Is it safe?", JudgeConfig())
    show_evaluation(source, evaluation, as_json=True)
    shown_json = json.loads(capsys.readouterr().out)
    assert shown_json["accuracy"] == shown_json["scorecard"]["judge"]["accuracy"]
    assert shown_json["scorecard"]["categories"]["Hate"]["accuracy"] == 0.5
    assert shown_json["failures"]["reasons"] == {"HTTP 403: flagged": 2}
    show_evaluation(source, evaluation, as_json=False)
    text = capsys.readouterr().out
    assert "majority class" in text
    assert "By category" in text
    assert "2 of 30 verdicts have no label (2 x HTTP 403: flagged)" in text


def test_a_binary_table_names_the_positive_label() -> None:
    assert "F1 of Unsafe" in score_columns(SAFETY).values()
    assert set(score_columns(SAFETY)) <= set(Scores.model_fields)
    assert set(score_columns(FIVE)) <= set(Scores.model_fields)
