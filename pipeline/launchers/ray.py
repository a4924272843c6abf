"""Bulk judging on Ray Data: shards of the dataset, judged by actors over the same servers.

The engines are not Ray's. Each actor asks the servers behind `judge.endpoint`, as every run does,
so prompts, verdicts and columns are those of `blpo judge`, and no version of vllm is tied to one of
Ray. An actor reads the row groups of its shard and writes the shard's file (`bulk.shards`) itself:
neither images nor verdicts pass through Ray's object store, and what Ray leaves undone, Slurm or
this machine can finish. The files are the checkpoint, and within a shard the reply store is. (Ray's
own, `CheckpointConfig`, waits for ever where its filter finds no CPU.)

Nothing hangs for want of a CPU: the pool of actors has a fixed size, and CPUs are left for the list
of shards. On a Ray of its own, which this module starts where RAY_ADDRESS is not set, CPUs are a
mere number: an actor waits for servers.
"""

import logging
import os
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from ...data.arrow import pa, refuse_output
from ...data.errors import BlpoError, ConfigError, EngineError
from ...data.remote import is_here
from ..bulk.counts import JudgedCounts
from ..bulk.judging import Workers
from ..bulk.manifest import JudgeManifest, shard_folder, write_manifest
from ..bulk.shards import collect_shards, judge_shard
from ..runs.progress import Tracked, progress
from .base import JudgeJob, Launcher, Submission, SweepJob, refuse_options

_SPARE_CPUS = 2
"""CPUs that are left to Ray's own tasks."""
_NUM_ACTORS = 8
_DONE: Any = pa.schema([("rows", pa.int64()), ("new_calls", pa.int64()), ("problem", pa.string())])


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
            "--gpus": job.gpus,
            "--sbatch": job.sbatch_options,
            "--overwrite": job.overwrite or None,
        }
        refuse_options("ray", "judges the shards that are missing over servers", not_taken)
        if job.source.config.judge.kind != "openai":
            raise ConfigError(
                "--launcher ray: asks servers, and the judge is of kind "
                f"{job.source.config.judge.kind}: start some with slurm/pool.sbatch, and set "
                "judge.kind=openai and judge.endpoint=pool:FOLDER"
            )
        if job.out.suffix:
            refuse_output(job.out, job.dataset, ".parquet", overwrite=False)
        return judge_on_ray(job.manifest(), job.max_running or _NUM_ACTORS)


class JudgeActor:
    """Judges shards of a folder, as Ray hands out their numbers."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._workers = Workers()
        self._workers.pool.stop.stop_listening()  # the signals of an actor's process are Ray's

    def __call__(self, shards: dict[str, Any]) -> Iterator[Any]:
        """A row for each shard, without verdicts: they are in its file.

        problem: why it was not judged; an exception would come out of Ray as a page of text.
        """
        for number in shards["item"].tolist():
            try:
                counts = judge_shard(self._folder, number, self._workers)
                done = {"rows": counts.rows, "new_calls": counts.new_calls, "problem": None}
            except BlpoError as error:
                done = {"rows": 0, "new_calls": 0, "problem": str(error)}
            yield pa.Table.from_pylist([done], schema=_DONE)


def judge_on_ray(manifest: JudgeManifest, num_actors: int) -> JudgedCounts:
    """Judge the shards that are missing by so many actors over the servers, and put all together.

    Dataset, output and store lie on a file system that all nodes of the cluster share. Raises
    ConfigError if Ray is not installed or the cluster is too small; otherwise what `judge_missing`
    raises.
    """
    folder = shard_folder(manifest)
    missing = manifest.missing()
    new_calls = _judged_by_actors(manifest, missing, num_actors) if missing else 0
    _, counts = collect_shards(folder)
    counts.new_calls = new_calls
    return counts


def _judged_by_actors(manifest: JudgeManifest, missing: list[int], num_actors: int) -> int:
    """How many replies the engines gave. Raises EngineError for an actor's problem."""
    ray = _started_ray(num_actors)
    try:
        whole = _absolute(manifest)
        write_manifest(whole.folder, whole)
        judged = ray.data.from_items(missing, override_num_blocks=len(missing)).map_batches(
            JudgeActor,
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=min(num_actors, len(missing))),
            num_cpus=1,
            fn_constructor_args=(whole.folder,),
        )
        rows = new_calls = 0
        total = manifest.extent.num_rows
        with progress({manifest.dataset.name: Tracked(lambda: rows, total)}, "images"):
            for done in judged.iter_batches(batch_size=None, batch_format="pyarrow"):
                problems = done["problem"].drop_null().to_pylist()
                if problems:
                    raise EngineError(problems[0])
                rows += sum(done["rows"].to_pylist())
                new_calls += sum(done["new_calls"].to_pylist())
    finally:
        ray.shutdown()
    return new_calls


def _absolute(manifest: JudgeManifest) -> JudgeManifest:
    """With paths that hold in the working directory of an actor, too."""
    names = ["out", "store", *(["dataset"] if is_here(manifest.dataset) else [])]
    return manifest.model_copy(update={name: getattr(manifest, name).resolve() for name in names})


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
    context.enable_progress_bars = False
    return ray
