"""Drift: whether a batch of verdicts is distributed as those that a reading was fitted on.

Verdicts and label masses are compared by chi-square tests of two samples. Of many images every
difference is significant: one is told only if it is large, too.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...models.roles.judge import Verdict
from .libraries import scipy_stats

_NO_LABEL = ""
_LEVEL = 1e-3
_LARGE = 0.1
"""Of the images, the share that would have to change sides."""
_MASS_BINS = 5


class Distribution(BaseModel):
    """Of verdicts. verdicts: how many have each label, under "" those without one.

    mass_edges: bounds of the bins of label mass. masses: how many lie in each; empty without.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    verdicts: dict[str, int]
    mass_edges: tuple[float, ...] = ()
    masses: tuple[int, ...] = ()

    @classmethod
    def of(cls, verdicts: Sequence[Verdict]) -> "Distribution":
        """In bins that hold about as many each."""
        masses = [v.label_mass for v in verdicts if v.label_mass is not None]
        edges: list[float] = []
        if masses:
            shares = np.arange(1, _MASS_BINS) / _MASS_BINS
            edges = np.unique(np.quantile(masses, shares)).tolist()
        counted = Counter(v.label or _NO_LABEL for v in verdicts)
        binned = mass_bins(masses, edges)
        return cls(
            verdicts=dict(counted),
            mass_edges=tuple(edges),
            masses=tuple(binned[i] for i in range(len(edges) + 1)) if masses else (),
        )

    def drift(self, verdicts: Mapping[str | None, int], masses: Mapping[int, int]) -> list[str]:
        """What is otherwise in a batch, in words. masses: by bin, see `mass_bins`."""
        labels = sorted({*self.verdicts, *(label or _NO_LABEL for label in verdicts)})
        here = [sum(n for k, n in verdicts.items() if (k or _NO_LABEL) == one) for one in labels]
        there = [self.verdicts.get(label, 0) for label in labels]
        told: list[str] = []
        if differs(there, here):
            named = [label or "no label" for label in labels]
            told.append(f"verdicts ({_shares(named, there, here)})")
        bins = range(len(self.masses))
        if differs(self.masses, [masses.get(i, 0) for i in bins]):
            told.append("label mass: how much of the model's probability lies on the labels")
        return told


def mass_bins(masses: Iterable[float], edges: Sequence[float]) -> Counter[int]:
    """How many label masses lie in each bin between the edges, from 0."""
    return Counter(int(place) for place in np.searchsorted(edges, list(masses), side="right"))


def differs(there: Sequence[int], here: Sequence[int]) -> bool:
    """Whether two samples, counted by kind, differ by more than a tenth and more than chance."""
    table = np.array([there, here], dtype=np.float64).reshape(2, -1)
    table = table[:, table.sum(axis=0) > 0]
    if table.shape[1] < 2 or not table.sum(axis=1).all():
        return False
    shares = table / table.sum(axis=1, keepdims=True)
    distance = float(np.abs(shares[0] - shares[1]).sum()) / 2
    return distance > _LARGE and float(scipy_stats().chi2_contingency(table).pvalue) < _LEVEL


def _shares(names: Sequence[str], there: Sequence[int], here: Sequence[int]) -> str:
    pairs = zip(names, there, here, strict=True)
    return ", ".join(f"{n}: {h / sum(here):.0%}, there {t / sum(there):.0%}" for n, t, h in pairs)
