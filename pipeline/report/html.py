"""The report of a run: one HTML file that needs nothing else, drawn from the run's record alone.

The same record gives the same bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import numpy as np

from ...models.roles.judge import Verdict, answer_instruction
from ..metrics.agreement import accuracy, group_confusions, macro_f1
from ..metrics.coverage import OperatingPoint
from ..metrics.intervals import Counts
from ..metrics.labelled import Labelled
from ..result import LAYOUT_NOTE, CallCounts, RunRecord
from ..search.step import ShownCase, Step
from .conclusion import finding
from .failure_lines import departure_lines, failure_lines, harmless_lines, verdict_lines
from .gallery import OUTCOMES, Gallery
from .page import SECTIONS, call_macro, render_page, render_section
from .pair_rows import pair_note, pair_rows
from .plots import METRICS, interval_plot, trajectory_plot
from .prompt_diff import PromptDiff
from .question_rows import QUESTION_COLUMNS, question_rows
from .reading_view import coverage_view, reading_view
from .scorecard_view import scorecard_view

_MAX_SHOWN_CASES = 12


def render_report(record: RunRecord) -> str:
    """The whole report as HTML text."""
    view = _view(record)
    return render_page({name: render_section(name, view) for name in SECTIONS}, view)


def render_sections(record: RunRecord, names: Iterable[str]) -> dict[str, str]:
    """Some sections of the report."""
    view = _view(record)
    return {name: str(render_section(name, view)).strip("\n") for name in names}


def render_coverage(
    test: Sequence[Labelled],
    initial: Sequence[Verdict],
    final: Sequence[Verdict],
    point: OperatingPoint | None,
) -> str:
    """The section on coverage, of the verdicts on the test split."""
    view = coverage_view(test, initial, final, point)
    return str(render_section("coverage", view)).strip("\n")


def _view(record: RunRecord) -> dict[str, Any]:
    """What the templates are given."""
    result = record.result
    steps = [StepView.make(step, record.task.labels) for step in record.steps]
    verdicts = record.initial_verdicts, record.final_verdicts
    return {
        "record": record,
        "result": result,
        "task": record.task,
        "layout_note": LAYOUT_NOTE,
        "metrics": METRICS,
        "answer_instruction": answer_instruction(record.task, record.config.reasoning),
        "finding": finding(result, record.task.primary_metric),
        "failure_lines": [
            *failure_lines(result.failures),
            *verdict_lines(result, record.task.labels),
            *departure_lines(result.departures),
        ],
        "harmless_lines": harmless_lines(result.failures),
        "interval_plot": interval_plot(result.test),
        "judge_diff": PromptDiff.make(result.judge_prompt_initial, result.judge_prompt_final),
        "i2t_diff": PromptDiff.make(
            record.config.i2t_prompt or record.task.i2t_prompt, result.i2t_prompt_final
        ),
        "steps": steps,
        "trajectory_plot": on_train_plot({view.step.index: view.on_train for view in steps}),
        "last_shown": _last_shown(record.steps),
        "gallery": Gallery.make(record.dataset.test, *verdicts),
        "outcomes": OUTCOMES,
        "version": metadata.version("blpo"),
        "total_calls": _total(result.calls.values()),
        "pair_rows": pair_rows(result.test.initial.pairs, result.test.final.pairs),
        "pair_note": pair_note(record.task, record.config.orders),
        "reading": reading_view(record),
        "questions": question_rows(result.criteria, result.reading),
        "question_columns": QUESTION_COLUMNS,
        **coverage_view(
            record.dataset.test,
            record.initial_verdicts,
            record.final_verdicts,
            record.operating_point,
        ),
        **scorecard_view(record),
    }


# ---------------------------------------------------------------------- trajectory of the run


@dataclass(frozen=True, slots=True)
class OnTrain:
    """Agreement of a step's judge prompt on the training examples judged under it, if any."""

    num_examples: int
    accuracy: float
    macro_f1: float
    num_misjudged: int

    @classmethod
    def make(cls, confusion: Counts) -> "OnTrain":
        """From confusion counts [labels, labels + 1]."""
        total, right = int(confusion.sum()), int(np.trace(confusion))
        return cls(total, float(accuracy(confusion)), float(macro_f1(confusion)), total - right)

    @property
    def text(self) -> str:
        """As the trajectory has it; empty without examples."""
        return call_macro("trajectory_figures", "on_train", self)


@dataclass(frozen=True, slots=True)
class StepView:
    """A step as the trajectory shows it. diff: from its judge prompt to the next one."""

    step: Step
    on_train: OnTrain
    diff: PromptDiff

    @classmethod
    def make(cls, step: Step, labels: Sequence[str]) -> "StepView":
        confusion = group_confusions(step.examples, step.verdicts, labels).sum(axis=0)
        diff = PromptDiff.make(step.judge_prompt, step.next_judge_prompt)
        return cls(step, OnTrain.make(confusion), diff)


def on_train_plot(by_step: Mapping[int, OnTrain]) -> str:
    """The plot of the trajectory; empty if no step has judged training examples."""
    judged = {index: found for index, found in by_step.items() if found.num_examples}
    if not judged:
        return ""
    return trajectory_plot([(i, found.macro_f1, found.accuracy) for i, found in judged.items()])


def _last_shown(steps: Sequence[Step]) -> tuple[Step, Sequence[ShownCase]] | None:
    """The last step whose optimizer was shown examples, and the first of them."""
    step = next((step for step in reversed(steps) if step.shown), None)
    return (step, step.shown[:_MAX_SHOWN_CASES]) if step else None


def _total(calls: Iterable[CallCounts]) -> CallCounts:
    rows = [row.model_dump() for row in calls]
    return CallCounts(**{name: sum(row[name] for row in rows) for name in CallCounts.model_fields})
