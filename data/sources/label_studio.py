"""Label Studio's JSON export: a task with the answers of its annotators.

A row per annotation: `id` and the fields of `data`, the annotator, and a column for each question
under the name that it has in the labelling interface.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from ..left_out import LeftOut

_VALUE_KEYS = {
    "choices": "choices",
    "rating": "rating",
    "number": "number",
    "textarea": "text",
    "taxonomy": "taxonomy",
    "pairwise": "selected",
}
"""The key of a result's value, by the result's type."""
_DEFAULT_NAMES = {"choices": "choice"}
"""The question of a result that does not name it, where the type is not the name."""


def is_label_studio(task: Mapping[str, Any]) -> bool:
    """Whether an object is a task of the export; older ones say `completions`."""
    return isinstance(task.get("data"), dict) and isinstance(_annotations(task), list)


def label_studio_rows(
    task: Mapping[str, Any], where: str, left_out: LeftOut
) -> list[dict[str, Any]]:
    """The rows of a task; annotations that are cancelled or empty are left out and counted."""
    data = {"id": task["id"]} if "id" in task else {}
    data |= cast("dict[str, Any]", task["data"])
    rows: list[dict[str, Any]] = []
    for annotation in cast("list[dict[str, Any]]", _annotations(task)):
        answers = _answers(annotation.get("result") or [], where, left_out)
        if annotation.get("was_cancelled"):
            left_out.skip("cancelled annotation", where)
        elif not answers:
            left_out.skip("annotation without an answer", where)
        else:
            rows.append(data | {"annotator": _annotator(annotation)} | answers)
    if not _annotations(task):
        left_out.skip("task without an annotation", where)
    return rows


def _annotations(task: Mapping[str, Any]) -> object:
    return task.get("annotations", task.get("completions"))


def _answers(results: Sequence[Mapping[str, Any]], where: str, left_out: LeftOut) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for result in results:
        kind = str(result.get("type", ""))
        if kind not in _VALUE_KEYS:
            left_out.skip(f"answer of type {kind!r}, which is about no whole image", where)
            continue
        values: dict[str, Any] = result.get("value") or {}
        name = str(result.get("from_name") or _DEFAULT_NAMES.get(kind, kind))
        answers[name] = joined(values.get(_VALUE_KEYS[kind]))
    return answers


def _annotator(annotation: Mapping[str, Any]) -> str:
    by = annotation.get("completed_by", annotation.get("created_username", ""))
    if isinstance(by, dict):
        user = cast("dict[str, Any]", by)
        by = user.get("email") or user.get("id")
    return "" if by is None else str(by)


def joined(value: object) -> object:
    """The choices of one annotator as one cell: the only one, or all of them in a text."""
    if not isinstance(value, list | tuple):
        return value
    parts = [joined(part) for part in cast("Sequence[object]", value)]
    return parts[0] if len(parts) == 1 else ", ".join(map(str, parts))
