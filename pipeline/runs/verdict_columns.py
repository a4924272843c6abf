"""Verdicts as Parquet columns: the label, a probability per label, the label mass, the reason, and
what the model wrote first."""

from collections.abc import Sequence
from typing import Any

from ...data.arrow import pa
from ...models.roles.judge import Verdict


def verdict_fields(labels: Sequence[str], prefix: str = "") -> list[Any]:
    """Fields of `verdict_columns`; every name starts with `prefix`.

    verdict: null where the reply holds no label, and reason says why.
    probabilities: struct with one float64 per declared label; null without log-probabilities.
    reasoning: null for direct verdicts.
    """
    probabilities = pa.struct([(label, pa.float64()) for label in labels])
    return [
        pa.field(f"{prefix}verdict", pa.string()),
        pa.field(f"{prefix}probabilities", probabilities),
        pa.field(f"{prefix}label_mass", pa.float64()),
        pa.field(f"{prefix}reason", pa.string()),
        pa.field(f"{prefix}reasoning", pa.string()),
    ]


def verdict_columns(
    verdicts: Sequence[Verdict], labels: Sequence[str], prefix: str = ""
) -> list[Any]:
    """Arrays for the fields of `verdict_fields`, a value per verdict."""
    values: list[list[Any]] = [
        [verdict.label for verdict in verdicts],
        [verdict.probabilities and dict(verdict.probabilities) for verdict in verdicts],
        [verdict.label_mass for verdict in verdicts],
        [verdict.reason for verdict in verdicts],
        [verdict.reasoning for verdict in verdicts],
    ]
    fields = verdict_fields(labels, prefix)
    return [pa.array(column, field.type) for column, field in zip(values, fields, strict=True)]
