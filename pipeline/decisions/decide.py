"""`blpo decide`: the operating point of a finished run, and how it does on the test split."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ...data.arrow import atomic_path
from ...data.errors import ConfigError
from ...data.text_files import read_own_json
from ...models.roles.judge import Verdict
from ..metrics.coverage import FEWEST_COVERED, OperatingPoint
from ..metrics.drift import differs
from ..metrics.intervals import Interval, Values, bootstrap_weights, percentiles, wilson
from ..metrics.labelled import Labelled
from ..readings.choose import cross_fitted
from ..result import RunResult
from ..runs.directory import DECISION_FILE, TRAIN_PREDICTIONS_FILE, run_task
from ..runs.finished_run import PastRun, read_past_run
from ..runs.predictions import read_predictions
from .control import Point, controlled, labels_needed, recall_points, selective_points
from .target import Target, parse_target

Act = Literal["act", "abstain"]

_MOST_MORE = 20
"""Times the labels there are; an estimate of more says nothing."""


class Outcome(BaseModel):
    """What acting comes to on a split. value: of the measure, None where nothing is acted on.

    n: images. num_units: that the value is a mean over. coverage: share that is acted on.
    """

    model_config = ConfigDict(frozen=True)

    n: int
    num_acts: int
    num_units: int
    coverage: float
    value: float | None
    ci95: dict[str, Interval]


class Decision(BaseModel):
    """What decision.json holds. result: digest of the prompt and the reading that it is for.

    threshold: act on a confidence of at least this. confidence: that the target holds, over draws
    of the training images. train: one image of each group, read out of fold.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    result: str
    target: Target
    confidence: float
    threshold: float
    train: Outcome
    test: Outcome

    @property
    def coverage_differs(self) -> bool:
        """Whether the shares that are acted on differ between the splits, as drift is told."""
        counts = [(one.num_acts, one.n - one.num_acts) for one in (self.train, self.test)]
        return differs(*counts)

    def decide(self, verdict: Verdict) -> tuple[Act, float | None]:
        """Whether to act on a verdict as it is read, and the confidence that decides."""
        confidence = self.target.confidence(verdict)
        acts = confidence is not None and confidence >= self.threshold
        return ("act" if acts else "abstain"), confidence


@dataclass(frozen=True, slots=True)
class _Judged:
    """Examples of a split with their verdicts as they are read."""

    examples: Sequence[Labelled]
    verdicts: Sequence[Verdict]

    def confidences(self, target: Target) -> Values:
        """-inf for a verdict without one."""
        found = [target.confidence(verdict) for verdict in self.verdicts]
        return np.array([-np.inf if c is None else c for c in found])

    def losses(self, target: Target) -> Values:
        pairs = zip(self.examples, self.verdicts, strict=True)
        return np.array([target.loss(e.label, v.label) for e, v in pairs])

    def one_per_group(self) -> "_Judged":
        """The first of each group: images of one group are not independent."""
        first: dict[str, int] = {}
        for place, example in enumerate(self.examples):
            first.setdefault(example.group, place)
        places = list(first.values())
        return _Judged([self.examples[i] for i in places], [self.verdicts[i] for i in places])


def decide(run: Path, target_text: str, costs: Sequence[str], confidence: float) -> Decision:
    """Raises ConfigError for a target that is none, and what `decided` does."""
    past = read_past_run(run)
    return decided(past, parse_target(target_text, costs, past.labels), confidence)


def decided(past: PastRun, target: Target, confidence: float) -> Decision:
    """Raises ConfigError for a run that kept no verdicts on train, and for a target that the
    training images cannot support: it says how many would."""
    train = _train(past).one_per_group()
    points = _points(train, target)
    point = controlled(points, target.risk, confidence, tests_all=target.is_of_all)
    if point is None:
        raise ConfigError(unsupported(target, points, len(train.examples), confidence))
    test = _Judged(past.examples, past.final)
    return Decision(
        result=result_digest(past.result),
        target=target,
        confidence=confidence,
        threshold=point.threshold,
        train=_outcome(train, target, point.threshold),
        test=_outcome(test, target, point.threshold),
    )


def operating_point(past: PastRun, decision: Decision) -> OperatingPoint:
    """A decision as the report shows it, with all thresholds of the test split."""
    target, outcome = decision.target, decision.test
    judged = _Judged(past.examples, past.final)
    points = _points(judged, target)
    is_acted_on = judged.confidences(target) >= decision.threshold
    return OperatingPoint(
        target=str(target),
        measure=target.measure,
        bound=target.bound,
        curve=[
            (p.num_acts / outcome.n, _stated(target, (p.total_loss / p.num_units,))[0])
            for p in points
            if p.num_units >= FEWEST_COVERED
        ],
        coverage=outcome.coverage,
        value=outcome.value,
        ci95=outcome.ci95.get("value"),
        acts=tuple(np.flatnonzero(is_acted_on).tolist()),
    )


def write_decision(run: Path, decision: Decision, *, overwrite: bool) -> Path:
    """Raises ConfigError if the run has one and it is not to be replaced."""
    path = run / DECISION_FILE
    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: exists already; pass --overwrite to replace it")
    with atomic_path(path, overwrite=overwrite) as temporary:
        temporary.write_text(decision.model_dump_json(indent=2) + "\n", "utf-8")
    return path


def read_decision(run: Path, result: Mapping[str, Any]) -> Decision | None:
    """The decision of a run with this result.json; None without one.

    Raises ConfigError for one that is damaged, or of another result.
    """
    path, remedy = run / DECISION_FILE, "make it again with `blpo decide --overwrite`"
    if not path.exists():
        return None
    try:
        decision = Decision.model_validate(read_own_json(path, remedy, ConfigError))
    except ValidationError:
        raise ConfigError(f"{path}: is damaged, or of another version; {remedy}") from None
    if decision.result != _digest(result.get("judge_prompt_final"), result.get("reading")):
        raise ConfigError(f"{path}: belongs to another prompt or reading; {remedy}")
    return decision


def result_digest(result: RunResult) -> str:
    """Of the final prompt and its reading."""
    values = result.model_dump(mode="json", include={"judge_prompt_final", "reading"})
    return _digest(values["judge_prompt_final"], values["reading"])


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _train(past: PastRun) -> _Judged:
    """The training images, each read by a fit that had no part in it."""
    if past.result.readings is None:
        raise ConfigError(
            f"{past.path}: kept no verdicts on train: run it again with --set reading=auto and "
            "another output; replies are in the store"
        )
    task = run_task(past.config)
    found = read_predictions(past.path / TRAIN_PREDICTIONS_FILE)
    read = cross_fitted(past.result.readings.final, task, found.examples, found.final)
    return _Judged(found.examples, read)


def _points(judged: _Judged, target: Target) -> list[Point]:
    confidences = judged.confidences(target)
    if target.measure == "recall":
        has_label = np.array([example.label == target.label for example in judged.examples])
        return recall_points(confidences, has_label)
    return selective_points(confidences, judged.losses(target))


def _outcome(judged: _Judged, target: Target, threshold: float) -> Outcome:
    acts = judged.confidences(target) >= threshold
    if target.measure == "recall":
        units = np.array([example.label == target.label for example in judged.examples])
        losses = np.where(acts, 0.0, 1.0)
    else:
        units, losses = acts, judged.losses(target)
    num, total, num_acts = int(units.sum()), float(losses[units].sum()), int(acts.sum())
    ci95 = {"coverage": wilson(num_acts, len(acts))}
    if num:
        ci95["value"] = _stated(target, _interval(judged, target, losses, units))
    return Outcome(
        n=len(acts),
        num_acts=num_acts,
        num_units=num,
        coverage=num_acts / len(acts),
        value=_stated(target, (total / num,))[0] if num else None,
        ci95=ci95,
    )


def _interval(judged: _Judged, target: Target, losses: Values, units: Any) -> Interval:
    """Of the mean loss: Wilson's, or for costs by bootstrap over groups."""
    if target.measure != "cost":
        return wilson(round(float(losses[units].sum())), int(units.sum()))
    _, places = np.unique([e.group for e in judged.examples], return_inverse=True)
    num_groups = int(np.max(places)) + 1
    weights = bootstrap_weights(np.zeros(num_groups, dtype=np.int64), seed=0)[:, places]
    return percentiles(weights @ (losses * units) / np.maximum(weights @ units, 1e-9))


def _stated(target: Target, losses: tuple[float, ...]) -> Any:
    """Mean losses as the target states them."""
    if target.label is None:
        return tuple(loss * target.largest_cost for loss in losses)
    return tuple(sorted(1 - loss for loss in losses))


def unsupported(target: Target, points: Sequence[Point], num: int, confidence: float) -> str:
    """Why there is no threshold, and what would help. num: training images, one of each group."""
    told = f"no threshold is sure to keep {target} with confidence {confidence:g}"
    needed = labels_needed(points, num, target.risk, confidence, tests_all=target.is_of_all)
    if needed is None:
        return (
            f"{told}: not even the most confident of {num:,} training images keep it. More labels "
            "for this prompt would not help: relax the target, or improve prompt and reading"
        )
    if needed > _MOST_MORE * num:
        return (
            f"{told}: {num:,} training images are far from enough (about {needed:,} like them "
            "might be). Improve prompt and reading, or relax the target"
        )
    if needed <= num:
        return (
            f"{told}: of {num:,} training images (one of each group) a share keeps it, but those "
            "that the judge is more confident of err too often. More labels may not help: relax "
            "the target, or improve prompt and reading"
        )
    return (
        f"{told} on {num:,} training images (one of each group): about {needed:,} "
        "like them would be enough. Label more, relax the target, or lower --confidence"
    )
