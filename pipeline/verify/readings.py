"""The readings in result.json: fitted again to the kept verdicts on train, and applied again."""

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, ValidationError

from ...data.errors import BlpoError
from ...data.tasks import Task
from ...models.roles.criteria_judge import CriteriaVerdict
from ...models.roles.judge import Verdict
from ..readings.choose import Reading, choose_reading
from ..readings.config import ReadingConfig
from ..readings.cutpoints import CutPoints
from ..readings.questions import Split, question_figures
from ..runs.directory import (
    PREDICTIONS_FILE,
    RESULT_FILE,
    TRAIN_PREDICTIONS_FILE,
    run_task,
    stored_config,
)
from ..runs.predictions import read_predictions
from .findings import Findings
from .kept import Kept, value_at

_CLOSE = 1e-5
"""By how much figures of a fit may differ: other libraries end an optimization elsewhere."""


class _Readings(BaseModel):
    model_config = ConfigDict(frozen=True)

    final: Reading | None = None
    initial: Reading | None = None


def check_readings(kept: Kept, findings: Findings) -> None:
    """The readings are those that the verdicts on train give, and the final verdicts are theirs."""
    readings = _kept_readings(kept, findings)
    if readings is None:
        return
    found = kept.predictions
    if value_at(kept.result, "readings") is None:
        _check_unread_questions(kept, findings)
    if found.raw is None:
        # Of a version that kept final verdicts as they are read, with the judge's probabilities.
        _check_read(kept, "final", readings.final, found.final, found.final, findings)
        return
    _check_read(kept, "final", readings.final, found.raw.final, found.final, findings)
    _check_read(kept, "initial", readings.initial, found.raw.initial, found.initial, findings)
    _check_fits(kept, findings)


def _kept_readings(kept: Kept, findings: Findings) -> _Readings | None:
    """None where one of them is no reading of the labels."""
    first = value_at(kept.result, "readings", "initial", "reading")
    given = {"final": kept.result.get("reading"), "initial": first}
    try:
        readings = _Readings.model_validate(given)
    except ValidationError:
        findings.differ(RESULT_FILE, "reading", str(given), "a reading")
        return None
    for name, reading in readings:
        if reading is None:
            continue
        figure = "reading" if name == "final" else "readings.initial.reading"
        labels = kept.predictions.labels
        findings.compare(RESULT_FILE, f"{figure}.labels", list(reading.labels), list(labels))
        if reading.labels != labels or not _is_complete(reading, _num_criteria(kept)):
            findings.differ(RESULT_FILE, figure, str(reading), "as many values as labels have")
            return None
    return readings


def _num_criteria(kept: Kept) -> int:
    """0 of a verdict that comes of one question."""
    first = next(iter(kept.predictions.final), None)
    return len(first.answers) if isinstance(first, CriteriaVerdict) else 0


def _is_complete(reading: Reading, num_criteria: int) -> bool:
    if isinstance(reading, CutPoints):
        return len(reading.cuts) == len(reading.labels) - 1
    return reading.is_complete(num_criteria)


def _check_read(
    kept: Kept,
    name: str,
    reading: Reading | None,
    raw: Sequence[Verdict],
    read: Sequence[Verdict],
    findings: Findings,
) -> None:
    """The verdicts as read are what the reading makes of the raw ones."""
    if reading is None and raw is read:
        return
    for example, before, after in zip(kept.predictions.examples, raw, read, strict=True):
        expected = before if reading is None else reading(before)
        figure = f"{name}_verdict of {example.example_id!r} as it is read"
        findings.compare(PREDICTIONS_FILE, figure, after.label, expected.label)
        figure = f"{name}_probabilities of {example.example_id!r} as they are read"
        here, there = (v.probabilities and dict(v.probabilities) for v in (after, expected))
        findings.compare_all(PREDICTIONS_FILE, figure, here, there)


def _check_fits(kept: Kept, findings: Findings) -> None:
    """Both readings, chosen again from the verdicts on train."""
    try:
        config = stored_config(kept.path)
        task = run_task(config)
        train = read_predictions(kept.path / TRAIN_PREDICTIONS_FILE)
    except BlpoError as error:
        findings.not_checked.append(f"{RESULT_FILE}: readings: {error}")
        return
    kept_readings = value_at(kept.result, "readings")
    for name, verdicts in (("initial", train.initial), ("final", train.final)):
        choice = choose_reading(config.reading, task, train.examples, verdicts)
        told, figures = value_at(kept_readings, name), choice.model_dump(mode="json")
        findings.compare_all(RESULT_FILE, f"readings.{name}", told, figures, _CLOSE)
    _check_questions(kept, config.reading, task, Split(train.examples, train.final), findings)
    own = value_at(kept_readings, "final", "reading")
    findings.compare(RESULT_FILE, "reading", kept.result.get("reading"), own)


def _check_unread_questions(kept: Kept, findings: Findings) -> None:
    """What each criterion costs and adds, of a run without readings."""
    if not kept.result.get("criteria"):
        return
    try:
        task = run_task(stored_config(kept.path))
    except BlpoError as error:
        findings.not_checked.append(f"{RESULT_FILE}: criteria: {error}")
        return
    _check_questions(kept, ReadingConfig(), task, Split((), ()), findings)


def _check_questions(
    kept: Kept, config: ReadingConfig, task: Task, train: Split, findings: Findings
) -> None:
    """What each criterion costs and adds; nothing of a version that did not keep its answers."""
    told, found = kept.result.get("criteria"), kept.predictions
    if not told:
        return
    seed = kept.result.get("seed")
    raw = found.final if found.raw is None else found.raw.final
    test = Split(found.examples, raw)
    again = question_figures(
        config, task, train, test, found.final, seed if isinstance(seed, int) else 0
    )
    figures = [one.model_dump(mode="json") for one in again]
    findings.compare_all(RESULT_FILE, "criteria", told, figures, _CLOSE)
