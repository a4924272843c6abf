"""Dataset files from Python."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...data.errors import DataError
from ...data.frames import pl
from ...data.table.options import TableOptions
from ...data.table.report import ImportReport
from ...data.table.table import import_table as import_file
from ...data.tasks import Task, load_task
from .errors import with_parameters


@with_parameters
def import_table(
    table: pl.DataFrame | str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    task: Task | str | Path,
    columns: Mapping[str, str] | None = None,
    image_root: str | Path | None = None,
    overwrite: bool = False,
    **options: Any,
) -> ImportReport:
    """Make the dataset file that `optimize` reads, as `blpo import table` does.

    table: a frame with a row per example, or the path of a table or an image folder, or several
        paths, which are read as one. image and label columns as in a table; images of a frame are
        paths from `image_root`, or bytes.
    columns: the table's column by role, where its name does not tell.
    image_root: what paths in the table start from; the working directory for a frame.
    options: further fields of `blpo.data.table.options.TableOptions`, such as seed.

    Raises DataError that lists the problems of all rows; nothing is written then.
    """
    loaded = task if isinstance(task, Task) else load_task(task)
    root = None if image_root is None else Path(image_root)
    given = TableOptions(columns=columns or {}, image_root=root, **options)
    if not isinstance(table, pl.DataFrame):
        first, *more = [table] if isinstance(table, str | Path) else table
        given = replace(given, more=(*map(Path, more), *given.more))
        return import_file(Path(first), Path(out), loaded, given, overwrite=overwrite)
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "frame.parquet"
        table.write_parquet(written)
        given = replace(given, image_root=root or Path.cwd())
        try:
            return import_file(written, Path(out), loaded, given, overwrite=overwrite)
        except DataError as error:
            raise DataError(str(error).replace(str(written), "frame")) from None
