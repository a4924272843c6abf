"""What the commands print: tables for people on stdout, or one JSON document."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from rich.table import Table

from ....data.table.items import items_left_out
from ...bulk.counts import JudgedCounts
from ...bulk.evaluation import Evaluation
from ...bulk.judge_source import JudgeSource
from ...config import RunConfig
from ...metrics.intervals import Interval
from ...metrics.scorecard import Scorecard
from ...report.conclusion import Tone, finding
from ...report.failure_lines import departure_lines, failure_lines, harmless_lines, verdict_lines
from ...report.pair_rows import print_pair_scores
from ...report.question_rows import print_questions
from ...report.reading_rows import print_four_rows, reading_lines
from ...report.scorecard_rows import print_scorecard
from ...result import LAYOUT_NOTE
from ...runs.directory import REPORT_FILE, num_steps_asked, run_task
from ...runs.finished_run import runs_beside
from ...runs.run_many import FailedRun, FinishedRun
from ...runs.story import counted_steps
from .printing import print_json, print_line, stdout_console

_MOST_OTHERS = 3
_SYNTHETIC = "Synthetic test bench: these figures say nothing about real judges."


def show_run(run: FinishedRun, *, as_json: bool) -> None:
    """The result of a run, and the command that goes on from it."""
    show_runs([run], as_json=as_json)
    if not as_json:
        tone = finding(run.result, run_task(run.config).primary_metric).tone
        print_line(next_line(tone, run.config.output))
        for line in lines_on_others(run.config, runs_beside(run.config.output, run.result.task)):
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
    console = stdout_console()
    console.print(table)
    if len(runs) > len({(run.result.task, run.result.method) for run in runs}):
        console.print(_means_table(runs))
    for run in runs:
        console.print(f"{run.config.output.name}: {run.result.judge_prompt_final}", soft_wrap=True)
        task = run_task(run.config)
        told = finding(run.result, task.primary_metric)
        failures = failure_lines(run.result.failures) + verdict_lines(run.result, task.labels)
        readings = reading_lines(run.result.readings)
        departures = departure_lines(run.result.departures)
        harmless = harmless_lines(run.result.failures)
        stopped = _stopped_lines(run)
        for line in (told.sentence, *stopped, *readings, *failures, *departures, *harmless):
            console.print(f"  {line}", soft_wrap=True)
        print_four_rows(console, run.config.output.name, run.result.test)
        print_questions(console, run.config.output.name, run.result.criteria, run.result.reading)
        if run.result.aligned_by_chat:
            console.print(f"  {LAYOUT_NOTE}", soft_wrap=True)
        if run.config.report:
            console.print(f"  report: {run.config.output / REPORT_FILE}", soft_wrap=True)
        for line in run.logged:
            console.print(f"  {line}", soft_wrap=True)
    console.print(_session_line(runs))
    if any(run.result.synthetic for run in runs):
        console.print(_SYNTHETIC, style="bold")


def _stopped_lines(run: FinishedRun) -> list[str]:
    """Where the budget stopped the search, if it did."""
    if run.result.stopped is None:
        return []
    steps = counted_steps(num_steps_asked(run.config.output))
    return [f"The budget stopped the search after {steps}: {run.result.stopped}."]


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
    cells: Mapping[str, FinishedRun | FailedRun], summary: Path | None, *, as_json: bool
) -> bool:
    """Results of a sweep's cells; whether all of them finished. summary: None for a part of it."""
    finished = [run for run in cells.values() if isinstance(run, FinishedRun)]
    failed = {name: run.error for name, run in cells.items() if isinstance(run, FailedRun)}
    if as_json:
        runs = {n: _run_json(run) for n, run in cells.items() if isinstance(run, FinishedRun)}
        print_json({"finished": runs, "failed": failed, "summary": summary and str(summary)})
        return not failed
    show_runs(finished, as_json=False)
    for name, error in failed.items():
        print_line(f"failed: {name}: {error}")
    where = f"; {summary}" if summary else ""
    print_line(f"{len(finished)} of {len(cells)} cells finished{where}")
    return not failed


def show_source(source: JudgeSource, *, as_json: bool) -> None:
    """Which judge is about to be asked, under which prompt; as JSON it stands in the result."""
    if not as_json:
        stdout_console().print(
            f"judge: {source.judge_name}; judge prompt: {source.prompt_name}; "
            f"store: {source.store}",
            soft_wrap=True,
        )


def show_left_out(images: Path, *, as_json: bool) -> None:
    """The files of a folder that are not judged, as imports tell of them."""
    if not as_json:
        for line in items_left_out(images).lines():
            print_line(line)


def show_evaluation(source: JudgeSource, evaluation: Evaluation, *, as_json: bool) -> None:
    """Agreement and scorecard."""
    task, agreement, card = source.task, evaluation.agreement, evaluation.scorecard
    if as_json:
        scores: dict[str, Any] = {"scorecard": card.model_dump(mode="json")}
        if evaluation.unread is not None:
            scores["unread_scorecard"] = evaluation.unread.model_dump(mode="json")
        scores["num_fitted_on"] = evaluation.num_fitted_on
        if evaluation.criteria:
            scores["criteria"] = [one.model_dump(mode="json") for one in evaluation.criteria]
        found = agreement.model_dump(mode="json") | scores | _told_json(evaluation)
        print_json(_source_json(source) | found)
        return
    console = stdout_console()
    for name in ("accuracy", "macro_f1"):
        value = getattr(agreement, name)
        console.print(f"{name}: {value:.3f} {_interval(agreement.ci95[name])}, n = {agreement.n}")
    if source.reading is not None and evaluation.unread is not None:
        console.print(
            f"these are under the reading {source.reading.family}; by the likeliest label: "
            f"{_brief(evaluation.unread)}; as read: {_brief(card)}",
            soft_wrap=True,
        )
    print_pair_scores(console, agreement.pairs)
    console.print(f"verdicts without a label: {agreement.unparsable_share:.1%}")
    _print_told(evaluation)
    table = Table(title="Human label (rows) against verdict", title_justify="left")
    for heading in ("", *task.labels, "no label"):
        table.add_column(heading, justify="right")
    for label, row in zip(task.labels, agreement.confusion, strict=True):
        table.add_row(label, *map(str, row))
    console.print(table)
    print_scorecard(console, card, task)
    print_questions(console, task.name, evaluation.criteria, None)
    if source.is_synthetic:
        console.print(_SYNTHETIC, style="bold")


def _brief(card: Scorecard) -> str:
    scores = f"accuracy {card.judge.accuracy:.3f}, macro F1 {card.judge.macro_f1:.3f}"
    found = card.calibration
    return scores + (f", log loss {found.judge.log_loss:.3f}" if found else "")


def show_judged(source: JudgeSource, counts: JudgedCounts, out: Path, *, as_json: bool) -> None:
    """How many images got which verdict, and where the verdicts are."""
    verdicts = {label: counts.verdicts[label] for label in source.task.labels}
    if as_json:
        without = counts.verdicts[None]
        print_json(
            {
                **_source_json(source),
                "rows": counts.rows,
                "verdicts": verdicts,
                "no_label": without,
                "acts": counts.num_acts,
                "drift": counts.drift,
                **_told_json(counts),
                "new_calls": counts.new_calls,
                "out": str(out),
            }
        )
        return
    shares = ", ".join(f"{label}: {count:,}" for label, count in verdicts.items())
    stdout_console().print(f"{counts.rows:,} images; {shares}; no label: {counts.verdicts[None]:,}")
    if source.decision is not None:
        acts = counts.num_acts or 0
        print_line(
            f"{source.decision.target}: act on {acts:,}, abstain from {counts.rows - acts:,}; "
            f"column `confidence`: {source.decision.target.confidence_told}"
        )
    # One reason alone stands in the warning, word for word.
    _print_told(counts, failures=len(counts.failures.reasons) > 1)
    stdout_console().print(f"verdicts: {out}")
    if source.is_synthetic:
        stdout_console().print(_SYNTHETIC, style="bold")


def _told_json(judged: Evaluation | JudgedCounts) -> dict[str, Any]:
    """What failed, and what was asked otherwise; a judge repeats nothing."""
    failures = judged.failures.model_dump(mode="json", include={"asked", "failed", "reasons"})
    return {"failures": failures, "departures": dict(judged.departures)}


def _print_told(judged: Evaluation | JudgedCounts, *, failures: bool = True) -> None:
    failed = failure_lines({"judge": judged.failures}) if failures else []
    for line in (*failed, *departure_lines({"judge": judged.departures})):
        stdout_console().print(line, soft_wrap=True)


def _source_json(source: JudgeSource) -> dict[str, Any]:
    return {"judge": source.judge_name, "synthetic": source.is_synthetic}


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


def _interval(interval: Interval, *, signed: bool = False) -> str:
    low, high = interval
    return f"[{low:+.3f}, {high:+.3f}]" if signed else f"[{low:.3f}, {high:.3f}]"
