"""The threshold that keeps a target, with a guarantee on a finite sample (learn then test).

Thresholds are tested in a fixed order, the safest first, each by an exact binomial test of the
hypothesis that acting above it breaks the target; the last one that is rejected before the first
that is not is taken (Angelopoulos et al., Learn then test, Annals of Applied Statistics 19, 2025).
With the stated confidence, over draws of the labelled images, the target then holds for images of
the same kind. Losses between 0 and 1 take the Hoeffding-Bentkus bound in place of the binomial.

What is acted on in the beginning is so little that one error breaks the chain. Two more chains
therefore start later, where three or ten errors are allowed. Of error rate and cost, acting on all
verdicts is tested by itself, too: a judge that is good enough as it is need not know when it errs.
A tenth of the error rate is for that, the rest is divided among the chains. The order is fixed by
confidence: a threshold is a confidence that occurred, which is as good as a fixed one as long as a
higher confidence does not mean a higher risk.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..metrics.intervals import Values

_ALLOWED_ERRORS = (0, 3, 10)
_SHARE_OF_ALL = 0.1
"""Of the error rate, for the test of acting on all verdicts: the chains lose little by it."""
_MOST_UNITS = 1_000_000
_special: Any = special


@dataclass(frozen=True, slots=True)
class Point:
    """Acting on all confidences of at least `threshold`, on the labelled images.

    num_acts: that are acted on. num_units: over which the risk is a mean: those acted on, or for
    recall those of the label. total_loss: summed over them. is_count: losses are 0 or 1.
    """

    threshold: float
    num_acts: int
    num_units: int
    total_loss: float
    is_count: bool = True

    def p_value(self, risk: float) -> float:
        """Of the hypothesis that the mean loss is above `risk`."""
        if self.is_count:
            return _binomial(self.total_loss, self.num_units, risk)
        return hoeffding_bentkus(self.total_loss, self.num_units, risk)


def selective_points(confidences: Values, losses: Values) -> list[Point]:
    """A point for each confidence that occurs, the highest first: risk among those acted on."""
    order = np.argsort(-confidences, kind="stable")
    confidences, totals = confidences[order], np.cumsum(losses[order])
    is_count = bool(np.isin(losses, (0.0, 1.0)).all())
    return [
        Point(float(confidences[i]), i + 1, i + 1, float(totals[i]), is_count)
        for i in _last_of_equals(confidences)
    ]


def recall_points(confidences: Values, has_label: NDArray[np.bool_]) -> list[Point]:
    """A point for each confidence of an image of the label, the lowest first: the share missed."""
    own = np.sort(confidences[has_label])
    return [
        Point(float(c), int(np.sum(confidences >= c)), len(own), float(np.sum(own < c)))
        for c in np.unique(own[np.isfinite(own)])
    ]


def controlled(
    points: Sequence[Point], risk: float, confidence: float, *, tests_all: bool = False
) -> Point | None:
    """The last point that is sure to keep the risk, of chains of tests; None if there is none.

    points: the safest first. tests_all: whether the last point is tested by itself, too.
    """
    most = max((point.num_units for point in points), default=0)
    allowed = [c for c in _ALLOWED_ERRORS if fewest_units(c, risk, 1 - confidence) <= most]
    # Where all points have as many units, as for recall, the first chain can never break early.
    if len({point.num_units for point in points}) == 1:
        allowed = allowed[:1]
    if not allowed:
        return None
    if tests_all and points[-1].p_value(risk) <= _SHARE_OF_ALL * (1 - confidence):
        return points[-1]
    level = _level(confidence, len(allowed), tests_all=tests_all)
    end = max(_chain_end(points, fewest_units(c, risk, level), risk, level) for c in allowed)
    return points[end] if end >= 0 else None


def _level(confidence: float, num_chains: int, *, tests_all: bool) -> float:
    """Error rate of each chain."""
    return (1 - confidence) * (1 - _SHARE_OF_ALL * tests_all) / num_chains


def _chain_end(points: Sequence[Point], start_units: int, risk: float, level: float) -> int:
    """Place of the last point of a chain; -1 if its first is not rejected."""
    end = -1
    for place, point in enumerate(points):
        if point.num_units < start_units:
            continue
        if point.p_value(risk) > level:
            break
        end = place
    return end


def hoeffding_bentkus(total_loss: float, num_units: int, risk: float) -> float:
    """A bound on how likely losses from 0 to 1 with a mean above `risk` have a sum as low."""
    mean = min(total_loss / num_units, risk)
    divergence = _xlogy(mean, risk) + _xlogy(1 - mean, 1 - risk)
    bentkus = math.e * _binomial(math.ceil(total_loss), num_units, risk)
    return min(1.0, math.exp(-num_units * divergence), bentkus)


def _binomial(num_errors: float, num_units: int, risk: float) -> float:
    """That a binomial variable is at most so large."""
    return float(_special.bdtr(num_errors, num_units, risk))


def _xlogy(share: float, other: float) -> float:
    return share * math.log(share / other) if share else 0.0


def fewest_units(num_errors: int, risk: float, level: float) -> int:
    """With how many units so many errors still show that the risk is kept."""
    low, high = num_errors, num_errors + 1
    while _binomial(num_errors, high, risk) > level and high < _MOST_UNITS:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        is_enough = _binomial(num_errors, middle, risk) <= level
        low, high = (low, middle) if is_enough else (middle, high)
    return high


def labels_needed(
    points: Sequence[Point], num: int, risk: float, confidence: float, *, tests_all: bool = False
) -> int | None:
    """About how many labelled images would be enough, if they were like these.

    num: of the images labelled now; where no more than these are needed, it is not their number
    that is in the way. None where no share of them keeps the risk.
    """
    level = _level(confidence, len(_ALLOWED_ERRORS), tests_all=tests_all)
    found: list[int] = []
    for point in points:
        rate = point.total_loss / point.num_units
        # Half an error more than there was: a rate of 0 among few is no rate of 0.
        cautious = (point.total_loss + 0.5) / (point.num_units + 1)
        units = _units_at_rate(cautious if cautious < risk else rate, risk, level)
        if units is not None:
            found.append(math.ceil(units * num / point.num_units))
    return min(found, default=None)


def _units_at_rate(rate: float, risk: float, level: float) -> int | None:
    """Units that show the risk is kept if errors come at this rate; None where they never do."""
    units = fewest_units(0, risk, level)
    while rate < risk and units < _MOST_UNITS:
        if _binomial(math.floor(rate * units), units, risk) <= level:
            return units
        units = math.ceil(units * 1.05) + 1
    return None


def _last_of_equals(values: Values) -> list[int]:
    is_last = np.r_[np.diff(values) != 0, True] & np.isfinite(values)
    return [int(i) for i in np.flatnonzero(is_last)]
