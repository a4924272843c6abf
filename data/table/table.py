"""Importing a table: what users have, checked row by row, becomes a dataset file."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from ..arrow import refuse_output
from ..errors import DataError
from ..examples import Example, Split, write_dataset
from ..images import ImageBounds, ImageRef
from ..sources.base import TableRow
from ..tasks import Task
from .division import Inspection
from .inspection import inspect_table
from .options import NO_OPTIONS, TableOptions
from .records import Record
from .report import ImportReport
from .rows import RowReader


def import_table(
    source: Path,
    out: Path,
    task: Task,
    options: TableOptions = NO_OPTIONS,
    *,
    overwrite: bool = False,
    on_row: Callable[[], None] = lambda: None,
) -> ImportReport:
    """Makes a dataset file for `task` from a table or an image folder.

    An example without an id is named after its image path, or the hash of its bytes, and its
    text. Rows without a group are grouped by text, or by image bytes if the task carries none;
    groups that share an image are one, so that no image is on both sides.
    A split column is taken as it is; without one see `assign_splits`. Images are read twice, a
    few at a time. The same input gives the same bytes.

    Raises DataError that lists the problems of all rows; nothing is written then.
    """
    for read in options.files_read(source):
        refuse_output(out, read, ".parquet", overwrite=overwrite)
    inspection = inspect_table(source, task, options, on_row)
    inspection.problems.raise_if_any()
    return write_table(inspection, out, overwrite=overwrite)


def write_table(inspection: Inspection, out: Path, *, overwrite: bool) -> ImportReport:
    """Writes the dataset file of an inspection without problems; its report, with the path."""
    reader = inspection.reader
    write_dataset(
        out,
        _examples(inspection),
        comments="comment" in reader.columns,
        images=reader.task.image_columns,
        criteria=list(reader.criteria),
        overwrite=overwrite,
    )
    return replace(inspection.report, path=out)


def _examples(inspection: Inspection) -> Iterator[Example]:
    reader = inspection.reader
    wanted: dict[int, tuple[Record, Split]] = {
        record.row: (record, split)
        for record, split in zip(inspection.records, inspection.splits, strict=True)
    }
    for number, row in enumerate(inspection.table.rows(reader.wanted)):
        if number in wanted:
            yield _example(inspection.report.name, reader, row, *wanted[number])


def _example(
    source: str, reader: RowReader, row: TableRow, record: Record, split: Split
) -> Example:
    images = [reader.image(row, role).data for role in reader.image_roles]
    if tuple(hashlib.sha256(image).hexdigest() for image in images) != record.image_hashes:
        raise DataError(f"{source}: {row.where}: changed during the import: run it again")
    if record.swapped:
        images.reverse()
    image, *further = [ImageRef(data, ImageBounds()) for data in images]
    return Example(
        example_id=record.example_id,
        image=image,
        text=record.text,
        label=record.label,
        group=record.group,
        category=record.category,
        split=split,
        score=record.score,
        ratings=record.ratings,
        further_images=tuple(further),
        swapped=record.swapped,
        comment=record.comment,
        criteria=record.criteria,
    )
