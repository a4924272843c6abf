"""A fitted reading: verdicts with corrected probabilities, and its fit to human labels."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy import special

from ...models.roles.judge import Verdict
from .config import FamilyName
from .families import FAMILIES, Values

Steps = NDArray[np.int64]
"""Human labels as positions in the declared order."""

_LEAST_PROBABILITY = 1e-9
_DECIMALS = 8
_special: Any = special


class FittedReading(BaseModel):
    """Corrects label probabilities; the verdict is the likeliest label of the corrected ones.

    parameters: of the family, see `families`; of `offset`, what is added to each label's
    log-probability.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    family: FamilyName
    labels: tuple[str, ...]
    parameters: tuple[float, ...]

    def __call__(self, verdict: Verdict) -> Verdict:
        """The verdict as read; unchanged without probabilities."""
        if verdict.probabilities is None:
            return verdict
        row = self.probabilities(log_probabilities([verdict], self.labels))[0]
        read = dict(zip(self.labels, row.tolist(), strict=True))
        return replace(verdict, label=max(self.labels, key=read.__getitem__), probabilities=read)

    def probabilities(self, logs: Values) -> Values:
        """Corrected probabilities [n, K] from log-probabilities [n, K]."""
        theta = np.array(self.parameters)
        odds = logs + theta if self.family == "offset" else _features(self.family, logs) @ theta
        return _special.softmax(odds, axis=1)


def log_probabilities(verdicts: Sequence[Verdict], labels: Sequence[str]) -> Values:
    """[n, K], of verdicts with probabilities."""
    rows = [[(v.probabilities or {})[label] for label in labels] for v in verdicts]
    return np.log(np.maximum(np.array(rows, dtype=np.float64), _LEAST_PROBABILITY))


def fit_family(
    family: FamilyName, labels: Sequence[str], logs: Values, human: Steps
) -> FittedReading:
    """The most likely parameters under a normal prior about leaving everything as it is.

    logs: [n, K]. human: [n]. The problem is convex, so that the result depends on nothing else.
    """
    features, own = _features(family, logs), FAMILIES[family]
    centre, precision = own.identity(len(labels)), own.spread(len(labels)) ** -2.0
    chosen = features[np.arange(len(human)), human]

    def objective(theta: Values) -> tuple[float, Values]:
        odds = features @ theta
        expected = np.einsum("nk,nkp->np", _special.softmax(odds, axis=1), features)
        strayed = theta - centre
        loss = np.sum(_special.logsumexp(odds, axis=1) - chosen @ theta)
        penalty = precision @ strayed**2 / 2
        return float(loss + penalty), np.sum(expected - chosen, axis=0) + precision * strayed

    def hessian(theta: Values) -> Values:
        shares = _special.softmax(features @ theta, axis=1)
        expected = np.einsum("nk,nkp->np", shares, features)
        weighted = (features * shares[:, :, None]).reshape(-1, features.shape[2])
        square = weighted.T @ features.reshape(-1, features.shape[2])
        return square - expected.T @ expected + np.diag(precision)

    found = _minimize()(
        objective, centre, jac=True, hess=hessian, method="trust-exact", options={"gtol": 1e-8}
    )
    rounded = [round(float(value), _DECIMALS) for value in found.x]
    return FittedReading(family=family, labels=tuple(labels), parameters=tuple(rounded))


def _minimize() -> Any:
    """Imported by the first fit: it takes as long as all else that a reading needs."""
    from scipy.optimize import minimize  # noqa: PLC0415

    return minimize


def _features(family: FamilyName, logs: Values) -> Values:
    return FAMILIES[family].features(logs)
