"""COCO files used for classification: images, categories, and the category of each image."""

from collections.abc import Iterable, Mapping
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
    have them, for a category id of two names, where no image has an annotation, and what an entry
    that is no object makes Python raise.
    """
    images = cast("list[dict[str, Any]]", value["images"])
    found: dict[Any, set[str]] = {image.get("id"): set() for image in images}
    names = _categories(value["categories"], source)
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
    if images and not rows:
        raise DataError(
            f"{source}: none of its {len(images):,} images has an annotation, of which there are "
            f"{len(value['annotations']):,}: the image_id of an annotation has to be the id of an "
            "image, a number or a text in both"
        )
    return rows


def _categories(categories: Iterable[Mapping[str, Any]], source: str) -> dict[Any, str]:
    names: dict[Any, str] = {}
    for category in categories:
        name = str(category["name"])
        if names.setdefault(category["id"], name) != name:
            raise DataError(
                f"{source}: category {category['id']} is {names[category['id']]} and {name}: give "
                "each its own id"
            )
    return names
