"""Run one or several configurations in this process, over one engine."""

import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass

from ...data.errors import BlpoError, StoppedError
from ..config import RunConfig
from ..result import RunResult
from .engine_pool import EnginePool
from .progress import Tracked, progress
from .run import Run
from .run_log import OpenLog, no_log
from .story import Detail

_log = logging.getLogger("blpo.runs")

_RUNS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run's result and what this session had to do for it.

    new_calls: replies that an engine gave in this session; all others came from the store.
    logged: for each tracker that the run was to be logged to, where it is, or why it is not.
    """

    config: RunConfig
    result: RunResult
    new_calls: int
    seconds: float
    logged: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that could not be started or finished, and why."""

    config: RunConfig
    error: str


def execute_runs(
    configs: Sequence[RunConfig],
    *,
    start_over: bool = False,
    open_log: OpenLog = no_log,
    source: str = "",
) -> list[FinishedRun]:
    """Run the configurations side by side; their requests share the engine's batches.

    All are checked before any asks a model. open_log: where the runs are logged that ask for it.
    source: the run file, for messages. The first error of a run is raised when the others have
    ended.
    """
    with closing(EnginePool()) as pool:
        runs = [
            Run(config, pool, start_over=start_over, open_log=open_log, source=source)
            for config in configs
        ]
        for config in configs:
            for reason in config.without_effect:
                _log.warning("%s: %s", config.output.name, reason)
        futures = _execute_all(runs, pool)
        return [future.result() for future in futures]


def execute_cells(
    configs: Sequence[RunConfig], *, start_over: bool = False, open_log: OpenLog = no_log
) -> list[FinishedRun | FailedRun]:
    """Like `execute_runs`, but a run that fails for a reason a user can act on stops no other.

    A run that is finished, of the same data and models, is read back and not replayed.
    """
    with closing(EnginePool()) as pool:
        opened = [_open(c, pool, open_log, start_over=start_over) for c in configs]
        futures = iter(_execute_all([run for run in opened if isinstance(run, Run)], pool))
        return [_outcome(run, next(futures)) if isinstance(run, Run) else run for run in opened]


def _open(
    config: RunConfig, pool: EnginePool, open_log: OpenLog, *, start_over: bool
) -> Run | FinishedRun | FailedRun:
    try:
        run = Run(config, pool, start_over=start_over, open_log=open_log)
    except BlpoError as error:
        return FailedRun(config, str(error))
    past = run.past_result()
    return run if past is None else FinishedRun(config, past, 0, 0.0)


def _outcome(run: Run, future: Future[FinishedRun]) -> FinishedRun | FailedRun:
    try:
        return future.result()
    except BlpoError as error:
        return FailedRun(run.config, str(error))


def _execute_all(runs: Sequence[Run], pool: EnginePool) -> list[Future[FinishedRun]]:
    """Finished futures of all runs, in order.

    Raises KeyboardInterrupt after one that kept a run from its end.
    """
    tracked = {
        run.config.output.name: Tracked(
            lambda run=run: run.answered_calls,
            lambda run=run: run.answered_calls + sum(run.story.calls_left.values()),
            lambda run=run: run.story.seconds_left,
        )
        for run in runs
    }
    for run in runs:
        run.story.detail = _detail(run, len(runs))
    threads = ThreadPoolExecutor(_RUNS_AT_ONCE)
    with progress(tracked, "calls"):
        futures = [threads.submit(_execute, run) for run in runs]
        was_interrupted = _wait(futures, pool)
        threads.shutdown(cancel_futures=True)
    ended = [future for future in futures if not future.cancelled()]
    for run, future in zip(runs, futures, strict=True):
        if future in ended and isinstance(future.exception(), StoppedError):
            _log.warning("%s: stopped; %s", run.config.output.name, _kept(run))
    if was_interrupted and not all(
        future in ended and not future.exception() for future in futures
    ):
        raise KeyboardInterrupt
    if was_interrupted:
        _log.warning("interrupted, but there was nothing left to ask: finished all the same")
    return futures


def _detail(run: Run, num_runs: int) -> Detail:
    """A run that is finished tells no step again."""
    if run.past_result() is None:
        return Detail.of(num_runs)
    if Detail.of(num_runs) > Detail.NOTHING:
        _log.info("%s: this run is finished: reading it back", run.config.output.name)
    return Detail.NOTHING


def _wait(futures: Sequence[Future[FinishedRun]], pool: EnginePool) -> bool:
    """Until all runs have ended, or an interrupt has told them to; whether there was one."""
    try:
        wait(futures)
    except KeyboardInterrupt:
        # Closing the engines wakes the runs that wait for replies, and has them ask no more.
        _log.warning("interrupted: asking no more")
        pool.close()
        return True
    return False


def _kept(run: Run) -> str:
    """What of a session that was stopped is there for the next."""
    number = _new_calls(run)
    replies = "reply" if number == 1 else "replies"
    return f"the store keeps {number:,} {replies} of this session, {run.config.store}"


def _new_calls(run: Run) -> int:
    return sum(ledger.session.calls for ledger in run.ledgers.values())


def _execute(run: Run) -> FinishedRun:
    started = time.monotonic()
    result = run.execute()
    seconds = time.monotonic() - started
    return FinishedRun(run.config, result, _new_calls(run), seconds, tuple(run.logged))
