"""Recognising what lies behind a path."""

from pathlib import Path, PurePosixPath

from ..errors import DataError
from ..image_files import refuse_outside_link
from ..near_paths import no_such
from ..remote import address, is_here
from .base import TableSource, split_of
from .files import SPREADSHEETS, TABLE_SUFFIXES, TARS, open_file
from .folders import BesideImages, ClassFolders, ImageFiles, InFolder, SplitParts, WithMetadata
from .listing import Listing, is_split_name, list_folder
from .parquet_files import ParquetSource, PartsSource, split_in_name
from .webdataset import WebDatasetSource

_EXPORTS = ("annotations",)
"""The folder in which tools put their files beside `images`."""
_LINKED = "put the file itself there, or pass --allow-outside if you trust the folder"


def open_source(path: Path, *, sheet: str = "", allow_outside: bool = False) -> TableSource:
    """The table behind a path; raises DataError for a path that is none, or could be two things.

    sheet: which one of a spreadsheet, also of one in a folder. allow_outside: whether the files
    of a folder that are read as tables may be links that lead out of it.
    """
    if not is_here(path):
        raise DataError(
            f"{address(path)}: is not on this machine: copy it here; images without labels are for "
            "`blpo judge`, which takes some addresses as they are"
        )
    if not path.exists():
        raise DataError(no_such(path))
    if not path.is_dir():
        return open_file(path, sheet)
    return _Folder(path, sheet, allow_outside=allow_outside).open()


def open_images(path: Path) -> TableSource:
    """As `open_source`, for images that need no labels: a folder of them may have any shape."""
    if path.is_dir():
        listing = list_folder(path)
        is_bare = not listing.metadata and not listing.with_suffix(".parquet", ".arrow", *TARS)
        if is_bare and listing.images:
            listing.leave_out_others(*listing.images)
            return InFolder(ImageFiles(listing), listing.left_out)
    return open_source(path)


def _of_split(listing: Listing, split: str) -> list[PurePosixPath]:
    """The images in folders of a split; all where no folder is of one."""
    own = [i for i in listing.images if split_of(split) in {split_of(part) for part in i.parts}]
    return own or listing.images


class _Folder:
    """A folder whose layout is to be recognised. sheet, allow_outside: see `open_source`."""

    def __init__(self, path: Path, sheet: str, *, allow_outside: bool) -> None:
        self._path = path
        self._sheet = sheet
        self._allow_outside = allow_outside

    def open(self) -> TableSource:
        listing = list_folder(self._path)
        source, used = self._recognised(listing)
        if self._sheet and not any(file.suffix.lower() in SPREADSHEETS for file in used):
            raise DataError(
                f"{self._path}: --sheet {self._sheet}: no spreadsheet is read there: leave it out"
            )
        listing.leave_out_others(*used)
        return InFolder(source, listing.left_out)

    def _recognised(self, listing: Listing) -> tuple[TableSource, list[PurePosixPath]]:
        """The source, and the files that it reads."""
        parts = listing.with_suffix(".parquet", ".arrow")
        if parts:
            return self._parts(listing, parts)
        tars = listing.with_suffix(*TARS)
        if tars and not listing.images:
            return self._tars(listing, tars)
        if listing.metadata:
            return self._image_folder(listing), [*listing.metadata, *listing.images]
        return self._tables(listing)

    def _tables(self, listing: Listing) -> tuple[TableSource, list[PurePosixPath]]:
        exports = [
            file for file in listing.with_suffix(".json", ".xml") if file.parts[:-1] == _EXPORTS
        ]
        if exports and listing.images:
            return self._annotated(listing, exports), [*exports, *listing.images]
        tables = [file for file in listing.with_suffix(*TABLE_SUFFIXES) if len(file.parts) == 1]
        if len(tables) == 1 and len(listing.top_folders()) < 2:
            return self._with_metadata(listing, tables[0]), [*tables, *listing.images]
        splits = [split_in_name(listing.folder / file, listing.folder) for file in tables]
        if len(tables) > 1 and all(splits):
            opened = map(self._opened, self._paths(listing, tables))
            return SplitParts(list(zip(splits, opened, strict=True))), [*tables, *listing.images]
        return self._image_folder(listing), listing.images

    def _annotated(self, listing: Listing, files: list[PurePosixPath]) -> TableSource:
        paths = self._paths(listing, files)
        splits = [split_in_name(path, listing.folder) for path in paths]
        if len(files) == 1:
            return BesideImages(self._opened(paths[0]), listing.folder, listing.images)
        if not all(splits):
            raise _one_too_many(listing, files)
        return SplitParts(
            [
                (split, BesideImages(self._opened(path), listing.folder, _of_split(listing, split)))
                for split, path in zip(splits, paths, strict=True)
            ]
        )

    def _parts(
        self, listing: Listing, files: list[PurePosixPath]
    ) -> tuple[TableSource, list[PurePosixPath]]:
        paths = self._paths(listing, files)
        parts = [(split_in_name(path, listing.folder), ParquetSource(path)) for path in paths]
        if len({bool(split) for split, _ in parts}) > 1:
            without = next(part.path for split, part in parts if not split)
            raise DataError(
                f"{self._path}: the names of some of its files tell a split and that of "
                f"{without.relative_to(self._path)} does not: give one file, or a folder of files "
                "that are all alike"
            )
        return PartsSource(listing.folder, parts), files

    def _tars(
        self, listing: Listing, files: list[PurePosixPath]
    ) -> tuple[TableSource, list[PurePosixPath]]:
        paths = self._paths(listing, files)
        parts = [(split_in_name(path, listing.folder), path) for path in paths]
        return WebDatasetSource(listing.folder, parts), files

    def _image_folder(self, listing: Listing) -> TableSource:
        on_top = [file for file in listing.metadata if len(file.parts) == 1]
        folders = listing.top_folders()
        if on_top or not folders:
            return self._labelled(listing)
        splits = [name for name in folders if is_split_name(name)]
        if splits and len(splits) < len(folders):
            others = ", ".join(name for name in folders if name not in splits)
            raise DataError(
                f"{listing.folder}: its folders {', '.join(splits)} look like splits and {others} "
                "like labels: put the labels into folders of splits, or rename the folders that "
                "are no splits"
            )
        if splits:
            return SplitParts([(name, self._labelled(listing.below(name))) for name in splits])
        inner = listing.below(folders[0])
        names = inner.top_folders()
        if len(folders) == 1 and (len(names) > 1 or any(map(is_split_name, names))):
            # A folder around the dataset, as archives are unpacked.
            return self._image_folder(inner)
        return self._labelled(listing)

    def _labelled(self, listing: Listing) -> TableSource:
        on_top = [file for file in listing.metadata if len(file.parts) == 1]
        if len(on_top) > 1:
            raise _one_too_many(listing, on_top)
        return self._with_metadata(listing, on_top[0]) if on_top else ClassFolders(listing)

    def _with_metadata(self, listing: Listing, file: PurePosixPath) -> TableSource:
        [path] = self._paths(listing, [file])
        return WithMetadata(listing, self._opened(path), file.name)

    def _opened(self, path: Path) -> TableSource:
        return open_file(path, self._sheet)

    def _paths(self, listing: Listing, files: list[PurePosixPath]) -> list[Path]:
        """Where files lie that are to be read. Raises DataError for a link out of the folder."""
        paths = [listing.folder / file for file in files]
        for path in paths if not self._allow_outside else ():
            refuse_outside_link(self._path, path, str(path), _LINKED)
        return paths


def _one_too_many(listing: Listing, files: list[PurePosixPath]) -> DataError:
    names = ", ".join(map(str, files))
    return DataError(f"{listing.folder}: holds {names}: keep one of them")
