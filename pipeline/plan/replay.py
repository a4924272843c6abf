"""How far the reply store leads: a run is replayed until it would have to ask a model."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from typing import NoReturn

from ...data.examples import Dataset
from ...data.store.store import ReplyStore
from ...data.tasks import Task
from ...models.engine import Answer, Engine, EngineIdentity, Reply, Request
from ...models.wrappers.around import AroundEngine
from ...models.wrappers.budget import Budget, BudgetSpentError
from ...models.wrappers.ledger import Role
from ...models.wrappers.stored import StoredEngine
from ..config import RunConfig
from ..runs.roles import RunRoles, configured_judge, within_budget


class NotHeldError(Exception):
    """The store does not hold so many replies of a batch."""

    def __init__(self, num_missing: int) -> None:
        super().__init__(f"{num_missing} replies are not in the store")
        self.num_missing = num_missing


class AsksNothing:
    """In place of a model. Contract: `Engine`, but every question raises NotHeldError."""

    version = ""

    def __init__(self, identity: EngineIdentity) -> None:
        self.identity = identity

    def ask(self, requests: Sequence[Request]) -> NoReturn:
        raise NotHeldError(len(requests))

    def stream(self, requests: Sequence[Request]) -> Generator[list[Answer]]:
        # All that is missing at once, and not a chunk of it.
        self.ask(requests)
        yield []

    def close(self) -> None:
        pass


class _Counted(AroundEngine):
    """Counts the replies that the store holds. Contract: `Engine`, and raises NotHeldError."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.num_held = 0

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        try:
            replies = super().ask(requests)
        except NotHeldError as error:
            self.num_held += len(requests) - error.num_missing
            raise
        self.num_held += len(requests)
        return replies


def held_replies(
    config: RunConfig,
    task: Task,
    dataset: Dataset,
    identities: Mapping[Role, EngineIdentity],
    store: ReplyStore,
) -> dict[Role, int]:
    """By role, how many calls of a run the store answers before, or beside, the first other one.

    Exact for a run that was interrupted, and for one that is finished. Nothing is written.
    """
    stored: dict[Role, StoredEngine] = {
        role: StoredEngine(AsksNothing(identity), store, role, run_id="")
        for role, identity in identities.items()
    }
    limited = within_budget(stored, Budget(config.budget.limits))
    searching: dict[Role, _Counted] = {role: _Counted(engine) for role, engine in limited.items()}
    testing = _Counted(stored["judge"])
    prompts = _searched_prompts(config, task, dataset, searching)
    judge = configured_judge(testing, task, config)
    for prompt in prompts:
        with suppress(NotHeldError):
            judge.pairs([(prompt, example) for example in dataset.test])
    held: dict[Role, int] = {role: engine.num_held for role, engine in searching.items()}
    held["judge"] += testing.num_held
    return held


def _searched_prompts(
    config: RunConfig, task: Task, dataset: Dataset, engines: Mapping[Role, Engine]
) -> list[str]:
    """The prompts of the final test that are known: p_0, and the last one of a whole search."""
    first = config.judge_prompt or task.judge_prompt
    last = first
    try:
        with suppress(BudgetSpentError):
            for step in config.search.run(
                RunRoles(config, task, engines),
                dataset.train,
                first,
                config.i2t_prompt or task.i2t_prompt,
                config.resolved_algorithm,
                config.seed,
            ):
                last = step.next_judge_prompt
    except NotHeldError:
        return [first]
    return [first, last]
