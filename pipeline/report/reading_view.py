"""What the report's sections on the reading and on coverage are drawn from."""

from collections.abc import Sequence
from typing import Any

from ...models.roles.judge import Verdict
from ..metrics.coverage import OperatingPoint, risk_coverage
from ..metrics.labelled import Labelled
from ..metrics.probabilities import Calibration, calibration
from ..metrics.scores import to_steps
from ..result import RunRecord
from .plots import coverage_plot, operating_point_plot, reliability_plot
from .reading_rows import considered_rows, four_rows, gain_rows
from .scorecard_rows import probability_columns, score_cell


def reading_view(record: RunRecord) -> dict[str, Any] | None:
    """Prompt and reading side by side; None where no reading was asked for."""
    result, raw = record.result, record.raw_on_test
    if result.readings is None or raw is None:
        return None
    before, after = (
        _calibration(record, verdicts) for verdicts in (raw.final, record.final_verdicts)
    )
    return {
        "rows": four_rows(result.test),
        "gains": gain_rows(result.test),
        "considered": {
            "initial prompt": considered_rows(result.readings.initial),
            "final prompt": considered_rows(result.readings.final),
        },
        "probabilities": before and after and _probabilities(record, before, after),
    }


def coverage_view(
    test: Sequence[Labelled],
    initial: Sequence[Verdict],
    final: Sequence[Verdict],
    point: OperatingPoint | None,
) -> dict[str, Any]:
    """The plots of risk and coverage; empty without probabilities, and without a decision."""
    curves = {
        "initial prompt": risk_coverage(test, initial),
        "final prompt": risk_coverage(test, final),
    }
    return {
        "coverage": coverage_plot(curves) if all(curves.values()) else "",
        "operating_point": point,
        "operating_point_plot": operating_point_plot(point) if point else "",
    }


def _calibration(record: RunRecord, verdicts: Sequence[Verdict]) -> Calibration | None:
    human = to_steps([example.label for example in record.dataset.test], record.task)
    return calibration(human, verdicts, record.task)


def _probabilities(record: RunRecord, before: Calibration, after: Calibration) -> dict[str, Any]:
    """Scores and reliability of the final prompt's probabilities before and after the reading."""
    columns = probability_columns(record.task)
    return {
        "columns": [*columns.values(), "ECE"],
        "rows": {
            name: [*(score_cell(found.judge, column) for column in columns), f"{found.ece:.3f}"]
            for name, found in (("as the judge gives them", before), ("as read", after))
        },
        "plot": reliability_plot({"before the reading": before.bins, "after": after.bins}),
    }
