"""How far the judge's probabilities can be believed: proper scores, reliability, label mass.

What scikit-learn would get wrong here, and what is done about it:

- It takes columns of probabilities in the sorted order of the labels, "10" before "9": labels are
  given as positions in the declared order.
- Its Brier score halves two labels and not more: here it is never halved, 0 to 2.
- A log loss is infinite at one certain error: probabilities are kept above 1e-4.

The expected calibration error (ECE) of a few hundred verdicts is above 0 for any judge, also for
one without fault: it means something beside the value that chance alone gives it.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from ...data.tasks import Task
from ...models.roles.judge import Verdict
from .intervals import Values
from .label_mass import LOW_LABEL_MASS
from .libraries import sklearn_metrics
from .scores import Steps

_NUM_BINS = 5
_SIMULATIONS = 1000
_SEED = 0
_LEAST_PROBABILITY = 1e-4
"""Of the human label, as the log loss takes it."""

Bins = NDArray[np.int64]


class ProbabilityScores(BaseModel):
    """Proper scores of label probabilities; lower is better.

    brier: mean squared distance to the human label over all labels, 0 to 2. log_loss: in nats.
    rps: ranked probability score of an ordinal task, mean squared distance of the cumulative
        probabilities, 0 to 1.
    """

    model_config = ConfigDict(frozen=True)

    brier: float
    log_loss: float
    rps: float | None


class ReliabilityBin(BaseModel):
    """Verdicts of like confidence: their mean confidence, and the share that is right."""

    model_config = ConfigDict(frozen=True)

    n: int
    num_right: int
    confidence: float

    @property
    def accuracy(self) -> float:
        return self.num_right / self.n


class Calibration(BaseModel):
    """Label probabilities against human labels. Confidence: the probability of the likeliest label.

    n: verdicts with probabilities, the only ones that count here.
    base_rates: the same scores when every example is predicted by the label frequencies.
    ece: over `bins`, as equally large as equal confidences allow.
    ece_null, ece_null_95: mean and 95th percentile of the ECE of a judge with the same confidences
        that is right exactly as often as they say; simulated.
    label_mass: mean probability on the declared labels. low_mass_share: share of the verdicts with
        less than 0.9 of it.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    judge: ProbabilityScores
    base_rates: ProbabilityScores
    ece: float
    ece_null: float
    ece_null_95: float
    bins: list[ReliabilityBin]
    label_mass: float
    low_mass_share: float

    def rows(self) -> dict[str, ProbabilityScores]:
        """Scores by the name that tables give the rater."""
        return {"judge": self.judge, "base rates": self.base_rates}


def calibration(human: Steps, verdicts: Sequence[Verdict], task: Task) -> Calibration | None:
    """Calibration of verdicts, one per human label in order; None without probabilities."""
    given = [verdict.probabilities is not None for verdict in verdicts]
    if not any(given):
        return None
    human = human[np.array(given)]
    probabilities = np.array(
        [[v.probabilities[k] for k in task.labels] for v in verdicts if v.probabilities is not None]
    )
    masses = np.array([verdict.label_mass or 0.0 for verdict in verdicts])[np.array(given)]
    confidences = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == human
    bins = equal_mass_bins(confidences, _NUM_BINS)
    null = simulated_eces(confidences, bins)
    return Calibration(
        n=len(human),
        judge=_scores(human, probabilities, task),
        base_rates=_scores(human, _base_rates(human, task), task),
        ece=expected_calibration_error(confidences, right, bins),
        ece_null=float(null.mean()),
        ece_null_95=float(np.quantile(null, 0.95)),
        bins=[_reliability(confidences, right, bins == number) for number in np.unique(bins)],
        label_mass=float(masses.mean()),
        low_mass_share=float((masses < LOW_LABEL_MASS).mean()),
    )


def clipped(probabilities: Values) -> Values:
    """Probabilities [n, K] without zeros, of which the log loss would be infinite."""
    above = np.maximum(probabilities, _LEAST_PROBABILITY)
    return above / above.sum(axis=1, keepdims=True)


def _scores(human: Steps, probabilities: Values, task: Task) -> ProbabilityScores:
    sklearn, steps = sklearn_metrics(), list(range(len(task.labels)))
    return ProbabilityScores(
        brier=float(
            sklearn.brier_score_loss(human, probabilities, labels=steps, scale_by_half=False)
        ),
        log_loss=float(sklearn.log_loss(human, clipped(probabilities), labels=steps)),
        rps=_ranked_score(human, probabilities) if task.kind == "ordinal" else None,
    )


def _ranked_score(human: Steps, probabilities: Values) -> float:
    reached = np.cumsum(probabilities, axis=1)[:, :-1]
    is_reached = np.array([human <= step for step in range(reached.shape[1])]).T
    return float(np.mean((reached - is_reached) ** 2))


def _base_rates(human: Steps, task: Task) -> Values:
    shares = np.bincount(human, minlength=len(task.labels)) / len(human)
    return np.tile(shares, (len(human), 1))


# ------------------------------------------------------------------------------------ reliability


def equal_mass_bins(confidences: Values, num_bins: int) -> Bins:
    """The bin of each confidence; equal ones share a bin, whatever the order of the examples."""
    shares = np.arange(1, num_bins) / num_bins
    edges = np.quantile(confidences, shares, method="inverted_cdf")
    return np.searchsorted(edges, confidences, side="left").astype(np.int64)


def expected_calibration_error(confidences: Values, right: NDArray[np.bool_], bins: Bins) -> float:
    """Mean distance, over verdicts, of their bin's accuracy from its mean confidence."""
    return float(np.abs(np.bincount(bins, right - confidences)).sum() / len(confidences))


def simulated_eces(confidences: Values, bins: Bins) -> Values:
    """ECEs of a judge that is right exactly as often as its confidences say."""
    rng = np.random.default_rng(_SEED)
    return np.array(
        [
            expected_calibration_error(
                confidences, rng.random(len(confidences)) < confidences, bins
            )
            for _ in range(_SIMULATIONS)
        ]
    )


def _reliability(
    confidences: Values, right: NDArray[np.bool_], inside: NDArray[np.bool_]
) -> ReliabilityBin:
    return ReliabilityBin(
        n=int(inside.sum()),
        num_right=int(right[inside].sum()),
        confidence=float(confidences[inside].mean()),
    )
