"""The figures on the test split, from nothing but labels, groups and verdicts."""

from collections.abc import Sequence

from ...models.roles.judge import Verdict
from ..metrics.agreement import agreement, gain
from ..metrics.labelled import Labelled
from ..metrics.noise_floor import noise_floor
from ..result import RawVerdicts, ReadingEffect, SplitResult


def measure(
    examples: Sequence[Labelled],
    initial: Sequence[Verdict],
    final: Sequence[Verdict],
    again: Sequence[Verdict] | None,
    labels: Sequence[str],
    seed: int,
    raw: RawVerdicts | None = None,
) -> SplitResult:
    """All figures of verdicts on the test split, one per example in order.

    raw: by the likeliest label, where the others are as they are read.
    """
    floor = None if again is None else noise_floor(examples, final, again, labels)
    return SplitResult(
        initial=agreement(examples, initial, labels, seed),
        final=agreement(examples, final, labels, seed),
        gain=gain(examples, initial, final, labels, seed),
        noise_floor=floor,
        reading=raw and _effect(examples, initial, final, raw, labels, seed),
    )


def _effect(
    examples: Sequence[Labelled],
    initial: Sequence[Verdict],
    final: Sequence[Verdict],
    raw: RawVerdicts,
    labels: Sequence[str],
    seed: int,
) -> ReadingEffect:
    return ReadingEffect(
        initial_raw=agreement(examples, raw.initial, labels, seed),
        final_raw=agreement(examples, raw.final, labels, seed),
        gain_raw=gain(examples, raw.initial, raw.final, labels, seed),
        gain_of_reading=gain(examples, raw.initial, initial, labels, seed),
        gain_of_both=gain(examples, raw.initial, final, labels, seed),
    )
