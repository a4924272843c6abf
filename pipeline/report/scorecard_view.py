"""What the report's sections on the scorecard and on probabilities are drawn from."""

from typing import Any

from ...data.tasks import Task
from ..metrics.scorecard import Scorecard, scorecard
from ..metrics.scores import Scores
from ..result import RunRecord
from .plots import reliability_plot
from .scorecard_rows import (
    ece_note,
    human_note,
    mass_warning,
    probability_columns,
    score_cell,
    score_columns,
)


def scorecard_view(record: RunRecord) -> dict[str, Any]:
    """The judge under both prompts beside its references, and by category under the final one."""
    test, task = record.dataset.test, record.task
    initial = scorecard(test, record.initial_verdicts, task)
    final = scorecard(test, record.final_verdicts, task)
    rows: dict[str, Scores] = {
        "judge, initial prompt": initial.judge,
        "judge, final prompt": final.judge,
    }
    rows |= {name: scores for name, scores in final.rows().items() if name != "judge"}
    columns = score_columns(task)
    return {
        "score_columns": list(columns.values()),
        "score_rows": {
            rater: [score_cell(scores, name) for name in columns] for rater, scores in rows.items()
        },
        "human_note": human_note(final),
        "categories": _categories(initial, final),
        "calibration": _calibration(initial, final, task),
    }


def _calibration(initial: Scorecard, final: Scorecard, task: Task) -> dict[str, Any] | None:
    """Scores of the probabilities under both prompts; None where the judge gives none."""
    before, after = initial.calibration, final.calibration
    if before is None or after is None:
        return None
    columns = probability_columns(task)
    rows = {
        "judge, initial prompt": before.judge,
        "judge, final prompt": after.judge,
        "base rates": after.base_rates,
    }
    return {
        "columns": list(columns.values()),
        "rows": {
            rater: [score_cell(scores, name) for name in columns] for rater, scores in rows.items()
        },
        "plot": reliability_plot({"initial prompt": before.bins, "final prompt": after.bins}),
        "note": ece_note(after),
        "warning": mass_warning(after),
    }


def _categories(initial: Scorecard, final: Scorecard) -> list[tuple[str, int, float, float]]:
    """Category, examples, accuracy under the initial and the final prompt."""
    return [
        (name, scores.n, initial.categories[name].accuracy, scores.accuracy)
        for name, scores in final.categories.items()
    ]
