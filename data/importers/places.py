"""Where an image lies: a file, a member of a zip or tar, a cell of a Parquet table."""

import os
import tarfile
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any, cast

from ..arrow import ARROW_ERRORS, open_parquet
from ..errors import DataError
from ..image_files import MAX_IMAGE_BYTES, image_path, read_image_file

_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_ROWS_AT_ONCE = 16


@dataclass(frozen=True, slots=True, order=True)
class ImagePlace:
    """An image that has not been read; places sort in the order in which they are best read.

    container: a folder, zip, tar or Parquet file.
    row: the row of a Parquet file, from 0.
    name: the path in a folder, the full member name in an archive, the column of a Parquet file.
    """

    container: Path
    row: int
    name: str


Found = tuple[ImagePlace, bytes | None]
"""A place and its encoded image: b"" where it is empty, None where it cannot be read."""


def is_archive(path: Path) -> bool:
    """Whether a file is a zip or tar by its name."""
    return path.name.endswith((".zip", *_TAR_SUFFIXES))


def read_images(places: Iterable[ImagePlace]) -> Iterator[Found]:
    """Every distinct place with its image, container by container, each from front to back.

    A tar is read once, and a few rows of one Parquet column are the most that is held. Raises
    DataError for a container that cannot be read.
    """
    for container, wanted in groupby(sorted(set(places)), key=attrgetter("container")):
        yield from _reader(container)(container, list(wanted))


def member_names(archive: Path) -> list[str]:
    """Names of the files in a zip or tar. A tar is read to its end for it."""
    try:
        if archive.suffix == ".zip":
            with zipfile.ZipFile(archive) as opened:
                return [info.filename for info in opened.infolist() if not info.is_dir()]
        with tarfile.open(archive, "r:*") as opened:
            return [member.name for member in opened if member.isfile()]
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise _damaged(archive, error) from error


class NameIndex:
    """Finds files by a path that may lack leading folders, or be no more than a file name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_base: defaultdict[str, list[str]] = defaultdict(list)
        for name in sorted(names):
            self._by_base[name.rsplit("/", 1)[-1]].append(name)

    def find(self, path: str) -> str | None:
        """The name that ends in `path`, the first of copies in several folders (resolutions).

        Without one, the only file with the file name of `path`; None if that is none or unclear.
        """
        same_base = self._by_base.get(path.rsplit("/", 1)[-1], [])
        matches = [name for name in same_base if f"/{name}".endswith(f"/{path}")]
        if matches:
            return matches[0]
        return same_base[0] if len(same_base) == 1 else None


class Files:
    """The images of a folder or archive, found by name. `ignored` folders are passed over."""

    def __init__(self, container: Path, ignored: str = "") -> None:
        self._container = container
        names = member_names(container) if is_archive(container) else _files(container, ignored)
        self._index = NameIndex(names)

    def find(self, path: str) -> ImagePlace | None:
        """The place of an image by its path or file name."""
        name = self._index.find(path.strip().removeprefix("./"))
        return None if name is None else ImagePlace(self._container, 0, name)


def _files(folder: Path, ignored: str) -> list[str]:
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(n for n in folders if not ignored or not n.endswith(ignored))
        found += [Path(parent, name).relative_to(folder).as_posix() for name in files]
    return found


def _reader(container: Path) -> Any:
    if container.is_dir():
        return _read_folder
    if container.suffix == ".zip":
        return _read_zip
    return _read_tar if is_archive(container) else _read_table


def _read_folder(folder: Path, places: Sequence[ImagePlace]) -> Iterator[Found]:
    for place in places:
        path = image_path(folder, place.name, "put the image itself there in place of the link")
        yield place, _file(path)


def _file(path: Path) -> bytes | None:
    try:
        return read_image_file(path)
    except DataError:
        return None


def _read_zip(archive: Path, places: Sequence[ImagePlace]) -> Iterator[Found]:
    try:
        with zipfile.ZipFile(archive) as opened:
            for place in places:
                yield place, _member(opened, place.name)
    except (OSError, zipfile.BadZipFile) as error:
        raise _damaged(archive, error) from error


def _member(archive: zipfile.ZipFile, name: str) -> bytes | None:
    try:
        if archive.getinfo(name).file_size > MAX_IMAGE_BYTES:
            return None
        return archive.read(name)
    except (KeyError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error):
        return None


def _read_tar(archive: Path, places: Sequence[ImagePlace]) -> Iterator[Found]:
    wanted = {place.name: place for place in places}
    try:
        with tarfile.open(archive, "r|*") as opened:
            for member in opened:
                place = wanted.pop(member.name, None)
                is_read = place and member.size <= MAX_IMAGE_BYTES
                file = opened.extractfile(member) if is_read else None
                if place:
                    yield place, file.read() if file else None
        for place in wanted.values():
            yield place, None
    except (OSError, EOFError, tarfile.TarError) as error:
        raise _damaged(archive, error) from error


def _read_table(table: Path, places: Sequence[ImagePlace]) -> Iterator[Found]:
    wanted = {(place.name, place.row): place for place in places}
    try:
        with open_parquet(table) as file:
            columns, rows = sorted({p.name for p in places}), {p.row for p in places}
            for group, start in _groups_with(file, rows):
                # One image column at a time: a row group of GenAI-Bench holds six of 60 MB.
                for column in columns:
                    for row, cell in _cells(file, group, start, column):
                        if (column, row) in wanted:
                            yield wanted[column, row], _cell_bytes(cell.as_py(), table)
    except ARROW_ERRORS as error:
        raise _damaged(table, error) from error


def _groups_with(file: Any, rows: set[int]) -> Iterator[tuple[int, int]]:
    """The row groups that hold one of `rows`, each with its first row."""
    start = 0
    for group in range(file.num_row_groups):
        end = start + file.metadata.row_group(group).num_rows
        if any(start <= row < end for row in rows):
            yield group, start
        start = end


def _cells(file: Any, group: int, start: int, column: str) -> Iterator[tuple[int, Any]]:
    """Rows and cells of a column of a row group that starts at row `start`."""
    row = start
    for batch in file.iter_batches(_ROWS_AT_ONCE, row_groups=[group], columns=[column]):
        for cell in batch.column(0):
            yield row, cell
            row += 1


def _cell_bytes(cell: Any, table: Path) -> bytes:
    """The image of a cell: the Hub's struct of bytes and path, or bytes alone."""
    if isinstance(cell, dict):
        embedded = cast("dict[str, Any]", cell)
        path = embedded.get("path")
        if not embedded.get("bytes") and path:
            found = image_path(
                table.parent, path, f"{table.name} must not name it; download it again"
            )
            return read_image_file(found) if found.is_file() else b""
        cell = embedded.get("bytes")
    return cell if isinstance(cell, bytes) else b""


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(f"{path}: not a whole file ({error}): download it again")
