"""`blpo estimate`: the share of each label among images that a run's judge has judged."""

import logging
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from ...data.arrow import ARROW_ERRORS, open_parquet, parquet_fault
from ...data.errors import DataError
from ...data.sources.several import joint_name
from ...models.roles.judge import Verdict
from ..metrics.intervals import Values
from ..metrics.prevalence import Prevalence, prevalence
from ..runs.directory import load_run
from ..runs.finished_run import PastRun, read_past_run
from ..runs.judged_by import JUDGED_BY_KEY, JudgedBy, aligned_judge

_log = logging.getLogger("blpo.estimate")

_COLUMNS = ("example_id", "verdict", "probabilities")


@dataclass(frozen=True, slots=True)
class Estimate:
    """shares: by label, in declared order. num_images: that were judged and are counted.
    num_labelled: of the run's test split. num_left_out: that are of that split, too."""

    shares: Sequence[Prevalence]
    num_images: int
    num_labelled: int
    num_left_out: int

    @property
    def uses_verdicts(self) -> bool:
        """Whether the verdicts add anything to the labelled images."""
        return any(share.weight > 0 for share in self.shares)


def estimate(files: Sequence[Path], run: Path) -> Estimate:
    """The labelled images are those of the run's test split, which no fit has seen.

    files: of verdicts, such as shards, on different images. Raises DataError for a file that is no
    output of `blpo judge` for the labels of the run, or of another judge, judge prompt or reading
    than the run's, and for an image that is in two files.
    """
    past = read_past_run(run)
    ids: list[str] = []
    judged: list[Verdict] = []
    firsts: dict[str, Path] = {}
    for file in files:
        own, verdicts, by = _read_verdicts(file, past.labels, run)
        _check_judge(file, past, by)
        _check_new(file, own, firsts)
        ids += own
        judged += verdicts
    labelled = {example.example_id for example in past.examples}
    others = [v for example_id, v in zip(ids, judged, strict=True) if example_id not in labelled]
    if not others:
        named = joint_name(files)
        raise DataError(f"{named}: no image that is not in the test split of {run}")
    shares = [_share(label, past, others) for label in past.labels]
    return Estimate(shares, len(others), len(past.examples), len(judged) - len(others))


def _check_new(file: Path, ids: Sequence[str], firsts: dict[str, Path]) -> None:
    """Raise DataError if an image is in an earlier file, too. firsts: the file of each image."""
    for example_id in ids:
        if firsts.setdefault(example_id, file) != file:
            raise DataError(
                f"{file}: {example_id!r} is in {firsts[example_id]}, too, and would count twice: "
                "give files of different images"
            )


def _check_judge(verdicts: Path, past: PastRun, by: JudgedBy | None) -> None:
    if by is None:
        _log.warning(
            "%s: does not say what judged it, as an earlier version of blpo wrote it: the estimate "
            "holds only if that was the judge of %s, under its final prompt and reading",
            verdicts,
            past.path,
        )
        return
    judge = aligned_judge(load_run(past.path)[1])
    own = JudgedBy.of(
        past.labels, judge, past.result.judge_prompt_final, past.result.reading, past.config
    )
    if found := own.differences(by):
        raise DataError(
            f"{verdicts}: was not judged as {past.path} judges: {'; '.join(found)}. Judge the "
            f"images again: `blpo judge IMAGES --run {shlex.quote(str(past.path))} --out VERDICTS`"
        )


def _share(label: str, past: PastRun, others: Sequence[Verdict]) -> Prevalence:
    return prevalence(
        label,
        np.array([float(example.label == label) for example in past.examples]),
        _probabilities(past.final, label),
        [example.group for example in past.examples],
        _probabilities(others, label),
        naive=float(np.mean([verdict.label == label for verdict in others])),
    )


def _probabilities(verdicts: Sequence[Verdict], label: str) -> Values:
    """Of the label; certain where the judge gives no probabilities, 0 without a verdict."""
    return np.array(
        [
            float(v.label == label) if v.probabilities is None else v.probabilities[label]
            for v in verdicts
        ]
    )


def _made(run: Path) -> str:
    return (
        f"make them with `blpo judge IMAGES --run {shlex.quote(str(run))} --out VERDICTS.parquet`"
    )


def _read_verdicts(
    path: Path, labels: Sequence[str], run: Path
) -> tuple[list[str], list[Verdict], JudgedBy | None]:
    try:
        with open_parquet(path) as file:
            missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
            remarks: dict[bytes, bytes] = file.schema_arrow.metadata or {}
            table: Any = None if missing else file.read(columns=list(_COLUMNS))
    except ARROW_ERRORS as error:
        told = f"cannot read the verdicts ({parquet_fault(error)})"
        if path.suffix.lower() != ".parquet":
            told = "no file of verdicts, which end in .parquet"
        raise DataError(f"{path}: {told}; {_made(run)}") from None
    if missing:
        raise DataError(
            f"{path}: holds no verdicts (it has no column `{missing[0]}`); {_made(run)}"
        )
    own = tuple(field.name for field in table.schema.field("probabilities").type)
    if own != tuple(labels):
        raise DataError(
            f"{path}: its labels are {', '.join(own)}, those of the run {', '.join(labels)}; "
            f"{_made(run)}"
        )
    columns = (table[name].to_pylist() for name in _COLUMNS)
    ids, verdicts, probabilities = columns
    judged = [Verdict(*row) for row in zip(verdicts, probabilities, strict=True)]
    return ids, judged, _parsed(path, remarks.get(JUDGED_BY_KEY.encode()))


def _parsed(path: Path, mark: bytes | None) -> JudgedBy | None:
    try:
        return None if mark is None else JudgedBy.model_validate_json(mark)
    except ValidationError:
        raise DataError(
            f"{path}: its remark on what judged it cannot be read; judge the images again"
        ) from None
