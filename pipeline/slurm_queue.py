"""Slurm's own commands, and what its queue says about the cells of a sweep."""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..data.errors import LaunchError
from .sweep_state import CellState

SUBMISSION_FILE = "submission.json"
"""In a submission's folder once it is in the queue: {"array": job id, "collect": job id}."""


def slurm_command(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """What a command of Slurm prints. Raises LaunchError with Slurm's own words."""
    if shutil.which(command[0]) is None:
        raise LaunchError(f"no {command[0]} on this machine: submit from a login node of a cluster")
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise LaunchError(f"{command[0]} refuses: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def max_array_tasks() -> int:
    """The most tasks that one array may have here."""
    found = re.search(
        r"^MaxArraySize\s*=\s*(\d+)", slurm_command("scontrol", "show", "config"), re.M
    )
    return int(found[1]) - 1 if found else 1000


def queued_cells(folder: Path) -> dict[str, CellState]:
    """Cells of a sweep's output folder that wait in Slurm's queue or are at work."""
    submissions = sorted((folder / "slurm").glob(f"*/{SUBMISSION_FILE}"))
    cells: dict[str, CellState] = {}
    for submission in submissions:
        job = str(json.loads(submission.read_text("utf-8"))["array"])
        for task, state in _active_tasks(job).items():
            names = (submission.parent / "tasks" / f"{task}.txt").read_text("utf-8").split()
            cells.update(dict.fromkeys(names, state))
    return cells


def task_list(tasks: Sequence[int]) -> str:
    """Task numbers as `--array` takes them: "0-3,7"."""
    ranges: list[list[int]] = []
    for task in sorted(tasks):
        if ranges and task == ranges[-1][1] + 1:
            ranges[-1][1] = task
        else:
            ranges.append([task, task])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def _active_tasks(job: str) -> dict[int, CellState]:
    """Tasks of an array that have not ended, by number."""
    try:
        lines = slurm_command("squeue", "-h", "-r", "-j", job, "-o", "%K %T").splitlines()
    except LaunchError as error:
        if "Invalid job id" in str(error):
            return {}  # it has been forgotten, long after its end
        raise
    states: dict[int, CellState] = {}
    for line in lines:
        task, state = line.split()
        states[int(task)] = CellState.RUNNING if state == "RUNNING" else CellState.QUEUED
    return states
