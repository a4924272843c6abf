"""WebDataset tars: files that share a name up to its first dot are one sample."""

import tarfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, cast

from ..errors import DataError
from ..image_files import MAX_IMAGE_BYTES
from ..left_out import LeftOut
from ..text_files import parse_json
from .base import IMAGE_SUFFIXES, Plain, TableRow, flattened
from .listing import unread

_TEXTS = {"txt": "text", "caption": "text", "text": "text", "cls": "label", "label": "label"}
"""Columns of the members that hold a text, by what follows the first dot."""
_SAMPLES_FOR_COLUMNS = 64
_MOST_TEXT_BYTES = 2**24
_CHUNK = 2**20


@dataclass(frozen=True)
class WebDatasetSource(Plain):
    """Tars of samples, in the order of their names. `id` is a sample's name, `folder` where it is.

    parts: tars with the split that their name tells, "" for none. An image is the column `image`,
    or the words between the first dot and its suffix: `0.left.png` is `left`. Other members are
    left out and counted; two that hold one column, and not the same in it, are a DataError.
    """

    folder: Path
    parts: list[tuple[str, Path]]

    @property
    def layout(self) -> str:
        return f"WebDataset, {len(self.parts):,} tar files"

    def left_out(self) -> LeftOut:
        left_out = LeftOut()
        for _, path in self.parts:
            with _opened(path) as tar:
                for member in tar:
                    if not member.isdir() and (reason := _why_left_out(member)):
                        left_out.skip(reason, f"{path.name}: {member.name}")
        return left_out

    def columns(self) -> list[str]:
        names: dict[str, None] = {}
        for row in islice(self.rows(()), _SAMPLES_FOR_COLUMNS):
            names.update(dict.fromkeys(row.values))
        return list(names)

    def image_columns(self) -> list[str]:
        first = next(self.rows(()), None)
        values = {} if first is None else first.values
        return [name for name, cell in values.items() if isinstance(cell, bytes)]

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        for split, path in self.parts:
            for name, sample in _samples(path):
                folder = {"folder": PurePosixPath(name).parent.name} if "/" in name else {}
                values = {"id": name} | folder | sample | ({"split": split} if split else {})
                yield TableRow(f"{path.name}: {name}", flattened(values), self.folder)


def _samples(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    name, sample = "", dict[str, Any]()
    seen = set[str]()
    with _opened(path) as tar:
        for member in tar:
            if _why_left_out(member):
                continue
            key, extension = _split_name(member.name)
            if key != name and sample:
                yield name, sample
                sample = {}
            if key != name and key in seen:
                raise DataError(
                    f"{path}: {member.name}: other members of its sample do not stand beside it: "
                    "pack the files again in the order of their names, as with tar --sort=name"
                )
            seen.add(key)
            name = key
            _add(sample, _cells(path, tar, member, extension), f"{path}: {member.name}")
    if sample:
        yield name, sample


@contextmanager
def _opened(path: Path) -> Generator[tarfile.TarFile]:
    """Raises DataError for what is wrong with the file while the block runs, and, where that has
    read to the end, for a tar that has none: Python takes a damaged header for it in silence.
    """
    try:
        with tarfile.open(path, "r:*") as tar:
            yield tar
            _refuse_no_end(tar, path)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(f"{path}: not a whole tar file ({error}): copy it again") from error


def _refuse_no_end(tar: tarfile.TarFile, path: Path) -> None:
    file: Any = tar.fileobj
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DataError(
            f"{path}: cut off or damaged behind {len(tar.getmembers()):,} members: copy it again"
        )
    while chunk := file.read(_CHUNK):
        if chunk.strip(b"\0"):
            raise DataError(
                f"{path}: holds more behind its end, as tars do that were put together with cat: "
                "give the single ones in a folder"
            )


def _split_name(member: str) -> tuple[str, str]:
    """ "a/0.Left.png" as "a/0" and "left.png"; hidden files have no extension."""
    folder, slash, base = member.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", extension.lower() if stem else ""


def _why_left_out(member: tarfile.TarInfo) -> str:
    """Why a member is no part of a sample; empty if it is one."""
    extension = _split_name(member.name)[1]
    suffix = extension.rpartition(".")[2]
    if not member.isfile():
        return "member that is no file"
    if PurePosixPath(member.name).name.startswith("."):
        return "hidden or system file"
    is_read = _is_image(suffix) or extension in _TEXTS or suffix == "json"
    return "" if is_read else unread(suffix and f".{suffix}")


def _is_image(suffix: str) -> bool:
    return f".{suffix}" in IMAGE_SUFFIXES


def _add(sample: dict[str, Any], cells: Mapping[str, Any], where: str) -> None:
    """Add what a member holds. An image goes before what JSON says of it; other cells of one
    column have to say the same. Raises DataError if they do not.
    """
    for column, cell in cells.items():
        known = sample.setdefault(column, cell)
        if isinstance(known, bytes) != isinstance(cell, bytes):
            sample[column] = known if isinstance(known, bytes) else cell
        elif known != cell and str(known) != str(cell):
            raise DataError(
                f"{where}: another member of its sample holds another {column}: keep one of them"
            )


def _cells(
    path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, extension: str
) -> dict[str, Any]:
    role, _, suffix = extension.rpartition(".")
    limit = MAX_IMAGE_BYTES if _is_image(suffix) else _MOST_TEXT_BYTES
    if member.size > limit:
        raise DataError(f"{path}: {member.name}: {member.size:,} bytes, more than {limit:,}")
    file = tar.extractfile(member)
    content = b"" if file is None else file.read()
    if _is_image(suffix):
        return {role or "image": content}
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {member.name}: not UTF-8 text: {error}") from error
    if suffix != "json":
        return {_TEXTS[extension]: text.strip()}
    found = parse_json(text, f"{path}: {member.name}")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {"label": found}
