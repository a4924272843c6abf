"""What the commands print about runs: tables for people on stdout, or one JSON document."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console
from rich.table import Table

from ...config import RunConfig
from ...metrics.intervals import Interval
from ...report.conclusion import Tone, finding
from ...report.failure_lines import departure_lines, failure_lines, harmless_lines, verdict_lines
from ...report.question_rows import print_questions
from ...report.reading_rows import print_four_rows, reading_lines
from ...result import LAYOUT_NOTE
from ...runs.directory import REPORT_FILE, num_steps_asked, run_task
from ...runs.finished_run import runs_beside
from ...runs.run_many import FailedRun, FinishedRun
from ...runs.story import counted_steps
from .printing import SYNTHETIC, print_json, print_line, stdout_console

_MOST_OTHERS = 3


def show_run(run: FinishedRun, *, as_json: bool) -> None:
    """The result of a run, and the command that goes on from it."""
    show_runs([run], as_json=as_json)
    if not as_json:
        tone = finding(run.result, run_task(run.config).primary_metric).tone
        print_line(next_line(tone, run.config.output))
        for line in lines_on_others(run.config, runs_beside(run.config.output, run.result)):
            print_line(line)


def show_demo(runs: Sequence[FinishedRun], *, as_json: bool) -> None:
    """Results of the demo, and the ways on from it."""
    show_runs(runs, as_json=as_json)
    if not as_json:
        print_line("next: blpo init mine --images IMAGES, for a judge of your own")
        print_line("      blpo demo --real, for an open judge on a public dataset (needs a GPU)")


def next_line(tone: Tone, run: Path) -> str:
    """What to do after a run: use a prompt that is better, else find labels that tell more."""
    named = shlex.quote(str(run))
    if tone == "better":
        return f"next: blpo judge IMAGES --run {named} --out verdicts.parquet"
    command = f"blpo next IMAGES --run {named} --out next.csv"
    return f"next, to label what would tell most: {command}"


def lines_on_others(config: RunConfig, others: Sequence[tuple[Path, RunConfig]]) -> list[str]:
    """How to measure earlier runs of the task beside this one, before one prompt takes the place
    of another."""
    if not others:
        return []
    lines = ["other runs of this task are here, whose prompts may be better; to look first:"]
    for path, other in others[:_MOST_OTHERS]:
        if other.dataset.resolve() == config.dataset.resolve():
            command = ["blpo", "compare", str(path), str(config.output)]
        else:
            command = ["blpo", "evaluate", str(config.dataset), "--run", str(path)]
        lines.append(f"  {shlex.join(command)}")
    return lines


def show_runs(runs: Sequence[FinishedRun], *, as_json: bool) -> None:
    """Results of runs, with what this session had to ask."""
    if as_json:
        print_json([_run_json(run) for run in runs])
        return
    _print_runs(runs, [run.result.named_method for run in runs])


def _print_runs(runs: Sequence[FinishedRun], methods: Sequence[str]) -> None:
    """methods: what to call that of each run."""
    console = stdout_console()
    console.print(_agreement_table(runs, methods))
    tasks = [run.result.task for run in runs]
    if len(runs) > len(set(zip(tasks, methods, strict=True))):
        console.print(_means_table(runs, methods))
    for run in runs:
        _print_run(console, run)
    console.print(_session_line(runs))
    if any(run.result.synthetic for run in runs):
        console.print(SYNTHETIC, style="bold")


def _agreement_table(runs: Sequence[FinishedRun], methods: Sequence[str]) -> Table:
    """A row for each run: initial and final prompt on its test split."""
    table = Table(title="Agreement with the human labels on the test split", title_justify="left")
    for name in ("task", "method", "seed", "n", "accuracy", "macro F1", "gain in accuracy (95 %)"):
        table.add_column(name, justify="left" if name in {"task", "method"} else "right")
    for run, method in zip(runs, methods, strict=True):
        test = run.result.test
        initial, final, gain = test.initial, test.final, test.gain
        table.add_row(
            run.result.task,
            method,
            str(run.result.seed),
            str(final.n),
            f"{initial.accuracy:.3f} -> {final.accuracy:.3f}",
            f"{initial.macro_f1:.3f} -> {final.macro_f1:.3f}",
            f"{gain.accuracy:+.3f} {_signed(gain.ci95['accuracy'])}",
        )
    return table


def _print_run(console: Console, run: FinishedRun) -> None:
    """The final prompt of a run, and all that is to be said of it."""
    config, result = run.config, run.result
    name, task = config.output.name, run_task(config)
    console.print(f"{name}: {result.judge_prompt_final}", soft_wrap=True)
    for line in (
        finding(result, task.primary_metric).sentence,
        *_stopped_lines(run),
        *reading_lines(result.readings),
        *failure_lines(result.failures),
        *verdict_lines(result, task.labels),
        *departure_lines(result.departures),
        *harmless_lines(result.failures),
    ):
        _print_indented(console, line)
    print_four_rows(console, name, result.test)
    print_questions(console, name, result.criteria, result.reading)
    if result.aligned_by_chat:
        _print_indented(console, LAYOUT_NOTE)
    if config.report:
        _print_indented(console, f"report: {config.output / REPORT_FILE}")
    for line in run.logged:
        _print_indented(console, line)


def _print_indented(console: Console, line: str) -> None:
    console.print(f"  {line}", soft_wrap=True)


def _stopped_lines(run: FinishedRun) -> list[str]:
    """Where the budget stopped the search, if it did."""
    if run.result.stopped is None:
        return []
    steps = counted_steps(num_steps_asked(run.config.output))
    return [f"The budget stopped the search after {steps}: {run.result.stopped}."]


def _means_table(runs: Sequence[FinishedRun], methods: Sequence[str]) -> Table:
    """Mean gain in accuracy over seeds, by method and task, and over all tasks."""
    tasks = list(dict.fromkeys(run.result.task for run in runs))
    table = Table("method", *tasks, "all", title="Mean gain in accuracy", title_justify="left")
    for method in dict.fromkeys(methods):
        gains = {
            task: [
                run.result.test.gain.accuracy
                for run, own in zip(runs, methods, strict=True)
                if (own, run.result.task) == (method, task)
            ]
            for task in tasks
        }
        means = [mean(values) for values in gains.values() if values]
        cells = [f"{mean(values):+.3f}" if values else "" for values in gains.values()]
        table.add_row(method, *cells, f"{mean(means):+.3f}")
    return table


def show_sweep(
    cells: Mapping[str, FinishedRun | FailedRun],
    methods: Mapping[str, str],
    summary: Path | None,
    *,
    as_json: bool,
) -> bool:
    """Results of a sweep's cells; whether all of them finished.

    methods: what the sweep calls that of each cell. summary: None for a part of the sweep; the
    tables are beside it.
    """
    finished = {name: run for name, run in cells.items() if isinstance(run, FinishedRun)}
    failed = {name: run.error for name, run in cells.items() if isinstance(run, FailedRun)}
    if as_json:
        runs = {name: _run_json(run) for name, run in finished.items()}
        print_json({"finished": runs, "failed": failed, "summary": summary and str(summary)})
        return not failed
    _print_runs(list(finished.values()), [methods[name] for name in finished])
    for name, error in failed.items():
        print_line(f"failed: {name}: {error}")
    where = f"; {summary}, {summary.with_name('tables.md')}" if summary else ""
    print_line(f"{len(finished)} of {len(cells)} cells finished{where}")
    return not failed


def _run_json(run: FinishedRun) -> dict[str, Any]:
    session: dict[str, Any] = {"new_calls": run.new_calls, "seconds": round(run.seconds, 2)}
    session |= {"logged": list(run.logged)} if run.logged else {}
    result = run.result.model_dump(mode="json")
    return {"output": str(run.config.output), "result": result, "session": session}


def _session_line(runs: Sequence[FinishedRun]) -> str:
    new = sum(run.new_calls for run in runs)
    asked = sum(counts.asked for run in runs for counts in run.result.calls.values())
    seconds = max((run.seconds for run in runs), default=0.0)
    return f"{asked:,} calls, {new:,} of them to a model in this session; {seconds:.1f} s"


def _signed(interval: Interval) -> str:
    low, high = interval
    return f"[{low:+.3f}, {high:+.3f}]"
