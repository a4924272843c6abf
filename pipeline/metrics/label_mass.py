"""Label mass: how much of the model's probability lies on the declared labels, 0 to 1."""

from collections.abc import Iterable
from dataclasses import dataclass

LOW_LABEL_MASS = 0.9
"""A label mass below which the probabilities of labels say little about the model's own."""
_MOST_LOW_MASSES = 0.05
_WHAT_TO_DO = (
    "the model would rather write something other than a label, and the probabilities are "
    "renormalized over the little that is left. Name the labels in answer_instruction as declared, "
    "declare them as the model writes them, or let the model reason first (verdict: reasoned)"
)


@dataclass(slots=True)
class MassCounts:
    """Label masses of verdicts: how many there are, their sum, and how many are low."""

    n: int = 0
    total: float = 0.0
    num_low: int = 0

    def add(self, masses: Iterable[float]) -> None:
        for mass in masses:
            self.n += 1
            self.total += mass
            self.num_low += mass < LOW_LABEL_MASS

    @property
    def warning(self) -> str:
        """See `low_mass_warning`."""
        return low_mass_warning(self.num_low / self.n, self.total / self.n) if self.n else ""


def low_mass_warning(low_share: float, mean: float) -> str:
    """What to do about verdicts of which this share has a low mass; empty where few have.

    mean: label mass of all of them.
    """
    if low_share <= _MOST_LOW_MASSES:
        return ""
    return (
        f"label mass below {LOW_LABEL_MASS} for {low_share:.0%} of the verdicts (mean {mean:.3f}): "
        f"{_WHAT_TO_DO}"
    )


def low_mean_warning(mean: float | None) -> str:
    """The same where only the mean is known; empty where it is not low."""
    if mean is None or mean >= LOW_LABEL_MASS:
        return ""
    return f"the mean label mass is {mean:.3f}: {_WHAT_TO_DO}"
