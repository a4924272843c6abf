"""Budgets: how many calls a search may ask for, so that methods can be compared at equal cost.

A request counts when it is asked, whether a model or the store answers it: the same search stops
at the same place every time. A batch that would pass the limit is not asked at all, and nothing is
asked after it.
"""

from collections.abc import Mapping, Sequence

from ..engine import Reply, Request
from .around import AroundEngine
from .ledger import Role
from .stored import StoredEngine


class BudgetSpentError(Exception):
    """The search may ask for nothing more. Ends the search, never a run."""


class Budget:
    """What is left for one search. stopped: why it may ask for nothing more; None while it may."""

    def __init__(self, limits: Mapping[Role, int | None]) -> None:
        """limits: the most calls of each role; None for any number."""
        self.stopped: str | None = None
        self._limits = limits

    def claim(self, role: Role, num_asked: int, num_wanted: int) -> None:
        """Raises BudgetSpentError if the role cannot ask for that many more, or one could not."""
        limit = self._limits.get(role)
        if self.stopped is None and limit is not None and num_asked + num_wanted > limit:
            self.stopped = (
                f"{num_asked} of {limit} {role} calls asked, the next batch needs {num_wanted}"
            )
        if self.stopped is not None:
            raise BudgetSpentError(self.stopped)


class BudgetedEngine(AroundEngine):
    """A role's engine within a budget. Contract: `Engine`, and `ask` raises BudgetSpentError."""

    def __init__(self, engine: StoredEngine, role: Role, budget: Budget) -> None:
        super().__init__(engine)
        self._ledger = engine.ledger
        self._role: Role = role
        self._budget = budget

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self._budget.claim(self._role, self._ledger.asked, len(requests))
        return super().ask(requests)
