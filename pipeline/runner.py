"""Run one or several configurations in this process, over one engine."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass

from .config import RunConfig
from .progress import Tracked, progress
from .result import RunResult
from .run import Run
from .session import EnginePool

_RUNS_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run's result and what this session had to do for it.

    new_calls: replies that an engine gave in this session; all others came from the store.
    """

    config: RunConfig
    result: RunResult
    new_calls: int
    seconds: float


def execute_runs(configs: Sequence[RunConfig], *, start_over: bool = False) -> list[FinishedRun]:
    """Run the configurations side by side; their requests share the engine's batches.

    All are checked before any asks a model. The first error of a run is raised when the others
    have ended.
    """
    pool = EnginePool()
    try:
        runs = [Run(config, pool, start_over=start_over) for config in configs]
        tracked = {
            run.config.output.name: Tracked(lambda run=run: run.answered_calls, run.expected_calls)
            for run in runs
        }
        with progress(tracked, "calls"):
            return _execute_all(runs, pool)
    finally:
        pool.close()


def _execute_all(runs: Sequence[Run], pool: EnginePool) -> list[FinishedRun]:
    threads = ThreadPoolExecutor(_RUNS_AT_ONCE)
    futures = [threads.submit(_execute, run) for run in runs]
    try:
        wait(futures)
    except KeyboardInterrupt:
        # Closing the engines wakes the runs that wait for replies; they end with an error.
        pool.close()
        raise
    finally:
        threads.shutdown(cancel_futures=True)
    return [future.result() for future in futures]


def _execute(run: Run) -> FinishedRun:
    started = time.monotonic()
    result = run.execute()
    new_calls = sum(ledger.session.calls for ledger in run.roles.ledgers.values())
    return FinishedRun(run.config, result, new_calls, time.monotonic() - started)
