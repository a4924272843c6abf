"""What each criterion costs and adds, as rows that console and report share."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ..readings.choose import Reading
from ..readings.fitted import FittedReading
from ..readings.questions import QuestionFigures
from .conclusion import signed, signed_interval

QUESTION_COLUMNS = (
    "calls",
    "prompt tokens",
    "cached share",
    "completion tokens",
    "share of all tokens",
    "right, of answered",
    "accuracy without it",
    "gain by it (95 %)",
    "weight",
)


def question_rows(
    questions: Sequence[QuestionFigures], reading: Reading | None
) -> dict[str, list[str]]:
    """Cells by criterion; a dash where there is nothing to tell. reading: of the final prompt."""
    weights = ["-"] * len(questions)
    if isinstance(reading, FittedReading) and reading.family == "combiner":
        weights = [signed(weight) for weight in reading.parameters[1 : 1 + len(questions)]]
    return {
        one.name: [*_cells(one), weight] for one, weight in zip(questions, weights, strict=True)
    }


def print_questions(
    console: Console, name: str, questions: Sequence[QuestionFigures], reading: Reading | None
) -> None:
    """Nothing of a task without criteria."""
    if not questions:
        return
    title = f"{name}: what each question costs and adds"
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in QUESTION_COLUMNS:
        table.add_column(heading, justify="right")
    for criterion, cells in question_rows(questions, reading).items():
        table.add_row(criterion, *cells)
    console.print(table)


def _cells(one: QuestionFigures) -> list[str]:
    cached = f"{one.cached_tokens / one.prompt_tokens:.1%}" if one.prompt_tokens else "-"
    gain = "-"
    if one.gain is not None:
        gain = f"{signed(one.gain.accuracy)} {signed_interval(one.gain.ci95['accuracy'])}"
    return [
        f"{one.calls:,}",
        f"{one.prompt_tokens:,}",
        cached,
        f"{one.completion_tokens:,}",
        "-" if one.share is None else f"{one.share:.1%}",
        "-" if one.right is None else f"{one.right:.3f} of {one.answered:,}",
        "-" if one.without is None else f"{one.without:.3f}",
        gain,
    ]
