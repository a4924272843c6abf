"""What roles fail at, by reason, and how large a share of failures a run puts up with."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ...data.errors import FailuresError
from ...models.wrappers.ledger import ROLES, Role

_NUM_SHOWN = 3
_UNKNOWN = "not known"
_ROUNDING = 1e-9
_EXCERPT = re.compile(r": (?=['\"])")
_EXAMPLE = re.compile(r"(?<=image of example )(?P<quote>['\"]).*?(?P=quote)(?=: )")
_NUMBERED = re.compile(r"[\w-]*\d[\w-]*")


class MaxFailedShare(BaseModel):
    """The largest share of a role's questions that may fail; one number stands for all roles.

    One failure alone stops nothing, unless the share is 0. With a share of 1 nothing stops.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    judge: float = Field(default=0.1, ge=0, le=1)
    verbalizer: float = Field(default=0.1, ge=0, le=1)
    optimizer: float = Field(default=0.1, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, given: Any) -> Any:
        is_number = isinstance(given, int | float) and not isinstance(given, bool)
        return dict.fromkeys(ROLES, given) if is_number else given

    def of(self, role: Role) -> float:
        return getattr(self, role)


@dataclass(slots=True)
class Tally:
    """Questions asked, how many of them failed, and why."""

    asked: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter[str])
    _first: dict[str, str] = field(default_factory=dict[str, str])

    def add(self, reasons: Iterable[str | None]) -> None:
        """reasons: of each question, why it failed; None where it did not."""
        for reason in reasons:
            self.asked += 1
            if reason is not None:
                self.failed += 1
                self.give_reason(reason)

    def give_reason(self, reason: str) -> None:
        """Reasons that differ in numbers and names of requests and examples alone count as one,
        under the first of them."""
        kind = reason_kind(reason)
        self.reasons[self._first.setdefault(_unnamed(kind), kind)] += 1

    def exceeds(self, share: float, at_least: int = 1) -> bool:
        """Whether more failed than may.

        at_least: fewer questions count as so many, while more are still to come. Where nothing has
        come of any, that is too many, of a single one only when no more are to come.
        """
        if self.failed == self.asked and share < 1:
            return self.asked > (1 if share and at_least > 1 else 0)
        tolerated = share * max(self.asked, at_least)
        return self.failed > max(tolerated, 1 if share else 0) + _ROUNDING


def _unnamed(kind: str) -> str:
    return _NUMBERED.sub("#", _EXAMPLE.sub("", kind))


def reason_kind(reason: str | None) -> str:
    """A reason without the excerpt of a reply."""
    return _EXCERPT.split(reason or _UNKNOWN, maxsplit=1)[0]


def why_missing(label: str | None, reason: str | None) -> str | None:
    """Why a verdict has no label; None where it has one."""
    return (reason or _UNKNOWN) if label is None else None


def commonest(reasons: Mapping[str, int], number: int = _NUM_SHOWN) -> list[tuple[str, int]]:
    """The commonest reasons with their counts; those as common in the order of their names."""
    return sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[:number]


def failures_error(what: str, tally: Tally, role: Role, share: float, remedy: str) -> FailuresError:
    """what: such as "no verdict on 3 of 10 train images"."""
    why = "".join(f"\n  {number:,} x {reason}" for reason, number in commonest(tally.reasons))
    return FailuresError(
        f"{role}: {what}; at most {100 * share:g} % may fail.{why}\n"
        f"Every answer received is in the store. Put the cause right and give the same command "
        f"again, or {remedy}. What was refused for what it holds (too long, an unusable image) is "
        f"asked again after `blpo store forget --errors`."
    )
