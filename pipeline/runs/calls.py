"""How many calls a run makes at most."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

from ...data.tasks import Task
from ...models.roles.judges import num_requests
from ...models.wrappers.ledger import Role
from ..config import RunConfig


@dataclass(frozen=True, slots=True)
class PlannedCalls:
    """Calls of a run within its budget, if no step of the search ends early.

    search: by role, at most. likely: the same if every step asks for all that it may, so that the
        budget that is spent first ends the search for every role.
    test: of the judge, for the test split under all prompts that it is judged by.
    fits: of the judge, for the training split under the prompts whose reading is fitted.
    """

    search: Mapping[Role, int]
    likely: Mapping[Role, int]
    test: int
    fits: int

    @property
    def total(self) -> int:
        return sum(self.search.values()) + self.test + self.fits

    def of(self, role: Role) -> int:
        """Of one role, the test and the fits included."""
        return self.search.get(role, 0) + (self.test + self.fits if role == "judge" else 0)


def planned_calls(config: RunConfig, task: Task, num_train: int, num_test: int) -> PlannedCalls:
    """num_train, num_test: examples of the splits."""
    calls = config.search.expected_calls(config.resolved_algorithm, num_train)
    per_verdict = num_requests(task, config.orders, config.reasoning)
    requests: dict[Role, int] = {"judge": per_verdict, "verbalizer": len(task.image_columns)}
    asked: dict[Role, int] = {
        role: number * requests.get(role, 1) for role, number in calls.items()
    }
    if config.search.rewrites_criteria and task.criteria:
        # All questions once, then one in each step.
        one = per_verdict // len(task.criteria)
        asked["judge"] = calls["judge"] * one + (per_verdict - one) * num_train
    search: dict[Role, int] = {
        role: config.budget.cap(role, number) for role, number in asked.items()
    }
    share = min((search[role] / number for role, number in asked.items() if number), default=1.0)
    likely: dict[Role, int] = {role: ceil(number * share) for role, number in asked.items()}
    num_prompts = 3 if config.noise_floor else 2
    num_fitted = 0 if config.reading.family == "none" else 2
    return PlannedCalls(
        search, likely, num_prompts * num_test * per_verdict, num_fitted * num_train * per_verdict
    )
