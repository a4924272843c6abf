"""How many images have a label: a prediction-powered estimate from verdicts on all and human
labels on some.

The mean verdict on the unlabelled images is corrected by what it errs by on the labelled ones, as
far as that makes the estimate more certain (PPI++, Angelopoulos, Duchi and Zrnic, 2023). The
interval is Wilson's at the number of images that the standard error is worth: a symmetric one is
too short for rare labels.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from .intervals import Interval, Values, students_t, variance_of_sum


class Prevalence(BaseModel):
    """The share of one label in an unlabelled set. ci95: of `share`.

    naive: the share of the verdicts. weight: how much of the verdicts is used, from 0 (the labelled
    images alone) to 1.
    """

    model_config = ConfigDict(frozen=True)

    label: str
    naive: float
    share: float
    ci95: Interval
    weight: float


def prevalence(
    label: str,
    has_label: Values,
    judged: Values,
    groups: Sequence[str],
    unlabelled: Values,
    naive: float,
) -> Prevalence:
    """has_label, judged: of the labelled images, whether they have the label and its probability
    by the judge, [n]; groups: theirs. unlabelled: the probabilities of the others, [N].
    """
    weight = _weight(has_label, judged, len(unlabelled))
    rest = has_label - weight * judged
    share = float(rest.mean() + weight * unlabelled.mean())
    variance = variance_of_sum(rest, groups) / len(rest) ** 2
    variance += weight**2 * float(unlabelled.var()) / len(unlabelled)
    share = min(max(share, 0.0), 1.0)
    interval = _wilson_at(share, variance, len(set(groups)))
    return Prevalence(label=label, naive=naive, share=share, ci95=interval, weight=weight)


def _weight(has_label: Values, judged: Values, num_unlabelled: int) -> float:
    """That makes the variance least; from 0 to 1."""
    spread = float(judged.var(ddof=1)) * (1 + len(judged) / num_unlabelled)
    if spread == 0:
        return 0.0
    together = float(np.cov(has_label, judged, ddof=1)[0, 1])
    return min(max(together / spread, 0.0), 1.0)


def _wilson_at(share: float, variance: float, num_groups: int) -> Interval:
    """Wilson's interval of a share, of as many images as have this variance."""
    worth = share * (1 - share) / variance if variance > 0 else float(num_groups)
    worth = max(worth, 1.0)
    z = students_t(max(num_groups - 1, 1))
    middle = (share + z**2 / (2 * worth)) / (1 + z**2 / worth)
    spread = share * (1 - share) / worth + z**2 / (4 * worth**2)
    half = z / (1 + z**2 / worth) * float(np.sqrt(spread))
    return max(middle - half, 0.0), min(middle + half, 1.0)
