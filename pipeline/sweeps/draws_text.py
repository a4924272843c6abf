"""A sweep over draws as Markdown to read and as CSV to compute with."""

import csv
import io
from typing import Any

from ...models.wrappers.ledger import ROLES
from ..metrics.agreement import GAIN_METRICS
from ..metrics.nested import NestedMean
from ..runs.demo import DEMO_NOTE
from .draws import DrawnRow, DrawnTables
from .tables_text import METRIC_NAMES, as_code, grid, section

_RULE = "A gain: the lower bounds of macro F1 and of kappa are both above 0."
_ONE_RUBRIC = "There is one rubric: intervals and gains hold for that alone."
_NO_INTERVALS = (
    "Where a task has one draw of rubric and data, there is no interval, and nothing to tell a "
    "gain by: how far other draws would differ is not known. Name several under `grid.rubric` or "
    "`grid.data`."
)


def drawn_markdown(tables: DrawnTables) -> str:
    """Every table of the sweep with what its columns mean."""
    parts = [f"# {tables.name}", f"**{DEMO_NOTE}**", _draws(tables), _gains(tables)]
    parts += [_differences(tables), *_readings(tables), _cost(tables)]
    if tables.missing:
        rows = [[name, as_code(error)] for name, error in tables.missing.items()]
        parts.append(section("Missing cells", grid(["cell", "why"], rows), ""))
    return "\n\n".join(parts) + "\n"


def drawn_csv(tables: DrawnTables) -> str:
    """One row per method and number, with both ends of its interval where it has one."""
    file = io.StringIO()
    columns: list[str] = ["method", "what", "value", "low", "high"]
    writer = csv.DictWriter(file, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(drawn_records(tables))
    return file.getvalue()


def drawn_records(tables: DrawnTables) -> list[dict[str, Any]]:
    """All numbers by method and name; one without an interval has no ends."""
    return [{"method": row.method, **number} for row in tables.rows for number in _numbers(row)]


def _numbers(row: DrawnRow) -> list[dict[str, Any]]:
    means = {f"{metric}_gain": found for metric, found in row.gains.items()}
    means |= {f"{metric}_difference": found for metric, found in row.differences.items()}
    means |= {
        f"{metric}_gain of {what}": found
        for what, own in row.readings.items()
        for metric, found in own.items()
    }
    plain = {f"accuracy_gain_{task}": value for task, value in row.by_task.items()}
    plain |= {f"calls_{role}": value for role, value in row.calls.items()}
    plain |= {"steps": row.steps, "own_length": row.own_length, "runs": row.num_runs}
    plain |= {"after_rejected": row.num_after_rejected, "repeating": row.num_repeating}
    plain |= {"stopped": row.num_stopped, "below_p0": row.num_below}
    return [
        {"what": name, "value": found.value, **_ends(found)} for name, found in means.items()
    ] + [{"what": name, "value": value} for name, value in plain.items()]


def _ends(found: NestedMean) -> dict[str, float]:
    return dict(zip(("low", "high"), found.ci95, strict=True)) if found.ci95 else {}


def _draws(tables: DrawnTables) -> str:
    numbers = ", ".join(f"{number} of `{key}`" for key, number in tables.draws.items())
    knobs = ", ".join(
        f"`{group}.{knob}` {value}"
        for group, own in tables.world.items()
        for knob, value in dict(own).items()
    )
    return (
        f"{len(tables.tasks)} tasks; draws for each: {numbers}. Rubrics, data and seeds are drawn "
        f"anew within one another. Knobs: {knobs or 'the defaults'}."
    )


def _gains(tables: DrawnTables) -> str:
    heads = ["method", *tables.tasks, *(f"{METRIC_NAMES[m]}, 95 %" for m in GAIN_METRICS), "a gain"]
    rows = [
        [
            row.method,
            *(_signed(row.by_task.get(task)) for task in tables.tasks),
            *(_with_interval(found) for found in row.gains.values()),
            _verdict(row.gains_anything),
        ]
        for row in tables.rows
    ]
    return section(
        "Gain over the initial prompt, on the test split",
        grid(heads, rows),
        "By task in accuracy, then over all tasks. The initial prompt is read by its likeliest "
        "labels, also where a row reads its final one otherwise. Intervals: hierarchical "
        f"bootstrap over rubric, data and seed; the tasks are these. {_RULE}{_limits(tables)}",
    )


def _limits(tables: DrawnTables) -> str:
    """What few draws keep the intervals from saying, after a space; empty where there is none."""
    if any(found.ci95 is None for row in tables.rows for found in row.gains.values()):
        return f" {_NO_INTERVALS}"
    return f" {_ONE_RUBRIC}" if tables.draws["rubric"] == 1 else ""


def _differences(tables: DrawnTables) -> str:
    heads = [
        "method",
        *(f"{METRIC_NAMES[m]}, 95 %" for m in GAIN_METRICS),
        "accuracy, check",
        "a gain",
    ]
    rows = [
        [
            row.method,
            *(_with_interval(found) for found in row.differences.values()),
            _check(row.differences["accuracy"]),
            _verdict(row.gains_on_reference),
        ]
        for row in tables.rows
        if row.differences
    ]
    return section(
        f"Difference from {tables.reference}",
        grid(heads, rows),
        "Paired by task, rubric, data and seed. Check: Student's t on the means of the rubrics, "
        "which for balanced draws is the interval of a nested mixed model; go by it where there "
        f"are two or three rubrics. {_RULE}",
    )


def _readings(tables: DrawnTables) -> list[str]:
    """A section, or none where no method reads its verdicts."""
    rows = [
        [row.method, what, *(_with_interval(found) for found in own.values())]
        for row in tables.rows
        for what, own in row.readings.items()
    ]
    heads = ["method", "gain of", *(f"{METRIC_NAMES[m]}, 95 %" for m in GAIN_METRICS)]
    told = (
        "What a fitted reading adds and what the prompt adds, on the test split: the reading over "
        "the likeliest labels of the initial prompt; the final prompt over the initial one without "
        "readings, and with a reading of each; and both together over the initial prompt without."
    )
    return [section("Prompt and reading", grid(heads, rows), told)] if rows else []


def _cost(tables: DrawnTables) -> str:
    heads = ["method", *ROLES, "steps", "own length", "repeating", "stopped", "below p_0"]
    rows = [
        [
            row.method,
            *(f"{row.calls[role]:,.0f}" for role in ROLES),
            f"{row.steps:.1f}",
            str(row.own_length),
            f"{row.num_repeating} of {row.num_after_rejected}" if row.num_after_rejected else "-",
            f"{row.num_stopped} of {row.num_runs}",
            f"{row.num_below} of {row.num_runs}",
        ]
        for row in tables.rows
    ]
    return section(
        "Cost and ends of the searches",
        grid(heads, rows),
        "Mean calls of a search, its final test left out. Steps: those that tried a prompt, the "
        "last one cut short where the budget stopped it; own length: those of the method's "
        "defaults. Repeating: of BLPO's steps after a step that kept the judge prompt, those that "
        "proposed only I2T prompts which that one had tried. Stopped: by the budget. Below p_0: "
        "the 95 % interval of a run's gain in accuracy lies below 0.",
    )


def _verdict(is_gain: bool | None) -> str:
    return "-" if is_gain is None else "yes" if is_gain else "no"


def _with_interval(found: NestedMean) -> str:
    if found.ci95 is None:
        return _signed(found.value)
    low, high = found.ci95
    return f"{found.value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _check(found: NestedMean) -> str:
    if found.check is None:
        return "-"
    low, high = found.check.ci95
    return f"[{low:+.3f}, {high:+.3f}]"


def _signed(value: float | None) -> str:
    return "missing" if value is None else f"{value:+.3f}"
