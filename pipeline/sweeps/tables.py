"""What a sweep found, by task and method: means over seeds, intervals, differences, cost.

Two things vary: the test examples are a sample, and every seed optimizes anew. The interval of a
mean is over examples with the seeds as they are, beside it stands the standard deviation over
seeds. A difference from the reference method claims to hold for other examples and for other
seeds, so that its interval and its p-value count both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import groupby
from statistics import mean, stdev
from typing import Any, Literal, get_args

import numpy as np

from ...data.errors import BlpoError, ConfigError
from ...models.wrappers.ledger import ROLES, Role
from ..config import RunConfig, comparable, differences
from ..metrics.agreement import GAIN_METRICS, resample
from ..metrics.intervals import (
    Counts,
    Estimate,
    Interval,
    Values,
    holm,
    mean_estimate,
    percentiles,
    seeds_component,
)
from ..runs.finished_run import PastRun, read_past_run, refuse_other_test
from .cells import failure_of
from .paper_results import PaperResult, paper_results
from .sweep import SweepConfig, method_name

Part = Literal["initial", "final", "gain"]
PARTS: tuple[Part, ...] = get_args(Part)

AS_READ = " + reading"
"""What the name of a method ends with where its verdicts are read."""

_SEED = 0


@dataclass(frozen=True)
class Cell:
    """A cell of the sweep: its finished run, or why there is none.

    method: the method with all else that the grid varies, less task and seed. is_read: whether
    its verdicts are those of fitted readings.
    """

    name: str
    task: str
    method: str
    seed: int
    config: RunConfig
    run: PastRun | None
    error: str
    is_read: bool = False

    @cached_property
    def values(self) -> dict[tuple[str, Part], Values]:
        """By metric and part: the value on the test split, then those on its resamples."""
        if self.run is None:
            return {}
        found: dict[tuple[str, Part], Values] = {}
        sides: dict[Part, Counts] = {
            "initial": self.run.initial_confusions,
            "final": self.run.confusions,
        }
        for part, by_group in sides.items():
            counts = np.concatenate([[by_group.sum(axis=0)], resample(by_group, _SEED)])
            found |= {(metric, part): compute(counts) for metric, compute in GAIN_METRICS.items()}
        for metric in GAIN_METRICS:
            found[metric, "gain"] = found[metric, "final"] - found[metric, "initial"]
        return found


@dataclass(frozen=True, slots=True)
class Summary:
    """A metric over seeds. sd: over seeds, None for one seed. ci95: over examples."""

    mean: float
    sd: float | None
    ci95: Interval
    by_seed: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Contrast:
    """A method minus the reference in one metric, over the seeds that both have finished."""

    estimate: Estimate
    num_seeds: int
    p_holm: float


@dataclass
class Row:
    """A task under one method; without a finished seed `metrics` is empty.

    missing: names of the cells without a finished run.
    metrics: by metric and part. contrasts: by metric; empty for the reference itself and where
        the two have no seed in common. calls: mean per run by role, seconds: mean per run.
    """

    task: str
    method: str
    cells: tuple[Cell, ...]
    missing: tuple[str, ...]
    metrics: dict[str, dict[Part, Summary]] = field(default_factory=dict[str, Any])
    contrasts: dict[str, Contrast] = field(default_factory=dict[str, Contrast])
    calls: dict[Role, float] = field(default_factory=dict[Role, float])
    seconds: float | None = None
    paper: list[PaperResult] = field(default_factory=list[PaperResult])

    @property
    def runs(self) -> list[PastRun]:
        return [cell.run for cell in self.cells if cell.run is not None]

    @property
    def finished(self) -> list[Cell]:
        return [cell for cell in self.cells if cell.run is not None]

    @property
    def total_calls(self) -> float:
        return sum(self.calls.values())


@dataclass(frozen=True, slots=True)
class MethodMean:
    """A method over all tasks of the sweep. final: mean over tasks of the mean over seeds."""

    method: str
    final: dict[str, float]
    contrasts: dict[str, Estimate]


@dataclass(frozen=True, slots=True)
class SweepTables:
    """All that is printed of a sweep.

    means: of the methods that have finished cells in every task.
    """

    name: str
    reference: str
    synthetic: bool
    rows: list[Row]
    means: list[MethodMean]

    @property
    def tasks(self) -> list[str]:
        return list(dict.fromkeys(row.task for row in self.rows))

    @property
    def methods(self) -> list[str]:
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def missing(self) -> dict[str, str]:
        """Why there is no result, by cell."""
        return {c.name: c.error for row in self.rows for c in row.cells if c.run is None}

    def rows_of(self, task: str) -> list[Row]:
        return [row for row in self.rows if row.task == task]

    def row(self, task: str, method: str) -> Row:
        return next(row for row in self.rows if (row.task, row.method) == (task, method))


def read_cells(config: SweepConfig, cells: Mapping[str, RunConfig]) -> list[Cell]:
    """The cells of a sweep with what their run directories hold."""
    return [
        _cell(name, cell, point, failure_of(config, name))
        for (name, cell), point in zip(cells.items(), config.points, strict=True)
    ]


def make_tables(config: SweepConfig, cells: Sequence[Cell]) -> SweepTables:
    """A method whose runs have a reading makes two rows, without it and with it.

    Rows with a reading are compared with the reference under its reading, if it has one; that one
    with the reference without.
    """
    cells = [part for cell in cells for part in _parts(cell)]
    methods = list(dict.fromkeys(cell.method for cell in cells))
    reference = config.reference or methods[0]
    rows = _rows(cells, methods)
    for method in methods:
        as_read = f"{reference}{AS_READ}"
        has_rival = method.endswith(AS_READ) and method != as_read and as_read in methods
        other = as_read if has_rival else reference
        _contrast([row for row in rows if row.method == method], rows, other)
    return SweepTables(
        name=config.output.name,
        reference=reference,
        synthetic=any(run.result.synthetic for row in rows for run in row.runs),
        rows=rows,
        means=_means(rows, methods),
    )


def _parts(cell: Cell) -> list[Cell]:
    if cell.config.reading.family == "none":
        return [cell]
    run, method = cell.run, f"{cell.method}{AS_READ}"
    return [
        replace(cell, run=run and run.by_likeliest_label),
        replace(cell, method=method, is_read=True),
    ]


def _cell(name: str, config: RunConfig, point: Mapping[str, Any], failure: str | None) -> Cell:
    """failure: why the cell failed when it was last tried, if it did."""
    make = partial(Cell, name, config.task, method_name(config.method, point), config.seed, config)
    try:
        run = read_past_run(config.output)
    except BlpoError as problem:
        is_there = config.output.exists()
        return make(None, failure or (str(problem) if is_there else f"{config.output}: not there"))
    others = differences(comparable(run.config), comparable(config))
    if others:
        return make(None, f"{config.output}: holds another run, which differs in {others[0]}")
    return make(run, "")


def _rows(cells: Sequence[Cell], methods: Sequence[str]) -> list[Row]:
    """A row per task and method, tasks and methods in the order of the sweep."""
    tasks = list(dict.fromkeys(cell.task for cell in cells))
    placed = sorted(cells, key=lambda c: (tasks.index(c.task), methods.index(c.method)))
    grouped = groupby(placed, key=lambda cell: (cell.task, cell.method))
    return [_row(task, method, tuple(group)) for (task, method), group in grouped]


def _row(task: str, method: str, cells: tuple[Cell, ...]) -> Row:
    row = Row(task, method, cells, tuple(cell.name for cell in cells if cell.run is None))
    if row.runs:
        results = [run.result for run in row.runs]
        row.metrics = {
            metric: {
                part: _summary([cell.values[metric, part] for cell in row.finished])
                for part in PARTS
            }
            for metric in GAIN_METRICS
        }
        row.calls = {role: mean(r.calls[role].asked for r in results) for role in ROLES}
        row.seconds = mean(result.seconds for result in results)
        is_ours = cells[0].is_read or any(r.synthetic for r in results)
        row.paper = [] if is_ours else paper_results(cells[0].config)
    return row


def _summary(by_seed: Sequence[Values]) -> Summary:
    values = tuple(float(seed[0]) for seed in by_seed)
    return Summary(
        mean(values),
        stdev(values) if len(values) > 1 else None,
        percentiles(np.mean(by_seed, axis=0)[1:]),
        values,
    )


def _contrast(rows: Sequence[Row], all_rows: Sequence[Row], reference: str) -> None:
    """Set the contrasts of one method's rows, with Holm over the tasks."""
    for metric in GAIN_METRICS:
        found: dict[str, tuple[Estimate, int]] = {}
        for row in rows:
            other = next(r for r in all_rows if (r.task, r.method) == (row.task, reference))
            pairs = [] if row is other else _pairs(other, row)
            if pairs:
                found[row.task] = _estimate(pairs, metric), len(pairs)
        adjusted = holm([estimate.p_value for estimate, _ in found.values()])
        contrasts = {
            task: Contrast(estimate, num_seeds, p_holm)
            for (task, (estimate, num_seeds)), p_holm in zip(found.items(), adjusted, strict=True)
        }
        for row in rows:
            if row.task in contrasts:
                row.contrasts[metric] = contrasts[row.task]


def _pairs(reference: Row, row: Row) -> list[tuple[Cell, Cell]]:
    """The finished cells of both by seed; none where they were tested on other examples."""
    by_seed = {cell.seed: cell for cell in reference.finished}
    pairs = [(by_seed[cell.seed], cell) for cell in row.finished if cell.seed in by_seed]
    runs = [cell.run for pair in pairs for cell in pair if cell.run is not None]
    try:
        for run in runs[1:]:
            refuse_other_test(runs[0], run)
    except ConfigError:
        return []
    return pairs


def _estimate(pairs: Sequence[tuple[Cell, Cell]], metric: str) -> Estimate:
    """The mean difference over seeds with what seeds and what examples have in its variance.

    What is particular to an example under one seed counts in both, which errs toward wide.
    """
    by_seed = np.stack(
        [cell.values[metric, "final"] - other.values[metric, "final"] for other, cell in pairs]
    )
    values, resampled = by_seed[:, 0], by_seed[:, 1:]
    num_groups = pairs[0][0].run.num_groups if pairs[0][0].run else 0
    components = [(float(np.var(resampled.mean(axis=0))), num_groups - 1)]
    if len(pairs) > 1:
        components.append(seeds_component(values))
    return Estimate(float(values.mean()), tuple(components))


def _means(rows: Sequence[Row], methods: Sequence[str]) -> list[MethodMean]:
    found: list[MethodMean] = []
    for method in methods:
        own = [row for row in rows if row.method == method]
        if not all(row.metrics for row in own):
            continue
        contrasts = {
            metric: mean_estimate([row.contrasts[metric].estimate for row in own])
            for metric in GAIN_METRICS
            if all(metric in row.contrasts for row in own)
        }
        final = {
            metric: mean(row.metrics[metric]["final"].mean for row in own)
            for metric in GAIN_METRICS
        }
        found.append(MethodMean(method, final, contrasts))
    return found
