"""WebDataset tars: files that share a name up to its first dot are one sample."""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, cast

from ..errors import DataError
from ..image_files import MAX_IMAGE_BYTES
from ..text_files import parse_json
from .base import IMAGE_SUFFIXES, Plain, TableRow, flattened

_TEXTS = {"txt": "text", "caption": "text", "text": "text", "cls": "label", "label": "label"}
"""Columns of the members that hold a text, by what follows the first dot."""
_SAMPLES_FOR_COLUMNS = 64
_MOST_TEXT_BYTES = 2**24


@dataclass(frozen=True)
class WebDatasetSource(Plain):
    """Tars of samples, in the order of their names. `id` is a sample's name, `folder` where it is.

    parts: tars with the split that their name tells, "" for none. An image is the column `image`,
    or the words between the first dot and its suffix: `0.left.png` is `left`.
    """

    folder: Path
    parts: list[tuple[str, Path]]

    @property
    def layout(self) -> str:
        return f"WebDataset, {len(self.parts):,} tar files"

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
    try:
        with tarfile.open(path, "r:*") as tar:
            for member in tar:
                key, _, extension = _split_name(member.name)
                if not member.isfile() or not extension:
                    continue
                if key != name and sample:
                    yield name, sample
                    sample = {}
                name = key
                sample |= _cells(path, tar, member, extension.lower())
    except (OSError, EOFError, tarfile.TarError) as error:
        raise DataError(f"{path}: not a whole tar file ({error}): copy it again") from error
    if sample:
        yield name, sample


def _split_name(member: str) -> tuple[str, str, str]:
    """ "a/0.left.png" as "a/0", ".", "left.png"; hidden files have no extension."""
    folder, slash, base = member.rpartition("/")
    stem, dot, extension = base.partition(".")
    return f"{folder}{slash}{stem}", dot, extension if stem else ""


def _cells(
    path: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, extension: str
) -> dict[str, Any]:
    role, _, suffix = extension.rpartition(".")
    is_image = f".{suffix}" in IMAGE_SUFFIXES
    if not is_image and extension not in _TEXTS and suffix != "json":
        return {}
    limit = MAX_IMAGE_BYTES if is_image else _MOST_TEXT_BYTES
    if member.size > limit:
        raise DataError(f"{path}: {member.name}: {member.size:,} bytes, more than {limit:,}")
    file = tar.extractfile(member)
    content = b"" if file is None else file.read()
    if is_image:
        return {role or "image": content}
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {member.name}: not UTF-8 text: {error}") from error
    if suffix != "json":
        return {_TEXTS[extension]: text.strip()}
    found = parse_json(text, f"{path}: {member.name}")
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {"label": found}
