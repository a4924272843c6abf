"""The choice of a reading for one judge prompt, from its verdicts on the training examples.

Families are compared by their log loss on folds of groups that they were not fitted on. Of those
within one standard error of the lowest, the simplest is taken (Breiman et al., 1984), then fitted
on all of train. A family is refused where a label occurs in too few groups.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from pydantic import BaseModel, ConfigDict

from ...data.tasks import TIE, Task
from ...models.roles.judge import Verdict
from ..metrics.intervals import Values, variance_of_sum
from ..metrics.labelled import Identified, Labelled
from ..metrics.probabilities import clipped
from ..metrics.scores import Steps
from .config import FamilyName, ReadingConfig, fitted_families
from .cutpoints import CutPoints, choose_cutpoints, fit_cut_points
from .families import FAMILIES
from .fitted import (
    FittedReading,
    evidence,
    fit_family,
    is_readable,
    log_probabilities,
)
from .folds import folds, num_groups
from .offset import MIN_IMAGES, fit_offset
from .tie_band import fit_tie_band

Reading = FittedReading | CutPoints
"""Verdict -> the verdict as it is read."""


class Considered(BaseModel):
    """A family on folds of train that it was not fitted on.

    log_loss: in nats; None where the family was refused, or gives no probabilities. behind: mean
    log loss above the lowest, with its standard error over groups. refused: why; empty if not.
    """

    model_config = ConfigDict(frozen=True)

    family: str
    log_loss: float | None = None
    behind: float | None = None
    standard_error: float | None = None
    refused: str = ""


class ReadingChoice(BaseModel):
    """How verdicts under one judge prompt are read, and what else was considered.

    reading: None for the likeliest label.
    """

    model_config = ConfigDict(frozen=True)

    reading: Reading | None = None
    considered: tuple[Considered, ...] = ()

    @property
    def family(self) -> str:
        return "none" if self.reading is None else self.reading.family

    @property
    def refusals(self) -> dict[str, str]:
        """Why families were refused, by name."""
        return {one.family: one.refused for one in self.considered if one.refused}


@dataclass(frozen=True, slots=True)
class _Train:
    """Training examples whose verdicts have probabilities. logs: [n, K]. human: [n]."""

    task: Task
    examples: Sequence[Identified]
    verdicts: Sequence[Verdict]
    logs: Values
    human: Steps

    @classmethod
    def make(cls, task: Task, train: Sequence[Identified], verdicts: Sequence[Verdict]) -> "_Train":
        judged = [(e, v) for e, v in zip(train, verdicts, strict=True) if v.probabilities]
        examples, given = [e for e, _ in judged], [v for _, v in judged]
        human = np.array([task.labels.index(e.label) for e in examples], dtype=np.int64)
        logs = log_probabilities(given, task.labels).reshape(len(given), len(task.labels))
        return cls(task, examples, given, logs, human)

    @property
    def labels(self) -> tuple[str, ...]:
        return self.task.labels

    def refusal(self, family: FamilyName) -> str:
        """Why a family cannot be fitted; empty if it can."""
        if not all(is_readable(family, verdict) for verdict in self.verdicts):
            return "the answers to single criteria were not kept: start the run again"
        return too_few(family, self.task, self.examples)

    def fit(self, family: FamilyName) -> FittedReading:
        found = evidence(family, self.verdicts, self.labels)
        return fit_family(family, self.labels, found, self.human)

    def out_of_fold(self, family: FamilyName) -> Values:
        """Probabilities [n, K], each row by a fit without its fold."""
        read, found = np.empty_like(self.logs), evidence(family, self.verdicts, self.labels)
        for rest, held in folds(self.examples):
            fitted = fit_family(family, self.labels, found[rest], self.human[rest])
            read[held] = fitted.probabilities(found[held])
        return read

    def losses(self, probabilities: Values) -> Values:
        """-log P(human label) of each example."""
        return -np.log(clipped(probabilities)[np.arange(len(self.human)), self.human])


def choose_reading(
    config: ReadingConfig, task: Task, train: Sequence[Identified], verdicts: Sequence[Verdict]
) -> ReadingChoice:
    """verdicts: of the likeliest label, on the training examples in their order.

    A family that is named is compared with none alone.
    """
    given = _Train.make(task, train, verdicts)
    if config.family == "none":
        return ReadingChoice()
    if not given.examples:
        told = "the judge gives no label probabilities"
        return ReadingChoice(considered=(Considered(family=config.family, refused=told),))
    if config.family == "offset":
        return _offset(given, config.prior)
    if config.family == "cutpoints":
        return _cutpoints(given)
    return _by_log_loss(
        given, fitted_families(task) if config.family == "auto" else (config.family,)
    )


def cross_fitted(
    choice: ReadingChoice, task: Task, train: Sequence[Identified], verdicts: Sequence[Verdict]
) -> list[Verdict]:
    """The verdicts as read by the chosen family, each by a fit without its fold."""
    reading = choice.reading
    if not isinstance(reading, FittedReading) or reading.family == "offset":
        return [reading(v) for v in verdicts] if reading else list(verdicts)
    given = _Train.make(task, train, verdicts)
    read = list(verdicts)
    places = [i for i, verdict in enumerate(verdicts) if verdict.probabilities]
    found = evidence(reading.family, given.verdicts, given.labels)
    for rest, held in folds(given.examples):
        fitted = fit_family(reading.family, given.labels, found[rest], given.human[rest])
        for i in held:
            read[places[i]] = fitted(given.verdicts[i])
    return read


def too_few(family: FamilyName, task: Task, train: Sequence[Labelled]) -> str:
    """Why a family cannot be fitted on so few examples; empty if it can."""
    if family not in FAMILIES:
        return ""
    least = FAMILIES[family].least_groups(len(task.criteria))
    own: defaultdict[str, set[str]] = defaultdict(set)
    for example in train:
        own[example.label].add(example.group)
    label = min(task.labels, key=lambda name: len(own[name]))
    if len(own[label]) >= least:
        return ""
    return (
        f"needs {least} training groups of each label, and there are {len(own[label])} of {label}"
    )


def _by_log_loss(train: _Train, families: Sequence[FamilyName]) -> ReadingChoice:
    refused: dict[FamilyName, str] = {family: train.refusal(family) for family in families}
    fitted: list[FamilyName] = [family for family in families if not refused[family]]
    losses = {"none": train.losses(np.exp(train.logs))}
    for family in fitted:
        losses[family] = train.losses(train.out_of_fold(family))
    lowest = min(losses.values(), key=lambda values: float(values.mean()))
    considered = [_considered(train, name, own, lowest) for name, own in losses.items()]
    considered += [Considered(family=name, refused=why) for name, why in refused.items() if why]
    # "none" goes first, and then the families, the simplest first.
    place = next(i for i, one in enumerate(considered) if _is_near(one))
    reading = train.fit(fitted[place - 1]) if place else None
    return ReadingChoice(reading=reading, considered=tuple(considered))


def _considered(train: _Train, family: str, losses: Values, lowest: Values) -> Considered:
    behind = losses - lowest
    return Considered(
        family=family,
        log_loss=float(losses.mean()),
        behind=float(behind.mean()),
        standard_error=_standard_error(behind, train.examples),
    )


def _standard_error(values: Values, examples: Sequence[Labelled]) -> float:
    """Of the mean, over groups."""
    return sqrt(variance_of_sum(values, [e.group for e in examples])) / len(values)


def _is_near(one: Considered) -> bool:
    """Whether it is within one standard error of the lowest."""
    return one.behind is not None and one.behind <= (one.standard_error or 0.0)


def _cutpoints(train: _Train) -> ReadingChoice:
    fit = fit_tie_band if TIE in train.labels else fit_cut_points
    chosen = choose_cutpoints(train.labels, train.examples, train.verdicts, fit)
    told = "" if chosen else "no sure gain in accuracy on folds that they were not fitted on"
    return ReadingChoice(reading=chosen, considered=(Considered(family="cutpoints", refused=told),))


def _offset(train: _Train, prior: Mapping[str, float] | None) -> ReadingChoice:
    num = num_groups(train.examples)
    if num < MIN_IMAGES:
        told = f"needs {MIN_IMAGES} groups of images, and there are {num}"
        return ReadingChoice(considered=(Considered(family="offset", refused=told),))
    reading = fit_offset(train.labels, train.logs, prior)
    return ReadingChoice(reading=reading, considered=(Considered(family="offset"),))
