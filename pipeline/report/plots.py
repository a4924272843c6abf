"""The plots of reports and comparisons, as <svg> elements in the colors of the page around them.

The same values give the same text. Nothing goes in but numbers and fixed words.
"""

import io
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from ..metrics.agreement import Agreement, Gain
from ..metrics.coverage import Curve, OperatingPoint
from ..metrics.intervals import Interval, wilson
from ..metrics.probabilities import ReliabilityBin
from ..result import SplitResult

METRICS = {"macro_f1": "macro F1", "accuracy": "accuracy"}
"""What the metrics are called, by field name of `Agreement` and `Gain`."""

# On a phone the text of a plot of this width is still as large as small print.
_WIDTH_IN = 4.6
# Colors that matplotlib draws with, and what the page draws in their place: its colors depend on
# the reader's light or dark scheme.
_INK, _MUTED, _INITIAL, _FINAL = "#010203", "#010204", "#010205", "#010206"
_RUNS = ("#010207", "#010208", "#010209", "#01020a", "#01020b", "#01020c")
NUM_RUN_COLORS = len(_RUNS)
"""After so many runs their colors come again; the page's style has as many."""
_MARKERS, _LINES = "osD^vP", ("-", "--", ":")
_PAGE_COLORS = {
    _INK: "currentColor",
    _MUTED: "var(--muted)",
    _INITIAL: "var(--initial)",
    _FINAL: "var(--final)",
    **{color: f"var(--run-{number})" for number, color in enumerate(_RUNS, 1)},
}
_SETTINGS = {
    "svg.hashsalt": "blpo",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.edgecolor": _MUTED,
    "axes.labelcolor": _MUTED,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "text.color": _INK,
    "xtick.color": _MUTED,
    "xtick.labelcolor": _INK,
    "ytick.color": _MUTED,
    "ytick.labelcolor": _INK,
}
_NO_METADATA = dict.fromkeys(("Date", "Creator", "Format", "Type"))
# matplotlib's settings are global to the process, which the runs of a sweep share.
_SETTINGS_LOCK = threading.Lock()

Learning = Sequence[tuple[int, float]]
"""Agreement on train by step."""

Differences = Mapping[str, tuple[float, Interval]]
"""A run's difference from another, with its interval, by metric."""

# matplotlib's annotations are partly unknown to a strict type checker.
Figure = Any
Axes = Any


def interval_plot(test: SplitResult) -> str:
    """Both metrics under both prompts, and beside them the paired gain around 0."""
    return _svg(lambda figure: _draw_intervals(figure, test), height_in=2.9)


def trajectory_plot(trajectory: Sequence[tuple[int, float, float]]) -> str:
    """Agreement on train over the steps; rows of step, macro F1, accuracy."""
    return _svg(lambda figure: _draw_trajectory(figure, trajectory), height_in=2.5)


def reliability_plot(bins: Mapping[str, Sequence[ReliabilityBin]]) -> str:
    """The share of right verdicts by confidence, under the initial and the final prompt."""
    return _svg(lambda figure: _draw_reliability(figure, bins), height_in=3)


def coverage_plot(curves: Mapping[str, Curve]) -> str:
    """The share of wrong verdicts among the most confident ones, by how many these are."""
    return _svg(lambda figure: _draw_coverage(figure, curves), height_in=2.6)


def operating_point_plot(point: OperatingPoint) -> str:
    """What a target bounds, by how much is acted on, with the point that was decided for."""
    return _svg(lambda figure: _draw_operating_point(figure, point), height_in=2.6)


def learning_plot(curves: Mapping[int, Learning]) -> str:
    """Macro F1 on train over the steps of several runs, by number from 1; empty without any."""
    drawn = {number: curve for number, curve in curves.items() if curve}
    if not drawn:
        return ""
    return _svg(lambda figure: _draw_learning(figure, drawn), height_in=3)


def differences_plot(runs: Mapping[int, Differences]) -> str:
    """Paired differences of runs from a reference around 0; by number, of one set of metrics."""
    return _svg(lambda figure: _draw_differences(figure, runs), height_in=1.1 + 0.6 * len(runs))


def _svg(draw: Callable[[Figure], None], height_in: float) -> str:
    # Here, not on top: the command line imports this module and must answer at once.
    matplotlib: Any = import_module("matplotlib")
    figures: Any = import_module("matplotlib.figure")
    backend: Any = import_module("matplotlib.backends.backend_svg")
    buffer = io.StringIO()
    with _SETTINGS_LOCK, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        figure = figures.Figure(figsize=(_WIDTH_IN, height_in), layout="constrained")
        draw(figure)
        backend.FigureCanvasSVG(figure).print_svg(buffer, metadata=_NO_METADATA)
    return _as_page_element(buffer.getvalue())


def _as_page_element(svg: str) -> str:
    """Without what only a file of its own needs, and in the page's colors."""
    svg = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", svg[svg.index("<svg") :])
    svg = svg.replace("<svg", '<svg role="img" aria-label="plot"', 1)
    for drawn, shown in _PAGE_COLORS.items():
        svg = svg.replace(drawn, shown)
    return svg


def _draw_intervals(figure: Figure, test: SplitResult) -> None:
    values, gains = figure.subplots(2, 1, height_ratios=(3, 2))
    for row, metric in enumerate(reversed(METRICS)):
        _draw_interval(values, test.initial, metric, row + 0.14, _INITIAL)
        _draw_interval(values, test.final, metric, row - 0.14, _FINAL)
        _draw_interval(gains, test.gain, metric, row, _INK)
    values.set(xlim=(0, 1), xlabel="value, 95 % interval")
    gains.axvline(0, color=_MUTED, linewidth=1, linestyle=(0, (3, 3)))
    gains.set(xlim=_gain_limits(test.gain), xlabel="paired gain, 95 % interval")
    for axes in (values, gains):
        axes.set(ylim=(-0.5, len(METRICS) - 0.5))
        axes.set_yticks(range(len(METRICS)), list(reversed(METRICS.values())))
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)


def _draw_interval(
    axes: Axes, source: Agreement | Gain, metric: str, height: float, color: str
) -> None:
    axes.plot(source.ci95[metric], (height, height), color=color, linewidth=2)
    axes.plot([getattr(source, metric)], [height], "o", color=color, markersize=6)


def _gain_limits(gain: Gain) -> Interval:
    """Limits around all intervals and 0 that do not blow up a small gain."""
    ends = [end for interval in gain.ci95.values() for end in interval]
    return min(-0.05, *(end - 0.02 for end in ends)), max(0.05, *(end + 0.02 for end in ends))


def _draw_trajectory(figure: Figure, trajectory: Sequence[tuple[int, float, float]]) -> None:
    axes = figure.subplots()
    steps, macro_f1s, accuracies = zip(*trajectory, strict=True)
    axes.plot(steps, accuracies, "o--", color=_INITIAL, label="accuracy")
    axes.plot(steps, macro_f1s, "o-", color=_FINAL, label="macro F1")
    axes.set(xlabel="step", ylabel="on train", ylim=_padded([*macro_f1s, *accuracies]))
    axes.set_xlim(steps[0] - 0.3, steps[-1] + 0.3)
    axes.set_xticks(steps)
    _add_legend(axes)


def _draw_learning(figure: Figure, curves: Mapping[int, Learning]) -> None:
    axes = figure.subplots()
    for number, curve in curves.items():
        steps, values = zip(*curve, strict=True)
        turn, place = divmod(number - 1, NUM_RUN_COLORS)
        style = _MARKERS[place] + _LINES[turn % len(_LINES)]
        axes.plot(steps, values, style, color=_RUNS[place], label=f"run {number}")
    values = [value for curve in curves.values() for _, value in curve]
    last = max(step for curve in curves.values() for step, _ in curve)
    axes.set(xlabel="step", ylabel="macro F1 on train", ylim=_padded(values))
    axes.set_xlim(-0.3, last + 0.3)
    axes.xaxis.get_major_locator().set_params(integer=True)
    _add_legend(axes, num_columns=4)


def _draw_differences(figure: Figure, runs: Mapping[int, Differences]) -> None:
    axes = figure.subplots()
    axes.axvline(0, color=_MUTED, linewidth=1, linestyle=(0, (3, 3)))
    for row, metrics in enumerate(reversed(list(runs.values()))):
        for place, (name, (value, interval)) in enumerate(metrics.items()):
            height = row + 0.2 * (1 - place)
            color = (_INITIAL, _FINAL, _INK)[place]
            axes.plot(interval, (height, height), color=color, linewidth=2)
            label = name if row == 0 else None
            axes.plot([value], [height], _MARKERS[place], color=color, markersize=5, label=label)
    ends = [
        end for metrics in runs.values() for _, interval in metrics.values() for end in interval
    ]
    axes.set(xlabel="difference, 95 % interval", ylim=(-0.5, len(runs) - 0.5))
    axes.set_xlim(min(-0.05, min(ends) - 0.02), max(0.05, max(ends) + 0.02))
    axes.set_yticks(range(len(runs)), [f"run {number}" for number in reversed(list(runs))])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _add_legend(axes, num_columns=3)


def _draw_reliability(figure: Figure, bins: Mapping[str, Sequence[ReliabilityBin]]) -> None:
    axes = figure.subplots()
    axes.plot((0, 1), (0, 1), color=_MUTED, linewidth=1, linestyle=(0, (3, 3)))
    for (name, own), color in zip(bins.items(), (_INITIAL, _FINAL), strict=True):
        confidences, accuracies = zip(*((one.confidence, one.accuracy) for one in own), strict=True)
        axes.plot(confidences, accuracies, "o-", color=color, label=name)
        for one in own:
            interval = wilson(one.num_right, one.n)
            axes.plot((one.confidence, one.confidence), interval, color=color, linewidth=1)
    lowest = min(one.confidence for own in bins.values() for one in own)
    axes.set(xlim=(max(0, lowest - 0.05), 1.01), ylim=(0, 1.01))
    axes.set(xlabel="confidence: probability of the label", ylabel="accuracy")
    _add_legend(axes)


def _draw_coverage(figure: Figure, curves: Mapping[str, Curve]) -> None:
    axes = figure.subplots()
    for (name, curve), color in zip(curves.items(), (_INITIAL, _FINAL), strict=True):
        coverages, errors = zip(*curve, strict=True)
        axes.plot(coverages, errors, drawstyle="steps-pre", color=color, label=name)
    highest = max(error for curve in curves.values() for _, error in curve)
    axes.set(xlim=(0, 1.01), ylim=(0, min(1.02, max(0.1, highest * 1.1))))
    axes.set(xlabel="coverage: share of verdicts, most confident first", ylabel="error")
    _add_legend(axes)


def _add_legend(axes: Axes, num_columns: int = 2) -> None:
    """Above the axes, where it takes no width."""
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1), "borderaxespad": 0}
    axes.legend(frameon=False, ncols=num_columns, **place)


def _draw_operating_point(figure: Figure, point: OperatingPoint) -> None:
    axes = figure.subplots()
    axes.axhline(point.bound, color=_MUTED, linewidth=1, linestyle=(0, (3, 3)), label="target")
    values = [point.bound]
    if point.curve:
        coverages, own = zip(*point.curve, strict=True)
        axes.plot(coverages, own, drawstyle="steps-pre", color=_FINAL, label=point.measure)
        values += own
    if point.value is not None and point.ci95 is not None:
        at = (point.coverage, point.coverage)
        axes.plot(at, point.ci95, color=_INK, linewidth=2)
        axes.plot(at[:1], [point.value], "o", color=_INK, markersize=6, label="decided for")
        values += [*point.ci95, point.value]
    margin = 0.05 * (max(values) - min(values)) + 0.005
    axes.set(xlim=(0, 1.01), ylim=(min(values) - margin, max(values) + margin))
    axes.set(xlabel="coverage: share that is acted on", ylabel=point.measure)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _padded(values: Sequence[float]) -> Interval:
    """Limits around values between 0 and 1 that do not blow up a small difference."""
    middle, half = (min(values) + max(values)) / 2, (max(values) - min(values)) / 2
    half = max(0.15, half + 0.05)
    return max(0.0, middle - half), min(1.02, middle + half)
