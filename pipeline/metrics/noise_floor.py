"""The noise floor: what changes when the same prompt is asked again.

At temperature 0 a model would answer the same way twice, were it not for batches: an engine adds
up numbers in an order that depends on what else it computes and on what its cache holds, and a
verdict between two labels that are almost as probable can tip over. At a higher temperature, and
at a server, the noise floor measures sampling and whatever the server does besides. A gain that
is not clearly above it says nothing about a prompt.
"""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from ...models.roles.judge import Verdict
from .agreement import accuracy, group_confusions, macro_f1
from .intervals import Interval, wilson
from .labelled import Labelled


class NoiseFloor(BaseModel):
    """One prompt's verdicts, asked twice on the same examples.

    flip_rate: share of examples with another verdict the second time; ci95 by Wilson.
    accuracy, macro_f1: the difference it makes, second minus first.
    max_probability_change: the largest change of any label's probability; None without
        log-probabilities.
    """

    model_config = ConfigDict(frozen=True)

    flip_rate: float
    ci95: dict[str, Interval]
    n: int
    accuracy: float
    macro_f1: float
    max_probability_change: float | None


def noise_floor(
    examples: Sequence[Labelled],
    first: Sequence[Verdict],
    second: Sequence[Verdict],
    labels: Sequence[str],
) -> NoiseFloor:
    """Compare two draws of the verdicts on the same examples."""
    flips = sum(one.label != other.label for one, other in zip(first, second, strict=True))
    before, after = (
        group_confusions(examples, verdicts, labels).sum(axis=0) for verdicts in (first, second)
    )
    changes = [
        abs(probability - other.probabilities[label])
        for one, other in zip(first, second, strict=True)
        if one.probabilities and other.probabilities
        for label, probability in one.probabilities.items()
    ]
    return NoiseFloor(
        flip_rate=flips / len(examples),
        ci95={"flip_rate": wilson(flips, len(examples))},
        n=len(examples),
        accuracy=float(accuracy(after) - accuracy(before)),
        macro_f1=float(macro_f1(after) - macro_f1(before)),
        max_probability_change=max(changes, default=None),
    )
