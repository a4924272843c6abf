"""A sweep as a Slurm array: the cells that are missing, then a job that collects.

    OUTPUT/slurm/NNN/       one submission
        sweep.json          the sweep as it was submitted
        tasks/K.txt         names of the cells of task K
        logs/               what the jobs print, a file for each restart
        submission.json     ids of the jobs, written when both are in the queue

The scripts are `sweep.sbatch` and `collect.sbatch` of the package's folder `slurm`.
"""

import json
import os
import shutil
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import count
from pathlib import Path

from ..data.arrow import atomic_path
from ..data.errors import ConfigError, LaunchError
from ..models.checkpoint import is_available_offline
from ..models.settings import EngineSettings
from .config import RunConfig
from .slurm_queue import (
    SUBMISSION_FILE,
    max_array_tasks,
    queued_cells,
    slurm_command,
    task_list,
)
from .sweep import SweepConfig
from .sweep_state import SWEEP_FILE, CellState, cell_states, finished_result, write_sweep_file

_LOCAL_ENGINES = ("vllm", "transformers")


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


def _refuse_impossible(config: SweepConfig, cells: Mapping[str, RunConfig], num_tasks: int) -> None:
    for name, cell in cells.items():
        for engine in _engines(cell):
            _refuse_engine(name, engine, config.slurm.gpus)
    most = max_array_tasks()
    if num_tasks > most:
        raise ConfigError(
            f"{num_tasks} tasks, but an array may have {most} here: raise slurm.cells_per_task "
            f"to {-(-len(cells) // most)} or more"
        )
    _refuse_request("tasks", _array_options(config, num_tasks), "sweep")
    _refuse_request("job that collects", config.slurm.collect_options, "collect")


def _refuse_request(what: str, options: Sequence[str], script: str) -> None:
    """Let Slurm say what it thinks of a request; nothing is queued."""
    try:
        slurm_command("sbatch", "--test-only", *options, str(_script(script)))
    except LaunchError as error:
        asked = " ".join(options) or "as in the script"
        raise LaunchError(f"the {what} cannot be submitted ({asked}): {error}") from None


def _engines(cell: RunConfig) -> list[EngineSettings]:
    """The engines that a run starts in its own process."""
    engines = (cell.judge, cell.verbalizer.engine, cell.optimizer.engine)
    return [engine for engine in engines if engine is not None and engine.kind in _LOCAL_ENGINES]


def _refuse_engine(cell: str, engine: EngineSettings, gpus: int) -> None:
    if engine.tensor_parallel_size > max(gpus, 1):
        raise ConfigError(
            f"cell {cell}: {engine.model} is shared by {engine.tensor_parallel_size} GPUs "
            f"(tensor_parallel_size), but slurm.gpus gives a task {gpus}"
        )
    if os.environ.get("BLPO_ONLINE") != "1" and not is_available_offline(engine):
        raise ConfigError(
            f"cell {cell}: {engine.model} is not in the Hugging Face cache, and jobs run offline: "
            f"fetch it with `hf download {engine.model}`, or set BLPO_ONLINE=1"
        )


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
    environment = _job_environment(config, folder)
    output = f"--output={folder / 'logs' / 'slurm-%x-%A_%a.out'}"
    sweep = str(folder / SWEEP_FILE)
    array = slurm_command(
        "sbatch",
        "--parsable",
        output,
        *_array_options(config, num_tasks),
        str(_script("sweep")),
        sweep,
        str(folder / "tasks"),
        environment=environment,
    )
    array = array.strip().split(";")[0]
    collect = slurm_command(
        "sbatch",
        "--parsable",
        f"--output={folder / 'logs' / 'slurm-%x-%j.out'}",
        # After any end of the tasks: it is the one to say what is missing.
        f"--dependency=afterany:{array}",
        *config.slurm.collect_options,
        str(_script("collect")),
        sweep,
        environment=environment,
    )
    collect = collect.strip().split(";")[0]
    with atomic_path(folder / SUBMISSION_FILE) as temporary:
        temporary.write_text(json.dumps({"array": array, "collect": collect}) + "\n", "utf-8")
    return array, collect


def _array_options(config: SweepConfig, num_tasks: int) -> list[str]:
    slurm = config.slurm
    array = f"--array={task_list(range(num_tasks))}%{slurm.max_running}"
    return [array, f"--gpus-per-node={slurm.gpus}", *slurm.options]


def _job_environment(config: SweepConfig, folder: Path) -> dict[str, str]:
    """The environment that sbatch hands on to the jobs."""
    return os.environ | {
        "BLPO": "blpo" if config.slurm.container else _own_command(),
        "BLPO_CONTAINER": config.slurm.container,
        "BLPO_SLURM": str(_scripts()),
        "BLPO_LOGS": str(folder / "logs"),
    }


def _own_command() -> str:
    beside = Path(sys.executable).with_name("blpo")
    return str(beside) if beside.exists() else shutil.which("blpo") or "blpo"


def _scripts() -> Path:
    return Path(str(resources.files("blpo.slurm")))


def _script(name: str) -> Path:
    return _scripts() / f"{name}.sbatch"
