"""`blpo estimate`: the share of each label among images that a run's judge has judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...data.arrow import ARROW_ERRORS, open_parquet
from ...data.errors import DataError
from ...models.roles.judge import Verdict
from ..metrics.intervals import Values
from ..metrics.prevalence import Prevalence, prevalence
from ..runs.finished_run import PastRun, read_past_run

_COLUMNS = ("example_id", "verdict", "probabilities")


@dataclass(frozen=True, slots=True)
class Estimate:
    """shares: by label, in declared order. num_images: that were judged and are counted.
    num_labelled: of the run's test split. num_left_out: that are of that split, too."""

    shares: Sequence[Prevalence]
    num_images: int
    num_labelled: int
    num_left_out: int


def estimate(verdicts: Path, run: Path) -> Estimate:
    """The labelled images are those of the run's test split, which no fit has seen.

    Raises DataError for a file that is no output of `blpo judge` for the labels of the run.
    """
    past = read_past_run(run)
    ids, judged = _read_verdicts(verdicts, past.labels)
    labelled = {example.example_id for example in past.examples}
    others = [v for example_id, v in zip(ids, judged, strict=True) if example_id not in labelled]
    if not others:
        raise DataError(f"{verdicts}: has no image that is not in the test split of {run}")
    shares = [_share(label, past, others) for label in past.labels]
    return Estimate(shares, len(others), len(past.examples), len(judged) - len(others))


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


def _read_verdicts(path: Path, labels: Sequence[str]) -> tuple[list[str], list[Verdict]]:
    try:
        with open_parquet(path) as file:
            missing = [name for name in _COLUMNS if name not in file.schema_arrow.names]
            table: Any = None if missing else file.read(columns=list(_COLUMNS))
    except ARROW_ERRORS as error:
        raise DataError(f"{path}: cannot read the verdicts ({error})") from None
    if missing:
        raise DataError(
            f"{path}: has no column `{missing[0]}`; give a file that `blpo judge` wrote"
        )
    own = tuple(field.name for field in table.schema.field("probabilities").type)
    if own != tuple(labels):
        raise DataError(
            f"{path}: its labels are {', '.join(own)}, those of the run {', '.join(labels)}; judge "
            "the images with --run"
        )
    columns = (table[name].to_pylist() for name in _COLUMNS)
    ids, verdicts, probabilities = columns
    return ids, [Verdict(*row) for row in zip(verdicts, probabilities, strict=True)]
