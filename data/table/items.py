"""Images to be judged, with labels or without: dataset files, and whatever else holds images.

What is no dataset file is read as it is, row by row. An image is named by the id that its row has,
else by its path, else by the hash of its bytes: the same whenever and wherever it is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path

from ..arrow import ARROW_ERRORS
from ..dataset_files import has_example_ids, parquet_files
from ..errors import DataError
from ..examples import Item, iter_dataset
from ..images import ImageBounds, ImageRef
from ..problems import Problems
from ..remote import address, is_remote, kind_of
from ..sources.base import TableRow, TableSource
from ..sources.files import TABLE_SUFFIXES, TARS
from ..sources.opening import open_images
from ..tasks import Task
from .cells import ImageReader
from .columns import match_columns
from .downloads import Downloads
from .extent import Cut, Extent, dataset_extent, rows_of_cut, table_extent
from .rows import RowReader


@dataclass(frozen=True, slots=True)
class ItemOptions:
    """Where images are, of what is no dataset file; see `TableOptions`."""

    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    image_root: Path | None = None
    downloads: Path | None = None


NO_ITEM_OPTIONS = ItemOptions()


def is_dataset(path: Path) -> bool:
    """Whether a path is a file with example ids, a folder of them, or nothing that is known."""
    kind = kind_of(path)
    if kind == "folder":
        files = parquet_files(path)
        return bool(files) and is_dataset(files[0])
    if not kind:
        return True
    if path.name.lower().endswith((*TABLE_SUFFIXES, *TARS, ".arrow")):
        return False
    try:
        return has_example_ids(path)
    except ARROW_ERRORS:
        return True  # Who reads it says what is wrong with it.


def iter_items(
    path: Path,
    task: Task,
    bounds: ImageBounds,
    batch_rows: int = 256,
    options: ItemOptions = NO_ITEM_OPTIONS,
    cuts: Sequence[Cut] | None = None,
) -> Iterator[list[Item]]:
    """Everything to be judged in a fixed order, at most `batch_rows` in memory at once.

    cuts: of `items_extent`; only what lies in them. Raises DataError as `iter_dataset` does, and
    for rows whose image cannot be read.
    """
    if is_dataset(path):
        for file, rows in _dataset_cuts(path, cuts):
            yield from iter_dataset(file, task, bounds, batch_rows, rows)
        return
    table, reader = _opened(path, task, options)
    wanted = reader.wanted
    found = [table.rows(wanted)] if cuts is None else [rows_of_cut(table, wanted, c) for c in cuts]
    rows = (row for row in chain.from_iterable(found) if not reader.is_empty(row))
    while batch := list(islice(rows, batch_rows)):
        problems = Problems(str(path))
        items = [_item(row, reader, bounds, problems) for row in batch]
        problems.raise_if_any()
        yield [item for item in items if item is not None]


def items_extent(path: Path, task: Task, options: ItemOptions = NO_ITEM_OPTIONS) -> Extent:
    """The files of `iter_items`, and how many rows they have; no image is read for it."""
    if is_dataset(path):
        return dataset_extent(path)
    table, reader = _opened(path, task, options)
    return table_extent(table, reader.wanted)


def _dataset_cuts(path: Path, cuts: Sequence[Cut] | None) -> list[tuple[Path, range | None]]:
    if cuts is None:
        return [(path, None)]
    return [(path / cut.name if cut.name else path, cut.rows) for cut in cuts]


def _opened(path: Path, task: Task, options: ItemOptions) -> tuple[TableSource, RowReader]:
    if is_remote(path):
        raise DataError(
            f"{address(path)}: holds no Parquet with example ids, which is what is read from an "
            "object store: import it, or copy it here"
        )
    table = open_images(path)
    found = match_columns(
        str(path),
        table.columns(),
        {"label": "", "ratings": "", "split": "", "rater": ""} | dict(options.columns),
        task,
        images=table.image_columns(),
        needs_labels=False,
    )
    downloads = None if options.downloads is None else Downloads(options.downloads)
    images = ImageReader(path, options.image_root, downloads=downloads)
    return table, RowReader(found.roles, task, images, needs_labels=False)


def _item(row: TableRow, reader: RowReader, bounds: ImageBounds, problems: Problems) -> Item | None:
    text = reader.text(row)
    if text is None and reader.task.carries_text:
        problems.add(row.where, "has no text: fill it in or drop the row")
        return None
    try:
        found = [reader.image(row, role) for role in reader.image_roles]
    except DataError as error:
        problems.add(row.where, str(error))
        return None
    image, *further = [ImageRef(each.data, bounds) for each in found]
    return Item(reader.item_id(row, found, text), image, text, None, tuple(further))
