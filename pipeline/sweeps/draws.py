"""What a sweep over draws found, by method: gains over rubrics, data and seeds, with intervals.

The unit is a rubric, its data and a seed. Of each run only its values count: that its test
examples are a sample is part of how far the draws of data differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

from pydantic import BaseModel

from ...models.wrappers.ledger import ROLES, Role
from ..config import RunConfig
from ..metrics.agreement import GAIN_METRICS, Gain, is_gain
from ..metrics.nested import NestedMean, Path, nested_mean
from ..report.reading_rows import gain_rows
from ..result import RunResult
from ..runs.run_many import FailedRun
from .cells import Outcome, collected
from .points import DRAW_KEYS
from .step_counts import NO_STEPS, StepCounts, count_steps
from .sweep import SweepConfig, method_name

_SEED = 0


@dataclass(frozen=True, slots=True)
class DrawnRun:
    """A cell of the sweep. path: its rubric, data and seed.

    result: None where there is none, and `error` says why. steps: the last one perhaps cut short
    by a budget. own_length: steps that the method takes by itself.
    """

    name: str
    task: str
    method: str
    path: Path
    own_length: int
    result: RunResult | None = None
    steps: StepCounts = NO_STEPS
    error: str = ""


@dataclass(frozen=True, slots=True)
class DrawnRow:
    """A method over all tasks and draws.

    gains: over p_0 by its likeliest labels, by metric; by_task: in accuracy. readings: where
        verdicts are read, the same by what is done: the reading, the prompt, or both.
    differences: from the reference, by metric, over the draws that both have finished; empty for
        the reference.
    calls: of the search, mean by role. steps, own_length: mean number of steps, and that of the
    method by itself. num_after_rejected, num_repeating: see `StepCounts`, over all runs.
    num_stopped: runs that a budget ended. num_below: those whose accuracy ends below p_0's beyond
    chance.
    gains_anything, gains_on_reference: by the one rule for a gain; None without intervals.
    """

    method: str
    gains: Mapping[str, NestedMean]
    by_task: Mapping[str, float]
    readings: Mapping[str, Mapping[str, NestedMean]]
    differences: Mapping[str, NestedMean]
    calls: Mapping[Role, float]
    steps: float
    own_length: int
    num_after_rejected: int
    num_repeating: int
    num_stopped: int
    num_below: int
    num_runs: int

    @property
    def gains_anything(self) -> bool | None:
        return _by_rule(self.gains)

    @property
    def gains_on_reference(self) -> bool | None:
        return _by_rule(self.differences)


@dataclass(frozen=True, slots=True)
class DrawnTables:
    """All that is printed of a sweep over draws. rows: of the methods with finished runs."""

    name: str
    world: Mapping[str, Any]
    tasks: Sequence[str]
    draws: Mapping[str, int]
    reference: str
    rows: Sequence[DrawnRow]
    missing: Mapping[str, str]


def make_drawn_tables(config: SweepConfig, cells: Mapping[str, RunConfig]) -> DrawnTables:
    """Read the cells' run directories, and take their means."""
    outcomes = collected(config, cells).items()
    runs = [_drawn_run(*named, point) for named, point in zip(outcomes, config.points, strict=True)]
    methods = list(dict.fromkeys(run.method for run in runs))
    reference = config.reference or methods[0]
    finished = {
        method: {(run.task, run.path): run for run in runs if run.method == method and run.result}
        for method in methods
    }
    return DrawnTables(
        name=config.output.name,
        world=config.world or {},
        tasks=list(dict.fromkeys(run.task for run in runs)),
        draws={key: len(config.grid.get(key, [0])) for key in (*DRAW_KEYS, "seed")},
        reference=reference,
        rows=[
            _row(method, own, finished[reference] if method != reference else {})
            for method, own in finished.items()
            if own
        ],
        missing={run.name: run.error for run in runs if run.result is None},
    )


_Runs = Mapping[tuple[str, Path], DrawnRun]


def _drawn_run(name: str, outcome: Outcome, point: Mapping[str, Any]) -> DrawnRun:
    cell = outcome.config
    path = (*(int(point.get(key, 0)) for key in DRAW_KEYS), cell.seed)
    drawn = DrawnRun(name, cell.task, method_name(cell.method, point), path, _own_length(cell))
    if isinstance(outcome, FailedRun):
        return replace(drawn, error=outcome.error)
    return replace(drawn, result=outcome.result, steps=count_steps(cell.output))


def _own_length(cell: RunConfig) -> int:
    """Steps that the method takes where nothing else is said."""
    search = cell.search
    section: BaseModel = getattr(cell, search.section)
    return search.fixed.get(search.length, getattr(type(section)(), search.length))


def _row(method: str, own: _Runs, reference: _Runs) -> DrawnRow:
    gains = {key: _gains(run) for key, run in own.items()}
    others = {key: _gains(run) for key, run in reference.items() if key in own}
    results = [_result(run) for run in own.values()]
    return DrawnRow(
        method=method,
        gains={metric: _mean(gains, metric) for metric in GAIN_METRICS},
        by_task={
            task: _mean({k: g for k, g in gains.items() if k[0] == task}, "accuracy").value
            for task in dict.fromkeys(task for task, _ in own)
        },
        readings=_readings(own),
        differences={
            metric: _mean({key: _less(gains[key], other) for key, other in others.items()}, metric)
            for metric in (GAIN_METRICS if others else ())
        },
        calls={role: mean(_search_calls(result, role) for result in results) for role in ROLES},
        steps=mean(run.steps.done for run in own.values()),
        num_after_rejected=sum(run.steps.after_rejected for run in own.values()),
        num_repeating=sum(run.steps.repeating for run in own.values()),
        own_length=next(iter(own.values())).own_length,
        num_stopped=sum(result.stopped is not None for result in results),
        num_below=sum(_gain_of(result).ci95["accuracy"][1] < 0 for result in results),
        num_runs=len(results),
    )


def _result(run: DrawnRun) -> RunResult:
    assert run.result is not None
    return run.result


def _gains(run: DrawnRun) -> dict[str, float]:
    return _by_metric(_gain_of(_result(run)))


def _gain_of(result: RunResult) -> Gain:
    """Over p_0 by its likeliest labels: one p_0 for all methods, whether they read or not."""
    reading = result.test.reading
    return result.test.gain if reading is None else reading.gain_of_both


def _by_metric(gain: Gain) -> dict[str, float]:
    return {metric: getattr(gain, metric) for metric in GAIN_METRICS}


def _readings(own: _Runs) -> dict[str, dict[str, NestedMean]]:
    """Means by what is done, as a run's own table names it; empty without readings."""
    each = {key: gain_rows(_result(run).test) for key, run in own.items()}
    first = next(iter(each.values()))
    return {
        what: {
            metric: _mean({key: _by_metric(gains[what]) for key, gains in each.items()}, metric)
            for metric in GAIN_METRICS
        }
        for what in first
    }


def _less(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {metric: value - other[metric] for metric, value in one.items()}


def _mean(values: Mapping[tuple[str, Path], Mapping[str, float]], metric: str) -> NestedMean:
    """Over tasks, which are fixed, and what is drawn for each."""
    tasks = list(dict.fromkeys(task for task, _ in values))
    strata = [
        (
            [path for task, path in values if task == own],
            [found[metric] for (task, _), found in values.items() if task == own],
        )
        for own in tasks
    ]
    return nested_mean(strata, _SEED)


def _by_rule(found: Mapping[str, NestedMean]) -> bool | None:
    intervals = [found[metric].ci95 for metric in ("macro_f1", "kappa") if found]
    known = [interval for interval in intervals if interval is not None]
    return is_gain(*known) if len(known) == 2 else None


def _search_calls(result: RunResult, role: Role) -> int:
    """All calls less those of the final test, which judges the split under two prompts."""
    tested = 2 * result.test.final.n if role == "judge" else 0
    return result.calls[role].asked - tested
