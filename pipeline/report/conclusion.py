"""What the test split says about adopting a run's final prompt, in one sentence."""

from dataclasses import dataclass
from typing import Literal

from ...data.tasks import Metric
from ..metrics.intervals import Interval, detectable_difference, minimum_detectable_gain
from ..result import RunResult
from .failure_lines import nothing_new
from .plots import METRICS

Tone = Literal["better", "worse", "unclear", "same", "failed"]


@dataclass(frozen=True, slots=True)
class Finding:
    """The sentence, and the least true gain that would show with 80 % power.

    detectable: from the interval of the gain; 0 where that has no width, as between a prompt and
    itself.
    """

    tone: Tone
    sentence: str
    detectable: float
    num_examples: int

    @property
    def at_best(self) -> float | None:
        """Of a gain in accuracy that loses no verdict; None where the test shows no gain at all."""
        return minimum_detectable_gain(self.num_examples, 0.0)


def finding(result: RunResult, metric: Metric) -> Finding:
    """A gain that verdicts independent of the images would show as well is not called one.

    A search that had nothing to try has found nothing, whatever the figures. Where verdicts are
    read by a fitted reading, the gain is that over the initial prompt under its own.
    """
    test = result.test
    interval = test.gain.ci95[metric]
    low, high = interval
    name = METRICS[metric][0].upper() + METRICS[metric][1:]
    before, after = getattr(test.initial, metric), getattr(test.final, metric)
    detectable, n = detectable_difference(interval), test.final.n
    missing = nothing_new(result)
    if missing is not None:
        told = f"No new prompt was tried: {missing}. {name} of the initial prompt is {before:.3f}."
        return Finding("failed", told, detectable, n)
    if before == after and low == high:
        return Finding(
            "same", f"{name} is {after:.3f} under both prompts.", detectable, test.final.n
        )
    verb = "stayed" if before == after else "rose" if before < after else "fell"
    under = "" if test.reading is None else ", each prompt under its own reading"
    told = f"{name} {verb} from {before:.3f} to {after:.3f}{under}; the 95 % interval of the gain"
    if not excludes_zero(interval):
        sentence = f"{told}, {signed_interval(interval)}, includes 0: the difference may be chance."
        return Finding("unclear", sentence, detectable, n)
    sentence = f"{told}, {signed_interval(interval)}, excludes 0"
    if low > 0 and not test.gain.is_found(metric):
        beyond = signed_interval(test.gain.ci95["kappa"])
        sentence = (
            f"{sentence}, but that of the gain in kappa, {beyond}, does not: the distribution of "
            "the verdicts has moved towards that of the labels, which alone raises the score."
        )
        return Finding("unclear", sentence, detectable, n)
    return Finding("better" if low > 0 else "worse", f"{sentence}.", detectable, n)


def excludes_zero(interval: Interval) -> bool:
    low, high = interval
    return low > 0 or high < 0


def signed(value: float) -> str:
    """With a sign, but for what rounds to 0."""
    text = f"{value:+.3f}"
    return "0.000" if text[1:] == "0.000" else text


def signed_interval(interval: Interval) -> str:
    return " to ".join(map(signed, interval))
