"""What `blpo compare` and `blpo table` print."""

from pathlib import Path
from typing import Any

from rich.table import Table

from ...result import named_method
from ...sweeps.compare import Comparisons, Difference, RunComparison, gain_in_words, in_words
from ...sweeps.draws import DrawnTables
from ...sweeps.draws_text import drawn_markdown, drawn_records
from ...sweeps.tables import SweepTables
from ...sweeps.tables_text import METRIC_NAMES, interval_text, markdown, p_text, records
from .printing import SYNTHETIC, print_json, print_line, stdout_console


def show_comparisons(found: Comparisons, page: Path | None, *, as_json: bool) -> None:
    """Runs against the reference: the difference and its interval first, then the tests.

    page: where the comparison was written as HTML; None if it was not.
    """
    if as_json:
        print_json(_comparisons_json(found) | ({"page": str(page)} if page else {}))
        return
    console = stdout_console(140)
    grouped = f" in {found.groups} groups" if found.groups < found.n else ""
    console.print(f"{found.task}: {found.n} test examples{grouped}; reference: {found.reference}")
    for comparison in found.runs:
        method = named_method(comparison.method, comparison.preset)
        console.print(f"\n{comparison.run} ({method}, seed {comparison.seed})")
        console.print(_comparison_table(comparison))
        console.print(
            f"Right only here: {comparison.won}; only in the reference: {comparison.lost}"
        )
        console.print("Detectable: the least true difference that shows with 80 % power.")
        for sentence in _short_sentences(comparison, found.n):
            console.print(sentence, soft_wrap=True)
        for difference in comparison.differs_in:
            console.print(f"  {difference}", soft_wrap=True)
    if len(found.runs) > 1:
        console.print(f"\nHolm: adjusted for {len(found.runs)} comparisons of each metric.")
    if found.synthetic:
        console.print(f"\n{SYNTHETIC}", style="bold")
    if page is not None:
        print_line(f"\npage: {page}")


def show_tables(tables: SweepTables | DrawnTables, folder: Path, *, as_json: bool) -> None:
    """The sweep's tables as they stand in tables.md; as JSON, the rows of tables.csv."""
    over_draws = isinstance(tables, DrawnTables)
    if as_json:
        print_json(drawn_records(tables) if over_draws else records(tables))
        return
    print_line(drawn_markdown(tables) if over_draws else markdown(tables))
    plots = "" if over_draws else f", {folder / 'plots'}"
    print_line(f"{folder / 'tables.md'}, {folder / 'tables.csv'}{plots}")


def _comparison_table(comparison: RunComparison) -> Table:
    table = Table()
    for heading in (
        "",
        "reference",
        "run",
        "difference",
        "95 %",
        "p",
        "p (Holm)",
        "test",
        "detectable",
    ):
        table.add_column(heading, justify="left" if heading in {"", "test"} else "right")
    for metric, name in METRIC_NAMES.items():
        part: Difference = getattr(comparison, metric)
        table.add_row(
            name,
            f"{part.reference:.3f}",
            f"{part.run:.3f}",
            f"{part.difference:+.3f}",
            interval_text(part.ci95, signed=True),
            p_text(part.p_value),
            p_text(part.p_holm),
            part.test,
            "-" if part.detectable is None else f"{part.detectable:.3f}",
        )
    return table


def _sentences(comparison: RunComparison, n: int) -> list[str]:
    by_metric = [
        in_words(name[0].upper() + name[1:], getattr(comparison, metric), n)
        for metric, name in METRIC_NAMES.items()
    ]
    return [*by_metric, gain_in_words(comparison)]


def _short_sentences(comparison: RunComparison, n: int) -> list[str]:
    """What the table comes to, metrics of which the same is true together."""
    metrics: dict[str, list[str]] = {}
    for metric, name in METRIC_NAMES.items():
        metrics.setdefault(_outcome(getattr(comparison, metric), n), []).append(name)
    return [
        *(f"{told}: {', '.join(names)}." for told, names in metrics.items()),
        gain_in_words(comparison),
    ]


def _outcome(part: Difference, n: int) -> str:
    if part.ci95 == (0.0, 0.0):
        return "The same"
    if part.is_distinguishable:
        return f"Distinguishably {'higher' if part.difference > 0 else 'lower'}"
    if part.detectable is None:
        return f"Not distinguishable, as {n} test examples are too few to show any difference"
    return (
        "Not distinguishable, and a true difference below the detectable one often goes unnoticed"
    )


def _comparisons_json(found: Comparisons) -> dict[str, Any]:
    """The comparisons with what they come to in words."""
    runs = [
        comparison.model_dump(mode="json")
        | {
            "distinguishable": {
                metric: getattr(comparison, metric).is_distinguishable for metric in METRIC_NAMES
            },
            "is_gain": comparison.is_gain,
            "in_words": _sentences(comparison, found.n),
        }
        for comparison in found.runs
    ]
    return found.model_dump(mode="json") | {"runs": runs}
