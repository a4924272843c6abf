"""Trajectories of a sweep's runs as Markdown to read and as CSV to compute with."""

import csv
import io
from collections.abc import Sequence

from ..runs.demo import DEMO_NOTE
from .tables import SweepTables
from .tables_text import grid, interval_text, section
from .trajectory import Trajectory, harms, reaches


def trajectory_markdown(tables: SweepTables, trajectories: Sequence[Trajectory]) -> str:
    """How often a step harms, and the calls to 90 % of the best accuracy known."""
    reach_rows = [
        [
            reach.task,
            reach.method,
            f"{reach.target:.3f}",
            f"{reach.reached} of {reach.runs}",
            "-" if reach.calls is None else f"{reach.calls:,.0f}",
        ]
        for reach in reaches(trajectories)
    ]
    parts = [f"# {tables.name}: trajectories of its runs"]
    if tables.synthetic:
        parts.append(f"**{DEMO_NOTE}**")
    parts += [
        _harmful_steps(trajectories),
        section(
            "Calls to target",
            grid(["task", "method", "target", "runs that reach it", "calls"], reach_rows),
            "Target: 90 % of the highest test accuracy of any judge prompt in the sweep. Calls: "
            "requests of all roles until a run first had such a prompt; the median over the runs "
            "that reach it.",
        ),
    ]
    return "\n\n".join(parts) + "\n"


def drawn_trajectory_markdown(name: str, trajectories: Sequence[Trajectory]) -> str:
    """How often a step harms, over all draws; what is best known differs from draw to draw."""
    head = [f"# {name}: trajectories of its runs", f"**{DEMO_NOTE}**"]
    return "\n\n".join([*head, _harmful_steps(trajectories)]) + "\n"


def _harmful_steps(trajectories: Sequence[Trajectory]) -> str:
    rows = [
        [
            harm.method,
            str(harm.steps),
            str(harm.harmful),
            "-" if harm.share is None else f"{harm.share:.3f}",
            "-" if harm.share is None else interval_text(harm.ci95),
        ]
        for harm in harms(trajectories)
    ]
    return section(
        "Harmful steps",
        grid(["method", "steps", "harmful", "share", "95 %"], rows),
        "A step counts if it changed the judge prompt. It is harmful if test accuracy fell. "
        "These verdicts were asked for after the runs; no run has seen them.",
    )


def trajectory_csv(trajectories: Sequence[Trajectory]) -> str:
    """One row per run and judge prompt."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(("task", "method", "seed", "step", "calls", "accuracy", "macro_f1"))
    for trajectory in trajectories:
        for step, point in enumerate(trajectory.points):
            values = (step, point.calls, point.accuracy, point.macro_f1)
            writer.writerow((trajectory.task, trajectory.method, trajectory.seed, *values))
    return file.getvalue()
