"""What images that are there already say of a task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ...data.errors import DataError
from ...data.label_sets import spelling
from ...data.sources.base import IMAGE_SUFFIXES
from ...data.sources.opening import open_source
from ...data.table.columns import column_of
from ...data.tasks import label_text

_MOST_LABELS = 20
"""A column with more values is no label."""


@dataclass(frozen=True, slots=True)
class Found:
    """labels: sorted, numbers by value; empty where there are none. has_text, is_pairs: whether
    the table has columns for texts and second images."""

    labels: tuple[str, ...] = ()
    has_text: bool = False
    is_pairs: bool = False


def look_at(images: Path) -> Found:
    """Look at a folder of images, with a subfolder per label or none, or at a table.

    Raises DataError for a path that is neither.
    """
    if not images.is_dir():
        return _table(images)
    folders = [folder for folder in images.iterdir() if folder.is_dir()]
    labels = {folder.name for folder in folders if any(map(_is_image, folder.iterdir()))}
    if not labels and not any(map(_is_image, images.iterdir())):
        raise DataError(f"{images}: has no images: name a folder of images, or a table of paths")
    return Found(_sorted(labels) if len(labels) > 1 else ())


def look_at_all(sources: Sequence[Path]) -> Found:
    """Look at several folders and tables, which are imported as one: labelled if all of them are.

    Raises DataError as `look_at` does.
    """
    found = [look_at(source) for source in sources]
    labels = {label for one in found for label in one.labels}
    return Found(
        _sorted(labels) if all(one.labels for one in found) else (),
        any(one.has_text for one in found),
        any(one.is_pairs for one in found),
    )


def as_labels(found: Found, sources: Sequence[Path], labels: Sequence[str]) -> Found:
    """What was found, without the names of subfolders where they are not the task's labels."""
    strangers = {*map(spelling, found.labels)} - {*map(spelling, labels)}
    has_folders = any(source.is_dir() for source in sources)
    return replace(found, labels=()) if has_folders and strangers else found


def _table(table: Path) -> Found:
    source = open_source(table)
    names = source.columns()
    is_pairs = column_of("image_b", names, is_pairwise=True) is not None
    label = column_of("label", names, is_pairwise=is_pairs)
    values: set[str] = set()
    for row in source.rows([label] if label else []):
        value = row.values.get(label) if label else None
        if value is not None and str(value).strip():
            values.add(label_text(value))
        if len(values) > _MOST_LABELS:
            break
    return Found(
        _sorted(values) if 1 < len(values) <= _MOST_LABELS else (),
        column_of("text", names) is not None,
        is_pairs,
    )


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES


def _sorted(labels: set[str]) -> tuple[str, ...]:
    if all(label.isdecimal() for label in labels):
        return tuple(sorted(labels, key=int))
    return tuple(sorted(labels))
