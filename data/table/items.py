"""Images to be judged, with labels or without: dataset files, and whatever else holds images.

What is no dataset file is read as it is, row by row. An image is named by the id that its row has,
else by its path, else by the hash of its bytes: the same whenever and wherever it is read.
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path

from ..arrow import ARROW_ERRORS
from ..dataset_files import has_example_ids, parquet_files
from ..errors import DataError
from ..examples import Item, iter_dataset
from ..images import ImageBounds, ImageRef
from ..left_out import LeftOut
from ..near_paths import no_such
from ..problems import Problems
from ..redaction import public_address
from ..remote import address, is_here, is_remote, is_web, kind_of
from ..sources.base import TableRow, TableSource
from ..sources.files import TABLE_SUFFIXES, TARS, TEXT_LISTS
from ..sources.opening import open_images
from ..sources.web import open_web
from ..tasks import Task
from .cells import ImageReader
from .columns import match_columns
from .downloads import Downloads
from .extent import Cut, Extent, dataset_extent, rows_of_cut, table_extent
from .headers import advice_on_header
from .rows import RowReader


@dataclass(frozen=True, slots=True)
class ItemOptions:
    """Where images are, of what is no dataset file; see `TableOptions`."""

    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    image_root: Path | None = None
    downloads: Path | None = None


NO_ITEM_OPTIONS = ItemOptions()
_DOWNLOADS_AT_ONCE = 16


def is_dataset(path: Path) -> bool:
    """Whether a path is a file with example ids, a folder of them, or nothing that is known."""
    if is_web(path):
        return False
    kind = kind_of(path)
    if kind == "folder":
        files = parquet_files(path)
        return bool(files) and is_dataset(files[0])
    if not kind:
        return True
    if path.name.lower().endswith((*TABLE_SUFFIXES, *TEXT_LISTS, *TARS, ".arrow")):
        return False
    try:
        return has_example_ids(path)
    except ARROW_ERRORS:
        return True  # Who reads it says what is wrong with it.


def check_items_there(path: Path) -> None:
    """Raises DataError where nothing is that could hold items, on this machine."""
    if is_here(path) and not path.exists():
        raise DataError(no_such(path))


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
    known: dict[str, str] = {}
    while batch := list(islice(rows, batch_rows)):
        yield _items(batch, reader, bounds, public_address(address(path)), known)


def items_extent(path: Path, task: Task, options: ItemOptions = NO_ITEM_OPTIONS) -> Extent:
    """The files of `iter_items`, and how many rows they have; no image is read for it."""
    if is_dataset(path):
        return dataset_extent(path)
    table, reader = _opened(path, task, options)
    return table_extent(table, reader.wanted)


def refuse_shared_addresses(path: Path, task: Task, options: ItemOptions = NO_ITEM_OPTIONS) -> None:
    """Raise DataError for two images that are called alike, since their addresses differ in keys
    alone. Only images with such addresses are downloaded for it, and compared.
    """
    if options.downloads is None or is_dataset(path):
        return
    table, reader = _opened(path, task, options)
    if "id" in reader.columns:
        return
    firsts: dict[tuple[str, ...], tuple[tuple[str, ...], TableRow]] = {}
    doubtful: list[TableRow] = []
    for row in table.rows(reader.wanted):
        found = reader.web_addresses(row)
        name = (*map(public_address, found), reader.text(row) or "")
        first, first_row = firsts.setdefault(name, (found, row))
        if first != found:
            doubtful += [first_row, row]
    _items(doubtful, reader, ImageBounds(), public_address(address(path)), {})


def items_left_out(path: Path) -> LeftOut:
    """The files of a folder in which there is nothing to be judged; none of what is no folder."""
    if is_remote(path) or is_web(path) or not path.is_dir() or is_dataset(path):
        return LeftOut()
    return open_images(path).left_out()


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
    downloads = None if options.downloads is None else Downloads(options.downloads)
    table = _opened_web(path, downloads) if is_web(path) else open_images(path)
    with advice_on_header(address(path), table, task):
        found = match_columns(
            address(path),
            table.columns(),
            {"label": "", "ratings": "", "split": "", "rater": ""} | dict(options.columns),
            task,
            images=table.image_columns(),
            needs_labels=False,
        )
    images = ImageReader(path, options.image_root, downloads=downloads)
    return table, RowReader(found.roles, task, images, needs_labels=False)


def _opened_web(path: Path, downloads: Downloads | None) -> TableSource:
    if downloads is None:
        raise DataError(
            f"{address(path)}: is on a server: download the images first, or pass --download"
        )
    return open_web(path, downloads.folder, downloads.client)


def _items(
    rows: Sequence[TableRow],
    reader: RowReader,
    bounds: ImageBounds,
    source: str,
    known: dict[str, str],
) -> list[Item]:
    """Items of rows, in order; what is downloaded for them is asked for at once.

    known: digests of downloaded images by the ids that they have for want of an id column.
    """
    problems = Problems(source)
    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE if reader.images.downloads else 1) as threads:
        found = list(threads.map(partial(_item, reader=reader, bounds=bounds), rows))
    for row, item in zip(rows, found, strict=True):
        if isinstance(item, DataError):
            problems.add(row.where, item.fact, item.remedy)
        elif reader.images.downloads and "id" not in reader.columns:
            digest = "".join(ref.digest for ref in (item.image, *item.further_images))
            if known.setdefault(item.example_id, digest) != digest:
                problems.add(
                    row.where,
                    f"{item.example_id} is the address of another image, too, apart from keys: "
                    "name an id column with --column id=COLUMN",
                )
    problems.raise_if_any()
    return [item for item in found if isinstance(item, Item)]


def _item(row: TableRow, reader: RowReader, bounds: ImageBounds) -> Item | DataError:
    text = reader.text(row)
    if text is None and reader.task.carries_text:
        return DataError("has no text: fill it in or drop the row")
    try:
        found = [reader.image(row, role) for role in reader.image_roles]
    except DataError as error:
        return error
    image, *further = [ImageRef(each.data, bounds) for each in found]
    return Item(reader.item_id(row, found, text), image, text, None, tuple(further))
