"""What each criterion was answered, as one Parquet column beside those of a verdict."""

from collections.abc import Mapping, Sequence
from typing import Any

from ...data.arrow import pa
from ...data.tasks import Criterion
from ...models.cost import Cost
from ...models.roles.criteria_judge import CriteriaVerdict
from ...models.roles.judge import Verdict

_COSTS = ("calls", "prompt_tokens", "cached_tokens", "completion_tokens")


def answer_fields(criteria: Sequence[Criterion], prefix: str = "") -> list[Any]:
    """`criteria`: a struct by criterion of answer, probabilities (a struct with a float64 per
    label, null without log-probabilities) and what it cost. No field without criteria."""
    if not criteria:
        return []
    own = [pa.field(criterion.name, _answer_type(criterion.labels)) for criterion in criteria]
    return [pa.field(f"{prefix}criteria", pa.struct(own))]


def answer_columns(
    verdicts: Sequence[Verdict], criteria: Sequence[Criterion], prefix: str = ""
) -> list[Any]:
    """Arrays for the fields of `answer_fields`, a value per verdict."""
    fields = answer_fields(criteria, prefix)
    cells = [_cell(verdict, criteria) for verdict in verdicts]
    return [pa.array(cells, field.type) for field in fields]


def read_answers(cell: Mapping[str, Any] | None) -> tuple[Verdict, ...]:
    """The answers in a cell of the column, in the order of the criteria."""
    return tuple(
        Verdict(
            own["answer"],
            own["probabilities"],
            cost=Cost(**{name: own[name] for name in _COSTS}),
        )
        for own in (cell or {}).values()
    )


def _answer_type(labels: Sequence[str]) -> Any:
    probabilities = pa.struct([(label, pa.float64()) for label in labels])
    costs = [(name, pa.int64()) for name in _COSTS]
    return pa.struct([("answer", pa.string()), ("probabilities", probabilities), *costs])


def _cell(verdict: Verdict, criteria: Sequence[Criterion]) -> dict[str, Any] | None:
    if not isinstance(verdict, CriteriaVerdict):
        return None
    return {
        criterion.name: {
            "answer": answer.label,
            "probabilities": answer.probabilities and dict(answer.probabilities),
            **{name: getattr(answer.cost, name) for name in _COSTS},
        }
        for criterion, answer in zip(criteria, verdict.answers, strict=True)
    }
