"""How far the reply store leads: a run is replayed until it would have to ask a model."""

from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

from ...data.examples import Dataset
from ...data.store.store import ReplyStore
from ...data.tasks import Task
from ...models.engine import Arrival, Engine, EngineIdentity, Reply, Request
from ...models.wrappers.around import AroundEngine
from ...models.wrappers.budget import Budget, BudgetSpentError
from ...models.wrappers.ledger import Role
from ...models.wrappers.request_keys import request_key
from ...models.wrappers.stored import StoredEngine
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

    def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]:
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
    again. is_all: whether the whole run needs nothing else."""

    answers: int
    errors: int
    is_all: bool = False


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
    is_all = _is_judged(config, task, dataset, testing, prompts) and len(prompts) > 1
    return {
        role: _held([counted, testing] if role == "judge" else [counted], is_all=is_all)
        for role, counted in searching.items()
    }


def _is_judged(
    config: RunConfig, task: Task, dataset: Dataset, engine: Engine, prompts: Sequence[str]
) -> bool:
    """Whether the store holds all verdicts that follow the search under these prompts: for the
    test, its second draw where one is asked for, and for the fit of readings."""
    judge = configured_judge(engine, task, config)
    asked = [(prompt, dataset.test, 0) for prompt in prompts]
    if config.reading.family != "none":
        asked += [(prompt, dataset.train, 0) for prompt in prompts]
    if config.noise_floor and len(prompts) > 1:
        asked.append((prompts[-1], dataset.test, 1))
    is_held = True
    for prompt, examples, sample_index in asked:
        try:
            judge.pairs([(prompt, example) for example in examples], sample_index)
        except NotHeldError:
            is_held = False
    return is_held


def _held(counted: Sequence[_Counted], *, is_all: bool) -> Held:
    answers, errors = sum(c.num_held for c in counted), sum(c.num_errors for c in counted)
    return Held(answers, errors, is_all)


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
