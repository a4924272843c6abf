"""Agreement of verdicts on pairs with annotators, and position bias.

A pair counts once, however many orders it was asked in: both are one verdict here, and one unit
of every interval.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...data.tasks import TIE
from ...models.roles.judge import Verdict
from ...models.roles.pair_judge import PairVerdict
from .intervals import Interval, bootstrap_weights, percentiles
from .labelled import Labelled


class PairScores(BaseModel):
    """Agreement on pairs; None where nothing is counted.

    strict_accuracy: on the num_strict pairs in which annotators prefer one image; a verdict that
        is a tie, or has no label, is wrong.
    tie_aware_accuracy: on all pairs; where annotators see a tie, a tie is right.
    position_consistency: share, of the pairs asked in both orders, in which both had a label and
        it was the same.
    first_position_rate: share, of the answers that prefer an image, in which it is the one that
        was shown first. Without position bias it is near one half.
    ci95: by name, by percentile bootstrap over groups.
    """

    model_config = ConfigDict(frozen=True)

    strict_accuracy: float | None
    num_strict: int
    tie_aware_accuracy: float
    position_consistency: float | None
    first_position_rate: float | None
    ci95: dict[str, Interval]


PAIR_SCORES = {
    "strict_accuracy": "accuracy on strict pairs",
    "tie_aware_accuracy": "accuracy, ties counted",
    "position_consistency": "position consistency",
    "first_position_rate": "first-position rate",
}
"""The shares, with their display names."""

_MOST_OF_A_PLACE = 0.75
"""Share of answers for one place of a pair from which the judge is told to lean to it."""

_Counted = tuple[int, int]
"""Hits, and out of how many."""


def leaning_note(scores: PairScores | None) -> str:
    """That answers prefer one place of a pair, and what helps; empty where they hardly do."""
    if scores is None or scores.first_position_rate is None:
        return ""
    first = scores.first_position_rate
    share, place = max((first, "first"), (1 - first, "second"))
    if share < _MOST_OF_A_PLACE:
        return ""
    return (
        f"{share:.0%} of its answers prefer the image shown {place}: `orders: both` evens that "
        "out, one order does not"
    )


def pair_scores(
    examples: Sequence[Labelled], verdicts: Sequence[Verdict], seed: int
) -> PairScores | None:
    """Scores of verdicts, one per pair in order; None for verdicts on single images."""
    if not all(isinstance(verdict, PairVerdict) for verdict in verdicts):
        return None
    pairs = list(zip(examples, verdicts, strict=True))
    counted = {
        "strict_accuracy": [_strict(e, v) for e, v in pairs],
        "tie_aware_accuracy": [(int(v.label == e.label), 1) for e, v in pairs],
        "position_consistency": [_consistent(v) for v in verdicts],
        "first_position_rate": [_first(v) for v in verdicts],
    }
    groups = [example.group for example in examples]
    shares = {name: _share(counts) for name, counts in counted.items()}
    return PairScores(
        **shares,  # pyright: ignore[reportArgumentType]
        num_strict=sum(total for _, total in counted["strict_accuracy"]),
        ci95={
            name: _interval(counts, groups, seed)
            for name, counts in counted.items()
            if shares[name] is not None
        },
    )


def _strict(example: Labelled, verdict: Verdict) -> _Counted:
    return (0, 0) if example.label == TIE else (int(verdict.label == example.label), 1)


def _consistent(verdict: Verdict) -> _Counted:
    if not isinstance(verdict, PairVerdict) or verdict.num_orders < 2:
        return 0, 0
    return int(verdict.in_order is not None and verdict.in_order == verdict.turned), 1


def _first(verdict: Verdict) -> _Counted:
    if not isinstance(verdict, PairVerdict):
        return 0, 0
    first = (verdict.in_order == "A") + (verdict.turned == "B")
    return first, sum(label in {"A", "B"} for label in (verdict.in_order, verdict.turned))


def _share(counts: Sequence[_Counted]) -> float | None:
    hits, total = (sum(column) for column in zip(*counts, strict=True))
    return hits / total if total else None


def _interval(counts: Sequence[_Counted], groups: Sequence[str], seed: int) -> Interval:
    place = {group: i for i, group in enumerate(sorted(set(groups)))}
    table = np.zeros((len(place), 2))
    np.add.at(table, [place[group] for group in groups], np.array(counts))
    resampled = bootstrap_weights(np.zeros(len(place), dtype=np.int64), seed) @ table
    return percentiles(resampled[:, 0] / np.maximum(resampled[:, 1], 1))
