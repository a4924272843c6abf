"""A reading without labels: the judge's constant leaning to some labels is taken away.

What is added to each label's log-probability makes the mean probabilities equal a prior: equal
shares, or those that are declared (as batch calibration does, Zhou et al., ICLR 2024; Saerens et
al., Neural Computation 14, 2002). It is right only as far as the prior is.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import special

from ..metrics.intervals import Values
from .fitted import FittedReading

MIN_IMAGES = 16
_ROUNDS = 1000
_CLOSE = 1e-10
_special: Any = special


def fit_offset(
    labels: Sequence[str], logs: Values, prior: Mapping[str, float] | None
) -> FittedReading:
    """logs: log-probabilities [n, K] of at least `MIN_IMAGES` images, which need no labels."""
    shares = {label: 1 / len(labels) for label in labels} if prior is None else prior
    wanted = np.log([shares[label] for label in labels])
    offset = np.zeros(len(labels))
    for _ in range(_ROUNDS):
        step = wanted - np.log(_special.softmax(logs + offset, axis=1).mean(axis=0))
        offset += step - step.mean()
        if np.abs(step).max() < _CLOSE:
            break
    return FittedReading(
        family="offset", labels=tuple(labels), parameters=tuple(np.round(offset, 8).tolist())
    )
