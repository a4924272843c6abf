"""What lies in a folder, without what systems and tools keep there for themselves."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ..left_out import LeftOut
from .base import IMAGE_SUFFIXES, refuse_undecodable, split_of

METADATA_NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
_SYSTEM_NAMES = frozenset(
    {"__macosx", "__pycache__", "@eadir", "$recycle.bin", "lost+found", "thumbs.db", "desktop.ini"}
)


@dataclass(frozen=True, slots=True)
class Listing:
    """The files below a folder, sorted, as paths in it; and what was passed over."""

    folder: Path
    files: list[PurePosixPath]
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def images(self) -> list[PurePosixPath]:
        return [file for file in self.files if file.suffix.lower() in IMAGE_SUFFIXES]

    def with_suffix(self, *suffixes: str) -> list[PurePosixPath]:
        """Files with one of these suffixes, but for metadata files."""
        return [
            file
            for file in self.files
            if file.name.lower().endswith(suffixes) and file.name not in METADATA_NAMES
        ]

    @property
    def metadata(self) -> list[PurePosixPath]:
        return [file for file in self.files if file.name in METADATA_NAMES]

    def top_folders(self) -> list[str]:
        """Folders right below that hold an image or a metadata file, however deep."""
        files = (*self.images, *self.metadata)
        return sorted({file.parts[0] for file in files if len(file.parts) > 1})

    def below(self, name: str) -> "Listing":
        """What lies in one of the top folders."""
        files = [
            PurePosixPath(*file.parts[1:])
            for file in self.files
            if file.parts[0] == name and len(file.parts) > 1
        ]
        return Listing(self.folder / name, files)

    def leave_out_others(self, *used: PurePosixPath) -> None:
        """Count every file but these by its suffix."""
        for file in set(self.files) - set(used):
            self.left_out.skip(unread(file.suffix.lower()), file.as_posix())


def list_folder(folder: Path) -> Listing:
    """Everything in a folder, links to folders followed once. Hidden and system files are counted.

    Raises DataError for a name that is not UTF-8.
    """
    listing = Listing(folder, [])
    for file in sorted(_files(folder)):
        refuse_undecodable(folder / file)
        if any(map(is_system_name, file.parts)):
            listing.left_out.skip("hidden or system file", file.as_posix())
        else:
            listing.files.append(file)
    return listing


def unread(suffix: str) -> str:
    """The reason under which files are counted that are not read; suffix: theirs, "" for none."""
    return f"file with suffix {suffix}" if suffix else "file without a suffix"


def is_split_name(name: str) -> bool:
    return split_of(name) is not None


def is_system_name(name: str) -> bool:
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM_NAMES


def _files(folder: Path) -> Iterator[PurePosixPath]:
    seen = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, followlinks=True):
        for name in list(folders):
            target = os.path.realpath(os.path.join(place, name))
            if os.path.islink(os.path.join(place, name)) and target in seen:
                folders.remove(name)
            seen.add(target)
        base = PurePosixPath(os.path.relpath(place, folder))
        yield from (base / name for name in names)
