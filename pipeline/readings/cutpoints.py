"""From label probabilities to a verdict: the likeliest label, or a place on an ordered scale.

For ordinal labels the expectation uses all probabilities, and cut-points fitted on the training
set correct a judge whose ratings lean to one end of the scale.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ...models.roles.judge import Verdict
from ..metrics.labelled import Identified
from ..search.paired_gain import paired_gain
from .folds import NUM_FOLDS, folds, num_groups

Places = NDArray[np.int64]

_CONFIDENCE = 0.9
"""Of the lower bound of a gain."""


class CutPoints(BaseModel):
    """How an expected place on the scale, 0 to K - 1, becomes one of the K labels.

    cuts: K - 1 ascending bounds; a place on a bound belongs to the label below it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    family: Literal["cutpoints"] = "cutpoints"
    labels: tuple[str, ...]
    cuts: tuple[float, ...]

    def __call__(self, verdict: Verdict) -> Verdict:
        """The verdict with the label of its expected place; unchanged without probabilities."""
        if verdict.probabilities is None:
            return verdict
        place = expected_place(verdict, self.labels)
        return replace(verdict, label=self.labels[sum(place > cut for cut in self.cuts)])


Fit = Callable[[Sequence[Identified], Sequence[Verdict], Sequence[str]], CutPoints]
"""Examples, the verdicts on them and the declared labels -> cut-points."""


def nearest(labels: Sequence[str]) -> CutPoints:
    """Cut-points half-way between neighbours."""
    return CutPoints(labels=tuple(labels), cuts=tuple(k + 0.5 for k in range(len(labels) - 1)))


def expected_place(verdict: Verdict, labels: Sequence[str]) -> float:
    """Mean place on the scale under the verdict's probabilities, which it must have."""
    probabilities = verdict.probabilities or {}
    return sum(place * probabilities[label] for place, label in enumerate(labels))


def choose_cutpoints(
    labels: Sequence[str], train: Sequence[Identified], verdicts: Sequence[Verdict], fit: Fit
) -> CutPoints | None:
    """The cut-points that gain most over the likeliest label; None where none is sure to gain.

    Sure: the lower bound of the gain in accuracy on the training examples is above 0. Tried are
    those half-way between neighbours, and those that `fit` finds, on examples that had no part in
    fitting them. verdicts: of the likeliest label, with probabilities, on the training examples.
    """
    middle = nearest(labels)
    tried = [(middle, [middle(verdict) for verdict in verdicts])]
    if num_groups(train) >= NUM_FOLDS:
        tried.append((fit(train, verdicts, labels), _cross_fitted(train, verdicts, labels, fit)))
    wrong = _wrong(train, verdicts)
    strata = dict.fromkeys(wrong, 0)
    gains = [
        (paired_gain(wrong, _wrong(train, after), strata).lower(_CONFIDENCE), cut_points)
        for cut_points, after in tried
    ]
    lower, best = max(gains, key=lambda one: one[0])
    return best if lower > 0 else None


def _wrong(examples: Sequence[Identified], verdicts: Sequence[Verdict]) -> dict[str, float]:
    pairs = zip(examples, verdicts, strict=True)
    return {e.example_id: float(v.label != e.label) for e, v in pairs}


def fit_cut_points(
    examples: Sequence[Identified], verdicts: Sequence[Verdict], labels: Sequence[str]
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
    examples: Sequence[Identified], verdicts: Sequence[Verdict], labels: Sequence[str], fit: Fit
) -> list[Verdict]:
    """Every verdict under cut-points that were fitted without its fold."""
    read = list(verdicts)
    for rest, held in folds(examples):
        cut = fit([examples[i] for i in rest], [verdicts[i] for i in rest], labels)
        for i in held:
            read[i] = cut(verdicts[i])
    return read
