"""Families of fitted readings, each a conditional logit over the labels (McFadden, 1974).

The log-odds of the labels are linear in a few parameters, z_k = sum_p theta_p F_kp, where the
features F come from the judge's log-probabilities, [n, K]; of several criteria from evidence
[n, 1 + C, K], what their rule says and each of C answers. Under `identity` every family leaves the
probabilities as they are; `spread` says how far each parameter may stray from there. What a label's
odds owe to the judge's own belief in it rises with that belief (`rising`), so that no fit turns the
judge round: against one that goes against the labels it ends nearly flat. The weights of `matrix`
and `combiner` are free.

temperature  one slope for all (Guo et al., ICML 2017)
platt        slope and intercept of the log-odds of two labels (Platt, 1999)
vector       a slope and an intercept for each label (Guo et al.)
matrix       vector, and how far each label's log-probability speaks for another
ordered      temperature, a slope on the expected place, and cut-points: the adjacent-category
             logit of ordered labels (Agresti, Categorical Data Analysis)
ties         slope of the preference and how likely a tie is (Davidson, JASA 65, 1970); both
             images of a pair are treated alike
combiner     of several criteria: a slope for what the rule says and one for each answer, and an
             intercept for each label: logistic on the log-odds of the answers, and ordered where
             labels are
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..metrics.intervals import Values
from .config import FamilyName

_SLOPE, _INTERCEPT, _CROSS = 1.0, 3.0, 0.3
"""Standard deviations of the parameters about `identity`."""

LEAST_SLOPE = 0.01
"""Of what has to rise: odds of a million to one are then read as 1.15 to one."""


@dataclass(frozen=True, slots=True)
class Family:
    """A way to correct label probabilities.

    features: log-probabilities [n, K], or evidence [n, S, K] -> F [n, K, P]. identity, spread: of
    K labels and C criteria, [P]. min_groups: training groups that each label has to occur in, at
    least, and per_criterion for each criterion. rising: of P parameters and K labels, [R, P]; each
    of these R sums of parameters is at least `LEAST_SLOPE`.
    """

    features: Callable[[Values], Values]
    identity: Callable[..., Values]
    spread: Callable[..., Values]
    min_groups: int
    per_criterion: int = 0
    rising: Callable[[int, int], Values] | None = None

    def least_groups(self, num_criteria: int) -> int:
        """Training groups that each label has to occur in."""
        return max(self.min_groups, self.per_criterion * num_criteria)


def _one_slope(logs: Values) -> Values:
    return logs[:, :, None]


def _intercepts(logs: Values) -> Values:
    """F [n, K, K]: one for each label."""
    return np.tile(np.eye(logs.shape[1]), (len(logs), 1, 1))


def _own_slopes(logs: Values) -> Values:
    """F [n, K, K]: a label's log-probability for itself."""
    return logs[:, :, None] * np.eye(logs.shape[1])


def _cross_slopes(logs: Values) -> Values:
    """F [n, K, K * (K - 1)]: each label's log-probability for every other."""
    num = logs.shape[1]
    every = np.einsum("ni,kj->nkij", logs, np.eye(num))
    return every[:, :, ~np.eye(num, dtype=bool)]


def _place(logs: Values) -> Values:
    """F [n, K, 1]: the label's place times the expected one, both from -1 to 1."""
    places = np.linspace(-1, 1, logs.shape[1])
    expected = np.exp(logs) @ places
    return (expected[:, None] * places)[:, :, None]


def _platt(logs: Values) -> Values:
    lean = np.broadcast_to(np.array([0.0, 1.0])[:, None], (*logs.shape, 1))
    return np.concatenate([_one_slope(logs), lean], axis=2)


def _vector(logs: Values) -> Values:
    return np.concatenate([_own_slopes(logs), _intercepts(logs)], axis=2)


def _matrix(logs: Values) -> Values:
    return np.concatenate([_vector(logs), _cross_slopes(logs)], axis=2)


def _ordered(logs: Values) -> Values:
    return np.concatenate([_one_slope(logs), _place(logs), _intercepts(logs)], axis=2)


def _ties(logs: Values) -> Values:
    tie = np.broadcast_to(np.array([0.0, 1.0, 0.0])[:, None], (*logs.shape, 1))
    return np.concatenate([_one_slope(logs), tie], axis=2)


def _combiner(evidence: Values) -> Values:
    own_intercepts = _intercepts(evidence[:, 0])
    return np.concatenate([evidence.transpose(0, 2, 1), own_intercepts], axis=2)


Size = Callable[[int, int], int]
"""(number of labels, number of criteria) -> a number of parameters."""


def _parts(*parts: tuple[float, Size]) -> Callable[..., Values]:
    """A vector of stretches of equal values; their lengths follow from labels and criteria."""

    def vector(labels: int, criteria: int = 0) -> Values:
        return np.concatenate([np.full(size(labels, criteria), value) for value, size in parts])

    return vector


def _one(_labels: int, _criteria: int) -> int:
    return 1


def _each(labels: int, _criteria: int) -> int:
    return labels


def _others(labels: int, _criteria: int) -> int:
    return labels * (labels - 1)


def _criteria(_labels: int, criteria: int) -> int:
    return criteria


def _first_rises(num: int, _labels: int) -> Values:
    return np.eye(num)[:1]


def _each_rises(num: int, labels: int) -> Values:
    return np.eye(num)[:labels]


def _temperature_outweighs_place(num: int, _labels: int) -> Values:
    """The temperature rises, also with the place: of beliefs no wider than half the scale, the
    temperature moves the odds of neighbours at least as much as an equal weight of the place."""
    return np.stack([np.eye(num)[0], np.eye(num)[:2].sum(axis=0)])


FAMILIES: Mapping[FamilyName, Family] = {
    "temperature": Family(
        _one_slope, _parts((1, _one)), _parts((_SLOPE, _one)), 5, rising=_first_rises
    ),
    "platt": Family(
        _platt,
        _parts((1, _one), (0, _one)),
        _parts((_SLOPE, _one), (_INTERCEPT, _one)),
        10,
        rising=_first_rises,
    ),
    "vector": Family(
        _vector,
        _parts((1, _each), (0, _each)),
        _parts((_SLOPE, _each), (_INTERCEPT, _each)),
        10,
        rising=_each_rises,
    ),
    "matrix": Family(
        _matrix,
        _parts((1, _each), (0, _each), (0, _others)),
        _parts((_SLOPE, _each), (_INTERCEPT, _each), (_CROSS, _others)),
        20,
    ),
    "ordered": Family(
        _ordered,
        _parts((1, _one), (0, _one), (0, _each)),
        _parts((_SLOPE, _one), (_INTERCEPT, _one), (_INTERCEPT, _each)),
        10,
        rising=_temperature_outweighs_place,
    ),
    "ties": Family(
        _ties,
        _parts((1, _one), (0, _one)),
        _parts((_SLOPE, _one), (_INTERCEPT, _one)),
        10,
        rising=_first_rises,
    ),
    "combiner": Family(
        _combiner,
        _parts((1, _one), (0, _criteria), (0, _each)),
        _parts((_SLOPE, _one), (_SLOPE, _criteria), (_INTERCEPT, _each)),
        10,
        per_criterion=5,
    ),
}
