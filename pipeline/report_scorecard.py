"""What the report's scorecard section is drawn from."""

from typing import Any

from .result import RunRecord
from .scorecard import Scorecard, scorecard
from .scores import Scores
from .show_scorecard import human_note, score_cell, score_columns


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
    }


def _categories(initial: Scorecard, final: Scorecard) -> list[tuple[str, int, float, float]]:
    """Category, examples, accuracy under the initial and the final prompt."""
    return [
        (name, scores.n, initial.categories[name].accuracy, scores.accuracy)
        for name, scores in final.categories.items()
    ]
