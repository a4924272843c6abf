"""l(f(x; p), y): what a verdict costs, given the human label; from 0 to 1.

A verdict without a label costs 1. One without probabilities counts as certain of its label.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

from ...models.roles.judge import Verdict

LossName = Literal["zero_one", "nll", "brier", "expected_abs"]
Loss = Callable[[Verdict, str, Sequence[str]], float]
"""(verdict, human label, declared labels in order) -> loss."""

_LEAST_PROBABILITY = 0.01


def zero_one(verdict: Verdict, human_label: str, labels: Sequence[str]) -> float:  # noqa: ARG001
    """1 for a misjudgment, 0 otherwise."""
    return float(verdict.label != human_label)


def nll(verdict: Verdict, human_label: str, labels: Sequence[str]) -> float:  # noqa: ARG001
    """Negative log-probability of the human label, in units of that of probability 0.01."""
    probability = _distribution(verdict).get(human_label, 0.0)
    return math.log(max(probability, _LEAST_PROBABILITY)) / math.log(_LEAST_PROBABILITY)


def brier(verdict: Verdict, human_label: str, labels: Sequence[str]) -> float:
    """Half the squared distance between the probabilities and the human label."""
    if verdict.label is None:
        return 1.0
    probabilities = _distribution(verdict)
    return sum((probabilities.get(k, 0.0) - (k == human_label)) ** 2 for k in labels) / 2


def expected_abs(verdict: Verdict, human_label: str, labels: Sequence[str]) -> float:
    """Expected distance from the human label on the scale, in units of its length.

    For ordinal labels: near misses cost less.
    """
    if verdict.label is None:
        return 1.0
    place = labels.index(human_label)
    probabilities = _distribution(verdict)
    distances = (probabilities.get(k, 0.0) * abs(i - place) for i, k in enumerate(labels))
    return sum(distances) / (len(labels) - 1)


LOSSES: Mapping[LossName, Loss] = {
    "zero_one": zero_one,
    "nll": nll,
    "brier": brier,
    "expected_abs": expected_abs,
}


def _distribution(verdict: Verdict) -> Mapping[str, float]:
    if verdict.probabilities is not None:
        return verdict.probabilities
    return {} if verdict.label is None else {verdict.label: 1.0}
