"""What a decision has to keep to: a bound on precision, recall, error rate or mean cost."""

import re
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ...data.errors import ConfigError
from ...models.roles.judge import Verdict

Measure = Literal["precision", "recall", "error", "cost"]

_OF_LABEL = re.compile(r"(precision|recall)\((.+)\)\s*>=\s*(0?\.\d+|0|1)")
_OF_ALL = re.compile(r"(error|cost)\s*<=\s*(\d*\.?\d+)")
_COST = re.compile(r"(.+):(.+)=(\d*\.?\d+)")
_EXAMPLES = "'precision(Unsafe) >= .95', 'recall(Unsafe) >= .98', 'error <= .05', 'cost <= .2'"

Costs = dict[str, dict[str, float]]
"""By human label, then by verdict; 0 for a verdict that is right."""


class Target(BaseModel):
    """measure: of what is acted on. label: of precision and recall. bound: as it was stated.

    precision: of the images taken for `label`, the share that has it. recall: of the images that
    have it, the share taken for it. error: of the verdicts acted on, the share that is wrong.
    cost: their mean cost.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    measure: Measure
    bound: float
    label: str | None = None
    costs: Costs | None = None

    def __str__(self) -> str:
        if self.label is None:
            return f"{self.measure} <= {self.bound:g}"
        return f"{self.measure}({self.label}) >= {self.bound:g}"

    def is_for(self, labels: Sequence[str]) -> bool:
        """Whether label and costs are those of a task with these labels."""
        tables = [self.costs, *self.costs.values()] if self.costs else []
        is_known = self.label is None or self.label in labels
        return is_known and all(set(table) == set(labels) for table in tables)

    @property
    def risk(self) -> float:
        """The largest mean loss allowed, where losses are from 0 to 1."""
        return (1 - self.bound if self.label is not None else self.bound) / self.largest_cost

    @property
    def largest_cost(self) -> float:
        """The loss of 1, in units of cost."""
        return max((c for row in (self.costs or {}).values() for c in row.values()), default=1.0)

    @property
    def is_of_all(self) -> bool:
        """Whether it can be kept by acting on every verdict, whatever its label."""
        return self.label is None

    def confidence(self, verdict: Verdict) -> float | None:
        """What is compared with the threshold, from 0 to 1; None for a verdict without
        probabilities.

        The probability of `label`, or of the verdict's label; under costs, 1 less the expected
        cost of the verdict in units of the largest.
        """
        if verdict.probabilities is None or verdict.label is None:
            return None
        if self.measure == "cost":
            shares = verdict.probabilities.items()
            return 1 - sum(share * self.loss(label, verdict.label) for label, share in shares)
        return verdict.probabilities[self.label or verdict.label]

    @property
    def confidence_told(self) -> str:
        """What `confidence` is, in words."""
        if self.measure == "cost":
            return "1 less the verdict's expected cost, in units of the largest"
        return f"the probability of {self.label or 'the verdict'}"

    def loss(self, human_label: str, verdict: str | None) -> float:
        """Of acting on an image, from 0 to 1."""
        if self.label is not None:
            return float(human_label != self.label)
        if human_label == verdict or verdict is None:
            return 0.0
        return 1.0 if self.costs is None else self.costs[human_label][verdict] / self.largest_cost


def parse_target(text: str, costs: Sequence[str], labels: Sequence[str]) -> Target:
    """A target as the command line has it. costs: "HUMAN:VERDICT=COST"; others are 1.

    Raises ConfigError that says what is wrong, and with what it would be right.
    """
    of_label, of_all = _OF_LABEL.fullmatch(text.strip()), _OF_ALL.fullmatch(text.strip())
    if of_label:
        measure, label, bound = of_label.groups()
        _check_label(f"--target {text}", label, labels)
        target = Target.model_validate({"measure": measure, "label": label, "bound": bound})
    elif of_all:
        measure, bound = of_all.groups()
        table = _costs(costs, labels) if measure == "cost" else None
        target = Target.model_validate({"measure": measure, "bound": bound, "costs": table})
    else:
        raise ConfigError(f"--target {text}: is no target; give one such as {_EXAMPLES}")
    if costs and target.measure != "cost":
        raise ConfigError("--cost: goes with a target of `cost`, such as --target 'cost <= .2'")
    if not 0 < target.risk < 1:
        largest = f"{target.largest_cost:g}"
        between = f"0 and {largest}" if target.measure == "cost" else "0 and 1"
        raise ConfigError(f"--target {text}: its bound has to lie between {between}")
    return target


def _costs(given: Sequence[str], labels: Sequence[str]) -> Costs:
    costs: Costs = {human: {v: float(human != v) for v in labels} for human in labels}
    for text in given:
        match = _COST.fullmatch(text)
        if match is None:
            raise ConfigError(f"--cost {text}: expected HUMAN:VERDICT=COST, such as Unsafe:Safe=10")
        human, verdict, cost = match.groups()
        for label in (human, verdict):
            _check_label(f"--cost {text}", label, labels)
        if human == verdict:
            raise ConfigError(f"--cost {text}: a verdict that is right costs nothing")
        costs[human][verdict] = float(cost)
    if max(max(row.values()) for row in costs.values()) == 0:
        raise ConfigError("--cost: all costs are 0: there is nothing to keep to")
    return costs


def _check_label(where: str, label: str, labels: Sequence[str]) -> None:
    if label not in labels:
        raise ConfigError(f"{where}: {label!r} is no label; choose from {', '.join(labels)}")
