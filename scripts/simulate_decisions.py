"""Simulations of what `blpo decide` and `blpo estimate` promise.

    decisions    in how many draws of the labelled images the target is broken on the population:
                 at most 1 - confidence
    prevalence   in how many draws the 95 % interval holds the true share

    python scripts/simulate_decisions.py --draws 1000

Judges are made up: a score for each image, whose relation to the label is known, so that the true
risk of every threshold is, too. No model is asked.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from blpo.data.tasks import Task
from blpo.models.roles.judge import Verdict
from blpo.pipeline.decisions.control import controlled, recall_points, selective_points
from blpo.pipeline.metrics.intervals import Values
from blpo.pipeline.metrics.prevalence import prevalence
from blpo.pipeline.readings.choose import choose_reading, cross_fitted
from blpo.pipeline.readings.config import ReadingConfig
from blpo.pipeline.runs.predictions import PastExample
from scipy import special

CONFIDENCE = 0.9
_POPULATION = 200_000
_special: Any = special


@dataclass(frozen=True)
class MadeUpJudge:
    """P(positive) on the log-odds scale: `signal` apart by label, plus noise, then sharpened by
    `slope` and moved by `lean`."""

    signal: float
    slope: float = 1.0
    lean: float = 0.0
    share: float = 0.5

    def draw(self, rng: np.random.Generator, num: int) -> tuple[Values, Values]:
        """Whether each image has the positive label, 0 or 1, and its probability by the judge."""
        has_label = (rng.random(num) < self.share).astype(np.float64)
        odds = self.signal * (2 * has_label - 1) + rng.normal(0, 1, num)
        return has_label, _special.expit(self.slope * odds + self.lean)


JUDGES: Mapping[str, MadeUpJudge] = {
    "good": MadeUpJudge(2.0),
    "weak": MadeUpJudge(0.7),
    "leaning, too sure": MadeUpJudge(1.2, slope=3.0, lean=2.0),
    "knows nothing": MadeUpJudge(0.0),
    "good, 1 in 10 positive": MadeUpJudge(1.5, share=0.1),
}

Violation = Callable[[Values, Values, float], float]
"""Label, probability, threshold -> the true risk."""


def precision_risk(has_label: Values, judged: Values, threshold: float) -> float:
    return float(1 - has_label[judged >= threshold].mean())


def recall_risk(has_label: Values, judged: Values, threshold: float) -> float:
    return float((judged[has_label == 1] < threshold).mean())


def error_risk(has_label: Values, judged: Values, threshold: float) -> float:
    acts, verdict = np.maximum(judged, 1 - judged) >= threshold, judged >= 0.5
    return float((has_label != verdict)[acts].mean())


def cost_risk(has_label: Values, judged: Values, threshold: float) -> float:
    """A missed positive costs 1, a false alarm a quarter."""
    confidence, loss = _costs(has_label, judged)
    return float(loss[confidence >= threshold].mean())


def _costs(has_label: Values, judged: Values) -> tuple[Values, Values]:
    verdict = judged >= 0.5
    expected = np.where(verdict, 0.25 * (1 - judged), judged)
    return 1 - expected, np.where(has_label == verdict, 0.0, np.where(has_label == 1, 1.0, 0.25))


def threshold_for(measure: str, has_label: Values, judged: Values, risk: float) -> float | None:
    """Of the labelled images, as `decide` finds it."""
    if measure == "recall":
        points = recall_points(judged, has_label == 1)
    elif measure == "precision":
        points = selective_points(judged, 1 - has_label)
    elif measure == "cost":
        points = selective_points(*_costs(has_label, judged))
    else:
        losses = (has_label != (judged >= 0.5)).astype(np.float64)
        points = selective_points(np.maximum(judged, 1 - judged), losses)
    point = controlled(points, risk, CONFIDENCE, tests_all=measure in ("error", "cost"))
    return None if point is None else point.threshold


RISKS: Mapping[str, Violation] = {
    "precision": precision_risk,
    "recall": recall_risk,
    "error": error_risk,
    "cost": cost_risk,
}


def violations(
    judge: MadeUpJudge, measure: str, risk: float, num: int, draws: int, seed: int
) -> tuple[float, float]:
    """Share of the draws in which the target is broken, and in which there is a decision."""
    rng = np.random.default_rng(seed)
    population = judge.draw(rng, _POPULATION)
    found = [threshold_for(measure, *judge.draw(rng, num), risk) for _ in range(draws)]
    decided = [threshold for threshold in found if threshold is not None]
    broken = sum(RISKS[measure](*population, threshold) > risk for threshold in decided)
    return broken / draws, len(decided) / draws


def violations_as_read(
    task: Task, judge: MadeUpJudge, risk: float, num: int, draws: int, seed: int
) -> tuple[float, float]:
    """The same for the error rate where each draw also fits the reading, read out of fold."""
    rng = np.random.default_rng(seed)
    has, population = judge.draw(rng, _POPULATION)
    broken = decided = 0
    for _ in range(draws):
        labels, judged = judge.draw(rng, num)
        examples = [
            PastExample(f"e{i}", f"e{i}", task.labels[int(y)]) for i, y in enumerate(labels)
        ]
        verdicts = [_verdict(task, p) for p in judged.tolist()]
        choice = choose_reading(ReadingConfig(family="auto"), task, examples, verdicts)
        read = cross_fitted(choice, task, examples, verdicts)
        positives = np.array([(v.probabilities or {})[task.labels[1]] for v in read])
        threshold = threshold_for("error", labels, positives, risk)
        if threshold is not None:
            decided += 1
            logs = np.log(np.stack([1 - population, population], axis=1).clip(1e-9))
            whole = population
            if choice.reading is not None and choice.reading.family != "cutpoints":
                whole = choice.reading.probabilities(logs)[:, 1]
            broken += error_risk(has, whole, threshold) > risk
    return broken / draws, decided / draws


def _verdict(task: Task, positive: float) -> Verdict:
    probabilities = dict(zip(task.labels, (1 - positive, positive), strict=True))
    return Verdict(max(probabilities, key=probabilities.__getitem__), probabilities, 1.0)


def coverage(
    judge: MadeUpJudge, num: int, num_unlabelled: int, draws: int, seed: int
) -> tuple[float, float, float]:
    """Share of the draws whose interval holds the true share; mean widths of the interval, and of
    one from the labelled images alone."""
    rng = np.random.default_rng(seed)
    held, widths, alone = 0, 0.0, 0.0
    for _ in range(draws):
        has_label, judged = judge.draw(rng, num)
        _, others = judge.draw(rng, num_unlabelled)
        groups = list(map(str, range(num)))
        naive = float((others >= 0.5).mean())
        low, high = prevalence("yes", has_label, judged, groups, others, naive).ci95
        held += low <= judge.share <= high
        widths += high - low
        nothing = np.zeros(num)
        low, high = prevalence("yes", has_label, nothing, groups, np.zeros(2), 0.0).ci95
        alone += high - low
    return held / draws, widths / draws, alone / draws


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--draws", type=int, default=1000, help="of each row (1000)")
    draws: int = parser.parse_args().draws
    task = Task(
        name="made-up",
        description="-",
        kind="binary",
        labels=("no", "yes"),
        judge_prompt="-",
        i2t_prompt="-",
        answer_instruction="-",
        primary_metric="accuracy",
    )
    print(f"| target | judge | labelled | broken (at most {1 - CONFIDENCE:.1%}) | decided |")
    print("|---|---|---|---|---|")
    for measure, risk in (("precision", 0.1), ("recall", 0.1), ("error", 0.1), ("cost", 0.05)):
        for name, judge in JUDGES.items():
            for num in (100, 400):
                broken, decided = violations(judge, measure, risk, num, draws, seed=0)
                print(f"| {measure} | {name} | {num} | {broken:.1%} | {decided:.1%} |", flush=True)
    name = "leaning, too sure"
    broken, decided = violations_as_read(task, JUDGES[name], 0.1, 200, draws, seed=0)
    print(f"| error, as read | {name} | 200 | {broken:.1%} | {decided:.1%} |", flush=True)
    print("\n| judge | labelled | share | interval holds it | width | by labels alone |")
    print("|---|---|---|---|---|---|")
    for name, judge in JUDGES.items():
        for num in (100, 200):
            held, width, alone = coverage(judge, num, 5000, draws, seed=0)
            print(f"| {name} | {num} | {judge.share} | {held:.1%} | {width:.3f} | {alone:.3f} |")


if __name__ == "__main__":
    main()
