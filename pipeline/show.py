"""What the commands print: tables for people on stdout, or one JSON document."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console
from rich.table import Table

from ..data.store import ReplyStore, Verification
from ..data.table import ImportSummary
from ..data.tasks import Task, load_task, task_names
from .metrics import Interval
from .runner import FailedRun, FinishedRun
from .scoring import Evaluation, JudgedCounts
from .show_scorecard import print_scorecard


def show_runs(runs: Sequence[FinishedRun], *, as_json: bool) -> None:
    """Results of runs, with what this session had to ask."""
    if as_json:
        _print_json([_run_json(run) for run in runs])
        return
    table = Table(title="Agreement with the human labels on the test split", title_justify="left")
    for name in ("task", "method", "seed", "n", "accuracy", "macro F1", "gain in accuracy (95 %)"):
        table.add_column(name, justify="left" if name in {"task", "method"} else "right")
    for run in runs:
        test = run.result.test
        initial, final, gain = test.initial, test.final, test.gain
        table.add_row(
            run.result.task,
            run.result.method,
            str(run.result.seed),
            str(final.n),
            f"{initial.accuracy:.3f} -> {final.accuracy:.3f}",
            f"{initial.macro_f1:.3f} -> {final.macro_f1:.3f}",
            f"{gain.accuracy:+.3f} {_interval(gain.ci95['accuracy'], signed=True)}",
        )
    console = _console()
    console.print(table)
    if len(runs) > len({(run.result.task, run.result.method) for run in runs}):
        console.print(_means_table(runs))
    for run in runs:
        console.print(f"{run.config.output.name}: {run.result.judge_prompt_final}", soft_wrap=True)
        console.print(f"  report: {run.config.output / 'report.html'}", soft_wrap=True)
    console.print(_session_line(runs))
    if any(run.result.synthetic for run in runs):
        console.print(
            "Synthetic test bench: these figures say nothing about real judges.", style="bold"
        )


def _means_table(runs: Sequence[FinishedRun]) -> Table:
    """Mean gain in accuracy over seeds, by method and task, and over all tasks."""
    tasks = list(dict.fromkeys(run.result.task for run in runs))
    table = Table("method", *tasks, "all", title="Mean gain in accuracy", title_justify="left")
    for method in dict.fromkeys(run.result.method for run in runs):
        gains = {
            task: [
                run.result.test.gain.accuracy
                for run in runs
                if (run.result.method, run.result.task) == (method, task)
            ]
            for task in tasks
        }
        means = [mean(values) for values in gains.values() if values]
        cells = [f"{mean(values):+.3f}" if values else "" for values in gains.values()]
        table.add_row(method, *cells, f"{mean(means):+.3f}")
    return table


def show_sweep(
    cells: Mapping[str, FinishedRun | FailedRun], summary: Path, *, as_json: bool
) -> bool:
    """Results of a sweep's cells; whether all of them finished."""
    finished = [run for run in cells.values() if isinstance(run, FinishedRun)]
    failed = {name: run.error for name, run in cells.items() if isinstance(run, FailedRun)}
    if as_json:
        runs = {n: _run_json(run) for n, run in cells.items() if isinstance(run, FinishedRun)}
        _print_json({"finished": runs, "failed": failed, "summary": str(summary)})
        return not failed
    show_runs(finished, as_json=False)
    for name, error in failed.items():
        print(f"failed: {name}: {error}")
    print(f"{len(finished)} of {len(cells)} cells finished; {summary}")
    return not failed


def show_evaluation(task: Task, evaluation: Evaluation, *, as_json: bool) -> None:
    agreement, card = evaluation.agreement, evaluation.scorecard
    if as_json:
        _print_json(agreement.model_dump(mode="json") | {"scorecard": card.model_dump(mode="json")})
        return
    console = _console()
    for name in ("accuracy", "macro_f1"):
        value = getattr(agreement, name)
        console.print(f"{name}: {value:.3f} {_interval(agreement.ci95[name])}, n = {agreement.n}")
    console.print(f"verdicts without a label: {agreement.unparsable_share:.1%}")
    table = Table(title="Human label (rows) against verdict", title_justify="left")
    for heading in ("", *task.labels, "no label"):
        table.add_column(heading, justify="right")
    for label, row in zip(task.labels, agreement.confusion, strict=True):
        table.add_row(label, *map(str, row))
    console.print(table)
    print_scorecard(console, card, task)


def show_judged(task: Task, counts: JudgedCounts, out: Path, *, as_json: bool) -> None:
    verdicts = {label: counts.verdicts[label] for label in task.labels}
    if as_json:
        without = counts.verdicts[None]
        _print_json(
            {"rows": counts.rows, "verdicts": verdicts, "no_label": without, "out": str(out)}
        )
        return
    shares = ", ".join(f"{label}: {count:,}" for label, count in verdicts.items())
    _console().print(f"{counts.rows:,} images; {shares}; no label: {counts.verdicts[None]:,}")
    _console().print(f"verdicts: {out}")


def show_import(summary: ImportSummary, *, as_json: bool) -> None:
    if as_json:
        _print_json(asdict(summary) | {"path": str(summary.path)})
        return
    console = _console()
    console.print(f"{summary.path}: {summary.num_rows:,} examples, {summary.num_groups:,} groups")
    used = ", ".join(f"{role} from {name!r}" for role, name in summary.columns.items())
    console.print(f"columns: {used or 'none, an image folder'}")
    if summary.unused_columns:
        console.print(f"not used: {', '.join(summary.unused_columns)}")
    table = Table("split", *next(iter(summary.counts.values())))
    for split, counts in summary.counts.items():
        table.add_row(split, *(f"{count:,}" for count in counts.values()))
    console.print(table)


def show_tasks(*, as_json: bool) -> None:
    loaded = [load_task(name) for name in task_names()]
    if as_json:
        _print_json([task.model_dump(mode="json") for task in loaded])
        return
    table = Table()
    for name in ("task", "kind", "labels", "text", "metric", "description"):
        table.add_column(name, no_wrap=name == "task")
    for task in loaded:
        text = "yes" if task.carries_text else "no"
        labels = ", ".join(task.labels)
        table.add_row(task.name, task.kind, labels, text, task.primary_metric, task.description)
    _console().print(table)


def show_store_stats(store: Path, *, as_json: bool) -> None:
    """Totals by collection; JSON has every partition."""
    stats = ReplyStore(store).stats()
    if as_json:
        _print_json([asdict(partition) for partition in stats])
        return
    table = Table("collection")
    for name in ("partitions", "rows", "distinct", "parts", "MB"):
        table.add_column(name, justify="right")
    for collection in dict.fromkeys(partition.collection for partition in stats):
        partitions = [p for p in stats if p.collection == collection]
        table.add_row(
            collection,
            f"{len(partitions):,}",
            f"{sum(p.num_rows for p in partitions):,}",
            f"{sum(p.num_keys for p in partitions):,}",
            f"{sum(p.num_parts for p in partitions):,}",
            f"{sum(p.num_bytes for p in partitions) / 1e6:,.1f}",
        )
    _console().print(table)


def show_store_verify(store: Path, *, quarantine: bool, as_json: bool) -> bool:
    """Read every part; whether none that is damaged stays in the store."""
    replies = ReplyStore(store)
    found = replies.verify()
    moved = replies.quarantine(found.damaged) if quarantine else []
    replies.remove_leftovers(found.leftovers)
    if as_json:
        _print_json(_verification_json(found, moved))
    else:
        _print_verification(found, moved)
    return len(moved) == len(found.damaged)


def _verification_json(found: Verification, moved: Sequence[Path]) -> dict[str, Any]:
    return {
        "parts": found.num_parts,
        "damaged": [{"part": str(part.path), "reason": part.reason} for part in found.damaged],
        "quarantined": [str(path) for path in moved],
        "leftovers_removed": [str(path) for path in found.leftovers],
    }


def _print_verification(found: Verification, moved: Sequence[Path]) -> None:
    for part in found.damaged:
        print(f"damaged: {part.path}: {part.reason}")
    for path in moved:
        print(f"moved to {path}")
    for path in found.leftovers:
        print(f"removed {path}, left by a writer that was killed")
    print(f"{found.num_parts:,} parts read, {len(found.damaged):,} damaged")
    if len(moved) < len(found.damaged):
        print("`blpo store verify --quarantine` moves them aside; what they held is asked again")


def _run_json(run: FinishedRun) -> dict[str, Any]:
    session = {"new_calls": run.new_calls, "seconds": round(run.seconds, 2)}
    result = run.result.model_dump(mode="json")
    return {"output": str(run.config.output), "result": result, "session": session}


def _session_line(runs: Sequence[FinishedRun]) -> str:
    new = sum(run.new_calls for run in runs)
    asked = sum(counts.asked for run in runs for counts in run.result.calls.values())
    seconds = max((run.seconds for run in runs), default=0.0)
    return f"{asked:,} calls, {new:,} of them to a model in this session; {seconds:.1f} s"


def _interval(interval: Interval, *, signed: bool = False) -> str:
    low, high = interval
    return f"[{low:+.3f}, {high:+.3f}]" if signed else f"[{low:.3f}, {high:.3f}]"


def _console() -> Console:
    # Off a terminal rich would fold tables at 80 columns.
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=140, soft_wrap=False)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
