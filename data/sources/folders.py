"""Image folders: with metadata files, or with a subfolder for each label."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from ..errors import DataError
from ..file_names import caseless, composed
from ..left_out import LeftOut
from .base import Around, Plain, TableRow, TableSource, joint_columns, joint_image_columns
from .listing import METADATA_NAMES, Listing, is_split_name

_FILE_NAMES = ("file_name", "filename", "image", "image_path", "path")
"""Columns of a metadata file whose path can begin with a split."""


@dataclass(frozen=True)
class ImageFiles(Plain):
    """All images of a folder, however deep; the folders between say nothing."""

    listing: Listing
    layout = "a folder of images"

    def columns(self) -> list[str]:
        return ["image"]

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        for image in self.listing.images:
            yield TableRow(image.as_posix(), {"image": image.as_posix()}, self.listing.folder)


@dataclass(frozen=True)
class ClassFolders(Plain):
    """Images in subfolders named after their labels: `Safe/0.png`.

    Where every label's folder is divided into splits (`Safe/train/0.png`), they are the split.
    """

    listing: Listing

    @property
    def layout(self) -> str:
        return "an image folder, a subfolder for each label" + (
            " and in it for each split" if self._has_splits else ""
        )

    def left_out(self) -> LeftOut:
        left_out = LeftOut()
        for image in self.listing.images:
            if len(image.parts) == 1:
                left_out.skip("image outside the folders of labels", image.as_posix())
        return left_out

    def columns(self) -> list[str]:
        return ["image", "label", *(["split"] if self._has_splits else [])]

    def image_columns(self) -> list[str]:
        return ["image"]

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:  # noqa: ARG002
        for image in self._images:
            values = {"image": image.as_posix(), "label": image.parts[0]}
            if self._has_splits:
                values["split"] = image.parts[1]
            yield TableRow(image.as_posix(), values, self.listing.folder)

    @cached_property
    def _images(self) -> list[PurePosixPath]:
        images = [image for image in self.listing.images if len(image.parts) > 1]
        if not images:
            raise DataError(
                f"{self.listing.folder}: holds no {', '.join(METADATA_NAMES)} and no subfolders of "
                "images: add a metadata file with a file_name column, or one subfolder per label; "
                "images without labels are for `blpo label`, which makes a page to label them on"
            )
        return images

    @cached_property
    def _has_splits(self) -> bool:
        return all(len(i.parts) > 2 and is_split_name(i.parts[1]) for i in self._images)


@dataclass(frozen=True)
class WithMetadata:
    """A metadata file and the images that it names.

    Where all of them lie in folders of splits (`train/0.png`), and no column says otherwise, those
    are the split.
    """

    listing: Listing
    table: TableSource
    name: str

    @property
    def layout(self) -> str:
        by = ", split by folder" if self._has_splits else ""
        return f"an image folder with {self.name}{by}"

    def left_out(self) -> LeftOut:
        """Images that no row names."""
        left_out = LeftOut()
        left_out.add(self.table.left_out())
        if self._file_columns:
            for image in self._unnamed():
                left_out.skip("image that no row names", image)
        return left_out

    def _unnamed(self) -> Iterator[str]:
        """Images that no row names, in another form or case of the name either."""
        images = [image.as_posix() for image in self.listing.images]
        named = {self._named(row.values) for row in self.table.rows(self._file_columns)}
        alike = {caseless(unquote(name)) for name in named.difference(images)}
        for image in images:
            if image not in named and caseless(image) not in alike:
                yield image

    def columns(self) -> list[str]:
        return [*self.table.columns(), *(["split"] if self._has_splits else [])]

    def image_columns(self) -> list[str]:
        return self.table.image_columns()

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        for row in self.table.rows([*columns, *self._file_columns]):
            if self._has_splits:
                folder = PurePosixPath(self._named(row.values)).parts[0]
                yield TableRow(row.where, row.values | {"split": folder}, row.folder)
            else:
                yield row

    @cached_property
    def _file_columns(self) -> list[str]:
        return [name for name in self.table.columns() if name.strip().lower() in _FILE_NAMES][:1]

    def _named(self, values: dict[str, Any]) -> str:
        cell = values.get(self._file_columns[0]) if self._file_columns else None
        return str(cell or "").strip().replace("\\", "/").removeprefix("./")

    @cached_property
    def _has_splits(self) -> bool:
        if "split" in {name.strip().lower() for name in self.table.columns()}:
            return False
        names = [self._named(row.values) for row in self.table.rows(self._file_columns)]
        tops = {parts[0] for name in names if (parts := PurePosixPath(name).parts)}
        return bool(tops) and all(map(is_split_name, tops))


@dataclass(frozen=True)
class BesideImages(Around):
    """What a tool wrote into a folder of its own, and the images elsewhere in `folder`.

    A name is that of the only image whose path ends like it; any other stays as it is.
    """

    folder: Path
    images: Sequence[PurePosixPath]

    @property
    def layout(self) -> str:
        return f"{self.table.layout}, in a folder of annotations beside the images"

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        named = [name for name in self.table.columns() if name.strip().lower() in _FILE_NAMES]
        for row in self.table.rows(columns):
            found = {name: self._paths.get(composed(str(row.values.get(name)))) for name in named}
            values = row.values | {name: path for name, path in found.items() if path}
            yield TableRow(row.where, values, self.folder)

    @cached_property
    def _paths(self) -> dict[str, str]:
        """Images by the composed ends of their paths, as far as one tells it from the others."""
        ends = [
            (composed("/".join(image.parts[start:])), image.as_posix())
            for image in self.images
            for start in range(len(image.parts))
        ]
        count = Counter(end for end, _ in ends)
        return {end: path for end, path in ends if count[end] == 1}


@dataclass(frozen=True)
class SplitParts:
    """Folders or files named after splits, each a table of its own."""

    parts: list[tuple[str, TableSource]]

    @property
    def layout(self) -> str:
        names = ", ".join(name for name, _ in self.parts)
        return f"{self.parts[0][1].layout}, in the splits {names}"

    def left_out(self) -> LeftOut:
        left_out = LeftOut()
        for name, part in self.parts:
            left_out.add(part.left_out(), f"{name}/")
        return left_out

    def columns(self) -> list[str]:
        return list(dict.fromkeys([*joint_columns(part for _, part in self.parts), "split"]))

    def image_columns(self) -> list[str]:
        return joint_image_columns(part for _, part in self.parts)

    def rows(self, columns: Sequence[str]) -> Iterator[TableRow]:
        for name, part in self.parts:
            for row in part.rows(columns):
                yield TableRow(f"{name} {row.where}", row.values | {"split": name}, row.folder)


@dataclass(frozen=True)
class InFolder(Around):
    """A source of a folder, with what else lies there."""

    others: LeftOut

    def left_out(self) -> LeftOut:
        left_out = LeftOut()
        for part in (self.table.left_out(), self.others):
            left_out.add(part)
        return left_out
