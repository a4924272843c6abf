"""The key `reading` of a run file, and which readings a task can have."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...data.errors import ConfigError
from ...data.tasks import TIE, Task

FamilyName = Literal[
    "temperature",
    "platt",
    "vector",
    "matrix",
    "ordered",
    "ties",
    "combiner",
    "cutpoints",
    "offset",
]
ReadingName = Literal["none", "auto"] | FamilyName

_BY_KIND: Mapping[str, tuple[FamilyName, ...]] = {
    "binary": ("temperature", "platt"),
    "categorical": ("temperature", "vector", "matrix"),
    "ordinal": ("temperature", "ordered", "vector"),
    "pairwise": ("temperature",),
}
"""What `auto` chooses from, the simplest first."""


class ReadingConfig(BaseModel):
    """How verdicts of the first and of the final prompt are read; a word stands for the family.

    prior: for `offset`, the share of each label; None for equal ones.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    family: ReadingName = "none"
    prior: dict[str, float] | None = Field(default=None)

    @model_validator(mode="before")
    @classmethod
    def _from_word(cls, value: Any) -> Any:
        return {"family": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check_prior(self) -> "ReadingConfig":
        if self.prior is None:
            return self
        if self.family != "offset":
            raise ValueError("`prior` is for `family: offset`: drop it")
        if min(self.prior.values(), default=0) <= 0 or abs(sum(self.prior.values()) - 1) > 1e-6:
            raise ValueError("`prior` is a share above 0 for each label, 1 in all")
        return self


def fitted_families(task: Task) -> tuple[FamilyName, ...]:
    """What `auto` chooses from on a task, the simplest first."""
    ties: tuple[FamilyName, ...] = ("ties",) if task.is_pairwise and TIE in task.labels else ()
    combiner: tuple[FamilyName, ...] = ("combiner",) if task.criteria else ()
    return (*_BY_KIND[task.kind], *ties, *combiner)


def check_reading(config: ReadingConfig, task: Task) -> None:
    """Raises ConfigError for a reading that the task cannot have."""
    has_scale = task.kind == "ordinal" or TIE in task.labels
    cutpoints: tuple[FamilyName, ...] = ("cutpoints",) if has_scale else ()
    possible = ("none", "auto", *fitted_families(task), *cutpoints, "offset")
    if config.family not in possible:
        raise ConfigError(
            f"reading {config.family}: is not for this task, which is {task.kind}; choose from "
            f"{', '.join(possible)}"
        )
    if config.prior is not None and set(config.prior) != set(task.labels):
        raise ConfigError(
            f"reading.prior: names {', '.join(config.prior)}; the labels are {task.label_set()}"
        )
