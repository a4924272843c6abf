"""A sweep as a Slurm array: the cells that are missing, then a job that collects.

    OUTPUT/slurm/NNN/       one submission
        sweep.json          the sweep as it was submitted
        tasks/K.txt         names of the cells of task K
        logs/               what the jobs print, a file for each restart
        submission.json     ids of the jobs, written when both are in the queue

The scripts are `sweep.sbatch` and `collect.sbatch` of the package's folder `slurm`.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from ...data.arrow import atomic_path
from ...data.errors import ConfigError
from ..config import RunConfig
from ..sweeps.cells import SWEEP_FILE, CellState, cell_states, finished_result, write_sweep_file
from ..sweeps.sweep import SweepConfig
from .slurm_commands import (
    active_tasks,
    array_option,
    max_array_tasks,
    refuse_engine,
    refuse_request,
    submit,
)

SUBMISSION_FILE = "submission.json"


@dataclass(frozen=True, slots=True)
class Submission:
    """What was submitted. array, collect: job ids, None if nothing was missing."""

    folder: Path | None
    array: str | None
    collect: str | None
    tasks: list[list[str]]
    states: dict[str, CellState]


def submit_sweep(config: SweepConfig, cells: Mapping[str, RunConfig]) -> Submission:
    """Submit the cells that are not finished, at work or waiting; nothing if there are none.

    Raises ConfigError or LaunchError, before anything is submitted, for what cannot run.
    """
    for cell in cells.values():
        finished_result(cell)
    states = cell_states(config, cells, queued_cells(config.output))
    wanted = (CellState.MISSING, CellState.FAILED)
    missing = {name: cells[name] for name, state in states.items() if state in wanted}
    if not missing:
        return Submission(None, None, None, [], states)
    tasks = assign_cells(missing, config.slurm.cells_per_task)
    _refuse_impossible(config, missing, len(tasks))
    folder = _write_submission(config, tasks)
    array, collect = _submit(config, folder, len(tasks))
    return Submission(folder, array, collect, tasks, states)


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
            names = (submission.parent / "tasks" / f"{task}.txt").read_text("utf-8").split()
            is_running = state == "RUNNING"
            cells |= dict.fromkeys(names, CellState.RUNNING if is_running else CellState.QUEUED)
    return cells


def _refuse_impossible(config: SweepConfig, cells: Mapping[str, RunConfig], num_tasks: int) -> None:
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


def _submit(config: SweepConfig, folder: Path, num_tasks: int) -> tuple[str, str]:
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
