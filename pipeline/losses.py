"""l(f(x; p), y): what a verdict costs, given the human label."""

from collections.abc import Callable

from ..models.judge import Verdict

Loss = Callable[[Verdict, str], float]


def zero_one(verdict: Verdict, human_label: str) -> float:
    """1 for a misjudgment, 0 otherwise; a verdict without a label is a misjudgment."""
    return float(verdict.label != human_label)


LOSSES: dict[str, Loss] = {"zero_one": zero_one}
