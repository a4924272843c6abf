"""What the commands print about work that others do."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from ..launchers.judge_array import JudgeSubmission
from ..launchers.slurm import Submission
from ..sweeps.cells import CellState
from .printing import print_json


def show_submission(submission: Submission, output: Path, *, as_json: bool) -> None:
    """Ids of the jobs, and what they will run."""
    if as_json:
        print_json(
            {
                "array": submission.array,
                "collect": submission.collect,
                "tasks": submission.tasks,
                "folder": submission.folder and str(submission.folder),
                "cells": submission.states,
            }
        )
        return
    print(_counts(submission.states))
    if submission.array is None:
        print("nothing is missing, nothing was submitted")
        return
    num_cells = sum(map(len, submission.tasks))
    print(f"array {submission.array}: {num_cells} cells in {len(submission.tasks)} tasks")
    print(f"collect {submission.collect}: when they have ended")
    print(f"logs: {submission.folder}/logs; progress: blpo sweep status {output}")


def show_judge_submission(submission: JudgeSubmission, *, as_json: bool) -> None:
    """Ids of the jobs, and which shards they judge."""
    if as_json:
        print_json(asdict(submission) | {"folder": str(submission.folder)})
    elif submission.collect is None:
        print("all shards are judged or in the queue, nothing was submitted")
    else:
        print(f"array {submission.array or 'not needed'}: {len(submission.shards)} shards")
        print(f"collect {submission.collect}: when they have ended")
        print(f"logs: {submission.folder}/logs")


def show_status(
    states: Mapping[str, CellState], failures: Mapping[str, str | None], *, as_json: bool
) -> None:
    """The state of every cell, and why some failed."""
    if as_json:
        print_json({"cells": states, "failures": failures})
        return
    for name, state in states.items():
        reason = failures.get(name)
        print(f"{state:8} {name}" + (f": {reason}" if reason else ""))
    print(_counts(states))


def _counts(states: Mapping[str, CellState]) -> str:
    found = Counter(states.values())
    return ", ".join(f"{found[state]} {state}" for state in CellState if found[state])
