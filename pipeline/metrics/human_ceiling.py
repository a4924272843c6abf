"""The human ceiling: how well one annotator agrees with the others."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import krippendorff
import numpy as np
from pydantic import BaseModel, ConfigDict

from ...data.examples import Example
from ...data.tasks import Task
from .intervals import Counts, Interval, Values, percentiles
from .scores import Scores, Steps, score, to_steps

_MOST_RATERS = 20
_SIMULATED_RATERS = 50
_ALPHA_RESAMPLES = 1000
_SEED = 0
_krippendorff: Any = krippendorff


class HumanCeiling(BaseModel):
    """Agreement of one annotator with the others, on the examples that several rated.

    scores: each rater against the rest of an example's raters, averaged over raters: the rest
        speaks with its mean step for an ordinal task, else with its most frequent label.
    alpha: Krippendorff's, ordinal or nominal; None if all ratings are one label.
    alpha_ci95: percentile bootstrap over examples; None where alpha is.
    simulated: whether the raters are drawn from the spread of their scores, see
        `simulated_ceiling`; no alpha then.
    """

    model_config = ConfigDict(frozen=True)

    scores: Scores
    alpha: float | None
    alpha_ci95: Interval | None
    num_examples: int
    num_raters: int
    simulated: bool = False

    @property
    def name(self) -> str:
        """What tables call the row."""
        return "one annotator, simulated" if self.simulated else "one annotator"


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
    return int(np.argmax(np.bincount(given)))


def _mean_scores(parts: Sequence[Scores]) -> Scores:
    """The mean of each score over those for which it is defined."""
    names = Scores.model_fields
    means = {name: _mean(getattr(part, name) for part in parts) for name in names}
    return Scores.model_validate(means)


def _mean(values: Iterable[float | None]) -> float | None:
    defined = [value for value in values if value is not None]
    return fmean(defined) if defined else None


# ---------------------------------------------------------------------------------- simulated


def simulated_ceiling(examples: Sequence[Example], task: Task) -> HumanCeiling | None:
    """Raters who give each example a score drawn from N(score, score_sd), against its label.

    Drawn scores become labels at the cuts that the examples' own scores show. None if one has no
    spread, or if labels do not follow the scores.
    """
    given = [
        (e.score, e.score_sd) for e in examples if e.score is not None and e.score_sd is not None
    ]
    if task.kind != "ordinal" or len(given) < len(examples):
        return None
    human = to_steps([example.label for example in examples], task)
    means, spreads = np.array([m for m, _ in given]), np.array([sd for _, sd in given])
    cuts = _cuts(means, human, len(task.labels))
    if cuts is None:
        return None
    rng = np.random.default_rng(_SEED)
    drawn = (rng.normal(means, spreads) for _ in range(_SIMULATED_RATERS))
    parts = [score(human, np.searchsorted(cuts, scores, side="right"), task) for scores in drawn]
    return HumanCeiling(
        scores=_mean_scores(parts),
        alpha=None,
        alpha_ci95=None,
        num_examples=len(examples),
        num_raters=_SIMULATED_RATERS,
        simulated=True,
    )


def _cuts(scores: Values, labels: Steps, num_labels: int) -> Values | None:
    """Between each label and the next, half-way from the scores below to the scores above.

    None if a label has a score above one of a higher label.
    """
    highest = [scores[labels <= step].max(initial=-np.inf) for step in range(num_labels - 1)]
    lowest = [scores[labels > step].min(initial=np.inf) for step in range(num_labels - 1)]
    if any(below > above for below, above in zip(highest, lowest, strict=True)):
        return None
    return (np.array(highest) + np.array(lowest)) / 2
