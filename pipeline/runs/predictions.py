"""predictions.parquet: what the figures on the test split are computed from, and again by `verify`.

A row per test example: example_id, group, human_label, and the verdicts under p_0 (`initial_`) and
under the final prompt (`final_`); where the noise floor was asked for, those of the second time
(`again_`). Where a reading was asked for, these are as they are read; beside them stand those by
the likeliest label (`initial_raw_`, `final_raw_`), and in train_predictions.parquet the verdicts
that the readings were fitted to. Verdicts on pairs come with what each order was answered.
"""

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...data.arrow import ARROW_ERRORS, open_parquet, pa, pq
from ...data.errors import DataError
from ...data.examples import Example
from ...models.roles.judge import Verdict
from ...models.roles.pair_judge import PairVerdict
from ..result import RawVerdicts, RunRecord
from .verdict_columns import verdict_columns, verdict_fields

AGAIN = "start the run again, it asks no model and writes its files anew"

_EXAMPLE_COLUMNS = {"example_id": "example_id", "group": "group", "human_label": "label"}
_ORDER_FIELDS = {"in_order": pa.string(), "turned": pa.string(), "num_orders": pa.int64()}


@dataclass(frozen=True, slots=True)
class PastExample:
    """An example of the test split, without its image."""

    example_id: str
    group: str
    label: str


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
    return _bytes(record.dataset.test, record.task.labels, drawn)


def train_predictions_bytes(record: RunRecord) -> bytes | None:
    """The file of the verdicts that readings were fitted to; None where none was asked for."""
    found = record.raw_on_train
    if found is None:
        return None
    drawn = {"initial_": found.initial, "final_": found.final}
    return _bytes(record.dataset.train, record.task.labels, drawn)


def _bytes(
    examples: Sequence[Example], labels: Sequence[str], drawn: Mapping[str, Sequence[Verdict]]
) -> bytes:
    fields = [pa.field(name, pa.string()) for name in _EXAMPLE_COLUMNS]
    columns = [pa.array([getattr(e, name) for e in examples]) for name in _EXAMPLE_COLUMNS.values()]
    for prefix, verdicts in drawn.items():
        fields += [*verdict_fields(labels, prefix), *_order_fields(verdicts, prefix)]
        columns += [*verdict_columns(verdicts, labels, prefix), *_order_columns(verdicts)]
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
        raise DataError(f"{path}: cannot read the predictions ({error}); {AGAIN}") from None
    _refuse_missing(path, table, ["group", *_EXAMPLE_COLUMNS, *_columns_of("initial_", "final_")])
    rows = zip(*(table[name].to_pylist() for name in _EXAMPLE_COLUMNS), strict=True)
    labels = tuple(field.name for field in table.schema.field("final_probabilities").type)
    _refuse_unknown(path, table, labels)
    return Predictions(
        labels=labels,
        examples=tuple(PastExample(*row) for row in rows),
        initial=tuple(_verdicts(table, "initial_")),
        final=tuple(_verdicts(table, "final_")),
        again=tuple(_verdicts(table, "again_")) if "again_verdict" in table.schema.names else None,
        has_orders="final_num_orders" in table.schema.names,
        raw=_raw(table),
    )


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
    if f"{prefix}num_orders" not in table.schema.names:
        return [Verdict(*row) for row in zip(*columns, strict=True)]
    columns += [table[f"{prefix}{name}"].to_pylist() for name in _ORDER_FIELDS]
    return [PairVerdict(*row) for row in zip(*columns, strict=True)]
