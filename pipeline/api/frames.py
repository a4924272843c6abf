"""Polars frames as what a judge is shown: images as paths or bytes, checked row by row."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, cast

from ...data.errors import DataError
from ...data.examples import Example, Item
from ...data.frames import pl
from ...data.image_files import read_image_file
from ...data.images import ImageBounds, ImageRef, check_image
from ...data.label_sets import unknown_label
from ...data.problems import Problems
from ...data.table.items import ItemOptions, iter_items
from ...data.tasks import Task, label_text

_FRAME = "frame"
_OF_A_ROW = re.compile("^( *)row 1: (image )?", re.MULTILINE)

Images = pl.DataFrame | Sequence[str | Path | bytes] | str | Path
"""Images with what belongs to them, or just images: a list, or the path of a folder.

A frame has the column `image` (path, encoded bytes, or struct{bytes, path} as in a dataset file);
`image_b`, too, for a pairwise task, and in place of both a column for each role where the task's
images have roles; `text` for a task that carries text; `label` and `group` where they are known;
`example_id`, which is the path or a hash otherwise.
"""


def as_frame(images: Images) -> pl.DataFrame:
    """A frame of images alone for a sequence of paths or encoded images."""
    if isinstance(images, pl.DataFrame):
        return images
    if isinstance(images, str | Path | bytes):
        raise DataError("images: one image, or a path of no folder: give a list, or call `one`")
    cells = [image if isinstance(image, bytes) else str(image) for image in images]
    kinds = {type(cell) for cell in cells}
    if len(kinds) > 1:
        raise DataError("images: paths and bytes in one list: give two lists")
    return pl.DataFrame({"image": cells})


def items(
    images: Images, task: Task, bounds: ImageBounds, image_root: Path | None = None
) -> list[Item]:
    """What a judge is shown, a row each, in order; of a folder as `blpo judge` takes it.

    image_root: what paths start from; the working directory, or the folder.

    Raises DataError that lists all that is wrong: a missing column, an image that cannot be read,
    no text, a repeated example_id.
    """
    if isinstance(images, str | Path) and Path(images).is_dir():
        options = ItemOptions(image_root=image_root)
        return list(chain.from_iterable(iter_items(Path(images), task, bounds, options=options)))
    return [
        Item(label=None if row["label"] is None else label_text(row["label"]), **shown)
        for row, shown in _shown(as_frame(images), task, bounds, (), image_root)
    ]


def one_item(
    row: Mapping[str, str | bytes], task: Task, bounds: ImageBounds, image_root: Path | None = None
) -> Item:
    """What a judge is shown of one row; problems are told as of an image, not as of a frame."""
    try:
        [item] = items(pl.DataFrame([row]), task, bounds, image_root)
    except DataError as error:
        raise DataError(_OF_A_ROW.sub(r"\1", str(error).removeprefix(f"{_FRAME}: "))) from None
    return item


def examples(
    frame: pl.DataFrame, task: Task, bounds: ImageBounds, image_root: Path | None = None
) -> list[Example]:
    """Labelled examples, a row each, in order.

    A row without `group` is a group of its own. Raises DataError as `items` does, and for labels
    that are missing or not the task's.
    """
    return [
        Example(
            label=label_text(row["label"]),
            group=str(row["group"] or shown["example_id"]),
            category=row["category"],
            split="test",
            score=row["score"],
            ratings=tuple(map(label_text, row["ratings"] or ())),
            score_sd=row["score_sd"],
            **shown,
        )
        for row, shown in _shown(frame, task, bounds, ("label",), image_root)
    ]


_KNOWN = ("example_id", "text", "label", "group", "category", "score", "ratings", "score_sd")


def _shown(
    frame: pl.DataFrame,
    task: Task,
    bounds: ImageBounds,
    needed: Sequence[str],
    image_root: Path | None,
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows with all columns of _KNOWN, and of each the fields that `Item` and `Example` share."""
    images = task.image_columns
    texts = ("text",) if task.carries_text else ()
    problems = Problems(_FRAME)
    _check_columns(problems, frame, (*images, *texts, *needed))
    rows = [
        dict.fromkeys(_KNOWN) | row
        for row in frame.select(c for c in frame.columns if c in {*_KNOWN, *images}).to_dicts()
    ]
    shown: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        where = f"row {number}"
        _check_values(problems, where, row, (*texts, *needed), task)
        cells = [_image(problems, where, row[name], name, image_root or Path()) for name in images]
        image, *further = [ImageRef(cell, bounds) for cell in cells]
        shown.append(
            {
                "example_id": row["example_id"] or _default_id(row, images, cells),
                "image": image,
                "text": row["text"] if task.carries_text else None,
                "further_images": tuple(further),
            }
        )
    _check_ids(problems, shown)
    problems.raise_if_any()
    return zip(rows, shown, strict=True)


def _check_columns(problems: Problems, frame: pl.DataFrame, needed: Sequence[str]) -> None:
    for name in needed:
        if name not in frame.columns:
            given = ", ".join(frame.columns) or "no columns"
            problems.add(f"column `{name}`", f"is missing: rename one of the frame's ({given})")
    if not len(frame):
        problems.add("frame", "has no rows")
    problems.raise_if_any()


def _check_values(
    problems: Problems, where: str, row: Mapping[str, Any], needed: Sequence[str], task: Task
) -> None:
    for name in needed:
        if row[name] is None or not str(row[name]).strip():
            problems.add(where, f"has no {name}: fill it in or drop the row")
    label = row["label"]
    if label is not None and "label" in needed and label_text(label) not in task.labels:
        problems.add(where, unknown_label(label, task))


def _image(problems: Problems, where: str, cell: object, name: str, root: Path) -> bytes:
    try:
        data = _image_bytes(cell, name, root)
        check_image(data, name)
    except DataError as error:
        problems.add(where, str(error))
        return b""
    return data


def _image_bytes(cell: object, name: str, root: Path) -> bytes:
    if isinstance(cell, dict):
        embedded = cast("dict[str, Any]", cell)
        cell = embedded.get("bytes") or embedded.get("path")
    if isinstance(cell, bytes):
        return cell
    if not isinstance(cell, str) or not cell.strip():
        raise DataError(f"has no {name}: fill it in or drop the row")
    return read_image_file(root / cell.strip(), name)


def _default_id(row: Mapping[str, Any], images: Sequence[str], cells: Sequence[bytes]) -> str:
    """The paths of the images, or their hashes; with that of the text, where there is one."""
    names = [
        row[name] if isinstance(row[name], str) else hashlib.sha256(cell).hexdigest()[:16]
        for name, cell in zip(images, cells, strict=True)
    ]
    text = row["text"]
    suffix = "" if text is None else f"#{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return "|".join(names) + suffix


def _check_ids(problems: Problems, shown: Sequence[Mapping[str, Any]]) -> None:
    counts = Counter(fields["example_id"] for fields in shown)
    for example_id, count in counts.items():
        if count > 1:
            problems.add(
                f"example {example_id!r}",
                f"stands in {count} rows: drop all but one, or give a column `example_id`",
            )
