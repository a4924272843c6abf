"""The scorecard as tables for a terminal; the run report draws the same rows."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from ...data.tasks import Task
from ..metrics.label_mass import low_mass_warning
from ..metrics.probabilities import Calibration, ProbabilityScores
from ..metrics.scorecard import Scorecard
from ..metrics.scores import Scores

_COMMON = {"accuracy": "accuracy", "macro_f1": "macro F1"}
_NOMINAL = {"kappa": "kappa"}
_BINARY = {"positive_f1": "F1 of {}", "auroc": "AUROC of {}"}
_ORDINAL = {
    "kappa": "QWK",
    "spearman": "Spearman",
    "kendall": "Kendall tau-b",
    "score_spearman": "Spearman, raw score",
    "mae": "MAE",
    "macro_mae": "macro MAE",
    "within_one": "within 1",
}


def score_columns(task: Task) -> dict[str, str]:
    """The fields of `Scores` that a task's table shows, with their headings."""
    if task.kind == "ordinal":
        return _COMMON | _ORDINAL
    positive = {name: heading.format(task.labels[-1]) for name, heading in _BINARY.items()}
    return _COMMON | _NOMINAL | (positive if task.kind == "binary" else {})


def probability_columns(task: Task) -> dict[str, str]:
    """The fields of `ProbabilityScores` that a task has, with their headings."""
    shared = {"brier": "Brier", "log_loss": "log loss"}
    return shared | ({"rps": "RPS"} if task.kind == "ordinal" else {})


def score_cell(scores: Scores | ProbabilityScores, name: str) -> str:
    """A score as tables print it: a dash where it is undefined or unknown."""
    value = getattr(scores, name)
    return "-" if value is None else f"{value:.3f}"


def human_note(card: Scorecard) -> str:
    """What the row "one annotator" rests on; empty without one."""
    if card.human is None:
        return ""
    if card.human.simulated:
        return (
            f"one annotator, simulated: {card.human.num_raters} raters drawn from the mean and the "
            f"standard deviation of the scores, on {card.human.num_examples:,} examples"
        )
    alpha = "undefined" if card.human.alpha is None else f"{card.human.alpha:.3f}"
    if card.human.alpha_ci95 is not None:
        alpha += " (95 % {:.3f} to {:.3f})".format(*card.human.alpha_ci95)
    return (
        f"one annotator: each of up to {card.human.num_raters} raters against the others, on "
        f"{card.human.num_examples:,} examples; Krippendorff's alpha {alpha}"
    )


def ece_note(found: Calibration) -> str:
    """The expected calibration error beside what it is by chance."""
    return (
        f"expected calibration error {found.ece:.3f} over {len(found.bins)} bins of {found.n:,} "
        f"verdicts; a perfectly calibrated judge of the same confidence would show "
        f"{found.ece_null:.3f} on average, and at most {found.ece_null_95:.3f} in 95 % of samples"
    )


def mass_warning(found: Calibration) -> str:
    """What to do about a low label mass; empty where it is not low."""
    return low_mass_warning(found.low_mass_share, found.label_mass)


def print_scorecard(console: Console, card: Scorecard, task: Task) -> None:
    """The judge beside its references, then by category."""
    title = "Judge against reference raters"
    console.print(_score_table(title, score_columns(task), card.rows()))
    if card.human is not None:
        console.print(human_note(card))
    if card.categories:
        console.print(_category_table(card))
    if card.calibration:
        _print_calibration(console, card.calibration, task)


def _score_table(
    title: str, columns: Mapping[str, str], rows: Mapping[str, Scores | ProbabilityScores]
) -> Table:
    """columns: headings by the name of a score. rows: scores by rater."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in columns.values():
        table.add_column(heading, justify="right")
    for rater, scores in rows.items():
        table.add_row(rater, *(score_cell(scores, name) for name in columns))
    return table


def _print_calibration(console: Console, found: Calibration, task: Task) -> None:
    title = "Label probabilities, lower is better"
    console.print(_score_table(title, probability_columns(task), found.rows()))
    console.print(ece_note(found))
    warning = mass_warning(found)
    if warning:
        console.print(warning, style="bold")


def _category_table(card: Scorecard) -> Table:
    table = Table("category", title="By category", title_justify="left")
    for heading in ("n", "accuracy", "macro F1", "no label"):
        table.add_column(heading, justify="right")
    for name, scores in card.categories.items():
        table.add_row(
            name,
            f"{scores.n:,}",
            f"{scores.accuracy:.3f}",
            f"{scores.macro_f1:.3f}",
            f"{scores.no_label:,}",
        )
    return table
