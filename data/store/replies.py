"""Rows of the reply store: everything that shaped a reply beside what came back."""

from datetime import datetime
from typing import Any

import msgspec

from ..arrow import pa


class StoredReply(msgspec.Struct, frozen=True, gc=False):
    """What comes back from the store for a key; SCHEMA tells what the fields mean."""

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


class ReplyRow(StoredReply, frozen=True, kw_only=True):
    """A reply with everything that shaped it: a row of the store."""

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


def _field(name: str, kind: Any, *, nullable: bool = False) -> Any:
    return pa.field(name, kind, nullable=nullable)


SCHEMA: Any = pa.schema(
    [
        _field("key", pa.string()),
        _field("run_id", pa.string()),
        _field("role", pa.string()),
        _field("prompt", pa.string()),
        _field("example_text", pa.string(), nullable=True),
        _field("image_digest", pa.string(), nullable=True),
        _field("min_pixels", pa.int64(), nullable=True),
        _field("max_pixels", pa.int64(), nullable=True),
        _field("labels", pa.list_(pa.string())),
        _field("engine", pa.string()),
        _field("engine_version", pa.string()),
        _field("model", pa.string()),
        _field("revision", pa.string()),
        _field("layout", pa.string()),
        _field("settings", pa.string()),
        _field("max_tokens", pa.int64()),
        _field("temperature", pa.float64()),
        _field("sample_index", pa.int64()),
        _field("text", pa.string()),
        _field("label_logprobs", pa.list_(pa.float64()), nullable=True),
        _field("label_mass", pa.float64(), nullable=True),
        _field("finish_reason", pa.string()),
        _field("error", pa.string(), nullable=True),
        _field("prompt_tokens", pa.int64()),
        _field("completion_tokens", pa.int64()),
        _field("cached_tokens", pa.int64()),
        _field("time", pa.timestamp("us", tz="UTC")),
        _field("locator", pa.binary(36)),
    ]
)
"""Columns of every part, in all three collections.

key              64 hex digits, sha256 of everything that shapes the reply
run_id           the run that asked
role             judge, verbalizer or optimizer
prompt           the rendered prompt, and the start of the reply that was given with it
example_text     the example's own text; null without one
image_digest     sha256 of image bytes and pixel bounds, one per image; null without an image
min_pixels, max_pixels   the bounds; null without an image
labels           the labels whose log-probabilities were asked for; empty for generated text
engine, engine_version, model, revision, layout, settings   what answered, and how it was set
max_tokens, temperature, sample_index   the sampling
text             the reply
label_logprobs   natural log-probabilities, aligned with labels; null where there are none
label_mass       sum of the labels' probabilities; null where there are none
finish_reason    stop, length, label or error
error            why the request failed; null when it did not
prompt_tokens, completion_tokens, cached_tokens   counts
time             when the reply came, UTC, microseconds
locator          how the text is found, and checked, without reading the others (see `locators`)
"""
