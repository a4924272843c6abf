"""Reading one row of a table: values checked, the image decoded to its last pixel."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from ..errors import DataError
from ..examples import SPLITS, Split
from ..image_files import image_path, read_image_file, shortened
from ..images import check_image
from ..label_sets import unknown_label
from ..tasks import Task, label_text
from .columns import Role
from .sources import TableRow

_SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
}

_OUTSIDE = (
    "name the folder that holds the images with --image-root, or pass --allow-outside if you trust "
    "the table"
)


@dataclass(frozen=True, slots=True)
class Record:
    """A checked row without its image bytes; image_hash is their sha256.

    image_b_hash, swapped: of a pair. swapped: whether it is written the other way round than the
    table has it, which `label` then speaks of.
    """

    where: str
    example_id: str
    image_hash: str
    text: str | None
    label: str
    group: str
    category: str | None
    split: Split | None
    problems: tuple[str, ...]
    image_b_hash: str | None = None
    swapped: bool = False
    comment: str | None = None

    @property
    def image_hashes(self) -> tuple[str, ...]:
        """Of its images, in order."""
        return (self.image_hash, *([self.image_b_hash] if self.image_b_hash else []))


@dataclass(frozen=True)
class RowReader:
    """Reads rows of a table under the columns found for the roles."""

    source: Path
    columns: Mapping[Role, str]
    task: Task
    label_map: Mapping[str, str]
    image_root: Path | None
    allow_outside: bool = False

    def record(self, row: TableRow) -> Record:
        """Checks one row to the last pixel of its image; safe to call from many threads."""
        problems: list[str] = []
        image_hash, *other = [
            hashlib.sha256(self._checked_image(row, role, problems)).hexdigest()
            for role in self.image_roles
        ]
        text = self._text(row, problems)
        return Record(
            where=row.where,
            example_id=self._string(row, "id") or self._default_id(row, [image_hash, *other], text),
            image_hash=image_hash,
            text=text,
            label=self._label(row, problems),
            group=self._string(row, "group") or text or image_hash,
            category=self._string(row, "category"),
            split=self._split(row, problems),
            problems=tuple(problems),
            image_b_hash=other[0] if other else None,
            comment=self._string(row, "comment"),
        )

    @property
    def image_roles(self) -> tuple[Role, ...]:
        """The roles of a row's images, in order."""
        return ("image", "image_b") if self.task.is_pairwise else ("image",)

    def image_bytes(self, row: TableRow, role: Role = "image") -> bytes:
        """An encoded image of a row; raises DataError when there is none."""
        cell = self._cell(row, role)
        if isinstance(cell, dict):
            embedded = cast("dict[str, Any]", cell)
            cell = embedded.get("bytes") or embedded.get("path")
        if isinstance(cell, bytes):
            return cell
        if not isinstance(cell, str) or not cell.strip():
            raise DataError(f"has no {role}: fill it in or drop the row")
        return read_image_file(self._image_path(row, cell.strip()))

    def _checked_image(self, row: TableRow, role: Role, problems: list[str]) -> bytes:
        try:
            image = self.image_bytes(row, role)
            check_image(image, self._image_name(row, role))
        except DataError as error:
            problems.append(str(error))
            return b""
        return image

    def _image_name(self, row: TableRow, role: Role) -> str:
        cell = self._cell(row, role)
        return f"{role} {shortened(cell.strip())}" if isinstance(cell, str) else role

    def _image_path(self, row: TableRow, name: str) -> Path:
        """Raises DataError for one outside the image root, or the table's folder without one."""
        path, root = self._written_path(row, name), self.image_root or self._own_folder(row)
        return image_path(root, str(path), _OUTSIDE, allow_outside=self.allow_outside)

    def _written_path(self, row: TableRow, name: str) -> Path:
        return Path(os.path.abspath((self.image_root or row.folder) / name))

    def _own_folder(self, row: TableRow) -> Path:
        """The folder of the source, of which a row's may be a subfolder."""
        return self.source if self.source.is_dir() else row.folder

    def _default_id(self, row: TableRow, image_hashes: Sequence[str], text: str | None) -> str:
        name = "|".join(
            self._default_name(row, role, image_hash)
            for role, image_hash in zip(self.image_roles, image_hashes, strict=True)
        )
        return name if text is None else f"{name}#{hashlib.sha256(text.encode()).hexdigest()[:8]}"

    def _default_name(self, row: TableRow, role: Role, image_hash: str) -> str:
        """An image's path, or its hash where it has none."""
        cell = self._cell(row, role)
        if not isinstance(cell, str):
            return image_hash[:16]
        path = self._written_path(row, cell.strip())
        base = Path(os.path.abspath(self.image_root or self._own_folder(row)))
        return path.relative_to(base).as_posix() if path.is_relative_to(base) else str(path)

    def _text(self, row: TableRow, problems: list[str]) -> str | None:
        if not self.task.carries_text:
            return None
        text = self._string(row, "text")
        if text is None:
            problems.append("has no text: fill it in or drop the row")
        return text

    def _label(self, row: TableRow, problems: list[str]) -> str:
        cell = self._cell(row, "label")
        found = "" if cell is None else label_text(cell)
        label = self.label_map.get(found, found)
        if not label:
            problems.append("has no label: fill it in or drop the row")
        elif label not in self.task.labels:
            problems.append(unknown_label(label, self.task))
        return label

    def _split(self, row: TableRow, problems: list[str]) -> Split | None:
        if "split" not in self.columns:
            return None
        name = self._string(row, "split") or ""
        split = _SPLIT_NAMES.get(name.lower())
        if split is None:
            problems.append(
                f"split {name!r} is not one of {', '.join(SPLITS)}: correct it, drop the row, or "
                "ignore the column with --column split="
            )
        return split

    def _cell(self, row: TableRow, role: Role) -> Any:
        return row.values.get(self.columns.get(role, ""))

    def _string(self, row: TableRow, role: Role) -> str | None:
        cell = self._cell(row, role)
        return None if cell is None or not str(cell).strip() else str(cell).strip()
