"""Raw scores to labels: where the cuts lie, and that they are never guessed."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

import numpy as np

from ..errors import DataError
from ..label_sets import check_scale, label_numbers, rescaled
from ..tasks import Task

Bins = Literal["round", "equal-width", "quantile"]
Scale = tuple[float, float]

BINS: tuple[Bins, ...] = get_args(Bins)


@dataclass(frozen=True, slots=True)
class Binning:
    """How scores became labels; kept in the manifest.

    low, high: the lowest and highest score found. scale: ends of the data's scale that were put
    on the first and last label, None if scores were taken as they are.
    edges: the K - 1 cuts between the task's labels, in raw scores; a score on a cut goes up.
    """

    method: Bins
    low: float
    high: float
    scale: Scale | None
    edges: tuple[float, ...]
    labels: tuple[str, ...]

    def label(self, score: float) -> str:
        """The label of a score; beyond the outer cuts the first or last."""
        return self.labels[int(np.searchsorted(self.edges, score, side="right"))]


def fit_binning(
    scores: Sequence[float], task: Task, bins: Bins | None, scale: Scale | None, source: str
) -> Binning:
    """The binning of scores onto the task's labels; `bins` None rounds if that needs no guess.

    Rounding needs labels that are numbers, and scores that lie between the first and the last or
    the ends of their scale. Raises DataError that names the scores' range otherwise.
    """
    low, high = min(scores), max(scores)
    if bins == "equal-width":
        edges = np.linspace(low, high, len(task.labels) + 1)[1:-1]
    elif bins == "quantile":
        edges = np.quantile(scores, np.linspace(0, 1, len(task.labels) + 1)[1:-1])
    else:
        edges = _rounding_edges(low, high, task, scale, source)
    cuts = tuple(float(edge) for edge in edges)
    used = scale if bins in {None, "round"} else None
    return Binning(bins or "round", low, high, used, cuts, task.labels)


def _rounding_edges(
    low: float, high: float, task: Task, scale: Scale | None, source: str
) -> list[float]:
    numbers = label_numbers(task.labels)
    if numbers is None:
        raise DataError(
            f"{source}: scores cannot be rounded to {task.label_set()} (task {task.name}): "
            "choose --bins equal-width or --bins quantile"
        )
    ends = numbers[0], numbers[-1]
    check_scale(*(scale or ends))
    first, last = scale or ends
    if low < first or high > last:
        raise DataError(
            f"{source}: scores run from {low:g} to {high:g}, outside {first:g}-{last:g}: say what "
            f"they mean. --rescale LOW-HIGH puts the ends of their scale on {task.labels[0]} and "
            f"{task.labels[-1]}; --bins equal-width cuts their range into {len(numbers)} equal "
            f"parts; --bins quantile makes {len(numbers)} equally large classes"
        )
    middles = [(below + above) / 2 for below, above in pairwise(numbers)]
    return [rescaled(middle, *ends, first, last) for middle in middles]
