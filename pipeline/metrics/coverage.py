"""Risk and coverage: how often verdicts are wrong when only the most confident ones are kept."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...models.roles.judge import Verdict
from .intervals import Interval
from .labelled import Labelled

Curve = list[tuple[float, float]]
"""Coverage, from 0 to 1, and the share of wrong ones among the verdicts that it covers."""

FEWEST_COVERED = 10
"""Images; of fewer a share says little."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """Where verdicts are acted on, and how that does on the test split.

    target: in words. measure, bound: of the target. curve: the measure by coverage, at every
    confidence that occurs, from 10 images on. coverage, value: at the point; ci95 of the value,
    both None where nothing is acted on. acts: places of the test images that are acted on.
    """

    target: str
    measure: str
    bound: float
    curve: Curve
    coverage: float
    value: float | None
    ci95: Interval | None
    acts: tuple[int, ...] = ()


def risk_coverage(examples: Sequence[Labelled], verdicts: Sequence[Verdict]) -> Curve:
    """A point for each confidence that occurs, the highest first, from 10 verdicts on.

    Confidence is the probability of the verdict's label. Verdicts without probabilities are never
    covered.
    """
    known = [
        (v.probabilities[v.label], float(v.label != e.label))
        for e, v in zip(examples, verdicts, strict=True)
        if v.probabilities is not None and v.label is not None
    ]
    if len(known) < FEWEST_COVERED:
        return []
    known.sort(key=lambda one: -one[0])
    confidences, wrong = (np.array(column) for column in zip(*known, strict=True))
    covered = np.arange(1, len(known) + 1)
    is_last = np.r_[np.diff(confidences) < 0, True] & (covered >= FEWEST_COVERED)
    shares, errors = covered / len(verdicts), np.cumsum(wrong) / covered
    return list(zip(shares[is_last].tolist(), errors[is_last].tolist(), strict=True))
