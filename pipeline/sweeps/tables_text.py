"""A sweep's tables as Markdown to read and as CSV to compute with."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from ...data.shown import shown
from ...models.wrappers.ledger import ROLES
from ..metrics.agreement import is_gain
from ..metrics.intervals import Estimate, Interval
from ..runs.demo import DEMO_NOTE
from .paper_results import PaperResult
from .tables import AS_READ, PARTS, Row, Summary, SweepTables

METRIC_NAMES = {"accuracy": "accuracy", "macro_f1": "macro F1", "kappa": "kappa"}
GAIN_RULE = (
    "A gain: the lower 95 % bounds of the metric and of kappa are both above 0 (see "
    "`blpo docs statistics`)."
)
_MISSING = "missing"
_READ_NOTE = (
    " Rows with a reading are compared with {0} + reading, so that a gain is the prompt's; that "
    "row itself is compared with {0}."
)


def markdown(tables: SweepTables) -> str:
    """Every table of the sweep with what its columns mean."""
    parts = [f"# {tables.name}"]
    if tables.synthetic:
        parts.append(f"**{DEMO_NOTE}**")
    parts += [_overview(tables), *(_task(tables, task) for task in tables.tasks)]
    if len(tables.methods) > 1:
        parts.append(_contrasts(tables))
    parts.append(_cost(tables))
    if tables.missing:
        parts.append(_missing(tables))
    return "\n\n".join(parts) + "\n"


def csv_text(tables: SweepTables) -> str:
    """One row per task and method; cells without a value are empty."""
    rows = records(tables)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    file = io.StringIO()
    writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def records(tables: SweepTables) -> list[dict[str, Any]]:
    """All numbers by name, for each task and method; a number that does not exist has no name."""
    return [_record(row) for row in tables.rows]


def p_text(p_value: float) -> str:
    """A p-value as it is printed; three decimals."""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def with_sd(summary: Summary) -> str:
    sd = "" if summary.sd is None else f" ± {summary.sd:.3f}"
    return f"{summary.mean:.3f}{sd}"


def interval_text(interval: Interval, *, signed: bool = False) -> str:
    return " to ".join(f"{end:+.3f}" if signed else f"{end:.3f}" for end in interval)


def _overview(tables: SweepTables) -> str:
    """The form of the paper's tables: methods down, tasks across."""
    rows = [[method, *(_cells_of(tables, method))] for method in tables.methods]
    papers = [_paper_row(tables, method) for method in tables.methods]
    rows += [row for row in papers if row is not None]
    return section(
        "Final agreement, macro F1 / accuracy",
        grid(["method", *tables.tasks, "all tasks"], rows),
        "Mean ± standard deviation over seeds, on the test split. All tasks: mean of their means."
        + (
            " The paper's figures (arXiv 2602.11340) stand where task, judge, method and "
            "parameters are its own; its test items are others."
            if any(papers)
            else ""
        ),
    )


def _cells_of(tables: SweepTables, method: str) -> list[str]:
    rows = [tables.row(task, method) for task in tables.tasks]
    means = {found.method: found.final for found in tables.means}
    total = means.get(method)
    shown = [
        " / ".join(with_sd(row.metrics[metric]["final"]) for metric in ("macro_f1", "accuracy"))
        if row.metrics
        else _MISSING
        for row in rows
    ]
    return [*shown, f"{total['macro_f1']:.3f} / {total['accuracy']:.3f}" if total else _MISSING]


def _paper_row(tables: SweepTables, method: str) -> list[str] | None:
    papers = [tables.row(task, method).paper for task in tables.tasks]
    if not any(papers):
        return None
    return [f"{method}, the paper's", *map(paper_text, papers), ""]


def paper_text(results: Sequence[PaperResult]) -> str:
    """ "0.83 / 0.84", with the table's number where the paper has two."""
    several = len(results) > 1
    return "; ".join(
        f"{result.macro_f1:.2f} / {result.accuracy:.2f}"
        + (f" (table {result.table})" if several else "")
        for result in results
    )


def _task(tables: SweepTables, task: str) -> str:
    heads = ["method", "seeds", "metric", "initial", "final", "95 %", "gain", "95 %", "a gain"]
    rows: list[list[str]] = []
    for method in tables.methods:
        row = tables.row(task, method)
        seeds = f"{len(row.runs)} of {len(row.cells)}"
        rows += _metric_rows(row, seeds) or [[method, seeds, "", *[_MISSING] * 6]]
    n = next((row.runs[0].result.test.final.n for row in tables.rows_of(task) if row.runs), None)
    note = "" if n is None else f" n = {n} test examples."
    return section(
        task,
        grid(heads, rows),
        "Mean ± standard deviation over seeds; 95 % intervals of the mean are over test examples, "
        f"with the seeds as they are.{note} {GAIN_RULE}",
    )


def _metric_rows(row: Row, seeds: str) -> list[list[str]]:
    return [
        [
            row.method,
            seeds,
            METRIC_NAMES[metric],
            f"{parts['initial'].mean:.3f}",
            with_sd(parts["final"]),
            interval_text(parts["final"].ci95),
            _signed_with_sd(parts["gain"]),
            interval_text(parts["gain"].ci95, signed=True),
            gain_text(metric, parts["gain"].ci95, row.metrics["kappa"]["gain"].ci95),
        ]
        for metric, parts in row.metrics.items()
    ]


def gain_text(metric: str, interval: Interval, kappa: Interval) -> str:
    """Whether the one rule for a gain holds of a metric; of kappa alone it says nothing."""
    if metric == "kappa":
        return ""
    return "yes" if is_gain(interval, kappa) else "no"


def _signed_with_sd(summary: Summary) -> str:
    sd = "" if summary.sd is None else f" ± {summary.sd:.3f}"
    return f"{summary.mean:+.3f}{sd}"


def _contrasts(tables: SweepTables) -> str:
    heads = ["method", "task", "seeds", "metric", "difference", "95 %", "p", "p (Holm)", "a gain"]
    rows: list[list[str]] = []
    for method in tables.methods:
        if method == tables.reference:
            continue
        for task in tables.tasks:
            rows += _contrast_rows(tables.row(task, method))
        found = next((mean for mean in tables.means if mean.method == method), None)
        for metric, estimate in (found.contrasts if found else {}).items():
            name, kappa = METRIC_NAMES[metric], found.contrasts["kappa"].ci95 if found else (0, 0)
            cells = [*_estimate_cells(estimate), "", gain_text(metric, estimate.ci95, kappa)]
            rows.append([method, "all tasks", "", name, *cells])
    one_seed = any(c.num_seeds == 1 for row in tables.rows for c in row.contrasts.values())
    return section(
        f"Difference from {tables.reference}",
        grid(heads, rows),
        f"Final agreement minus that of {tables.reference}, paired by seed and test example. "
        "Interval and p-value (Student's t) count both the sampling of test examples and, with two "
        "seeds or more, the spread over seeds; Holm adjusts a method's p-values over the tasks."
        + f" {GAIN_RULE}"
        + (" With one seed they say nothing about other seeds." if one_seed else "")
        + (_READ_NOTE.format(tables.reference) if _has_readings(tables) else ""),
    )


def _has_readings(tables: SweepTables) -> bool:
    return any(method.endswith(AS_READ) for method in tables.methods)


def _contrast_rows(row: Row) -> list[list[str]]:
    if not row.contrasts:
        return [[row.method, row.task, "", "", *[_MISSING] * 5]]
    return [
        [
            row.method,
            row.task,
            str(contrast.num_seeds),
            METRIC_NAMES[metric],
            *_estimate_cells(contrast.estimate),
            p_text(contrast.p_holm),
            gain_text(metric, contrast.estimate.ci95, row.contrasts["kappa"].estimate.ci95),
        ]
        for metric, contrast in row.contrasts.items()
    ]


def _estimate_cells(estimate: Estimate) -> list[str]:
    interval = interval_text(estimate.ci95, signed=True)
    return [f"{estimate.value:+.3f}", interval, p_text(estimate.p_value)]


def _cost(tables: SweepTables) -> str:
    heads = ["task", "method", *ROLES, "all calls", "seconds"]
    rows = [
        [
            row.task,
            row.method,
            *(
                [f"{row.calls[role]:,.0f}" for role in ROLES]
                + [f"{row.total_calls:,.0f}", f"{row.seconds:,.1f}"]
                if row.seconds is not None
                else [_MISSING] * (len(ROLES) + 2)
            ),
        ]
        for row in tables.rows
    ]
    return section(
        "Cost of a run",
        grid(heads, rows),
        "Mean calls by role that a run asks, whether a model or the store answers, its two passes "
        "over the test split included. Seconds: wall time of a run among the others that shared "
        "its engine, in the session that finished it.",
    )


def _missing(tables: SweepTables) -> str:
    rows = [[name, as_code(error)] for name, error in tables.missing.items()]
    return section("Missing cells", grid(["cell", "why"], rows), "")


def section(title: str, table: str, note: str) -> str:
    """A table under its title, and what its columns mean."""
    return "\n\n".join(filter(None, [f"## {title}", table, note]))


def grid(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(map(_escaped, line)) + " |" for line in lines)


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def as_code(text: str) -> str:
    """A server's words: Markdown would follow a link or load an image in them."""
    return "`" + shown(text).replace("`", "'") + "`"


def _record(row: Row) -> dict[str, Any]:
    record: dict[str, Any] = {
        "task": row.task,
        "method": row.method,
        "seeds": len(row.runs),
        "seeds_missing": len(row.missing),
    }
    for metric, parts in row.metrics.items():
        for part in PARTS:
            summary = parts[part]
            name = f"{metric}_{part}"
            low, high = summary.ci95
            record |= {name: summary.mean, f"{name}_low": low, f"{name}_high": high}
            if summary.sd is not None:
                record[f"{name}_sd"] = summary.sd
    for metric, contrast in row.contrasts.items():
        low, high = contrast.estimate.ci95
        record |= {
            f"{metric}_difference": contrast.estimate.value,
            f"{metric}_difference_low": low,
            f"{metric}_difference_high": high,
            f"{metric}_p": contrast.estimate.p_value,
            f"{metric}_p_holm": contrast.p_holm,
        }
    record |= {f"calls_{role}": calls for role, calls in row.calls.items()}
    if row.seconds is not None:
        record["seconds"] = row.seconds
    for result in row.paper:
        record |= {f"paper_table{result.table}_macro_f1": result.macro_f1}
        record |= {f"paper_table{result.table}_accuracy": result.accuracy}
    return record
