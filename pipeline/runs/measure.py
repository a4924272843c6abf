"""The figures on the test split, from nothing but labels, groups and verdicts."""

from collections.abc import Sequence

from ...models.roles.judge import Verdict
from ..metrics.agreement import agreement, gain
from ..metrics.labelled import Labelled
from ..metrics.noise_floor import noise_floor
from ..result import SplitResult


def measure(
    examples: Sequence[Labelled],
    initial: Sequence[Verdict],
    final: Sequence[Verdict],
    again: Sequence[Verdict] | None,
    labels: Sequence[str],
    seed: int,
) -> SplitResult:
    """All figures of verdicts on the test split, one per example in order."""
    floor = None if again is None else noise_floor(examples, final, again, labels)
    return SplitResult(
        initial=agreement(examples, initial, labels, seed),
        final=agreement(examples, final, labels, seed),
        gain=gain(examples, initial, final, labels, seed),
        noise_floor=floor,
    )
