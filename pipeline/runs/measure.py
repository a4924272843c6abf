"""The figures on the test split, from nothing but labels, groups and verdicts."""

from collections.abc import Sequence

from ...models.roles.judge import Verdict
from ..metrics.agreement import agreement, gain
from ..metrics.labelled import Labelled
from ..metrics.noise_floor import noise_floor
from ..result import OtherReadings, ReadingEffect, SplitResult


def measure(
    examples: Sequence[Labelled],
    initial: Sequence[Verdict],
    final: Sequence[Verdict],
    again: Sequence[Verdict] | None,
    labels: Sequence[str],
    seed: int,
    others: OtherReadings | None = None,
) -> SplitResult:
    """All figures of verdicts on the test split, one per example in order.

    final: as they are read. others: where a reading was asked for.
    """
    floor = None if again is None else noise_floor(examples, final, again, labels)
    return SplitResult(
        initial=agreement(examples, initial, labels, seed),
        final=agreement(examples, final, labels, seed),
        gain=gain(examples, initial, final, labels, seed),
        noise_floor=floor,
        reading=others and _effect(examples, initial, final, others, labels, seed),
    )


def _effect(
    examples: Sequence[Labelled],
    initial: Sequence[Verdict],
    final: Sequence[Verdict],
    others: OtherReadings,
    labels: Sequence[str],
    seed: int,
) -> ReadingEffect:
    return ReadingEffect(
        initial=agreement(examples, others.initial, labels, seed),
        final_raw=agreement(examples, others.final, labels, seed),
        gain=gain(examples, others.initial, final, labels, seed),
        gain_raw=gain(examples, initial, others.final, labels, seed),
        gain_of_reading=gain(examples, initial, others.initial, labels, seed),
    )
