"""Cells that hold the ratings of several annotators."""

import ast
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from ..sources.label_studio import joined

_COUNTED_STATUS = ("submitted", "completed", "")
"""Of a rating; drafts and discarded ones do not count."""

_MOST_VOTES = 10_000
"""On one image; a mapping with larger numbers holds something else."""


@dataclass(frozen=True, slots=True)
class Rating:
    """What one annotator said. rater: who, None where nothing tells."""

    cell: object
    rater: str | None = None


def ratings_in(cell: object, raters: object = None, statuses: object = None) -> list[Rating] | None:
    """The ratings in a cell, in its order; None for a cell of one label.

    A cell of several is a list, of labels or of objects with `value` (Argilla), such a list as
    text, or how often each label was given ({"yes": 2, "no": 1}). raters, statuses: lists beside
    it, as Argilla has them. What was not submitted is no rating. A list of one is its element.
    """
    found = _list_of(_unwrapped(cell))
    if found is None:
        return None
    names, states = _padded(raters, len(found)), _padded(statuses, len(found))
    ratings = [_rating(*parts) for parts in zip(found, names, states, strict=True)]
    return [rating for rating in ratings if rating is not None]


def _rating(value: object, rater: object, status: object) -> Rating | None:
    if isinstance(value, dict):
        response = cast("dict[str, object]", value)
        rater, status = response.get("user_id", rater), response.get("status", status)
        value = response.get("value")
    if value is None or str(status or "").lower() not in _COUNTED_STATUS:
        return None
    return Rating(joined(value), None if rater is None else str(rater))


def single(cell: object) -> object:
    """The only element of a list, the choice of Label Studio's {"choices": [...]}, or the cell."""
    cell = _unwrapped(cell)
    found = _list_of(cell)
    return cell if found is None else joined(found)


def _unwrapped(cell: object) -> object:
    if not isinstance(cell, dict):
        return cell
    values = cast("dict[str, object]", cell)
    return [values["choices"]] if values.keys() == {"choices"} else values


def _list_of(cell: object) -> list[Any] | None:
    if isinstance(cell, str) and cell.lstrip().startswith("["):
        cell = _parsed(cell)
    if isinstance(cell, dict):
        votes = cast("dict[object, Any]", cell)
        if votes and _are_votes(list(votes.values())):
            return [label for label, count in votes.items() for _ in range(count)]
    return list(cast("Sequence[Any]", cell)) if isinstance(cell, list | tuple) else None


def _are_votes(counts: Sequence[Any]) -> bool:
    return all(type(n) is int and n >= 0 for n in counts) and sum(counts) <= _MOST_VOTES


def _parsed(text: str) -> object:
    """The list that a text holds, as JSON or as Python writes it; the text if it holds none."""
    for parse in (json.loads, ast.literal_eval):
        try:
            return parse(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return text


def _padded(cells: object, length: int) -> list[Any]:
    found = list(cast("Sequence[Any]", cells)) if isinstance(cells, list | tuple) else []
    return [*found[:length], *[None] * (length - len(found))]
