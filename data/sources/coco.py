"""COCO files used for classification: images, categories, and the category of each image."""

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

    Images without an annotation, and annotations of images that are not listed, are left out and
    counted. Raises DataError for an image of several categories, as files of objects with boxes
    have them, and what an entry that is no object makes Python raise.
    """
    images = cast("list[dict[str, Any]]", value["images"])
    found: dict[Any, set[str]] = {image.get("id"): set() for image in images}
    names = {category["id"]: str(category["name"]) for category in value["categories"]}
    for annotation in cast("list[dict[str, Any]]", value["annotations"]):
        image_id, category = annotation.get("image_id"), annotation.get("category_id")
        if image_id in found:
            found[image_id].add(names.get(category, str(category)))
        else:
            left_out.skip("annotation of an image that is not listed", f"image {image_id}")
    rows: list[tuple[str, dict[str, Any]]] = []
    for image in images:
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
