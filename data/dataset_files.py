"""The Parquet files that a dataset is: one, or all of a folder."""

import hashlib
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .arrow import ARROW_ERRORS, open_parquet, parquet_fault, pq
from .errors import DataError
from .near_paths import did_you_mean
from .remote import address, files_below, is_here, kind_of, open_binary, reaching

_MAGIC = b"PAR1"
_FOOTER_TAIL = 8


def dataset_files(path: Path) -> list[Path]:
    """The file itself; of a folder its Parquet files in the order of their names, hidden ones not.

    Raises DataError for a folder without one.
    """
    if kind_of(path) != "folder":
        return [path]
    found = parquet_files(path)
    if not found:
        raise DataError(
            f"{address(path)}: a folder without Parquet files; `blpo import table` makes one"
        )
    return found


def parquet_files(folder: Path) -> list[Path]:
    """Below a folder, sorted, without those that are hidden or lie in a hidden folder."""
    found = (file for file in files_below(folder) if file.suffix == ".parquet")
    return sorted(file for file in found if not _is_hidden(file.relative_to(folder)))


def has_example_ids(path: Path) -> bool:
    """Whether a Parquet file has the ids of a dataset; raises `ARROW_ERRORS` for a damaged one."""
    with open_binary(path) as file:
        return "example_id" in pq.read_schema(file).names


@contextmanager
def opened_dataset_file(path: Path) -> Generator[Any]:
    """The Parquet file, open; whatever is wrong with it while the block reads is a DataError."""
    if kind_of(path) != "file":
        remedy = f"make one with `blpo import table`{did_you_mean(path)}"
        if not is_here(path):
            remedy = "check the address, and that the credentials in the environment may read it"
        raise DataError(f"{address(path)}: no such dataset file; {remedy}")
    with reaching(path), _whole(path):
        if _is_other_format(path):
            raise DataError(
                f"{path}: not a Parquet file, as dataset files are: `blpo import table` makes one; "
                "for images without labels see `blpo docs results`"
            )
        with open_binary(path) as opened, open_parquet(opened) as file:
            yield file


@contextmanager
def _whole(path: Path) -> Generator[None]:
    try:
        yield
    except ARROW_ERRORS as error:
        told = f"not a whole Parquet file ({parquet_fault(error)})"
        raise DataError(f"{address(path)}: {told}: copy it again or repeat the import") from error


def group_rows(metadata: Any) -> tuple[int, ...]:
    """Rows of each row group of a Parquet file."""
    return tuple(metadata.row_group(k).num_rows for k in range(metadata.num_row_groups))


def groups_with(metadata: Any, rows: range) -> tuple[list[int], int]:
    """The row groups of a Parquet file that have some of these rows, and the first one's first."""
    found: list[int] = []
    start = first = 0
    for number, size in enumerate(group_rows(metadata)):
        if start < rows.stop and rows.start < start + size:
            first = first if found else start
            found.append(number)
        start += size
    return found, first


def batches_within(
    file: Any, rows: range, batch_rows: int, columns: Sequence[str]
) -> Generator[Any]:
    """Those rows of a Parquet file in batches; no other row group is read."""
    groups, start = groups_with(file.metadata, rows)
    for batch in file.iter_batches(batch_rows, groups, list(columns), use_threads=False):
        first, stop = max(rows.start - start, 0), min(rows.stop - start, batch.num_rows)
        start += batch.num_rows
        if first < stop:
            yield batch.slice(first, stop - first)


def footer_digest(path: Path) -> str:
    """sha256 of a Parquet file's footer, which says where each column lies, and of the file's size.

    Files with other contents differ in it unless all of their columns take the same bytes.
    """
    with open_binary(path) as file:
        size: int = file.size()
        file.seek(max(size - _FOOTER_TAIL, 0))
        length = int.from_bytes(file.read(4), "little") + _FOOTER_TAIL
        file.seek(max(size - length, 0))
        return hashlib.sha256(f"{size} ".encode() + file.read()).hexdigest()


def _is_other_format(path: Path) -> bool:
    """Whether a file starts as no Parquet file does; an empty one has lost its contents."""
    with open_binary(path) as file:
        return file.read(len(_MAGIC)) not in (_MAGIC, b"")


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)
