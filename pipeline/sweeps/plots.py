"""The plots of a sweep, each as PNG and SVG; the same tables give the same bytes."""

from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import cycle
from pathlib import Path
from statistics import mean, pstdev
from typing import Any

from ...data.arrow import atomic_path
from .tables import Cell, Row, SweepTables
from .trajectory import Trajectory

# Okabe and Ito's colors, apart for every kind of color vision; the markers tell the rest.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_PLOTTED = {"accuracy": "accuracy", "macro_f1": "macro F1"}
_GRAY = "#767676"
_DASHES = (0, (2, 2))
_SETTINGS = {
    "svg.hashsalt": "blpo",
    "font.size": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "figure.titlesize": 11,
    "legend.frameon": False,
    "text.parse_math": False,  # a $ in the name of a method is a $
}
_NO_METADATA: dict[str, dict[str, None]] = {
    "png": {"Software": None},
    "svg": dict.fromkeys(("Date", "Creator", "Format", "Type")),
}

# matplotlib is partly unknown to a strict type checker.
Figure = Any
Axes = Any
Draw = Callable[[Figure], None]


def write_plots(tables: SweepTables, folder: Path) -> list[Path]:
    """Draw what the sweep has results for; the PNG files.

    agreement: final agreement by task and method. calls: accuracy against calls. A file for each
    parameter of the algorithm that the grid varies: agreement against it.
    """
    if not any(row.metrics for row in tables.rows):
        return []
    tasks = len(tables.tasks)
    height = tasks * (0.7 + 0.32 * len(tables.methods)) + 1.1
    drawn = [
        _write(folder / "agreement", (9, height), lambda figure: _agreement(figure, tables)),
        _write(folder / "calls", _panel_size(tasks), lambda figure: _calls(figure, tables)),
    ]
    for key in _varied_parameters(tables):
        draw: Draw = lambda figure, key=key: _curve(figure, tables, key)  # noqa: E731
        drawn.append(_write(folder / f"curve-{key}", _panel_size(tasks), draw))
    return drawn


def _write(path: Path, size_in: tuple[float, float], draw: Draw) -> Path:
    """Draw one figure into PATH.png and PATH.svg."""
    # Here, not on top: the command line imports this module and must answer at once.
    matplotlib: Any = import_module("matplotlib")
    figures: Any = import_module("matplotlib.figure")
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        figure = figures.Figure(figsize=size_in, layout="constrained")
        draw(figure)
        for kind, metadata in _NO_METADATA.items():
            with atomic_path(path.with_name(f"{path.name}.{kind}")) as temporary:
                figure.savefig(temporary, format=kind, dpi=150, metadata=metadata)
    return path.with_name(f"{path.name}.png")


def _panel_size(tasks: int) -> tuple[float, float]:
    columns, rows = _panels(tasks)
    return max(6.0, 4.2 * columns + 0.6), 3.0 * rows + 1.4


def _panels(tasks: int) -> tuple[int, int]:
    columns = min(tasks, 2)
    return columns, -(-tasks // columns)


def _title(tables: SweepTables, what: str) -> str:
    bench = " (synthetic test bench)" if tables.synthetic else ""
    return f"{tables.name}{bench}\n{what}"


def _styles(names: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Color and marker of each name."""
    return dict(zip(names, zip(cycle(_COLORS), cycle(_MARKERS), strict=False), strict=False))


# ------------------------------------------------------------------------------------- agreement


def _agreement(figure: Figure, tables: SweepTables) -> None:
    """A row of panels per task, a panel per metric, a line per method."""
    grid = figure.subplots(len(tables.tasks), 2, squeeze=False, sharex="col", sharey=True)
    figure.suptitle(_title(tables, "final agreement on the test split"))
    for panels, task in zip(grid, tables.tasks, strict=True):
        for axes, metric in zip(panels, _PLOTTED, strict=True):
            _agreement_panel(axes, [tables.row(task, m) for m in tables.methods], metric)
        panels[0].set_title(task, loc="left")
        # Shared with the other panels: the first method on top.
        panels[0].set_yticks(range(len(tables.methods)), tables.methods)
        panels[0].set_ylim(len(tables.methods) - 0.4, -0.6)
    for axes, name in zip(grid[-1], _PLOTTED.values(), strict=True):
        axes.set_xlabel(f"{name} (share, 0 to 1)")
    figure.get_layout_engine().set(wspace=0.06)
    lines: Any = import_module("matplotlib.lines")
    black = {"color": "#000000"}
    signs = {
        "mean over seeds, 95 % over test examples": lines.Line2D([], [], marker="o", **black),
        "one seed": lines.Line2D([], [], marker="|", linestyle="none", **black),
        "initial prompt": lines.Line2D([], [], color=_GRAY, linewidth=1, linestyle=_DASHES),
    }
    figure.legend(signs.values(), signs, loc="outside lower center", ncols=3)


def _agreement_panel(axes: Axes, rows: Sequence[Row], metric: str) -> None:
    initial = [row.metrics[metric]["initial"].mean for row in rows if row.metrics]
    if initial:
        axes.axvline(mean(initial), color=_GRAY, linewidth=1, linestyle=_DASHES, zorder=0)
    styles = _styles([row.method for row in rows])
    for height, row in enumerate(rows):
        color, _ = styles[row.method]
        if not row.metrics:
            axes.text(0.02, height, "missing", color=_GRAY, va="center")
            continue
        final = row.metrics[metric]["final"]
        axes.plot(final.ci95, (height, height), color=color, linewidth=2)
        axes.plot([final.mean], [height], "o", color=color, markersize=6)
        seeds = final.by_seed
        axes.plot(seeds, [height + 0.28] * len(seeds), "|", color=color, markersize=6)
    axes.set_xlim(0, 1)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#e4e4e4", linewidth=0.6)
    axes.set_axisbelow(True)


# ----------------------------------------------------------------------------------------- calls


def _calls(figure: Figure, tables: SweepTables) -> None:
    """Final accuracy against the calls of a run, a panel per task."""
    figure.suptitle(_title(tables, "final accuracy against what a run asks"))
    styles = _styles(tables.methods)

    def draw(axes: Axes, task: str) -> None:
        for row in tables.rows_of(task):
            if row.metrics:
                color, marker = styles[row.method]
                final = row.metrics["accuracy"]["final"]
                axes.errorbar(
                    row.total_calls,
                    final.mean,
                    yerr=final.sd or 0,
                    color=color,
                    marker=marker,
                    markerfacecolor="none",
                    capsize=3,
                    linestyle="none",
                    label=row.method,
                )
        most = max((row.total_calls for row in tables.rows_of(task)), default=0)
        axes.set_xlim(0, max(1, 1.08 * most))

    _panels_of(
        figure, tables, draw, "model calls of a run, all roles", "accuracy (± SD over seeds)"
    )


def _panels_of(
    figure: Figure,
    tables: SweepTables,
    draw: Callable[[Axes, str], None],
    x_label: str,
    y_label: str,
) -> None:
    """A panel per task with one legend below."""
    columns, rows = _panels(len(tables.tasks))
    grid = figure.subplots(rows, columns, squeeze=False).ravel()
    handles: dict[str, Any] = {}
    for axes, task in zip(grid, tables.tasks, strict=False):
        draw(axes, task)
        axes.set_title(task, loc="left")
        axes.set(ylim=(0, 1), xlabel=x_label, ylabel=y_label)
        axes.grid(color="#e4e4e4", linewidth=0.6)
        axes.set_axisbelow(True)
        handles |= {label: h for h, label in zip(*axes.get_legend_handles_labels(), strict=True)}
    for axes in grid[len(tables.tasks) :]:
        axes.remove()
    figure.legend(handles.values(), handles, loc="outside lower center", ncols=3)


# ------------------------------------------------------------------------------------  trajectory


def write_trajectory_plot(
    tables: SweepTables, trajectories: Sequence[Trajectory], folder: Path
) -> Path:
    """Draw test accuracy of every judge prompt against the calls until then; the PNG file."""
    size = _panel_size(len(tables.tasks))
    return _write(
        folder / "trajectory", size, lambda figure: _trajectory(figure, tables, trajectories)
    )


def _trajectory(figure: Figure, tables: SweepTables, trajectories: Sequence[Trajectory]) -> None:
    figure.suptitle(_title(tables, "test accuracy along the runs, evaluated afterwards"))
    styles = _styles(tables.methods)

    def draw(axes: Axes, task: str) -> None:
        for method, (color, marker) in styles.items():
            own = [c.points for c in trajectories if (c.task, c.method) == (task, method)]
            # Runs that ended early keep their last prompt.
            length = max(map(len, own), default=0)
            by_step = [[points[min(i, len(points) - 1)] for points in own] for i in range(length)]
            axes.errorbar(
                [mean(point.calls for point in step) for step in by_step],
                [mean(point.accuracy for point in step) for step in by_step],
                yerr=[pstdev([point.accuracy for point in step]) for step in by_step],
                color=color,
                marker=marker,
                markerfacecolor="none",
                capsize=3,
                linewidth=1.2,
                label=method,
            )

    y_label = "accuracy (± SD over seeds)"
    _panels_of(figure, tables, draw, "model calls of the search until then, all roles", y_label)


# ----------------------------------------------------------------------------------------- curve


def _varied_parameters(tables: SweepTables) -> list[str]:
    """Numbers of the algorithm that differ between cells."""
    dumps = [_parameters(cell) for row in tables.rows for cell in row.cells]
    return [name for name in dumps[0] if len({dump.get(name) for dump in dumps}) > 1]


def _parameters(cell: Cell) -> dict[str, float]:
    values = cell.config.algorithm.model_dump().items()
    return {k: v for k, v in values if isinstance(v, int | float) and not isinstance(v, bool)}


def _curve(figure: Figure, tables: SweepTables, key: str) -> None:
    """Both metrics against a parameter, a panel per task, a line per method."""
    name = key.replace("_", " ")
    figure.suptitle(_title(tables, f"final agreement against {name}"))
    methods = list(dict.fromkeys(str(row.cells[0].config.method) for row in tables.rows))
    lines = [(method, metric) for method in methods for metric in _PLOTTED]
    styles = _styles([" ".join(line) for line in lines])

    def draw(axes: Axes, task: str) -> None:
        for method, metric in lines:
            points = _curve_points(tables.rows_of(task), key, method, metric)
            if points:
                color, marker = styles[f"{method} {metric}"]
                x, y, sd = zip(*points, strict=True)
                label = f"{method}, {_PLOTTED[metric]}"
                axes.errorbar(
                    x, y, yerr=sd, color=color, marker=marker, capsize=3, linewidth=1.2, label=label
                )
                axes.set_xticks(x)

    _panels_of(figure, tables, draw, name, "agreement (± SD over seeds)")


def _curve_points(
    rows: Sequence[Row], key: str, method: str, metric: str
) -> list[tuple[float, float, float]]:
    """Parameter, mean and standard deviation; the mean of rows that share a parameter."""
    found: dict[float, list[tuple[float, float]]] = {}
    for row in rows:
        if row.metrics and str(row.cells[0].config.method) == method:
            final = row.metrics[metric]["final"]
            value = _parameters(row.cells[0])[key]
            found.setdefault(value, []).append((final.mean, final.sd or 0.0))
    return [
        (value, mean(m for m, _ in points), mean(sd for _, sd in points))
        for value, points in sorted(found.items())
    ]
