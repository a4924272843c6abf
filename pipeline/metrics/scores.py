"""Scores of answers against labels: scikit-learn and scipy, kept from leaving things out.

- The declared labels are always passed. Without them quadratic weights count a label that does
  not occur as no step, and macro F1 forgets it.
- `cohen_kappa_score` drops what is outside its labels. An answer without a label stays: for kappa
  of a nominal task as an answer of its own, for an ordinal task as the label furthest from the
  human one.
- A correlation with constant answers is undefined, which is None here, never 0.

Labels of an ordinal task count as evenly spaced steps in declared order.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ...data.tasks import Task
from .intervals import Values
from .libraries import scipy_stats, sklearn_metrics

Steps = NDArray[np.int64]
"""Labels as positions in the declared order; NO_LABEL where there is none."""

NO_LABEL = -1


class Scores(BaseModel):
    """Agreement of one rater with the labels; None where it does not apply or is undefined.

    positive_f1, auroc: of the label declared last, for a binary task; auroc needs probabilities.
    kappa: Cohen's, with quadratic weights (QWK) for an ordinal task.
    spearman, kendall: rank correlation with the labels (tau-b, which corrects for ties).
    score_spearman: Spearman's with the raw scores that the labels were binned from.
    mae, macro_mae: mean distance in label steps, over examples and over classes.
    within_one: share of answers at most one step off.
    """

    model_config = ConfigDict(frozen=True)

    accuracy: float
    macro_f1: float
    kappa: float | None
    positive_f1: float | None = None
    auroc: float | None = None
    spearman: float | None = None
    kendall: float | None = None
    score_spearman: float | None = None
    mae: float | None = None
    macro_mae: float | None = None
    within_one: float | None = None


def score(
    human: Steps,
    judged: Steps,
    task: Task,
    raw: Values | None = None,
    weights: Values | None = None,
) -> Scores:
    """Scores of answers against human labels; `weights` count each pair so many times.

    raw: the raw score behind each human label.
    """
    labels = list(range(len(task.labels)))
    shared = Scores(
        accuracy=float(sklearn_metrics().accuracy_score(human, judged, sample_weight=weights)),
        macro_f1=_f1(human, judged, labels, weights),
        kappa=None,
    )
    if task.kind == "ordinal":
        update = _ordinal_scores(human, _imputed(human, judged, len(labels)), labels, raw, weights)
    else:
        # Without labels given, no answer is dropped: "no label" is one more.
        update: dict[str, float | None] = {"kappa": _kappa(human, judged, None, None, weights)}
    if task.kind == "binary":
        update["positive_f1"] = _f1(human, judged, labels[-1:], weights)
    return shared.model_copy(update=update)


def _ordinal_scores(
    human: Steps,
    judged: Steps,
    labels: list[int],
    raw: Values | None,
    weights: Values | None,
) -> dict[str, float | None]:
    stats, distances = scipy_stats(), np.abs(human - judged)
    classes = [human == step for step in np.unique(human)]
    return {
        "kappa": _kappa(human, judged, labels, "quadratic", weights),
        "spearman": _correlation(stats.spearmanr, human, judged),
        "kendall": _correlation(stats.kendalltau, human, judged),
        "score_spearman": None if raw is None else _correlation(stats.spearmanr, raw, judged),
        "mae": float(np.average(distances, weights=weights)),
        "macro_mae": float(np.mean([_mean(distances, weights, own) for own in classes])),
        "within_one": float(np.average(distances <= 1, weights=weights)),
    }


def _mean(values: Steps, weights: Values | None, chosen: NDArray[np.bool_]) -> float:
    """The mean of the chosen values, by their weights."""
    return float(np.average(values[chosen], weights=None if weights is None else weights[chosen]))


def _f1(human: Steps, judged: Steps, labels: list[int], weights: Values | None) -> float:
    return float(
        sklearn_metrics().f1_score(
            human,
            judged,
            labels=labels,
            average="macro",
            zero_division=0,
            sample_weight=weights,
        )
    )


def _kappa(
    human: Steps,
    judged: Steps,
    labels: list[int] | None,
    kind: str | None,
    weights: Values | None,
) -> float | None:
    if len(np.union1d(human, judged)) < 2:
        return None
    return _finite(
        sklearn_metrics().cohen_kappa_score(
            human, judged, labels=labels, weights=kind, sample_weight=weights
        )
    )


def _correlation(function: Any, first: NDArray[Any], second: NDArray[Any]) -> float | None:
    if len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return _finite(function(first, second).statistic)


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _imputed(human: Steps, judged: Steps, num_labels: int) -> Steps:
    """Answers with the label furthest from the human one where there is none."""
    furthest = np.where(human * 2 > num_labels - 1, 0, num_labels - 1)
    return np.where(judged == NO_LABEL, furthest, judged)


def to_steps(labels: Sequence[str | None], task: Task) -> Steps:
    step: dict[str | None, int] = {label: index for index, label in enumerate(task.labels)}
    return np.array([step.get(label, NO_LABEL) for label in labels], dtype=np.int64)
