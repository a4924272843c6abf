"""COCO files used for classification: images, categories, and the category of each image."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, cast

from ..errors import DataError
from ..left_out import LeftOut


def is_coco(value: Mapping[str, Any]) -> bool:
    return all(isinstance(value.get(key), list) for key in ("images", "annotations", "categories"))


def coco_rows(
    value: Mapping[str, Any], source: str, left_out: LeftOut
) -> list[tuple[str, dict[str, Any]]]:
    """A row per image, with the name of its category as `label`.

    Images without an annotation are left out and counted. Raises DataError for an image of several
    categories, as files of objects with boxes have them.
    """
    names = {category["id"]: str(category["name"]) for category in _objects(value, "categories")}
    found: defaultdict[Any, set[str]] = defaultdict(set)
    for annotation in _objects(value, "annotations"):
        category = annotation.get("category_id")
        found[annotation.get("image_id")].add(names.get(category, str(category)))
    rows: list[tuple[str, dict[str, Any]]] = []
    for image in _objects(value, "images"):
        labels, where = sorted(found[image.get("id")]), f"image {image.get('id')}"
        if not labels:
            left_out.skip("image without an annotation", where)
            continue
        if len(labels) > 1:
            raise DataError(
                f"{source}: {where}: has the categories {', '.join(labels)}: boxes and masks name "
                "objects, a dataset needs one category per image; export image classification"
            )
        rows.append((where, image | {"label": labels[0]}))
    return rows


def _objects(value: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    return [entry for entry in cast("list[Any]", value[key]) if isinstance(entry, dict)]
