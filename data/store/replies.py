"""Rows of the reply store: everything that shaped a reply beside what came back."""

from collections.abc import Sequence
from datetime import datetime
from types import NoneType
from typing import Any, Literal, get_args

import msgspec
from msgspec.structs import astuple, fields

from ..arrow import pa

Collection = Literal["verbalizations", "verdicts", "proposals"]


class StoredReply(msgspec.Struct, frozen=True, gc=False):
    """What comes back from the store for a key; ReplyRow says what the fields mean."""

    key: str
    run_id: str
    labels: tuple[str, ...]
    text: str
    label_logprobs: list[float] | None
    finish_reason: str
    error: str | None
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int
    error_kind: str | None = None


class ReplyRow(StoredReply, frozen=True, kw_only=True):
    """A reply with everything that shaped it: a row of the store. Each field is a column.

    A new field is one line, like `error_kind: str | None = None`: here, or above if it is to come
    back with the reply. It has to be optional: rows that were stored without it have None there.

    key              64 hex digits, sha256 of everything that shapes the reply
    run_id           the run that asked
    role             judge, verbalizer or optimizer
    prompt           the rendered prompt, and the start of the reply that was given with it
    example_text     the example's own text; None without one
    image_digest     sha256 of image bytes and pixel bounds, one per image; None without an image
    min_pixels, max_pixels   the bounds; None without an image
    labels           the labels whose log-probabilities were asked for; empty for generated text
    engine, engine_version, model, revision, layout, settings   what answered, and how it was set
    max_tokens, temperature, sample_index   the sampling
    text             the reply
    label_logprobs   natural log-probabilities, aligned with labels; None where there are none
    label_mass       sum of the labels' probabilities; None where there are none
    finish_reason    stop, length, label or error
    error            why the request failed; None when it did not
    error_kind       what that lies in (`outcomes.OUTCOMES`); None when it did not fail
    prompt_tokens, completion_tokens, cached_tokens   counts
    time             when the reply came, UTC, microseconds
    """

    role: str
    prompt: str
    example_text: str | None
    image_digest: str | None
    min_pixels: int | None
    max_pixels: int | None
    engine: str
    engine_version: str
    model: str
    revision: str
    layout: str
    settings: str
    max_tokens: int
    temperature: float
    sample_index: int
    label_mass: float | None
    time: datetime


_ARROW_TYPES: dict[Any, Any] = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    datetime: pa.timestamp("us", tz="UTC"),
    list[float]: pa.list_(pa.float64()),
    tuple[str, ...]: pa.list_(pa.string()),
}


def _column(name: str, kind: Any) -> Any:
    is_optional = NoneType in get_args(kind)
    if is_optional:
        (kind,) = (option for option in get_args(kind) if option is not NoneType)
    return pa.field(name, _ARROW_TYPES[kind], nullable=is_optional)


def _schema_of(row: type[StoredReply]) -> Any:
    return pa.schema([_column(field.name, field.type) for field in fields(row)])


SCHEMA = _schema_of(ReplyRow)
"""Columns of every part, in all three collections."""

STORED_SCHEMA = _schema_of(StoredReply)
"""Those of them that a look-up reads."""


def table_of_rows(rows: Sequence[ReplyRow]) -> Any:
    """An Arrow table with SCHEMA; floats come back bit for bit."""
    columns = zip(*map(astuple, rows), strict=True)
    types: list[Any] = SCHEMA.types
    arrays = [pa.array(values, kind) for values, kind in zip(columns, types, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def replies_of_table(table: Any) -> list[StoredReply]:
    """The rows of a table with STORED_SCHEMA."""
    return list(map(StoredReply, *_columns_of(table, STORED_SCHEMA.names)))


def rows_of_table(table: Any) -> list[ReplyRow]:
    """The rows of a table with SCHEMA."""
    names: list[str] = SCHEMA.names
    values = zip(*_columns_of(table, names), strict=True)
    return [ReplyRow(**dict(zip(names, row, strict=True))) for row in values]


def _columns_of(table: Any, names: Sequence[str]) -> list[list[Any]]:
    columns: dict[str, list[Any]] = {name: table.column(name).to_pylist() for name in names}
    columns["labels"] = [tuple(labels) for labels in columns["labels"]]
    return list(columns.values())
