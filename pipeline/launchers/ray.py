"""Bulk judging on Ray Data: row groups of the dataset, judged by actors over the same servers.

The engines are not Ray's. Each actor asks the servers behind `judge.endpoint`, as every run does,
so prompts, verdicts and columns are those of `blpo judge`, and no version of vllm is tied to one of
Ray. An actor reads its row groups itself: images do not pass through Ray's object store. Every
reply goes through the reply store, which is the checkpoint: the same command again asks for what is
missing. (Ray's own, `CheckpointConfig`, waits for ever where its filter finds no CPU.)

Nothing hangs for want of a CPU: the pool of actors has a fixed size, and CPUs are left for the list
of row groups. On a Ray of its own, which this module starts where RAY_ADDRESS is not set, CPUs are
a mere number: an actor waits for servers.
"""

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ...data.arrow import pa, refuse_output
from ...data.errors import BlpoError, ConfigError, EngineError
from ...data.examples import Item, iter_dataset, iter_example_ids, num_row_groups
from ...data.shards import Shard
from ...data.table.items import is_dataset_file
from ..bulk.judging import (
    BATCH_ROWS,
    JudgedCounts,
    JudgeSource,
    judged_table,
    other_judge,
    stored_judge,
    warn_of_other_judge,
    write_judged,
)
from ..runs.engine_pool import EnginePool
from ..runs.progress import Tracked, progress
from .base import JudgeJob, Launcher, Submission, SweepJob, refuse_options

_SPARE_CPUS = 2
"""CPUs that are left to Ray's own tasks."""
_NUM_ACTORS = 8
_REMARKS = ["is_new", "other_judge", "problem"]


class RayLauncher(Launcher):
    """Judges by actors of Ray; runs no sweeps."""

    def run_sweep(self, job: SweepJob) -> Submission:
        del job
        raise ConfigError(
            "--launcher ray: judges datasets and does not run sweeps; choose another launcher"
        )

    def judge(self, job: JudgeJob) -> JudgedCounts:
        not_taken = {
            "--shard": job.shard,
            "--shards": job.num_shards,
            "--gpus": job.gpus,
            "--sbatch": job.sbatch_options,
        }
        refuse_options("ray", "judges the whole dataset over servers", not_taken)
        if not is_dataset_file(job.dataset):
            raise ConfigError(
                f"--launcher ray: {job.dataset}: judges dataset files, which have example ids and "
                "row groups: judge tables and folders with --launcher local or slurm"
            )
        return judge_on_ray(
            job.source,
            job.dataset,
            job.out,
            job.store,
            num_actors=job.max_running or _NUM_ACTORS,
            overwrite=job.overwrite,
        )


class JudgeActor:
    """Judges row groups of a dataset file, as Ray hands them out."""

    def __init__(self, source: JudgeSource, dataset: Path, store: Path) -> None:
        self._source = source
        self._dataset = dataset
        pool = EnginePool()
        pool.stop.stop_listening()  # the signals of an actor's process are Ray's
        self._engine = stored_judge(source, pool, store)
        self._other_judge = other_judge(source, self._engine)

    def __call__(self, row_groups: dict[str, Any]) -> Iterator[Any]:
        """Tables of verdicts with three more columns.

        is_new: true in as many rows as were asked for now. other_judge: see there. problem: why
        there are no more rows, in a last row without verdict; an exception would come out of Ray
        as a page of text.
        """
        task, bounds = self._source.task, self._source.config.images.bounds
        try:
            for row_group in row_groups["id"].tolist():
                for items in iter_dataset(self._dataset, task, bounds, BATCH_ROWS, row_group):
                    yield self._judged(items)
        except BlpoError as error:
            schema = self._with_remarks(judged_table([], [], self._source), []).schema
            yield pa.Table.from_pylist([{"problem": str(error)}], schema=schema)

    def _judged(self, items: list[Item]) -> Any:
        before = self._engine.ledger.session.calls
        verdicts = self._source.judge(self._engine, items)
        new_calls = self._engine.ledger.session.calls - before
        is_new = [row < new_calls for row in range(len(items))]
        return self._with_remarks(judged_table(items, verdicts, self._source), is_new)

    def _with_remarks(self, table: Any, is_new: Sequence[bool]) -> Any:
        others = [self._other_judge] * len(is_new)
        table = table.append_column("is_new", pa.array(is_new, pa.bool_()))
        table = table.append_column("other_judge", pa.array(others, pa.string()))
        return table.append_column("problem", pa.nulls(len(is_new), pa.string()))


def judge_on_ray(
    source: JudgeSource,
    dataset: Path,
    out: Path,
    store: Path,
    *,
    num_actors: int,
    overwrite: bool = False,
) -> JudgedCounts:
    """Score every row of a dataset file in file order, by so many actors over the servers.

    Dataset and store lie on a file system that all nodes of the cluster share. An actor holds a
    batch of rows at a time, whatever the size of row groups. Raises ConfigError if Ray is not
    installed, if the judge is no server, or if the cluster is too small; otherwise what
    `judge_dataset` raises.
    """
    if source.config.judge.kind != "openai":
        raise ConfigError(
            f"--launcher ray: asks servers, and the judge is of kind {source.config.judge.kind}: "
            "start some with slurm/pool.sbatch, and set judge.kind=openai and "
            "judge.endpoint=pool:FOLDER"
        )
    refuse_output(out, dataset, overwrite=overwrite)
    total = sum(1 for _ in iter_example_ids(dataset))
    counts = JudgedCounts(expected=source.expected)
    ray = _started_ray(num_actors)
    try:
        num_groups = num_row_groups(dataset)
        judged = ray.data.range(num_groups, override_num_blocks=num_groups).map_batches(
            JudgeActor,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(num_actors, num_groups)),
            num_cpus=1,
            fn_constructor_args=(source, dataset.resolve(), store.resolve()),
        )
        with progress({dataset.name: Tracked(lambda: counts.rows, total)}, "images"):
            tables = judged.iter_batches(batch_size=None, batch_format="pyarrow")
            write_judged(judged_by_actors(tables, counts), out, source, Shard(), counts)
    finally:
        ray.shutdown()
    counts.warn()
    return counts


def _started_ray(num_actors: int) -> Any:
    """Ray, connected to the cluster of RAY_ADDRESS or else to one of its own."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray: Any = import_module("ray")
        import_module("ray.data")
    except ImportError as error:
        raise ConfigError(f"--launcher ray: {error}; install blpo[ray]") from error
    num_cpus = num_actors + _SPARE_CPUS
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": "warning"}
    if not os.environ.get("RAY_ADDRESS"):
        options |= {"num_cpus": num_cpus, "include_dashboard": False}
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    ray.init(**options)
    available = int(ray.cluster_resources().get("CPU", 0))
    if available < num_cpus:
        ray.shutdown()
        raise ConfigError(
            f"--max-running {num_actors}: so many actors need {num_cpus} CPUs, and "
            f"the cluster at {os.environ.get('RAY_ADDRESS')} has {available}: "
            f"take {max(available - _SPARE_CPUS, 1)} actors, or start Ray with --num-cpus"
        )
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    return ray


def judged_by_actors(tables: Iterable[Any], counts: JudgedCounts) -> Iterator[Any]:
    """Verdicts of actors without their remarks, which go into `counts` and to the console.

    Raises EngineError for an actor's problem.
    """
    for table in tables:
        problems = table["problem"].drop_null().to_pylist()
        if problems:
            raise EngineError(problems[0])
        counts.new_calls += sum(table["is_new"].to_pylist())
        if not counts.other_judge:
            others: list[str] = table["other_judge"].to_pylist()
            counts.other_judge = next(filter(None, others), "")
            warn_of_other_judge(counts.other_judge)
        yield table.drop_columns(_REMARKS)
