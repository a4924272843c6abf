"""Intervals, tests and power for verdicts on one test split.

What is drawn, swapped or left out is always a unit: a group of examples that share a source, since
its examples are not independent. Two sides are compared on the same units, so that every
comparison is a paired one. Intervals have 95 %, tests a level of 5 %, both sides counted.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from math import fsum, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..search.seeds import derived_seed
from .libraries import scipy_optimize, scipy_stats

Interval = tuple[float, float]
Counts = NDArray[np.int64]
Values = NDArray[np.float64]

LEVEL = 0.05
POWER = 0.8
RESAMPLES = 4000
_SWAPS = 9999
_ROUNDING = 1e-12
_special: Any = special


def wilson(successes: int, total: int) -> Interval:
    """Wilson's interval of a proportion."""
    interval = scipy_stats().binomtest(successes, total).proportion_ci(1 - LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def percentiles(values: Values) -> Interval:
    """The interval that holds the middle of resampled values."""
    low, high = np.quantile(values, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def bootstrap_weights(strata: Counts, seed: int, resamples: int = RESAMPLES) -> Values:
    """How much each unit counts in each resample: float64 [resamples, units].

    strata: the stratum of each unit; in every resample a stratum's weights sum to its size.

    Of m units in a stratum m - 1 are drawn, and each counts m / (m - 1) times as often as it was
    drawn (Rao and Wu, JASA 83, 1988). Drawing m of m would make the variance too small by
    (m - 1) / m, which shows where a class has ten examples. A unit alone in its stratum has
    nothing to be drawn against: all such units form one stratum, and a last one joins the
    smallest of the others.
    """
    return _weights(tuple(strata.tolist()), seed, resamples)


@lru_cache(maxsize=4)
def _weights(strata: tuple[int, ...], seed: int, resamples: int) -> Values:
    """Kept, because all verdicts on one split are resampled in the same way."""
    generator = np.random.default_rng(derived_seed(seed, "bootstrap"))
    weights = np.ones((resamples, len(strata)))
    for members in _drawable(np.array(strata)):
        size = len(members)
        draws = generator.integers(0, size, (resamples, size - 1))
        cells = draws + size * np.arange(resamples)[:, None]
        times_drawn = np.bincount(cells.ravel(), minlength=resamples * size)
        weights[:, members] = times_drawn.reshape(resamples, size) * (size / (size - 1))
    weights.flags.writeable = False
    return weights


def _drawable(strata: Counts) -> list[Counts]:
    """Positions of the units of each stratum, with those that are alone put together."""
    members = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    together = [units for units in members if len(units) > 1]
    alone = [units for units in members if len(units) == 1]
    if len(alone) == 1 and together:
        smallest = min(range(len(together)), key=lambda i: len(together[i]))
        together[smallest] = np.concatenate([together[smallest], *alone])
    elif len(alone) > 1:
        together.append(np.concatenate(alone))
    return together


def mcnemar(won: int, lost: int) -> float:
    """p-value of the exact McNemar test.

    won, lost: examples on which the one side alone, or the other alone, is right.
    """
    return float(scipy_stats().binomtest(won, won + lost).pvalue) if won + lost else 1.0


def paired_permutation(
    first: Counts, second: Counts, statistic: Callable[[Values], Values], seed: int
) -> float:
    """p-value of the difference of a statistic when the two sides of a unit may be swapped.

    first, second: counts of each unit on either side, [units, ...]. statistic: of summed counts
    [swaps, ...], a value for each.

    Few differing units are swapped in all ways; many at random, and then the observed one counts
    as one of the swaps, so that p is never 0.
    """
    change = (second - first).astype(np.float64)
    differing = change[change.reshape(len(change), -1).any(axis=1)]
    if len(differing) == 0:
        return 1.0
    swaps = _swaps(len(differing), seed)
    moved = np.tensordot(swaps, differing, axes=1)
    differences = statistic(second.sum(axis=0) - moved) - statistic(first.sum(axis=0) + moved)
    # The first swap is none.
    is_extreme = np.abs(differences) >= abs(differences[0]) - _ROUNDING
    return float(is_extreme.mean())


def _swaps(units: int, seed: int) -> Values:
    """1 where a unit is swapped: [swaps, units], the first row without a swap."""
    if 2**units <= _SWAPS + 1:
        return np.array(list(product((0.0, 1.0), repeat=units)))
    generator = np.random.default_rng(derived_seed(seed, "permutation"))
    drawn = generator.integers(0, 2, (_SWAPS, units)).astype(np.float64)
    return np.concatenate([np.zeros((1, units)), drawn])


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values of tests made together, in their order."""
    ordered = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(ordered):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted


def mcnemar_power(n: int, discordance: float, gain: float) -> float:
    """Chance that the exact McNemar test on n examples finds a true gain in accuracy.

    discordance: share of examples on which one side alone is right, at least the gain.
    """
    binom, discordant = scipy_stats().binom, np.arange(n + 1)
    most_without_finding = binom.isf(LEVEL / 2, discordant, 0.5)
    found = binom.sf(most_without_finding, discordant, (1 + gain / discordance) / 2)
    return float(np.sum(binom.pmf(discordant, n, discordance) * found))


def minimum_detectable_gain(n: int, discordance: float) -> float | None:
    """The least true gain in accuracy that n examples show with 80 % power (exact McNemar).

    discordance: as in `mcnemar_power`, as expected or observed; a gain larger than it makes the
    discordance as large as itself. None where n is too small for any gain.
    """

    def surplus(gain: float) -> float:
        return mcnemar_power(n, max(discordance, gain), gain) - POWER

    if surplus(1.0) < 0:
        return None
    return float(scipy_optimize().brentq(surplus, 1e-6, 1.0, xtol=1e-5))


def detectable_difference(interval: Interval) -> float:
    """The least true difference that shows with 80 % power, from an interval of about that one.

    For metrics without an exact power; takes the estimate for normally distributed.
    """
    low, high = interval
    standard_errors = float(_special.ndtri(POWER) - _special.ndtri(LEVEL / 2))
    return standard_errors * (high - low) / (-2 * float(_special.ndtri(LEVEL / 2)))


def variance_of_sum(values: Values, groups: Sequence[str]) -> float:
    """Of the sum of values [n], from their groups, which are independent of one another."""
    _, places = np.unique(list(groups), return_inverse=True)
    strayed = np.bincount(places, values - values.mean())
    num = len(strayed)
    return float(num / max(num - 1, 1) * np.sum(strayed**2))


def students_t(degrees: float) -> float:
    """Standard errors from the middle of Student's interval to its ends."""
    return -float(_special.stdtrit(degrees, LEVEL / 2))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean difference whose variance has several sources, such as seeds and test examples.

    components: variance and degrees of freedom of each source, of the mean itself.

    Interval and p-value belong together: both are Student's t with the degrees of freedom of
    Satterthwaite (Biometrics Bulletin 2, 1946), which a source of few units, such as five seeds,
    keeps honestly small.
    """

    value: float
    components: tuple[tuple[float, int], ...]

    @property
    def standard_error(self) -> float:
        return sqrt(fsum(variance for variance, _ in self.components))

    @property
    def ci95(self) -> Interval:
        if self.standard_error == 0:
            return self.value, self.value
        half = students_t(self._degrees) * self.standard_error
        return self.value - half, self.value + half

    @property
    def p_value(self) -> float:
        if self.standard_error == 0:
            return 1.0 if self.value == 0 else 0.0
        return float(2 * _special.stdtr(self._degrees, -abs(self.value) / self.standard_error))

    @property
    def _degrees(self) -> float:
        shares = fsum(variance**2 / degrees for variance, degrees in self.components)
        return self.standard_error**4 / shares


def mean_estimate(estimates: Sequence[Estimate]) -> Estimate:
    """The mean of independent estimates, such as those of several tasks."""
    number = len(estimates)
    return Estimate(
        fsum(estimate.value for estimate in estimates) / number,
        tuple(
            (variance / number**2, degrees)
            for estimate in estimates
            for variance, degrees in estimate.components
        ),
    )


def seeds_component(differences: Values) -> tuple[float, int]:
    """The part that seeds have in the variance of their mean; at least two seeds."""
    return float(np.var(differences, ddof=1)) / len(differences), len(differences) - 1
