"""What is labelled: the images of a folder, or of a table with paths, each fit for a browser."""

import base64
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from ...data.errors import DataError
from ...data.image_files import image_path, read_image_file
from ...data.images import ImageBounds, ImageRef, check_image, decode_image
from ...data.problems import Problems
from ...data.sources.base import TableRow
from ...data.sources.listing import list_folder
from ...data.sources.opening import open_source
from ...data.sources.several import joint_name
from ...data.table.cells import distinct_names
from ...data.table.columns import cell_of, match_columns, roles_of
from ...data.tasks import Task

_SHOWN_AS_THEY_ARE = {"JPEG": "jpeg", "PNG": "png", "WEBP": "webp"}
_JPEG_QUALITY = 95
_OUTSIDE = "copy the images into one folder with the table"


@dataclass(frozen=True, slots=True)
class Shown:
    """One thing to label. cells: its columns in the csv. sources: its images as data: addresses."""

    cells: dict[str, str]
    sources: tuple[str, ...]

    @property
    def key(self) -> str:
        """Tells it from all others."""
        return "|".join(self.cells.values())


def shown_images(
    source: Path,
    task: Task,
    max_pixels: int,
    image_root: Path | None = None,
    columns: Mapping[str, str] | None = None,
    more: Sequence[Path] = (),
) -> list[Shown]:
    """What annotators see, in the order of the source.

    source: a folder with images, searched to its last subfolder; or a table with the task's image
        columns, and text for a task that carries text.
    max_pixels: larger images are made smaller, as a judge sees them.
    image_root: what paths in a table start from; its folder if not given.
    columns: of a table by role; others are found under the names that `import table` knows.
    more: further sources, after the first. Of several folders paths begin with the folder's name.

    Raises DataError that lists all images that cannot be read.
    """
    sources = (source, *more)
    rows = [
        replace(row, folder=start)
        for one, start in zip(sources, path_starts(sources, image_root), strict=True)
        for row in _rows(one, start, task, columns or {})
    ]
    bounds = ImageBounds(min(ImageBounds().min_pixels, max_pixels), max_pixels)
    problems = Problems(joint_name(sources))
    shown: dict[str, Shown] = {}
    with ThreadPoolExecutor() as pool:
        found_of_rows = pool.map(partial(_shown, bounds), rows)
        for row, found in zip(rows, found_of_rows, strict=True):
            if isinstance(found, DataError):
                problems.add(row.where, found.fact, found.remedy)
            elif found.key in shown:
                problems.add(row.where, f"{found.key} stands in an earlier row too: drop one")
            else:
                shown[found.key] = found
    problems.raise_if_any()
    return list(shown.values())


def path_starts(sources: Sequence[Path], image_root: Path | None) -> list[Path]:
    """The folder that the paths of each source start from.

    Of several folders it is one above each, so that their paths begin with their names, as ids do
    where the folders are imported.
    """
    names = distinct_names([os.path.abspath(one) for one in sources if one.is_dir()])
    return [
        _above(one, len(names[os.path.abspath(one)].parts) if names else 0)
        if one.is_dir()
        else image_root or one.parent
        for one in sources
    ]


def _above(folder: Path, levels: int) -> Path:
    """The folder so many levels above, written from the working directory where it is below."""
    if not levels:
        return folder
    above = Path(os.path.abspath(folder)).parents[levels - 1]
    here = Path.cwd()
    return above.relative_to(here) if above.is_relative_to(here) else above


def _rows(source: Path, start: Path, task: Task, given: Mapping[str, str]) -> list[TableRow]:
    if source.is_dir():
        rows = list(_folder_rows(source, start, task, given))
    else:
        rows = list(_table_rows(source, task, given))
    if not rows:
        raise DataError(f"{source}: has no images: name a folder with images, or a table of paths")
    return rows


def _folder_rows(
    folder: Path, start: Path, task: Task, given: Mapping[str, str]
) -> Iterator[TableRow]:
    if given:
        raise DataError(f"{folder}: is a folder, and --column names columns of a table: drop it")
    if len(_columns(task)) > 1:
        num_images = len(task.image_columns)
        what = "an image and a text" if num_images == 1 else f"{num_images} images"
        raise DataError(
            f"{folder}: is a folder, and task {task.name} is about {what}: give a table (csv, "
            f"jsonl, Parquet) with the columns {', '.join(_columns(task))}"
        )
    name = Path(os.path.abspath(folder)).relative_to(os.path.abspath(start))
    for path in list_folder(folder).images:
        yield TableRow(str(path), {"image": (name / path).as_posix()}, start)


def _table_rows(table: Path, task: Task, given: Mapping[str, str]) -> Iterator[TableRow]:
    source = open_source(table)
    shown = _columns(task)
    found = match_columns(
        str(table),
        source.columns(),
        {role: "" for role in roles_of(task) if role not in shown} | dict(given),
        task,
        images=source.image_columns(),
        needs_labels=False,
    )
    for row in source.rows(list(found.names())):
        values = {role: cell_of(found.roles[role], row.values) for role in shown}
        yield TableRow(row.where, values, row.folder)


def _columns(task: Task) -> list[str]:
    return [*task.image_columns, *(["text"] if task.carries_text else [])]


def _shown(bounds: ImageBounds, row: TableRow) -> Shown | DataError:
    """What a row shows, or what is wrong with it."""
    cells: dict[str, str] = {}
    sources: list[str] = []
    for column, value in row.values.items():
        if not isinstance(value, str) or not value.strip():
            return DataError(_no_text(column, value))
        cells[column] = value.strip()
        if column == "text":
            continue
        try:
            path = image_path(row.folder, value.strip(), _OUTSIDE, role=column)
            data = read_image_file(path, column)
            check_image(data, f"{column} {value.strip()}")
        except DataError as error:
            return error
        sources.append(_data_address(data, bounds))
    return Shown(cells, tuple(sources))


def _no_text(column: str, value: Any) -> str:
    if value is None or value == "":
        return f"has no {column}: fill it in or drop the row"
    return f"{column} is no path but the image itself: write it to a file and name that"


def _data_address(data: bytes, bounds: ImageBounds) -> str:
    """An image that any browser shows: as it is where it fits, else smaller as JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        kind = _SHOWN_AS_THEY_ARE.get(image.format or "")
        fits = image.width * image.height <= bounds.max_pixels
    if kind is None or not fits:
        buffer = io.BytesIO()
        decode_image(ImageRef(data, bounds)).save(buffer, "JPEG", quality=_JPEG_QUALITY)
        kind, data = "jpeg", buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
