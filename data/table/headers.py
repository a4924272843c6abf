"""Headers under which columns are not found: what seems to be wrong with them."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import PurePosixPath

from ..errors import DataError
from ..shown import shortened
from ..sources.base import IMAGE_SUFFIXES, Around, Headed, TableSource
from ..sources.folders import WithMetadata
from ..sources.lines import LinesSource
from ..sources.several import SeveralTables
from ..tasks import Task
from .columns import is_header


@contextmanager
def advice_on_header(source: str, table: TableSource, task: Task) -> Generator[None]:
    """Raises a DataError of the block anew with what to do about the header, if that is amiss."""
    try:
        yield
    except DataError as error:
        told = next((told for one in _innermost(table) if (told := _advice(one, task))), "")
        if not told:
            raise
        raise DataError(f"{source}: {told}") from error


def _innermost(table: TableSource) -> Iterator[TableSource]:
    """The tables that a source is read from."""
    if isinstance(table, SeveralTables):
        yield from chain.from_iterable(_innermost(part) for _, part in table.parts)
    elif isinstance(table, Around | WithMetadata):
        yield from _innermost(table.table)
    else:
        yield table


def _advice(table: TableSource, task: Task) -> str:
    """What to do about a header; empty where it is one, or nothing tells."""
    if isinstance(table, LinesSource) and table.has_columns():
        return (
            "is read as a path or an address per line, and its first line has several fields: "
            "name the file .csv or .tsv if it is a table, with a header such as image,label"
        )
    if not isinstance(table, Headed):
        return ""
    headers = [where for where, names in table.as_headers() if is_header(names, task)]
    first = next(table.as_headers(), None)
    if first is None or first[0] in headers:
        return ""
    for name in first[1]:
        if PurePosixPath(name.strip().replace("\\", "/")).suffix.lower() in IMAGE_SUFFIXES:
            wanted = ",".join((*task.image_columns, "label"))
            return (
                f"has no header: its first line has an image ({shortened(name)}): put a line above "
                f"it that names the columns, such as {wanted}"
            )
    return f"the header seems to be in {headers[0]}: delete what stands above it" if headers else ""
