"""Paired gains: how much lower the loss is under one judge prompt than under another.

Every decision of `preset: plus` compares two prompts on the same items. What the comparison
leaves out by design (items that the optimizer has seen were all misjudged) is put right by
weights: items are grouped in strata, and a stratum counts by its share of the training set.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

_ADDED_ITEMS = 2
_special: Any = special

Losses = Mapping[str, float]
"""Loss by example_id, on the items that a prompt was judged on."""

Strata = Mapping[str, Hashable]
"""Stratum of every training item by example_id."""


@dataclass(frozen=True, slots=True)
class PairedGain:
    """Mean decrease of the loss on n items, with its standard error; inf for n = 0.

    The bounds are Student's, with two items without a difference added: a few that agree are no
    certainty.
    """

    mean: float
    standard_error: float
    n: int

    def lower(self, confidence: float) -> float:
        """One-sided lower bound of the mean."""
        return -math.inf if self.n == 0 else self.shrunk - self._width(confidence)

    def upper(self, confidence: float) -> float:
        """One-sided upper bound of the mean."""
        return math.inf if self.n == 0 else self.shrunk + self._width(confidence)

    @property
    def shrunk(self) -> float:
        """The mean with these two items added."""
        return self.mean * self.n / (self.n + _ADDED_ITEMS)

    def _width(self, confidence: float) -> float:
        return float(_special.stdtrit(self.n, confidence)) * self.standard_error


def paired_gain(before: Losses, after: Losses, strata: Strata) -> PairedGain:
    """The gain of `after` over `before` on the items that both were judged on.

    The strata's own means and variances count by their shares. In each variance, too, two items
    without a difference are added.
    """
    items = [item for item in after if item in before]
    if not items:
        return PairedGain(0.0, math.inf, 0)
    weights = _weights(items, strata)
    weighted = {item: weights[item] * (before[item] - after[item]) for item in items}
    own: defaultdict[Hashable, list[float]] = defaultdict(list)
    for item in items:
        own[strata[item]].append(weighted[item])
    variance = sum(
        len(values) * float(np.var([*values, *[0.0] * _ADDED_ITEMS], ddof=1))
        for values in own.values()
    )
    n = len(items)
    return PairedGain(sum(weighted.values()) / n, math.sqrt(variance) / n, n)


def _weights(items: list[str], strata: Strata) -> dict[str, float]:
    """Weight of every item, 1 on average, so that strata count by their share of all items."""
    sampled = Counter(strata[item] for item in items)
    shares = Counter(stratum for stratum in strata.values() if stratum in sampled)
    total = sum(shares.values())
    return {
        item: (shares[strata[item]] / total) * (len(items) / sampled[strata[item]])
        for item in items
    }
