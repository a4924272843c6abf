"""The judge beside what it has to beat: constant answers, chance, and people among themselves."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import krippendorff
import numpy as np
from pydantic import BaseModel, ConfigDict
from sklearn import metrics  # pyright: ignore[reportMissingTypeStubs]

from ..data.examples import Example
from ..data.tasks import Task
from ..models.judge import Verdict
from .reliability import Calibration, calibration
from .scores import NO_LABEL, Scores, Steps, Values, score, to_steps
from .statistics import Counts, Interval, percentiles

_MOST_RATERS = 20
_ALPHA_RESAMPLES = 1000
_SEED = 0
_sklearn: Any = metrics
_krippendorff: Any = krippendorff


class HumanCeiling(BaseModel):
    """How far single people agree with the others, on the examples that several rated.

    scores: each rater against the rest of an example's raters, averaged over raters: the rest
        speaks with its mean step for an ordinal task, else with its most frequent label.
    alpha: Krippendorff's, ordinal or nominal; None if all ratings are one label.
    alpha_ci95: percentile bootstrap over examples; None where alpha is.
    """

    model_config = ConfigDict(frozen=True)

    scores: Scores
    alpha: float | None
    alpha_ci95: Interval | None
    num_examples: int
    num_raters: int


class CategoryScores(BaseModel):
    """Agreement within one category; macro F1 over all declared labels."""

    model_config = ConfigDict(frozen=True)

    n: int
    accuracy: float
    macro_f1: float
    no_label: int


class Scorecard(BaseModel):
    """The judge and its references on the same examples.

    majority: always the label most frequent among these examples, the first declared of several.
    chance: expected scores of labels drawn evenly.
    human: None unless examples have ratings of several people.
    calibration: of the judge's probabilities; None without any.
    """

    model_config = ConfigDict(frozen=True)

    judge: Scores
    majority: Scores
    chance: Scores
    human: HumanCeiling | None
    categories: dict[str, CategoryScores]
    calibration: Calibration | None = None

    def rows(self) -> dict[str, Scores]:
        """Scores by the name that tables give the rater."""
        people = {"one person": self.human.scores} if self.human else {}
        references = {"majority class": self.majority, "chance": self.chance}
        return {"judge": self.judge} | people | references


def scorecard(examples: Sequence[Example], verdicts: Sequence[Verdict], task: Task) -> Scorecard:
    """The scorecard of verdicts, one per example in order."""
    human = to_steps([example.label for example in examples], task)
    judged = to_steps([verdict.label for verdict in verdicts], task)
    raw = _raw_scores(examples)
    judge = score(human, judged, task, raw)
    return Scorecard(
        judge=judge.model_copy(update={"auroc": _auroc(human, verdicts, task)}),
        majority=score(human, np.full_like(human, _majority(human)), task, raw),
        chance=_chance(human, task),
        human=human_ceiling([example.ratings for example in examples], task),
        categories=_by_category(examples, human, judged, task),
        calibration=calibration(human, verdicts, task),
    )


def _majority(human: Steps) -> int:
    return int(np.argmax(np.bincount(human)))


def _raw_scores(examples: Sequence[Example]) -> Values | None:
    scores = [example.score for example in examples if example.score is not None]
    return np.array(scores) if len(scores) == len(examples) else None


def _chance(human: Steps, task: Task) -> Scores:
    """Every answer to every example, each counted 1 / K; independent answers do not correlate."""
    num_labels = len(task.labels)
    answers = np.tile(np.arange(num_labels), len(human))
    weights = np.full(len(answers), 1 / num_labels)
    scores = score(np.repeat(human, num_labels), answers, task, weights=weights)
    if task.kind != "ordinal":
        return scores
    return scores.model_copy(update={"spearman": 0.0, "kendall": 0.0})


def _auroc(human: Steps, verdicts: Sequence[Verdict], task: Task) -> float | None:
    positive = task.labels[-1]
    found = [v.probabilities[positive] for v in verdicts if v.probabilities is not None]
    if task.kind != "binary" or len(found) < len(verdicts) or len(np.unique(human)) < 2:
        return None
    return float(_sklearn.roc_auc_score(human, found))


def _by_category(
    examples: Sequence[Example], human: Steps, judged: Steps, task: Task
) -> dict[str, CategoryScores]:
    names = np.array([example.category or "" for example in examples])
    found: dict[str, CategoryScores] = {}
    for name in sorted(set(names.tolist()) - {""}):
        inside = names == name
        scores = score(human[inside], judged[inside], task)
        found[name] = CategoryScores(
            n=int(inside.sum()),
            accuracy=scores.accuracy,
            macro_f1=scores.macro_f1,
            no_label=int((judged[inside] == NO_LABEL).sum()),
        )
    return found


# ---------------------------------------------------------------------------------- human ceiling


def human_ceiling(ratings: Sequence[Sequence[str]], task: Task) -> HumanCeiling | None:
    """See HumanCeiling; ratings by example, in rater order. None if nothing has two.

    Of more raters than 20 the first 20 are held against the rest.
    """
    rated = [to_steps(given, task) for given in ratings if len(given) > 1]
    if not rated:
        return None
    most = max(map(len, rated))
    counts = label_counts(rated, task)
    parts = [_left_out(rated, rater, task) for rater in range(min(most, _MOST_RATERS))]
    return HumanCeiling(
        scores=_mean_scores(parts),
        alpha=krippendorff_alpha(counts, task),
        alpha_ci95=_alpha_interval(counts, task),
        num_examples=len(rated),
        num_raters=most,
    )


def krippendorff_alpha(counts: Counts, task: Task) -> float | None:
    """Krippendorff's alpha of how often an example got each label, int64 [examples, labels].

    None if only one label was ever given.
    """
    if np.count_nonzero(counts.sum(axis=0)) < 2:
        return None
    level = "ordinal" if task.kind == "ordinal" else "nominal"
    domain = list(range(len(task.labels)))
    return float(
        _krippendorff.alpha(value_counts=counts, level_of_measurement=level, value_domain=domain)
    )


def label_counts(rated: Sequence[Steps], task: Task) -> Counts:
    """How often each example was given each label."""
    return np.stack([np.bincount(given, minlength=len(task.labels)) for given in rated])


def _alpha_interval(counts: Counts, task: Task) -> Interval | None:
    """Resamples in which all agree on one label say nothing and are left out."""
    rng = np.random.default_rng(_SEED)
    drawn = (rng.integers(0, len(counts), len(counts)) for _ in range(_ALPHA_RESAMPLES))
    alphas = [krippendorff_alpha(counts[places], task) for places in drawn]
    known = [alpha for alpha in alphas if alpha is not None]
    return percentiles(np.array(known)) if known else None


def _left_out(rated: Sequence[Steps], rater: int, task: Task) -> Scores:
    """One rater against the rest, on the examples that the rater has rated."""
    held = [given for given in rated if len(given) > rater]
    rest = np.array([_consensus(np.delete(given, rater), task) for given in held])
    return score(rest, np.array([given[rater] for given in held]), task)


def _consensus(given: Steps, task: Task) -> int:
    if task.kind == "ordinal":
        return int(np.floor(given.mean() + 0.5))
    return _majority(given)


def _mean_scores(parts: Sequence[Scores]) -> Scores:
    """The mean of each score over those for which it is defined."""
    names = Scores.model_fields
    means = {name: _mean(getattr(part, name) for part in parts) for name in names}
    return Scores.model_validate(means)


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None
