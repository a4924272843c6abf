"""The budget of a search: how many calls it may ask for, so that methods compare at equal cost."""

from collections.abc import Iterator
from contextlib import suppress
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ...models.wrappers.budget import BudgetSpentError
from ...models.wrappers.ledger import ROLES, Role

T = TypeVar("T")


class BudgetConfig(BaseModel):
    """The most calls of each role that a search may ask for; the final test is outside of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    judge_calls: int | None = Field(default=None, ge=0)
    verbalizer_calls: int | None = Field(default=None, ge=0)
    optimizer_calls: int | None = Field(default=None, ge=0)

    def limit(self, role: Role) -> int | None:
        return getattr(self, f"{role}_calls")

    @property
    def limits(self) -> dict[Role, int | None]:
        return {role: self.limit(role) for role in ROLES}

    def cap(self, role: Role, number: int) -> int:
        """At most as many calls as the role may ask for."""
        limit = self.limit(role)
        return number if limit is None else min(number, limit)


def until_spent(results: Iterator[T]) -> list[T]:
    """The results that the budget allows: a step ends early with what it has."""
    done: list[T] = []
    with suppress(BudgetSpentError):
        for result in results:
            done.append(result)
    return done
