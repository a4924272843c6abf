"""A fitted reading: verdicts with corrected probabilities, and its fit to human labels."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy import special

from ...models.roles.criteria_judge import CriteriaVerdict, place_of
from ...models.roles.judge import Verdict
from ..metrics.intervals import Values
from ..metrics.scores import Steps
from .config import FamilyName
from .families import FAMILIES, LEAST_SLOPE

_LEAST_PROBABILITY = 1e-9
_DECIMALS = 8
_special: Any = special


class FittedReading(BaseModel):
    """Corrects label probabilities; the verdict is the likeliest label of the corrected ones.

    parameters: of the family, see `families`; of `offset`, what is added to each label's
    log-probability. Those of `combiner`: of the rule, of each criterion in order, of each label.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    family: FamilyName
    labels: tuple[str, ...]
    parameters: tuple[float, ...]

    def __call__(self, verdict: Verdict) -> Verdict:
        """The verdict as read; unchanged where it is not readable."""
        if not is_readable(self.family, verdict):
            return verdict
        row = self.probabilities(evidence(self.family, [verdict], self.labels))[0]
        read = dict(zip(self.labels, row.tolist(), strict=True))
        return replace(verdict, label=max(self.labels, key=read.__getitem__), probabilities=read)

    @property
    def keeps_labels(self) -> bool:
        """Whether the likeliest label stays the likeliest, of any image: one slope for all."""
        return self.family == "temperature" and self.parameters[0] > 0

    def is_complete(self, num_criteria: int) -> bool:
        """Whether it has as many parameters as its family has for these labels and criteria."""
        num = len(self.labels)
        own = num_criteria if self.family == "combiner" else 0
        family = FAMILIES.get(self.family)
        return len(self.parameters) == (num if family is None else len(family.identity(num, own)))

    def probabilities(self, found: Values) -> Values:
        """Corrected probabilities [n, K] from what `evidence` finds of this family."""
        theta = np.array(self.parameters)
        odds = found + theta if self.family == "offset" else _features(self.family, found) @ theta
        return _special.softmax(odds, axis=1)


def is_readable(family: str, verdict: Verdict) -> bool:
    """Whether there is what a family reads: probabilities, of each criterion for `combiner`."""
    if family == "combiner" and not isinstance(verdict, CriteriaVerdict):
        return False
    return verdict.probabilities is not None


def evidence(family: str, verdicts: Sequence[Verdict], labels: Sequence[str]) -> Values:
    """Of readable verdicts: log-probabilities [n, K]; for `combiner` [n, 1 + C, K], those of the
    rule, and how far the answer to each of C criteria speaks for each label."""
    logs = log_probabilities(verdicts, labels).reshape(len(verdicts), len(labels))
    if family != "combiner":
        return logs
    answers = [v.answers if isinstance(v, CriteriaVerdict) else () for v in verdicts]
    num = len(answers[0]) if answers else 0
    own = [_spoken([given[i] for given in answers], labels) for i in range(num)]
    return np.stack([logs, *own], axis=1)


def _spoken(answers: Sequence[Verdict], labels: Sequence[str]) -> Values:
    """[n, K]: log-probabilities of answers on the task's labels; of others the log-odds of their
    place on the scale of the question, shared out along the labels."""
    if all(tuple(answer.probabilities or ()) == tuple(labels) for answer in answers):
        return log_probabilities(answers, labels)
    places = np.array([place_of(a, tuple(a.probabilities or ())) for a in answers])
    clipped = np.clip(places, _LEAST_PROBABILITY, 1 - _LEAST_PROBABILITY)
    return _special.logit(clipped)[:, None] * np.linspace(-0.5, 0.5, len(labels))


def log_probabilities(verdicts: Sequence[Verdict], labels: Sequence[str]) -> Values:
    """[n, K], of verdicts with probabilities."""
    rows = [[(v.probabilities or {})[label] for label in labels] for v in verdicts]
    return np.log(np.maximum(np.array(rows, dtype=np.float64), _LEAST_PROBABILITY))


def fit_family(
    family: FamilyName, labels: Sequence[str], found: Values, human: Steps
) -> FittedReading:
    """The most likely parameters under a normal prior about leaving everything as it is.

    What would not rise with the judge's belief (`Family.rising`) is held at its bound. found: by
    `evidence`. human: [n]. The problem is convex, so that the result depends on nothing else.
    """
    features, own = _features(family, found), FAMILIES[family]
    shape = len(labels), found.shape[1] - 1 if family == "combiner" else 0
    centre, precision = own.identity(*shape), own.spread(*shape) ** -2.0
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

    rising = np.empty((0, len(centre)))
    if own.rising is not None:
        rising = own.rising(len(centre), len(labels))
    held = np.zeros(len(rising), dtype=bool)
    best = _best_of(objective, hessian, centre, rising[held])
    while np.any(broken := ~held & (rising @ best < LEAST_SLOPE)):
        held |= broken
        best = _best_of(objective, hessian, centre, rising[held])
    rounded = [round(float(value), _DECIMALS) for value in best]
    return FittedReading(family=family, labels=tuple(labels), parameters=tuple(rounded))


def _best_of(
    objective: Callable[[Values], tuple[float, Values]],
    hessian: Callable[[Values], Values],
    centre: Values,
    held: Values,
) -> Values:
    """The lowest point where each of `held` [H, P] times the parameters is `LEAST_SLOPE`.

    With none it is the lowest of all. centre: where the search starts, [P].
    """
    start = centre - np.linalg.pinv(held) @ (held @ centre - LEAST_SLOPE)
    free = _null_space(held)
    if not free.shape[1]:
        return start

    def along(step: Values) -> tuple[float, Values]:
        value, slopes = objective(start + free @ step)
        return value, free.T @ slopes

    def bend(step: Values) -> Values:
        return free.T @ hessian(start + free @ step) @ free

    origin = np.zeros(free.shape[1])
    found = _minimize()(
        along, origin, jac=True, hess=bend, method="trust-exact", options={"gtol": 1e-8}
    )
    return start + free @ found.x


def _null_space(held: Values) -> Values:
    """Directions that leave independent sums `held` [H, P] as they are: [P, P - H]."""
    if not len(held):
        return np.eye(held.shape[1])
    return np.linalg.svd(held)[2][len(held) :].T


def _minimize() -> Any:
    """Imported by the first fit: it takes as long as all else that a reading needs."""
    from scipy.optimize import minimize  # noqa: PLC0415

    return minimize


def _features(family: FamilyName, found: Values) -> Values:
    return FAMILIES[family].features(found)
