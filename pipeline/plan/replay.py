"""How far the reply store leads: a run is replayed until it would have to ask a model."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from ...data.examples import Dataset
from ...data.store.store import ReplyStore
from ...data.tasks import Task
from ...models.engine import Answer, Engine, EngineIdentity, Reply, Request
from ...models.wrappers.around import AroundEngine
from ...models.wrappers.budget import Budget, BudgetSpentError
from ...models.wrappers.ledger import Role
from ...models.wrappers.stored import StoredEngine, request_key
from ..config import RunConfig
from ..runs.roles import RunRoles, configured_judge, within_budget


class NotHeldError(Exception):
    """The store does not hold the replies to these requests of a batch."""

    def __init__(self, missing: Sequence[Request]) -> None:
        super().__init__(f"{len(missing)} replies are not in the store")
        self.missing = missing


class AsksNothing:
    """In place of a model. Contract: `Engine`, but every question raises NotHeldError."""

    version = ""

    def __init__(self, identity: EngineIdentity) -> None:
        self.identity = identity

    def ask(self, requests: Sequence[Request]) -> NoReturn:
        raise NotHeldError(requests)

    def stream(self, requests: Sequence[Request]) -> Generator[list[Answer]]:
        # All that is missing at once, and not a chunk of it.
        self.ask(requests)
        yield []

    def close(self) -> None:
        pass


class _Counted(AroundEngine):
    """Counts the replies that the store holds; errors among them are no answers, and counted by
    themselves. Contract: `Engine`, and raises NotHeldError.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.num_held = self.num_errors = 0

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        try:
            replies = super().ask(requests)
        except NotHeldError as error:
            missing = {request_key(request, self.identity) for request in error.missing}
            keys = [request_key(request, self.identity) for request in requests]
            pairs = zip(requests, keys, strict=True)
            self._count(super().ask([one for one, key in pairs if key not in missing]))
            raise
        self._count(replies)
        return replies

    def _count(self, replies: Sequence[Reply]) -> None:
        errors = sum(reply.finish_reason == "error" for reply in replies)
        self.num_held += len(replies) - errors
        self.num_errors += errors


@dataclass(frozen=True, slots=True)
class Held:
    """What the store holds for the calls of a role: answers, and errors that are not asked
    again."""

    answers: int
    errors: int


def held_replies(
    config: RunConfig,
    task: Task,
    dataset: Dataset,
    identities: Mapping[Role, EngineIdentity],
    store: ReplyStore,
) -> dict[Role, Held]:
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
    return {
        role: _held([counted, testing] if role == "judge" else [counted])
        for role, counted in searching.items()
    }


def _held(counted: Sequence[_Counted]) -> Held:
    return Held(sum(one.num_held for one in counted), sum(one.num_errors for one in counted))


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
