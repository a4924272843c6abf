"""Ties: how near one half a preference has to be to count as none, fitted on the training pairs.

The place of a verdict on the scale A, tie, B is 1 for no preference; the band of ties lies evenly
about it, so that it cannot prefer a position.
"""

from collections.abc import Sequence

import numpy as np

from ...models.roles.judge import Verdict
from ..metrics.labelled import Identified
from .cutpoints import CutPoints, expected_place

_DECIMALS = 9
"""Distances that agree in so many are equal: sums of probabilities differ in the last place."""


def fit_tie_band(
    examples: Sequence[Identified], verdicts: Sequence[Verdict], labels: Sequence[str]
) -> CutPoints:
    """The band with the most pairs right, of several the narrowest. labels: A, tie, B."""
    places = np.array([expected_place(v, labels) for v in verdicts], dtype=np.float64) - 1
    wanted = np.array([labels.index(e.label) for e in examples]) - 1
    distances = np.round(np.abs(places), _DECIMALS)
    order = np.argsort(distances, kind="stable")
    is_tie = wanted[order] == 0
    is_preferred = np.sign(places[order]) == wanted[order]
    # With the first i pairs in the band, those of them that people tie are right.
    right = np.r_[0, np.cumsum(is_tie)]
    right = right + np.r_[np.cumsum((is_preferred & ~is_tie)[::-1])[::-1], 0]
    # Equal distances are on one side of a bound.
    edges = np.r_[0.0, distances[order], 1.0]
    possible = np.r_[True, np.diff(edges[1:]) > 0]
    best = int(np.argmax(np.where(possible, right, -1)))
    half = (edges[best] + edges[best + 1]) / 2 if best else 0.0
    return CutPoints(labels=tuple(labels), cuts=(1 - half, 1 + half))
