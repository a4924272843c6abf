"""Finished runs compared on the test split they share: effect and interval first, then tests."""

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ...data.errors import ConfigError
from ..metrics.agreement import GAIN_METRICS, is_gain, resample
from ..metrics.intervals import (
    LEVEL,
    Interval,
    detectable_difference,
    holm,
    mcnemar,
    minimum_detectable_gain,
    paired_permutation,
    percentiles,
)
from ..runs.directory import kept_task, run_differences
from ..runs.finished_run import PastRun, read_past_run, refuse_other_test

_SEED = 0


class Difference(BaseModel):
    """One metric of a run against the reference.

    difference: run minus reference; ci95 by paired bootstrap over groups within classes.
    test: what gives p_value. p_holm: the same, adjusted for all runs compared.
    detectable: the least true difference that a test of this size shows with 80 % power; None
        where it is too small for any, and where the resamples do not differ, as of equal verdicts.
    """

    model_config = ConfigDict(frozen=True)

    reference: float
    run: float
    difference: float
    ci95: Interval
    test: str
    p_value: float
    p_holm: float
    detectable: float | None

    @property
    def is_distinguishable(self) -> bool:
        return self.p_holm < LEVEL


class RunComparison(BaseModel):
    """A run against the reference.

    differs_in: the configuration values in which they differ, reference first.
    kappa: Cohen's, the agreement beyond what the shares of the verdicts give by chance.
    won, lost: examples on which this run alone, or the reference alone, is right.
    """

    model_config = ConfigDict(frozen=True)

    run: str
    method: str
    preset: str
    seed: int
    differs_in: list[str]
    accuracy: Difference
    macro_f1: Difference
    kappa: Difference
    won: int
    lost: int

    @property
    def is_gain(self) -> bool:
        """By the one rule for a gain, of macro F1 and kappa."""
        return is_gain(self.macro_f1.ci95, self.kappa.ci95)


class Comparisons(BaseModel):
    """Runs against the first of them."""

    model_config = ConfigDict(frozen=True)

    task: str
    n: int
    groups: int
    synthetic: bool
    reference: str
    runs: list[RunComparison]


def read_runs(paths: Sequence[Path]) -> list[PastRun]:
    """Raises ConfigError if there are fewer than two, or one is not finished."""
    if len(paths) < 2:
        raise ConfigError("name at least two finished runs; the first is the reference")
    return [read_past_run(path) for path in paths]


def compare_past_runs(runs: Sequence[PastRun]) -> Comparisons:
    """Each run, of at least two, against the first. Raises ConfigError if their test examples or
    labels differ."""
    reference, *others = runs
    for other in others:
        refuse_other_test(reference, other)
    compared = [_comparison(reference, other) for other in others]
    return Comparisons(
        task=reference.result.task,
        n=len(reference.examples),
        groups=reference.num_groups,
        synthetic=any(run.result.synthetic for run in (reference, *others)),
        reference=str(reference.path),
        runs=_adjusted(compared),
    )


def _comparison(reference: PastRun, run: PastRun) -> RunComparison:
    won = sum(is_right and not reference.right[i] for i, is_right in run.right.items())
    lost = sum(not is_right and reference.right[i] for i, is_right in run.right.items())
    return RunComparison(
        run=str(run.path),
        method=run.result.method,
        preset=run.result.preset,
        seed=run.result.seed,
        differs_in=run_differences(
            reference.config, kept_task(reference.path), run.config, kept_task(run.path)
        ),
        accuracy=_accuracy(reference, run, won, lost),
        macro_f1=_difference(reference, run, "macro_f1"),
        kappa=_difference(reference, run, "kappa"),
        won=won,
        lost=lost,
    )


def _accuracy(reference: PastRun, run: PastRun, won: int, lost: int) -> Difference:
    difference, n = _difference(reference, run, "accuracy"), len(run.examples)
    if run.num_groups < n:
        # McNemar takes examples for independent, which those of one group are not.
        return difference
    p_value = mcnemar(won, lost)
    detectable = minimum_detectable_gain(n, (won + lost) / n)
    exact = {"test": "exact McNemar", "p_value": p_value, "p_holm": p_value}
    return difference.model_copy(update={**exact, "detectable": detectable})


def _difference(reference: PastRun, run: PastRun, metric: str) -> Difference:
    compute = GAIN_METRICS[metric]
    sides = reference.confusions, run.confusions
    before, after = (float(compute(side.sum(axis=0))) for side in sides)
    resampled_before, resampled_after = (compute(resample(side, _SEED)) for side in sides)
    interval = percentiles(resampled_after - resampled_before)
    p_value = paired_permutation(*sides, compute, _SEED)
    unit = "groups" if run.num_groups < len(run.examples) else "examples"
    return Difference(
        reference=before,
        run=after,
        difference=after - before,
        ci95=interval,
        test=f"paired permutation of {unit}",
        p_value=p_value,
        p_holm=p_value,
        detectable=detectable_difference(interval) if interval[0] < interval[1] else None,
    )


def _adjusted(compared: Sequence[RunComparison]) -> list[RunComparison]:
    """With Holm's p-values over all runs, for each metric."""
    adjusted = list(compared)
    for metric in GAIN_METRICS:
        parts: list[Difference] = [getattr(comparison, metric) for comparison in adjusted]
        corrected = holm([part.p_value for part in parts])
        adjusted = [
            comparison.model_copy(update={metric: part.model_copy(update={"p_holm": p_holm})})
            for comparison, part, p_holm in zip(adjusted, parts, corrected, strict=True)
        ]
    return adjusted


def gain_in_words(comparison: RunComparison) -> str:
    """Whether the run gains on the reference, in one sentence."""
    if comparison.is_gain:
        return "A gain: the lower 95 % bounds of macro F1 and of kappa are both above 0."
    return (
        "No gain over the reference: that takes lower 95 % bounds above 0 in macro F1 and in kappa."
    )


def in_words(name: str, part: Difference, n: int) -> str:
    """What the difference in one metric comes to, in one sentence."""
    if part.ci95 == (0.0, 0.0):
        return f"{name} is the same."
    if part.is_distinguishable:
        side = "higher" if part.difference > 0 else "lower"
        return f"{name} is distinguishably {side} than the reference's."
    if part.detectable is None:
        return f"{name} is not distinguishable: {n} test examples are too few to show any."
    return (
        f"{name} is not distinguishable from the reference's: on {n} test examples a true "
        f"difference below about {part.detectable:.3f} would often go unnoticed (80 % power)."
    )
