"""predictions.parquet: what the figures on the test split are computed from, and again by `verify`.

A row per test example: example_id, group, human_label, and the verdicts under p_0 (`initial_`) and
under the final prompt (`final_`); where the noise floor was asked for, those of the second time
(`again_`). Where a reading was asked for, these are as they are read; beside them stand those by
the likeliest label (`initial_raw_`, `final_raw_`), and in train_predictions.parquet the verdicts
that the readings were fitted to. Verdicts on pairs come with what each order was answered, those by
several criteria with the answer to each (`_criteria`), and with the annotators' (`criterion_`).
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...data.arrow import ARROW_ERRORS, open_parquet, pa, parquet_fault, pq
from ...data.errors import DataError
from ...data.examples import CRITERION, Example
from ...data.tasks import Task
from ...models.roles.criteria_judge import CriteriaVerdict
from ...models.roles.judge import Verdict
from ...models.roles.pair_judge import PairVerdict
from ..result import RawVerdicts, RunRecord
from .answer_columns import answer_columns, answer_fields, read_answers
from .verdict_columns import verdict_columns, verdict_fields

AGAIN = "start the run again, it asks no model and writes its files anew"

_EXAMPLE_COLUMNS = {"example_id": "example_id", "group": "group", "human_label": "label"}
_ORDER_FIELDS = {"in_order": pa.string(), "turned": pa.string(), "num_orders": pa.int64()}


@dataclass(frozen=True, slots=True)
class PastExample:
    """An example of a split, without its image. criteria: as of `Example`."""

    example_id: str
    group: str
    label: str
    criteria: Mapping[str, str] = field(default_factory=dict[str, str], compare=False)


@dataclass(frozen=True, slots=True)
class Predictions:
    """The verdicts of a finished run, one per example of a split.

    labels: the declared label set. again: of the second draw for the noise floor; None without.
    raw: by the likeliest label, where a reading was asked for.
    has_orders: whether verdicts on pairs come with what each order was answered.
    """

    labels: tuple[str, ...]
    examples: tuple[PastExample, ...]
    initial: tuple[Verdict, ...]
    final: tuple[Verdict, ...]
    again: tuple[Verdict, ...] | None
    has_orders: bool
    raw: RawVerdicts | None = None


def predictions_bytes(record: RunRecord) -> bytes:
    """The file of a run."""
    drawn: dict[str, Sequence[Verdict]] = {
        "initial_": record.initial_verdicts,
        "final_": record.final_verdicts,
    }
    if record.again_verdicts is not None:
        drawn["again_"] = record.again_verdicts
    if record.raw_on_test is not None:
        drawn["initial_raw_"] = record.raw_on_test.initial
        drawn["final_raw_"] = record.raw_on_test.final
    return _bytes(record.dataset.test, record.task, drawn)


def train_predictions_bytes(record: RunRecord) -> bytes | None:
    """The file of the verdicts that readings were fitted to; None where none was asked for."""
    found = record.raw_on_train
    if found is None:
        return None
    drawn = {"initial_": found.initial, "final_": found.final}
    return _bytes(record.dataset.train, record.task, drawn)


def _bytes(
    examples: Sequence[Example], task: Task, drawn: Mapping[str, Sequence[Verdict]]
) -> bytes:
    labels, criteria = task.labels, task.criteria
    fields = [pa.field(name, pa.string()) for name in _EXAMPLE_COLUMNS]
    columns = [pa.array([getattr(e, name) for e in examples]) for name in _EXAMPLE_COLUMNS.values()]
    for name in (criterion.name for criterion in criteria):
        fields.append(pa.field(f"{CRITERION}{name}", pa.string()))
        columns.append(pa.array([e.criteria.get(name) for e in examples], pa.string()))
    for prefix, verdicts in drawn.items():
        fields += [*verdict_fields(labels, prefix), *_order_fields(verdicts, prefix)]
        columns += [*verdict_columns(verdicts, labels, prefix), *_order_columns(verdicts)]
        fields += answer_fields(criteria, prefix)
        columns += answer_columns(verdicts, criteria, prefix)
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, schema=pa.schema(fields)), buffer)
    return buffer.getvalue()


def read_predictions(path: Path) -> Predictions:
    """Raises DataError for a file that is missing, damaged or not of a run."""
    try:
        with open_parquet(path) as file:
            table = file.read()
        table.validate(full=True)
    except ARROW_ERRORS as error:
        raise DataError(
            f"{path}: cannot read the predictions ({parquet_fault(error)}); {AGAIN}"
        ) from None
    _refuse_missing(path, table, ["group", *_EXAMPLE_COLUMNS, *_columns_of("initial_", "final_")])
    rows = zip(*(table[name].to_pylist() for name in _EXAMPLE_COLUMNS), strict=True)
    answered = _criteria(table)
    labels = tuple(field.name for field in table.schema.field("final_probabilities").type)
    _refuse_unknown(path, table, labels)
    return Predictions(
        labels=labels,
        examples=tuple(
            PastExample(*row, criteria=own) for row, own in zip(rows, answered, strict=True)
        ),
        initial=tuple(_verdicts(table, "initial_")),
        final=tuple(_verdicts(table, "final_")),
        again=tuple(_verdicts(table, "again_")) if "again_verdict" in table.schema.names else None,
        has_orders="final_num_orders" in table.schema.names,
        raw=_raw(table),
    )


def _criteria(table: Any) -> list[dict[str, str]]:
    """Annotators' answers of each row."""
    names = [name for name in table.schema.names if name.startswith(CRITERION)]
    return [
        {name.removeprefix(CRITERION): cell for name, cell in row.items() if cell is not None}
        for row in table.select(names).to_pylist()
    ] or [{} for _ in range(table.num_rows)]


def _raw(table: Any) -> RawVerdicts | None:
    if "final_raw_verdict" not in table.schema.names:
        return None
    return RawVerdicts(_verdicts(table, "initial_raw_"), _verdicts(table, "final_raw_"))


def _columns_of(*prefixes: str) -> list[str]:
    return [field.name for prefix in prefixes for field in verdict_fields((), prefix)]


def _refuse_missing(path: Path, table: Any, names: Iterable[str]) -> None:
    missing = [name for name in names if name not in table.schema.names]
    if missing:
        raise DataError(f"{path}: has no column `{missing[0]}`; {AGAIN}")


def _refuse_unknown(path: Path, table: Any, labels: Sequence[str]) -> None:
    """Raise DataError for a file without rows, and for a value that is no label and no id."""
    if not table.num_rows:
        raise DataError(f"{path}: has no rows; {AGAIN}")
    own = {"example_id": None, "group": None, "human_label": labels}
    verdicts = {name: (*labels, None) for name in table.schema.names if name.endswith("_verdict")}
    for name, allowed in (own | verdicts).items():
        for row, value in enumerate(table[name].to_pylist(), 1):
            if value not in allowed if allowed else value is None:
                raise DataError(
                    f"{path}: row {row}: `{name}` is {value!r}, which no run has; {AGAIN}"
                )


def _order_fields(verdicts: Sequence[Verdict], prefix: str) -> list[Any]:
    if not _are_of_pairs(verdicts):
        return []
    return [pa.field(f"{prefix}{name}", kind) for name, kind in _ORDER_FIELDS.items()]


def _order_columns(verdicts: Sequence[Verdict]) -> list[Any]:
    if not _are_of_pairs(verdicts):
        return []
    return [
        pa.array([getattr(verdict, name) for verdict in verdicts], kind)
        for name, kind in _ORDER_FIELDS.items()
    ]


def _are_of_pairs(verdicts: Sequence[Verdict]) -> bool:
    return all(isinstance(verdict, PairVerdict) for verdict in verdicts)


def _verdicts(table: Any, prefix: str) -> list[Verdict]:
    columns = [table[name].to_pylist() for name in _columns_of(prefix)]
    rows = list(zip(*columns, strict=True))
    if f"{prefix}num_orders" in table.schema.names:
        orders = table.select([f"{prefix}{name}" for name in _ORDER_FIELDS])
        own = orders.rename_columns(list(_ORDER_FIELDS)).to_pylist()
        return [PairVerdict(*row, **of_row) for row, of_row in zip(rows, own, strict=True)]
    if f"{prefix}criteria" in table.schema.names:
        cells = table[f"{prefix}criteria"].to_pylist()
        return [
            CriteriaVerdict(*row, answers=read_answers(cell))
            for row, cell in zip(rows, cells, strict=True)
        ]
    return [Verdict(*row) for row in rows]
