"""What `judge` and `evaluate` print: which judge is asked, and what it has said."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from ....data.table.items import items_left_out
from ...bulk.counts import JudgedCounts
from ...bulk.evaluation import Evaluation
from ...bulk.judge_source import JudgeSource
from ...metrics.intervals import Interval
from ...metrics.scorecard import Scorecard
from ...report.failure_lines import departure_lines, failure_lines, no_width
from ...report.pair_rows import print_pair_scores
from ...report.question_rows import print_questions
from ...report.scorecard_rows import print_scorecard
from .printing import SYNTHETIC, print_json, print_line, stdout_console


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
    if as_json:
        print_json(_source_json(source) | _evaluation_json(evaluation))
    else:
        _print_evaluation(source, evaluation)


def _evaluation_json(evaluation: Evaluation) -> dict[str, Any]:
    found = evaluation.agreement.model_dump(mode="json")
    found["scorecard"] = evaluation.scorecard.model_dump(mode="json")
    if evaluation.unread is not None:
        found["unread_scorecard"] = evaluation.unread.model_dump(mode="json")
    found["num_fitted_on"] = evaluation.num_fitted_on
    if evaluation.criteria:
        found["criteria"] = [one.model_dump(mode="json") for one in evaluation.criteria]
    return found | _told_json(evaluation)


def _print_evaluation(source: JudgeSource, evaluation: Evaluation) -> None:
    task, agreement, card = source.task, evaluation.agreement, evaluation.scorecard
    console = stdout_console()
    for name in ("accuracy", "macro_f1"):
        value = getattr(agreement, name)
        console.print(f"{name}: {value:.3f} {_interval(agreement.ci95[name])}, n = {agreement.n}")
    if note := no_width(agreement):
        console.print(note, soft_wrap=True)
    if source.reading is not None and evaluation.unread is not None:
        console.print(
            f"these are under the reading {source.reading.family}; by the likeliest label: "
            f"{_brief(evaluation.unread)}; as read: {_brief(card)}",
            soft_wrap=True,
        )
    print_pair_scores(console, agreement.pairs)
    console.print(f"verdicts without a label: {agreement.unparsable_share:.1%}")
    _print_told(evaluation)
    console.print(_confusion_table(task.labels, agreement.confusion))
    print_scorecard(console, card, task)
    print_questions(console, task.name, evaluation.criteria, None)
    if source.is_synthetic:
        console.print(SYNTHETIC, style="bold")


def _confusion_table(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> Table:
    table = Table(title="Human label (rows) against verdict", title_justify="left")
    for heading in ("", *labels, "no label"):
        table.add_column(heading, justify="right")
    for label, row in zip(labels, confusion, strict=True):
        table.add_row(label, *map(str, row))
    return table


def _brief(card: Scorecard) -> str:
    scores = f"accuracy {card.judge.accuracy:.3f}, macro F1 {card.judge.macro_f1:.3f}"
    found = card.calibration
    return scores + (f", log loss {found.judge.log_loss:.3f}" if found else "")


def show_judged(source: JudgeSource, counts: JudgedCounts, out: Path, *, as_json: bool) -> None:
    """How many images got which verdict, and where the verdicts are."""
    verdicts = {label: counts.verdicts[label] for label in source.task.labels}
    if as_json:
        print_json(
            {
                **_source_json(source),
                "rows": counts.rows,
                "verdicts": verdicts,
                "no_label": counts.verdicts[None],
                "acts": counts.num_acts,
                "drift": counts.drift,
                **_told_json(counts),
                "new_calls": counts.new_calls,
                "out": str(out),
            }
        )
    else:
        _print_judged(source, counts, verdicts, out)


def _print_judged(
    source: JudgeSource, counts: JudgedCounts, verdicts: Mapping[str, int], out: Path
) -> None:
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
        stdout_console().print(SYNTHETIC, style="bold")


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


def _interval(interval: Interval) -> str:
    low, high = interval
    return f"[{low:.3f}, {high:.3f}]"
