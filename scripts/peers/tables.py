"""The figures of the comparison as rich tables, Markdown and JSON."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median, stdev
from typing import Any

import numpy as np
from blpo.pipeline.search.seeds import derived_seed
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from .cells import Cell
from .restart import Restart

_RESAMPLES = 4000
REACH = 0.9
"""Share of the best known test accuracy that counts as reached."""


@dataclass(frozen=True, slots=True)
class Figures:
    """A table: a row per method. records: the same as JSON values."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    records: Sequence[dict[str, Any]]

    def rich(self) -> Table:
        table = Table(title=self.title, title_justify="left")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left")
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        lines = [self.columns, ["---", *["---:"] * (len(self.columns) - 1)], *self.rows]
        return "\n".join([f"**{self.title}**", "", *(f"| {' | '.join(line)} |" for line in lines)])


def show(tables: Sequence[Figures]) -> None:
    """Tables for people."""
    for table in tables:
        Console().print(table.rich())


def print_markdown(tables: Sequence[Figures]) -> None:
    for table in tables:
        print(f"\n{table.markdown()}")


def gains_table(title: str, cells: Sequence[Cell], metric: str, against: str = "blpo") -> Figures:
    """Mean gain on test per task; the spread is over seeds, of the mean over tasks."""
    tasks = _in_order(cell.setting.task for cell in cells)
    columns = ["method", *tasks, "all", "sd over seeds", f"minus {against} (95 %)", "judge calls"]
    rows, records = list[list[str]](), list[dict[str, Any]]()
    for arm, own in by_arm(cells).items():
        gains = {
            task: mean(_gain(c, metric) for c in own if c.setting.task == task) for task in tasks
        }
        seeds = _by(own, lambda cell: cell.setting.seed)
        per_seed = [mean(_gain(cell, metric) for cell in group) for group in seeds.values()]
        difference, low, high = paired_difference(cells, arm, against, metric)
        record = {
            "method": arm,
            **gains,
            "all": mean(gains.values()),
            "sd": stdev(per_seed) if len(per_seed) > 1 else None,
            "difference": difference,
            "ci95": [low, high],
            "judge_calls": mean(cell.calls["judge"] for cell in own),
        }
        records.append(record)
        spread = "" if record["sd"] is None else f"{record['sd']:.3f}"
        compared = "" if arm == against else f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"
        values = [f"{gains[task]:+.3f}" for task in tasks]
        rows.append(
            [
                arm,
                *values,
                f"{record['all']:+.3f}",
                spread,
                compared,
                f"{record['judge_calls']:.0f}",
            ]
        )
    return Figures(title, columns, rows, records)


def paired_difference(
    cells: Sequence[Cell], arm: str, against: str, metric: str
) -> tuple[float, float, float]:
    """Mean difference in gain over the cells of both, with a bootstrap interval over cells.

    All numbers are nan where `against` did not run.
    """
    other = {cell.setting: _gain(cell, metric) for cell in cells if cell.arm == against}
    own = {cell.setting: _gain(cell, metric) for cell in cells if cell.arm == arm}
    both = [own[setting] - other[setting] for setting in own if setting in other]
    if not both:
        return float("nan"), float("nan"), float("nan")
    generator = np.random.default_rng(derived_seed(0, "cells", arm, metric))
    draws: NDArray[np.float64] = generator.choice(np.array(both), (_RESAMPLES, len(both))).mean(
        axis=1
    )
    return mean(both), float(np.quantile(draws, 0.025)), float(np.quantile(draws, 0.975))


def claims_table(title: str, cells: Sequence[Cell]) -> Figures:
    """How often a method holds that it gained, and how often the test split agrees (`is_found`)."""
    columns = ["method", "runs", "claim a gain", "sure on test", "harm sure", "mean test gain"]
    rows, records = list[list[str]](), list[dict[str, Any]]()
    for arm, own in by_arm(cells).items():
        claims = [cell for cell in own if cell.found.claims_gain]
        record = {
            "method": arm,
            "runs": len(own),
            "claims": len(claims),
            "claims_sure_on_test": sum(cell.gain.is_found("accuracy") for cell in claims),
            "sure_harm": sum(cell.gain.ci95["accuracy"][1] < 0 for cell in own),
            "mean_test_gain": mean(_gain(cell, "accuracy") for cell in own),
        }
        records.append(record)
        rows.append(
            [
                arm,
                str(record["runs"]),
                str(record["claims"]),
                str(record["claims_sure_on_test"]),
                str(record["sure_harm"]),
                f"{record['mean_test_gain']:+.3f}",
            ]
        )
    return Figures(title, columns, rows, records)


def reach_table(cells: Sequence[Cell]) -> Figures:
    """Judge calls until the current best prompt has 90 % of the best accuracy known on the task.

    Best known: the highest that any prompt of any method's trajectory has on the test split.
    """
    tasks = _in_order(cell.setting.task for cell in cells)
    best = {t: max(max(c.accuracies) for c in cells if c.setting.task == t) for t in tasks}
    columns = ["method", *(f"{task} ({best[task]:.3f})" for task in tasks), "reached"]
    rows, records = list[list[str]](), list[dict[str, Any]]()
    for arm, own in by_arm(cells).items():
        reached = {
            task: [calls_to_reach(c, REACH * best[task]) for c in own if c.setting.task == task]
            for task in tasks
        }
        found = sum(calls is not None for every in reached.values() for calls in every)
        records.append({"method": arm, **reached, "reached": found, "runs": len(own)})
        shown = [_median_calls(reached[task]) for task in tasks]
        rows.append([arm, *shown, f"{found} of {len(own)}"])
    title = "Median judge calls to 90 % of the best known test accuracy (best known in brackets)"
    return Figures(title, columns, rows, records)


def calls_to_reach(cell: Cell, accuracy: float) -> int | None:
    """Judge calls asked when the current best prompt was first that good; None if it never was."""
    points = zip(cell.found.trajectory, cell.accuracies, strict=True)
    return next((point.judge_calls for point, own in points if own >= accuracy), None)


def restart_table(restarts: Sequence[Restart]) -> Figures:
    columns = ["method", "keeps", "same result", "uninterrupted", "before + after kill", "repeated"]
    rows = [
        [
            restart.arm,
            restart.keeps,
            "yes" if restart.same_result else "no",
            str(restart.asked_uninterrupted),
            f"{restart.asked_before_kill} + {restart.asked_after_kill}",
            str(restart.repeated),
        ]
        for restart in restarts
    ]
    title = "Killed halfway and started again: questions that reach the judge model"
    return Figures(title, columns, rows, [restart.record() for restart in restarts])


def by_arm(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    return _by(cells, lambda cell: cell.arm)


def _by(cells: Sequence[Cell], key: Callable[[Cell], Any]) -> dict[Any, list[Cell]]:
    groups: dict[Any, list[Cell]] = {}
    for cell in cells:
        groups.setdefault(key(cell), []).append(cell)
    return groups


def _in_order(names: Any) -> list[str]:
    return list(dict.fromkeys(names))


def _gain(cell: Cell, metric: str) -> float:
    return float(getattr(cell.gain, metric))


def _median_calls(calls: Sequence[int | None]) -> str:
    """Runs that never reach it count as infinitely many calls."""
    middle = median(float("inf") if one is None else one for one in calls)
    return "never" if middle == float("inf") else f"{middle:.0f}"
