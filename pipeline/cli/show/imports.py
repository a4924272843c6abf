"""What importing a public dataset prints."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from rich.console import Console
from rich.table import Table

from ....data.examples import SPLITS, Example
from ....data.importers.duplicates import NEAR_BITS
from ....data.importers.manifest import Manifest, manifest_path
from ....data.importers.protocol import Card
from ....data.micro.graded import GradedWorld
from ....data.micro.graded_data import rubric_of
from ....data.shown import shortened
from ....data.table.division import Inspection
from ....data.table.report import ImportReport
from ....data.tasks import load_task
from ..options import say
from .printing import print_json, stdout_console

_MOST_SHOWN = 3
"""Contradictions that are named; all are counted."""


def show_card(card: Card) -> None:
    """Licence, gate and notice of a source, on stderr, before anything is read."""
    lines = [f"{card.name}: {card.home}; licence: {card.licence}"]
    lines += [f"  gated: {card.gate}"] if card.gate else []
    lines += [f"  note: {card.notice}"] if card.notice else []
    say("\n".join(lines))


def show_draw(
    examples: Sequence[Example], task: str, world: GradedWorld, out: Path, *, as_json: bool
) -> None:
    """Examples of a drawn dataset by split and label, and what people mind there."""
    labels = load_task(task).labels
    found = Counter((example.split, example.label) for example in examples)
    counts = {split: {label: found[split, label] for label in labels} for split in SPLITS}
    rubric = rubric_of(task, world.draw)
    if as_json:
        drawn = {"world": world.model_dump(mode="json"), "rubric": asdict(rubric)}
        print_json({"path": str(out), "task": task, "counts": counts, **drawn})
        return
    console = stdout_console(soft_wrap=True)
    console.print(f"{out}: {len(examples):,} examples of {task}, synthetic")
    steps = (f"{name} ({rubric.steps.get(name, 1)})" for name in rubric.minded)
    console.print(f"people mind, with the steps that a fault costs: {', '.join(steps)}")
    for name, excuse in rubric.forgiven.items():
        console.print(f"{name} is forgiven where {excuse} is at fault")
    table = Table("split", *labels)
    for split, own in counts.items():
        table.add_row(split, *(f"{count:,}" for count in own.values()))
    console.print(table)


def show_report(report: ImportReport, *, as_json: bool) -> None:
    """What an import of a table has seen, and what it wrote if it wrote anything."""
    if as_json:
        print_json(_report_json(report))
        return
    console = stdout_console(soft_wrap=True)
    for line in _report_lines(report):
        console.print(line)
    if report.contradictions:
        shown = "; ".join(report.contradictions[:_MOST_SHOWN])
        console.print(
            f"contradicting labels of one image: {len(report.contradictions):,} ({shown})",
            style="bold",
        )
    if report.counts:
        table = Table("split", *next(iter(report.counts.values())))
        for split, counts in report.counts.items():
            table.add_row(split, *(f"{count:,}" for count in counts.values()))
        console.print(table)
        wrote = f"wrote {report.path}" if report.path else "a dry run: nothing was written"
        console.print(f"{wrote}: {report.num_rows:,} examples, {report.num_groups:,} groups")


def show_problems(inspection: Inspection) -> NoReturn:
    """What was recognised, on stderr; then raises the DataError about the problems."""
    say("\n".join(_report_lines(inspection.report)))
    inspection.problems.raise_if_any()
    raise AssertionError("only of an inspection with problems")


def _report_lines(report: ImportReport) -> list[str]:
    used = ", ".join(f"{role} from {name!r}" for role, name in report.columns.items())
    lines = [f"{report.name}: {report.layout}", f"columns: {used or 'none'}"]
    if report.ratings:
        lines.append(f"one annotator each: {', '.join(report.ratings)}")
    if report.unused_columns:
        lines.append(f"not used: {', '.join(map(shortened, report.unused_columns))}")
    return [*lines, *report.left_out.lines(), *report.notes]


def _report_json(report: ImportReport) -> dict[str, Any]:
    left_out = {
        reason: {"count": count, "first": report.left_out.places[reason]}
        for reason, count in report.left_out.skipped.items()
    }
    written = str(report.path) if report.path else None
    sources = {"source": str(report.source), "more": [str(path) for path in report.more]}
    found = asdict(report) | sources | {"path": written}
    return found | {"left_out": left_out}


def show_manifest(manifest: Manifest, out: Path | None, *, as_json: bool) -> None:
    """What was seen, skipped, binned and written."""
    if as_json:
        print_json({"path": None if out is None else str(out)} | manifest.to_json())
        return
    console = stdout_console(soft_wrap=True)
    console.print(
        f"{out or 'a dry run: nothing was written'}: {len(manifest.examples):,} examples, "
        f"{manifest.num_groups:,} groups"
    )
    console.print(f"task {manifest.task}, label from {manifest.target}")
    for path, columns in manifest.files.items():
        console.print(f"read {Path(path).name}: {', '.join(columns)}")
    for reason, skipped in manifest.skipped.items():
        console.print(f"skipped {skipped.count:,}: {reason} (first: {', '.join(skipped.first)})")
    _print_binning(console, manifest)
    console.print(_split_line(manifest))
    console.print(_counts_table(manifest))
    near = len(manifest.near_duplicates)
    console.print(
        f"test examples with a near-duplicate in train (perceptual hash, at most {NEAR_BITS} of 64 "
        f"bits apart): {near:,}"
    )
    if out is not None:
        console.print(f"manifest: {manifest_path(out)}")


def _print_binning(console: Console, manifest: Manifest) -> None:
    binning = manifest.binning
    if binning is None:
        return
    cuts = ", ".join(f"{edge:.4g}" for edge in binning.edges)
    scale = "" if binning.scale is None else ", scale {:g}-{:g}".format(*binning.scale)
    console.print(
        f"scores from {binning.low:.4g} to {binning.high:.4g}{scale}; binned by {binning.method}, "
        f"cuts at {cuts}"
    )


def _split_line(manifest: Manifest) -> str:
    plan = manifest.plan
    origin = "the source's own" if manifest.own_splits else "new, disjoint by group"
    per_class = f"{plan.train or 'all'} train, {plan.test or 'all'} test"
    return f"split: {origin}; by {plan.strata}: {per_class}; seed {manifest.seed}"


def _counts_table(manifest: Manifest) -> Table:
    counts = manifest.counts()
    labels = list(dict.fromkeys(label for row in counts.values() for label in row))
    table = Table("split", *labels)
    for split, row in counts.items():
        table.add_row(split, *(f"{row.get(label, 0):,}" for label in labels))
    return table
