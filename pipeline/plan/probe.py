"""A few questions to each model of a run, timed: they are the run's own, so that none is lost."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ...data.errors import FailuresError
from ...data.examples import Example
from ...data.tasks import Task
from ...models.engine import KeepsImages
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Case
from ...models.roles.verbalizer import Verbalization
from ...models.wrappers.ledger import Role, RoleLedger
from ...models.wrappers.stored import StoredEngine
from ..config import RunConfig
from ..result import RoleFailures
from ..runs.failure_watch import FailureWatch
from ..runs.roles import RunRoles

Result = TypeVar("Result")

NUM_PROBED = 8
"""Images of the probe."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Of the calls of one kind that a model answered in the probe.

    calls: how many. seconds: of wall time for each, in one batch. prompt_tokens,
    completion_tokens: of each, on average.
    """

    calls: int
    seconds: float
    prompt_tokens: float
    completion_tokens: float


@dataclass(frozen=True, slots=True)
class Probed:
    """What the probe found; a rate is None where the store answered everything.

    judge: over images that the model sees for the first time. again: over the same images.
    num_resident: how many images like these its cache holds; None where it is not known.
    failures: what each role failed at in the probe.
    """

    judge: Rate | None
    again: Rate | None
    verbalizer: Rate | None
    optimizer: Rate | None
    num_resident: int | None
    failures: Mapping[Role, RoleFailures]


def probe(
    config: RunConfig,
    task: Task,
    train: Sequence[Example],
    engines: Mapping[Role, StoredEngine],
    judge_engine: object,
    clock: Callable[[], float] = time.monotonic,
) -> Probed:
    """Ask about a few training examples under p_0 and q_0, and for one proposal.

    engines: behind the store. judge_engine: the judge's own, which may know its cache. Raises
    EngineError where a model does not start, FailuresError where none of several replies is usable.
    """
    watch = FailureWatch(config.max_failed_share)
    roles = RunRoles(config, task, engines, watch)
    p_0, q_0 = config.judge_prompt or task.judge_prompt, config.i2t_prompt or task.i2t_prompt
    # The first of them starts the model, which takes its own time.
    first, examples = train[:1], train[1 : 1 + NUM_PROBED]
    judge, verbalizer, optimizer = (
        engines[role].ledger for role in ("judge", "verbalizer", "optimizer")
    )
    roles.judge(p_0, first)
    fresh, verdicts = _timed(judge, clock, lambda: roles.judge(p_0, examples))
    _refuse_useless("judge", watch, config, task)
    again, _ = _timed(judge, clock, lambda: roles.judge(p_0, examples, sample_index=1))
    roles.verbalize(q_0, first)
    written, texts = _timed(verbalizer, clock, lambda: roles.verbalize(q_0, examples))
    _refuse_useless("verbalizer", watch, config, task)
    cases = _cases(examples, verdicts, texts)
    proposed, _ = _timed(optimizer, clock, lambda: roles.update_judge_prompt(p_0, cases))
    num_resident = judge_engine.num_resident if isinstance(judge_engine, KeepsImages) else None
    return Probed(fresh, again, written, proposed, num_resident, watch.failures)


def _refuse_useless(role: Role, watch: FailureWatch, config: RunConfig, task: Task) -> None:
    """Raise FailuresError where nothing came of several questions, which would stop the run."""
    found, allowed = watch.failures[role], config.max_failed_share.of(role)
    if found.asked < 2 or found.failed < found.asked or allowed == 1:
        return
    why = "".join(f"\n  {number:,} x {reason}" for reason, number in found.reasons.items())
    labels = f" on the labels {', '.join(task.asked_labels)}" if role == "judge" else ""
    raise FailuresError(
        f"{role}: nothing usable came of the {found.asked:,} questions of the probe{labels}, so "
        f"the run would stop.{why}\nPut the cause right: `blpo doctor` with this run file shows "
        "what a judge replies. `--no-probe` plans without asking."
    )


def _timed(
    ledger: RoleLedger, clock: Callable[[], float], ask: Callable[[], Result]
) -> tuple[Rate | None, Result]:
    """What was answered, and the rate of the calls that a model and not the store answered."""
    before, started = ledger.session, clock()
    result = ask()
    seconds, after = clock() - started, ledger.session
    calls = after.calls - before.calls
    if not calls:
        return None, result
    rate = Rate(
        calls,
        seconds / calls,
        (after.prompt_tokens - before.prompt_tokens) / calls,
        (after.completion_tokens - before.completion_tokens) / calls,
    )
    return rate, result


def _cases(
    examples: Sequence[Example], verdicts: Sequence[Verdict], texts: Sequence[Verbalization]
) -> list[Case]:
    return [
        Case(text, example.text, example.label, verdict.label)
        for example, verdict, text in zip(examples, verdicts, texts, strict=True)
    ]
