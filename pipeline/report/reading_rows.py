"""Prompt and reading side by side: the four rows that every table of a run with a reading has."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from ..metrics.agreement import Agreement, Gain
from ..readings.choose import ReadingChoice
from ..result import ReadingChoices, SplitResult


def four_rows(test: SplitResult) -> dict[str, Agreement]:
    """Agreement by prompt and reading; empty where no reading was asked for."""
    effect = test.reading
    if effect is None:
        return {}
    return {
        "initial prompt": effect.initial_raw,
        "initial prompt + reading": test.initial,
        "final prompt": effect.final_raw,
        "final prompt + reading": test.final,
    }


def gain_rows(test: SplitResult) -> dict[str, Gain]:
    """The paired differences between the four rows."""
    effect = test.reading
    if effect is None:
        return {}
    return {
        "reading, under the initial prompt": effect.gain_of_reading,
        "prompt, without readings": effect.gain_raw,
        "prompt, with readings": test.gain,
        "both together": effect.gain_of_both,
    }


def reading_lines(readings: ReadingChoices | None) -> list[str]:
    """How the verdicts of each prompt are read, and which readings were refused."""
    if readings is None:
        return []
    chosen = f"readings: {readings.initial.family} for the initial prompt, "
    lines = [f"{chosen}{readings.final.family} for the final one"]
    return lines + [f"reading {name} refused: {why}" for name, why in _refusals(readings).items()]


def considered_rows(choice: ReadingChoice) -> Sequence[tuple[str, str, str, str]]:
    """Family, log loss out of fold, its distance from the lowest, and what became of it."""
    rows: list[tuple[str, str, str, str]] = []
    for one in choice.considered:
        loss = "-" if one.log_loss is None else f"{one.log_loss:.3f}"
        behind = "-" if one.behind is None else f"{one.behind:.3f} ± {one.standard_error or 0:.3f}"
        outcome = "chosen" if one.family == choice.family else one.refused
        rows.append((one.family, loss, behind, outcome))
    return rows


def print_four_rows(console: Console, name: str, test: SplitResult) -> None:
    """Nothing where no reading was asked for."""
    rows = four_rows(test)
    if not rows:
        return
    table = Table(title=f"{name}: prompt and reading, test split", title_justify="left")
    for heading in ("", "accuracy", "macro F1"):
        table.add_column(heading, justify="right" if heading else "left")
    for what, agreement in rows.items():
        table.add_row(what, _cell(agreement, "accuracy"), _cell(agreement, "macro_f1"))
    console.print(table)


def _cell(agreement: Agreement, metric: str) -> str:
    low, high = agreement.ci95[metric]
    return f"{getattr(agreement, metric):.3f} [{low:.3f}, {high:.3f}]"


def _refusals(readings: ReadingChoices) -> Mapping[str, str]:
    return {**readings.initial.refusals, **readings.final.refusals}
