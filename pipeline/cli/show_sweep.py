"""What the commands print about work that others do."""

from collections.abc import Mapping

from ..launchers.base import Submission
from ..sweeps.cells import CellState, counted_states
from .printing import print_json


def show_submission(submission: Submission, *, as_json: bool) -> None:
    """What was submitted."""
    if as_json:
        print_json(submission.record)
        return
    for line in submission.lines:
        print(line)


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
    print(counted_states(states))
