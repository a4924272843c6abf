"""Datumaro files, which CVAT exports: items whose labels are numbers of a list of names."""

from collections.abc import Mapping
from typing import Any, cast

from ..left_out import LeftOut


def is_datumaro(value: Mapping[str, Any]) -> bool:
    return isinstance(value.get("items"), list) and isinstance(value.get("categories"), dict)


def datumaro_rows(value: Mapping[str, Any], left_out: LeftOut) -> list[tuple[str, dict[str, Any]]]:
    """A row per label of an image; items without one are left out and counted."""
    categories: dict[str, Any] = cast("dict[str, Any]", value["categories"]).get("label", {})
    names = [label["name"] for label in categories.get("labels", [])]
    rows: list[tuple[str, dict[str, Any]]] = []
    for item in cast("list[dict[str, Any]]", value["items"]):
        where = f"item {item.get('id')}"
        media: dict[str, Any] = item.get("image") or item.get("media") or {}
        image = media.get("path") or item.get("id")
        labels = [a["label_id"] for a in item.get("annotations", []) if a.get("type") == "label"]
        for number in labels:
            name = names[number] if 0 <= number < len(names) else number
            rows.append((where, {"image": image, "id": item.get("id"), "label": name}))
        if not labels:
            left_out.skip("item without a label", where)
    return rows
