"""How far a sweep is: what its folder says about each cell, whoever ran it.

    sweep.json          the sweep as it was last started, with all defaults
    cells/NAME/         run directory of a cell; finished when it holds result.json
    failures/NAME.txt   why a cell failed when it was last tried
    running/*.json      the cells of each process at work; touched as long as it lives
    slurm/NNN/          what was submitted to Slurm, see `launchers.slurm`

All of it is about files, so that any host that sees the folder can tell. Processes are alive as
long as they touch their file: a killed one is noticed after a minute.
"""

import json
import os
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path

from ...data.arrow import atomic_path
from ...data.errors import BlpoError, ConfigError
from ...data.tasks import load_task
from ...data.text_files import read_text
from ..config import RunConfig, load_config
from ..result import RunResult
from ..runs.directory import RESULT_FILE, kept_task, load_run, run_differences
from ..runs.finished_run import read_result
from ..runs.run_many import FailedRun, FinishedRun
from .sweep import SweepConfig

Outcome = FinishedRun | FailedRun

SWEEP_FILE = "sweep.json"
_TOUCH_S = 10.0
_DEAD_S = 60.0


class CellState(StrEnum):
    """A cell is missing when it is none of the others."""

    DONE = "done"
    RUNNING = "running"
    QUEUED = "queued"
    FAILED = "failed"
    MISSING = "missing"


def write_sweep_file(config: SweepConfig, path: Path) -> None:
    """Keep a sweep as it was started, so that later edits of the user's file do not reach it."""
    with atomic_path(path) as temporary:
        temporary.write_text(config.model_dump_json(indent=2) + "\n", "utf-8")


def read_sweep_folder(folder: Path) -> SweepConfig:
    """The sweep of an output folder, as it lies there now. Raises ConfigError if it is none."""
    if not (folder / SWEEP_FILE).exists():
        raise ConfigError(
            f"{folder}: not the output folder of a sweep (no {SWEEP_FILE}); start one with "
            "`blpo sweep SWEEP.yaml`"
        )
    return load_config(SweepConfig, folder / SWEEP_FILE).model_copy(update={"output": folder})


def chosen_cells(cells: Mapping[str, RunConfig], names_file: Path) -> dict[str, RunConfig]:
    """The cells that a file names, one a line. Raises ConfigError for a name that is no cell."""
    names = read_text(names_file, ConfigError, "file of --cells").split()
    unknown = next((name for name in names if name not in cells), None)
    if unknown is not None:
        raise ConfigError(f"--cells {names_file}: {unknown} is no cell of this sweep")
    return {name: cells[name] for name in names}


def finished_result(cell: RunConfig) -> RunResult | None:
    """The result of a finished cell; None if it is not finished.

    Raises ConfigError if its directory belongs to another configuration or is damaged, DataError if
    its task cannot be read or its result is one of another version.
    """
    if not (cell.output / RESULT_FILE).exists():
        return None
    stored, directory = load_run(cell.output)
    found = run_differences(stored, kept_task(cell.output), cell, load_task(cell.task))
    if found:
        raise ConfigError(
            f"output {cell.output}: belongs to another run, which differs in\n  "
            + "\n  ".join(found)
            + "\nName another output for the sweep, or remove that directory."
        )
    return read_result(directory)


def collected(config: SweepConfig, cells: Mapping[str, RunConfig]) -> dict[str, Outcome]:
    """What the folder holds of every cell, as if it had just been run."""
    return {name: _collected(config, name, cell) for name, cell in cells.items()}


def cell_states(
    config: SweepConfig, cells: Mapping[str, RunConfig], queued: Mapping[str, CellState]
) -> dict[str, CellState]:
    """The state of every cell. queued: see `launchers.registry.queued_cells`."""
    running = _running_cells(config.output)
    states: dict[str, CellState] = {}
    for name, cell in cells.items():
        if (cell.output / RESULT_FILE).exists():
            states[name] = CellState.DONE
        elif name in running:
            states[name] = CellState.RUNNING
        elif name in queued:
            states[name] = queued[name]
        elif _failure_file(config, name).exists():
            states[name] = CellState.FAILED
        else:
            states[name] = CellState.MISSING
    return states


def counted_states(states: Mapping[str, CellState]) -> str:
    """How many cells are in which state: "3 done, 1 missing"."""
    found = Counter(states.values())
    return ", ".join(f"{found[state]} {state}" for state in CellState if found[state])


def failure_of(config: SweepConfig, name: str) -> str | None:
    """Why a cell failed when it was last tried; None if it did not."""
    try:
        return _failure_file(config, name).read_text("utf-8").strip()
    except FileNotFoundError:
        return None


def record_failures(config: SweepConfig, outcomes: Mapping[str, Outcome]) -> None:
    """Keep why cells failed, and forget it of those that have finished since."""
    for name, outcome in outcomes.items():
        file = _failure_file(config, name)
        if isinstance(outcome, FinishedRun):
            file.unlink(missing_ok=True)
            continue
        with atomic_path(file) as temporary:
            temporary.write_text(outcome.error + "\n", "utf-8")


@contextmanager
def announced(config: SweepConfig, cells: Iterable[str]) -> Generator[None]:
    """Show these cells as running while the block runs."""
    file = config.output / "running" / f"{socket.gethostname()}-{os.getpid()}.json"
    with atomic_path(file) as temporary:
        temporary.write_text(json.dumps(list(cells)), "utf-8")
    stop = threading.Event()
    thread = threading.Thread(target=_touch, args=(file, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        file.unlink(missing_ok=True)


def remove_running_folder(config: SweepConfig) -> None:
    """Remove the folder of what runs, if no process is at work in it."""
    with suppress(OSError):
        (config.output / "running").rmdir()


def _touch(file: Path, stop: threading.Event) -> None:
    while not stop.wait(_TOUCH_S):
        file.touch()


def _running_cells(folder: Path) -> set[str]:
    files = list((folder / "running").glob("*.json"))
    if not files:
        return set()
    try:
        now = _file_server_time(folder / "running")
    except FileNotFoundError:
        return set()  # the last process has just ended
    cells: set[str] = set()
    for file in files:
        try:
            if now - file.stat().st_mtime < _DEAD_S:
                cells.update(json.loads(file.read_text("utf-8")))
        except FileNotFoundError:
            continue  # its process has just ended
    return cells


def _file_server_time(folder: Path) -> float:
    """Now, by the clock that stamps the files of a folder: another host's may differ from ours."""
    probe = folder / f".{uuid.uuid4().hex}.tmp"
    probe.touch()
    try:
        return probe.stat().st_mtime
    finally:
        probe.unlink()


def _collected(config: SweepConfig, name: str, cell: RunConfig) -> Outcome:
    try:
        result = finished_result(cell)
    except BlpoError as error:
        return FailedRun(cell, str(error))
    if result is not None:
        return FinishedRun(cell, result, new_calls=0, seconds=0.0)
    return FailedRun(cell, failure_of(config, name) or "missing: it has not finished yet")


def _failure_file(config: SweepConfig, name: str) -> Path:
    return config.output / "failures" / f"{name}.txt"
