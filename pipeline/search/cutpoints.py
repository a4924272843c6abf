"""From label probabilities to a verdict: the likeliest label, or a place on an ordered scale.

For ordinal labels the expectation uses all probabilities, and cut-points fitted on the training
set correct a judge whose ratings lean to one end of the scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ...data.examples import Example
from ...data.tasks import Task
from ...models.roles.judge import Verdict
from .paired_gain import paired_gain
from .seeds import derived_order

Values = NDArray[np.float64]
Places = NDArray[np.int64]

_FOLDS = 5


class CutPoints(BaseModel):
    """How an expected place on the scale, 0 to K - 1, becomes one of the K labels.

    cuts: K - 1 ascending bounds; a place on a bound belongs to the label below it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    labels: tuple[str, ...]
    cuts: tuple[float, ...]

    def __call__(self, verdict: Verdict) -> Verdict:
        """The verdict with the label of its expected place; unchanged without probabilities."""
        if verdict.probabilities is None:
            return verdict
        place = expected_place(verdict, self.labels)
        return replace(verdict, label=self.labels[sum(place > cut for cut in self.cuts)])


Fit = Callable[[Sequence[Example], Sequence[Verdict], Sequence[str]], CutPoints]
"""Examples, the verdicts on them and the declared labels -> cut-points."""


def nearest(labels: Sequence[str]) -> CutPoints:
    """Cut-points half-way between neighbours."""
    return CutPoints(labels=tuple(labels), cuts=tuple(k + 0.5 for k in range(len(labels) - 1)))


def expected_place(verdict: Verdict, labels: Sequence[str]) -> float:
    """Mean place on the scale under the verdict's probabilities, which it must have."""
    probabilities = verdict.probabilities or {}
    return sum(place * probabilities[label] for place, label in enumerate(labels))


def choose_reading(
    task: Task,
    train: Sequence[Example],
    verdicts: Sequence[Verdict],
    confidence: float,
    seed: int,
    *,
    as_expected: bool,
    fitted: bool,
    fit: Fit | None = None,
) -> CutPoints | None:
    """The cut-points that gain most over the likeliest label; None where none is sure to gain.

    Sure: the lower bound of the gain in accuracy on the training examples is above 0. as_expected
    tries the nearest label, fitted tries those that `fit` (`fit_cut_points` by default) finds, on
    examples that had no part in fitting them. verdicts: of the likeliest label, on the training
    examples.
    """
    fit = fit or fit_cut_points
    judged = [(e, v) for e, v in zip(train, verdicts, strict=True) if v.probabilities is not None]
    examples, before = [e for e, _ in judged], [v for _, v in judged]
    tried: list[tuple[CutPoints, list[Verdict]]] = []
    if as_expected:
        middle = nearest(task.labels)
        tried.append((middle, [middle(verdict) for verdict in before]))
    if fitted and len(judged) >= _FOLDS:
        cut_points = fit(examples, before, task.labels)
        tried.append((cut_points, _cross_fitted(examples, before, task.labels, seed, fit)))
    wrong = _wrong(examples, before)
    strata = dict.fromkeys(wrong, 0)
    gains = [
        (paired_gain(wrong, _wrong(examples, after), strata).lower(confidence), cut_points)
        for cut_points, after in tried
    ]
    lower, best = max(gains, key=lambda one: one[0], default=(0.0, None))
    return best if lower > 0 else None


def _wrong(examples: Sequence[Example], verdicts: Sequence[Verdict]) -> dict[str, float]:
    pairs = zip(examples, verdicts, strict=True)
    return {e.example_id: float(v.label != e.label) for e, v in pairs}


def fit_cut_points(
    examples: Sequence[Example], verdicts: Sequence[Verdict], labels: Sequence[str]
) -> CutPoints:
    """The cut-points with the most examples right: exact, by dynamic programming."""
    places = np.array([expected_place(v, labels) for v in verdicts], dtype=np.float64)
    wanted = np.array([labels.index(e.label) for e in examples], dtype=np.int64)
    order = np.argsort(places, kind="stable")
    ends = _best_segments(wanted[order], len(labels))
    # Half-way between neighbours; below the lowest and above the highest there is no neighbour.
    edges = np.concatenate([[-np.inf], places[order], [np.inf]])
    middles = [(low + high) / 2 for low, high in pairwise(edges.tolist())]
    cuts = [min(max(middles[end], -1.0), float(len(labels))) for end in ends]
    return CutPoints(labels=tuple(labels), cuts=tuple(cuts))


def _best_segments(wanted: Places, num_labels: int) -> list[int]:
    """Where to end each label's stretch but the last's, of items in order of their place."""
    counts = np.stack([np.cumsum(np.r_[0, wanted == k]) for k in range(num_labels)])
    best = counts[0].astype(np.float64)
    starts: list[list[int]] = []
    for k in range(1, num_labels):
        ahead = best - counts[k]
        # The first maximum: a tie leaves more items to the higher label.
        first = [int(np.argmax(ahead[: i + 1])) for i in range(len(ahead))]
        starts.append(first)
        best = ahead[first] + counts[k]
    end, ends = len(wanted), list[int]()
    for first in reversed(starts):
        end = first[end]
        ends.append(end)
    return ends[::-1]


def _cross_fitted(
    examples: Sequence[Example],
    verdicts: Sequence[Verdict],
    labels: Sequence[str],
    seed: int,
    fit: Fit,
) -> list[Verdict]:
    """Every verdict under cut-points that were fitted without its fold."""
    indices = derived_order(
        range(len(examples)), lambda i: examples[i].example_id, seed, "calibration"
    )
    decoded = list(verdicts)
    for fold in range(_FOLDS):
        held = set(indices[fold::_FOLDS])
        rest = [i for i in range(len(examples)) if i not in held]
        cut = fit([examples[i] for i in rest], [verdicts[i] for i in rest], labels)
        for i in held:
            decoded[i] = cut(verdicts[i])
    return decoded
