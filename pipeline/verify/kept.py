"""What a finished run has kept, read without changing anything."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ...data.errors import ConfigError, DataError
from ...data.text_files import read_own_json, read_text
from ..runs.directory import (
    CONFIG_FILE,
    INPUTS_FILE,
    PREDICTIONS_FILE,
    REPORT_FILE,
    RESULT_FILE,
    check_is_run,
)
from ..runs.predictions import AGAIN, Predictions, read_predictions


@dataclass(frozen=True, slots=True)
class Kept:
    """The files of a finished run. steps: by index, in order. report: None of a run that was not to
    write one."""

    path: Path
    config: Mapping[str, Any]
    inputs: Mapping[str, Any]
    result: Mapping[str, Any]
    report: str | None
    predictions: Predictions
    steps: Mapping[int, Mapping[str, Any]]


def read_kept(path: Path) -> Kept:
    """Raises ConfigError if the folder is no finished run, and DataError, naming the file, for one
    that is missing or damaged."""
    check_is_run(path)
    if not (path / RESULT_FILE).exists():
        raise ConfigError(f"{path}: the run is not finished; `blpo optimize` goes on with it")
    files = {file.stem.rpartition("-")[2]: file for file in path.glob("steps/step-*.json")}
    steps = {int(index): file for index, file in files.items() if index.isdecimal()}
    config = read_mapping(path / CONFIG_FILE)
    has_report = config.get("report", True) or (path / REPORT_FILE).exists()
    return Kept(
        path,
        config=config,
        inputs=read_mapping(path / INPUTS_FILE),
        result=read_mapping(path / RESULT_FILE),
        report=read_text(path / REPORT_FILE, DataError, "report") if has_report else None,
        predictions=read_predictions(path / PREDICTIONS_FILE),
        steps={index: read_mapping(file) for index, file in sorted(steps.items())},
    )


def read_mapping(path: Path) -> Mapping[str, Any]:
    """A JSON object of a run. Raises DataError for a file that is missing or damaged."""
    return read_own_json(path, AGAIN)


def value_at(values: object, *keys: str) -> object:
    """A value in nested objects; None where there is none."""
    for key in keys:
        if not isinstance(values, Mapping):
            return None
        values = cast("Mapping[str, object]", values).get(key)
    return values
