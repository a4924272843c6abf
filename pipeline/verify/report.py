"""report.html against the page that the kept predictions give."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from ...data.errors import BlpoError
from ...data.examples import Dataset, Example, read_dataset
from ...data.images import ImageBounds, ImageRef
from ...data.tasks import Task
from ..config import RunConfig
from ..metrics.coverage import OperatingPoint
from ..report.html import OnTrain, render_sections
from ..report.page import sections_of
from ..result import RunRecord, RunResult
from ..runs.directory import PREDICTIONS_FILE, REPORT_FILE, run_task, stored_config
from .findings import Findings
from .kept import Kept, value_at
from .page_differences import page_differences
from .steps import check_trajectory

_FROM_PREDICTIONS = (
    "summary",
    "use",
    "prompts",
    "confusion",
    "reading",
    "probabilities",
    "coverage",
    "cost",
)
_FROM_DATASET = ("scorecard", "gallery")
_FIGURE = re.compile(r"\d[\d.,]*")


@dataclass(frozen=True, slots=True)
class _Origin:
    """What the report is about. dataset: None where its file is not there any more."""

    config: RunConfig
    task: Task
    dataset: Dataset | None


def check_report(
    kept: Kept,
    test: Mapping[str, Any],
    on_train: Mapping[int, OnTrain],
    findings: Findings,
    point: OperatingPoint | None = None,
) -> None:
    """Draw the report's sections again and compare. test: of result.json, computed again. point:
    see `check_decision`."""
    if kept.report is None:
        findings.not_checked.append(f"{REPORT_FILE}: the run was not to write one")
        return
    sections = sections_of(kept.report)
    if not sections:
        findings.not_checked.append(f"{REPORT_FILE}: an earlier version has written it")
        return
    check_trajectory(kept, sections.get("trajectory", ""), on_train, findings)
    try:
        origin = _origin(kept, findings)
        result = RunResult.model_validate({**kept.result, "test": test})
    except (BlpoError, ValidationError) as error:
        findings.not_checked.append(f"{REPORT_FILE}: {error}")
        return
    names = _FROM_PREDICTIONS + (() if origin.dataset is None else _FROM_DATASET)
    record = replace(_record(kept, origin, result), operating_point=point)
    for name, drawn in render_sections(record, names).items():
        if name in sections:
            _compare(name, sections[name], drawn, findings)
        else:
            findings.not_checked.append(f"{REPORT_FILE}: {name}: an earlier version has none")
    findings.not_checked.append(
        f"{REPORT_FILE}: probabilities beside misjudged training examples: kept nowhere else"
    )


def _origin(kept: Kept, findings: Findings) -> _Origin:
    """Raises BlpoError where configuration or task cannot be read."""
    config = stored_config(kept.path)
    task = run_task(config)
    if task.labels != kept.predictions.labels:
        raise BlpoError(f"the labels of task {config.task} are not those of the predictions")
    try:
        dataset = read_dataset(config.dataset, task, config.images.bounds)
        if dataset.fingerprint != kept.result.get("dataset_fingerprint"):
            raise BlpoError(f"{config.dataset} is not the dataset of this run any more")
    except BlpoError as error:
        told = str(error).partition("\n")[0]
        findings.not_checked.append(f"{REPORT_FILE}: {' and '.join(_FROM_DATASET)}: {told}")
        return _Origin(config, task, None)
    _check_examples(kept, dataset, findings)
    return _Origin(config, task, dataset)


def _check_examples(kept: Kept, dataset: Dataset, findings: Findings) -> None:
    """The examples of the predictions are those of the dataset's test split."""
    names = ("example_id", "group", "label")
    expected = dataset.test
    found = kept.predictions.examples
    findings.compare(PREDICTIONS_FILE, "rows", len(found), len(expected))
    for row, (own, example) in enumerate(zip(found, expected, strict=False), 1):
        for name in names:
            value, wanted = getattr(own, name), getattr(example, name)
            findings.compare(PREDICTIONS_FILE, f"{name} of row {row}", value, wanted)


def _record(kept: Kept, origin: _Origin, result: RunResult) -> RunRecord:
    found = kept.predictions
    return RunRecord(
        config=origin.config,
        task=origin.task,
        dataset=origin.dataset or _without_images(kept),
        steps=[],
        initial_verdicts=list(found.initial),
        final_verdicts=list(found.final),
        result=result,
        raw_on_test=found.raw,
    )


def _without_images(kept: Kept) -> Dataset:
    """A dataset of what the predictions tell, with as many training examples as there were."""
    image = ImageRef(b"", ImageBounds())
    test = tuple(
        Example(e.example_id, image, None, e.label, e.group, None, "test")
        for e in kept.predictions.examples
    )
    num_train = value_at(kept.inputs, "dataset", "train")
    train = test[:1] * (num_train if isinstance(num_train, int) else 0)
    return Dataset(train, test, str(kept.result.get("dataset_fingerprint")))


def _compare(name: str, kept: str, drawn: str, findings: Findings) -> None:
    findings.num_figures += len(_FIGURE.findall(re.sub(r"<[^>]*>", " ", drawn)))
    if kept == drawn:
        return
    for about, here, there in page_differences(kept, drawn):
        findings.differ(REPORT_FILE, f"{name}: {about}", repr(here), repr(there))
