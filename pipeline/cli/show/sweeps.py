"""What the commands print about sweeps, and about work that others do."""

from collections.abc import Mapping

from rich.table import Table

from ...launchers.base import Submission
from ...sweeps.cells import CellState, counted_states
from .printing import print_json, print_line, stdout_console


def show_submission(submission: Submission, *, as_json: bool) -> None:
    """What was submitted."""
    if as_json:
        print_json(submission.record)
        return
    for line in submission.lines:
        print_line(line)


def show_status(
    states: Mapping[str, CellState], failures: Mapping[str, str | None], *, as_json: bool
) -> None:
    """The state of every cell, and why some failed."""
    if as_json:
        print_json({"cells": states, "failures": failures})
        return
    for name, state in states.items():
        reason = failures.get(name)
        print_line(f"{state:8} {name}" + (f": {reason}" if reason else ""))
    print_line(counted_states(states))


def show_shipped(sweeps: Mapping[str, str], *, as_json: bool) -> None:
    """Names of sweeps with what each is."""
    if as_json:
        print_json([{"name": name, "description": line} for name, line in sweeps.items()])
        return
    table = Table("sweep", "what it runs")
    for name, line in sweeps.items():
        table.add_row(name, line)
    stdout_console().print(table)
