"""A run on the ideal engine, in a process that can kill itself around a store write.

python killable_run.py: for every line FOLDER METHOD [before|after|stop N] of its input a process
that runs FOLDER, and its exit code as a line of output. The process ends by SIGKILL just before or
after its N-th write to the store, or with 75 after SIGUSR2, the request to stop, before that
write. Requests that reach the engine are appended to FOLDER/asked.
"""

import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from blpo.data.errors import StoppedError
from blpo.data.examples import write_dataset
from blpo.data.store.store import Collection, ReplyRow, ReplyStore, StoredReply
from blpo.models.engine import Engine, Reply, Request
from blpo.models.engines.settings import EngineSettings
from blpo.models.wrappers.request_keys import request_key
from blpo.models.wrappers.stopping import StoppableEngine
from blpo.pipeline.baselines.apo import ApoConfig
from blpo.pipeline.blpo.config import BlpoConfig
from blpo.pipeline.cli.options import EXIT_STOPPED
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.runs.run import Run
from ideal_engine import IdealEngine, ideal_world

TASK = "micro-unsafebench"
NUM_TRAIN, NUM_TEST = 24, 16
IMPORTED_AT_THE_END = (
    *("sklearn.metrics", "scipy.stats"),
    *("matplotlib.figure", "matplotlib.backends.backend_svg"),
)
"""By scores, and by the report."""


class LoggedEngine(IdealEngine):
    """Appends the key of every request to a file before it answers."""

    log: Path

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        keys = "".join(request_key(request, self.identity) + "\n" for request in requests)
        with self.log.open("a") as file:
            file.write(keys)
        return super().ask(requests)


class IdealPool(EnginePool):
    """Gives the ideal engine wherever a run asks for the micro judge."""

    def __init__(self, ideal: Engine) -> None:
        super().__init__()
        self._ideal = ideal

    def engine(self, settings: EngineSettings) -> Engine:
        if settings.kind == "lexicon":
            return super().engine(settings)
        return StoppableEngine(self._ideal, self.stop)


def make_run(folder: Path, method: str = "blpo") -> Run:
    """The run of a folder, which becomes the working directory.

    Two short steps on a few images; under `preset: plus` if there is a file FOLDER/plus.
    """
    os.chdir(folder)
    dataset, engine = ideal_world(TASK, num_train=NUM_TRAIN, num_test=NUM_TEST)
    path = folder / "data.parquet"
    if not path.exists():
        write_dataset(path, [*dataset.train, *dataset.test])
    logged = LoggedEngine(engine.scenes, engine.scale)
    logged.log = folder / "asked"
    plus = (folder / "plus").exists()
    config = RunConfig(
        task=TASK,
        dataset=Path("data.parquet"),
        output=Path("run"),
        store=Path("store"),
        preset="plus" if plus else "paper",
        method=method,
        optimizer=OptimizerConfig(engine=EngineSettings(kind="lexicon")),
        algorithm=BlpoConfig(outer_steps=2, inner_steps=2, inner_width=2 if plus else 1),
        apo=ApoConfig(rounds=2, beam_size=2, minibatch_size=12, gradients=2, bandit_rounds=2),
    )
    return Run(config, IdealPool(logged))


def kill_around_put(when: str, number: int) -> None:
    """From now on the N-th write to any store kills the process, or asks it to stop."""
    original: Callable[..., dict[str, StoredReply]] = ReplyStore.put
    writes = 0

    def put(
        self: ReplyStore, collection: Collection, partition: str, rows: Sequence[ReplyRow]
    ) -> dict[str, StoredReply]:
        nonlocal writes
        writes += 1
        if writes == number and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        if writes == number and when == "stop":
            os.kill(os.getpid(), signal.SIGUSR2)
        stored = original(self, collection, partition, rows)
        if writes == number and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return stored

    ReplyStore.put = put


def run(folder: str, method: str, when: str = "", number: str = "0") -> int:
    """The exit code."""
    kill_around_put(when, int(number))
    try:
        make_run(Path(folder), method).execute()
    except StoppedError:
        return EXIT_STOPPED
    return 0


def serve() -> None:
    """Forked from a process that has imported and drawn everything, a run starts at once."""
    for name in IMPORTED_AT_THE_END:
        import_module(name)
    ideal_world(TASK, num_train=NUM_TRAIN, num_test=NUM_TEST)
    for line in sys.stdin:
        if (child := os.fork()) == 0:
            # Ending the interpreter would take as long as the run.
            os._exit(run(*line.split()))
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    serve()
