"""What is missing of a sweep or of a judged dataset as a Slurm array, then a job that sums up.

    OUTPUT/slurm/NNN/       one submission of a sweep's cells
        sweep.json          the sweep as it was submitted
        tasks/K.txt         names of the cells of task K
        logs/               what the jobs print, a file for each restart
        submission.json     ids of the jobs, written when both are in the queue

    OUT.shards/             a dataset in shards (`bulk.manifest`), a task for each, under its number
                            as a user types it, from 1; beside them:
        _jobs.jsonl         ids of what was submitted
        _logs/

The scripts are `sweep.sbatch`, `judge.sbatch` and `collect.sbatch` of the package's folder `slurm`.
"""

import json
import shlex
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

from ...data.arrow import atomic_path
from ...data.errors import ConfigError
from ..bulk.manifest import JudgeManifest, shard_folder, write_manifest
from ..config import RunConfig
from ..sweeps.cells import (
    SWEEP_FILE,
    CellState,
    cell_states,
    counted_states,
    finished_result,
    write_sweep_file,
)
from ..sweeps.sweep import SweepConfig
from .base import JudgeJob, Launcher, Submission, SweepJob, refuse_options
from .slurm_commands import (
    active_tasks,
    array_option,
    max_array_tasks,
    refuse_engine,
    refuse_request,
    submit,
)

SUBMISSION_FILE = "submission.json"
_JOBS_FILE = "_jobs.jsonl"
_LOGS = "_logs"
_MAX_RUNNING = 8
_GPUS = 1


class SlurmLauncher(Launcher):
    """Submits what is missing; the same command again submits what is missing then."""

    def run_sweep(self, job: SweepJob) -> Submission:
        not_taken = {"--cells": job.names_file, "--start-over": job.start_over or None}
        refuse_options("slurm", "submits what is missing", not_taken)
        return submit_sweep(job.config, job.cells)

    def judge(self, job: JudgeJob) -> Submission:
        not_taken = {"--shard": job.shard, "--overwrite": job.overwrite or None}
        refuse_options("slurm", "submits what is missing", not_taken)
        manifest = job.manifest()
        gpus = _GPUS if job.gpus is None else job.gpus
        max_running = job.max_running or _MAX_RUNNING
        return submit_judging(manifest, job.sbatch_options or (), max_running, gpus)

    def queued_cells(self, folder: Path) -> dict[str, CellState]:
        return queued_cells(folder)


def submit_sweep(config: SweepConfig, cells: Mapping[str, RunConfig]) -> Submission:
    """Submit the cells that are not finished, at work or waiting; nothing if there are none.

    Raises ConfigError or LaunchError, before anything is submitted, for what cannot run.
    """
    for cell in cells.values():
        finished_result(cell)
    states = cell_states(config, cells, queued_cells(config.output))
    wanted = (CellState.MISSING, CellState.FAILED)
    missing = {name: cells[name] for name, state in states.items() if state in wanted}
    record: dict[str, Any] = {"array": None, "collect": None, "tasks": [], "folder": None}
    record["cells"] = states
    if not missing:
        lines = [counted_states(states), "nothing is missing, nothing was submitted"]
        return Submission(record, lines)
    tasks = assign_cells(missing, config.slurm.cells_per_task)
    _refuse_impossible_sweep(config, missing, len(tasks))
    folder = _write_submission(config, tasks)
    array, collect = _submit_sweep(config, folder, len(tasks))
    submitted = {"array": array, "collect": collect, "tasks": tasks, "folder": str(folder)}
    return Submission(
        record | submitted,
        [
            counted_states(states),
            f"array {array}: {len(missing)} cells in {len(tasks)} tasks",
            f"collect {collect}: when they have ended",
            f"logs: {folder}/logs; progress: blpo sweep status {shlex.quote(str(config.output))}",
        ],
    )


def submit_judging(
    manifest: JudgeManifest, options: Sequence[str], max_running: int, gpus: int
) -> Submission:
    """Submit the shards that are neither judged nor in the queue, and the job that merges.

    Raises DataError if the output exists; ConfigError or LaunchError, before anything is
    submitted, for what cannot run or belongs to another job.
    """
    folder = shard_folder(manifest)
    queued = _queued_shards(folder)
    tasks = [number + 1 for number in manifest.missing() if number not in queued]
    record = {"folder": str(folder), "shards": tasks, "array": None, "collect": None}
    if queued and not tasks:
        line = "all shards are judged or in the queue, nothing was submitted"
        return Submission(record, [line])
    array_options = [array_option(tasks, max_running), f"--gpus-per-node={gpus}", *options]
    _refuse_impossible_judging(manifest, array_options, gpus)
    write_manifest(folder, manifest)
    array, collect = _submit_judging(folder, array_options if tasks else None)
    return Submission(
        record | {"array": array, "collect": collect},
        [
            f"array {array or 'not needed'}: {len(tasks)} shards",
            f"collect {collect}: when they have ended",
            f"logs: {folder / _LOGS}",
        ],
    )


def assign_cells(cells: Mapping[str, RunConfig], cells_per_task: int) -> list[list[str]]:
    """Names of the cells of every task: together only what shares judge and images."""
    sharing: defaultdict[tuple[object, ...], list[str]] = defaultdict(list)
    for name, cell in cells.items():
        sharing[cell.judge, cell.verbalizer, cell.images, cell.dataset].append(name)
    return [
        names[start : start + cells_per_task]
        for names in sharing.values()
        for start in range(0, len(names), cells_per_task)
    ]


def queued_cells(folder: Path) -> dict[str, CellState]:
    """Cells of a sweep's output folder that wait in Slurm's queue or are at work."""
    cells: dict[str, CellState] = {}
    for submission in sorted((folder / "slurm").glob(f"*/{SUBMISSION_FILE}")):
        job = str(json.loads(submission.read_text("utf-8"))["array"])
        for task, state in active_tasks(job).items():
            names = (submission.parent / "tasks" / f"{task}.txt").read_text("utf-8").splitlines()
            is_running = state == "RUNNING"
            cells |= dict.fromkeys(names, CellState.RUNNING if is_running else CellState.QUEUED)
    return cells


def _refuse_impossible_sweep(
    config: SweepConfig, cells: Mapping[str, RunConfig], num_tasks: int
) -> None:
    for name, cell in cells.items():
        for engine in (cell.judge, cell.verbalizer.engine, cell.optimizer.engine):
            if engine is not None:
                refuse_engine(f"cell {name}", engine, config.slurm.gpus)
    most = max_array_tasks()
    if num_tasks > most:
        raise ConfigError(
            f"{num_tasks} tasks, but an array may have {most} here: raise slurm.cells_per_task "
            f"to {-(-len(cells) // most)} or more"
        )
    refuse_request("tasks", "sweep", _array_options(config, num_tasks))
    refuse_request("job that collects", "collect", config.slurm.collect_options)


def _write_submission(config: SweepConfig, tasks: Sequence[Sequence[str]]) -> Path:
    folder = _new_folder(config.output / "slurm")
    write_sweep_file(config, config.output / SWEEP_FILE)
    write_sweep_file(config, folder / SWEEP_FILE)
    (folder / "logs").mkdir()
    for number, names in enumerate(tasks):
        with atomic_path(folder / "tasks" / f"{number}.txt") as temporary:
            temporary.write_text("".join(f"{name}\n" for name in names), "utf-8")
    return folder


def _new_folder(parent: Path) -> Path:
    """The next of 001, 002, ..., created here and by nobody else."""
    parent.mkdir(parents=True, exist_ok=True)
    for number in count(1):
        folder = parent / f"{number:03d}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def _submit_sweep(config: SweepConfig, folder: Path, num_tasks: int) -> tuple[str, str]:
    """Put the array and the job that collects into the queue; their ids."""
    sweep, logs, container = str(folder / SWEEP_FILE), folder / "logs", config.slurm.container
    options = _array_options(config, num_tasks)
    array = submit("sweep", options, [sweep, str(folder / "tasks")], logs, container)
    # After any end of the tasks: it is the one to say what is missing.
    options = [f"--dependency=afterany:{array}", *config.slurm.collect_options]
    collect = submit("collect", options, ["sweep", "collect", sweep], logs, container)
    with atomic_path(folder / SUBMISSION_FILE) as temporary:
        temporary.write_text(json.dumps({"array": array, "collect": collect}) + "\n", "utf-8")
    return array, collect


def _array_options(config: SweepConfig, num_tasks: int) -> list[str]:
    slurm = config.slurm
    array = array_option(range(num_tasks), slurm.max_running)
    return [array, f"--gpus-per-node={slurm.gpus}", *slurm.options]


def _refuse_impossible_judging(manifest: JudgeManifest, options: Sequence[str], gpus: int) -> None:
    refuse_engine("judge", manifest.judge.judge, gpus)
    most = max_array_tasks()
    if manifest.num_shards > most:
        raise ConfigError(
            f"--shards {manifest.num_shards}: an array may have {most} tasks here: lower it"
        )
    refuse_request("tasks", "judge", options)


def _submit_judging(folder: Path, array_options: Sequence[str] | None) -> tuple[str | None, str]:
    """Put the array, unless nothing is missing, and the job that merges into the queue; ids."""
    logs = folder / _LOGS
    logs.mkdir(exist_ok=True)
    array = submit("judge", array_options, [str(folder)], logs) if array_options else None
    after = [f"--dependency=afterany:{array}"] if array else []
    collect = submit("collect", after, ["judge", "collect", str(folder)], logs)
    with (folder / _JOBS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"array": array, "collect": collect}) + "\n")
    return array, collect


def _queued_shards(folder: Path) -> set[int]:
    """Shards, from 0, that wait in Slurm's queue or are at work."""
    try:
        lines = (folder / _JOBS_FILE).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return set()
    arrays = [job for line in lines if (job := json.loads(line)["array"])]
    return {task - 1 for job in arrays for task in active_tasks(job)}
