"""Image files that a dataset names: only inside its folder, and nothing but images."""

import os
from pathlib import Path

from .errors import DataError
from .images import FORMATS, NO_IMAGE, TOO_LARGE, is_image_start
from .shown import shortened

MAX_IMAGE_BYTES = 1 << 29
"""Of an encoded image. The largest that is decoded has half of that before compression."""

_START_BYTES = 16
WAYS_TO_FILE = (
    "correct the path, name the folder that paths start from with --image-root FOLDER, or drop the "
    "row"
)
NO_FILE = "a path without a file"
_OUTSIDE = "an image outside the folder"
"""Causes of errors, which rows are counted by."""


def image_path(
    folder: Path,
    name: str,
    remedy: str,
    *,
    allow_outside: bool = False,
    role: str = "image",
    shown: str = "",
) -> Path:
    """The file that a dataset in `folder` names; raises DataError for one outside of it.

    role: what messages call the image. shown: what they call it with its name, if not by `name`.

    A dataset from elsewhere must not get at other files of whoever imports it, neither by a path
    that leads out of the folder nor by a link in it.
    """
    path = Path(os.path.abspath(folder / name))
    shown = shown or f"{role} {shortened(name)}"
    if not allow_outside:
        if not path.is_relative_to(os.path.abspath(folder)):
            raise DataError(f"{shown}: outside {folder}: {remedy}", cause=_OUTSIDE)
        refuse_outside_link(folder, path, shown, remedy)
    return path


def refuse_outside_link(folder: Path, path: Path, shown: str, remedy: str) -> None:
    """Raise DataError if a path in a folder leads out of it by a link.

    The Hub's cache keeps the files of a dataset beside its snapshots, which link there.
    """
    root = Path(os.path.realpath(folder))
    inside = [root]
    snapshots = next((p for p in (root, *root.parents) if p.parent.name == "snapshots"), None)
    if snapshots is not None:
        inside.append(snapshots.parent.with_name("blobs"))
    try:
        target = Path(os.path.realpath(path))
    except ValueError:
        return  # A name that no file has, as who opens it finds out.
    if not any(target.is_relative_to(place) for place in inside):
        raise DataError(f"{shown}: a link that leads out of {folder}: {remedy}", cause=_OUTSIDE)


def read_image_file(
    path: Path, role: str = "image", *, shown: str = "", ways: str = WAYS_TO_FILE
) -> bytes:
    """The bytes of a regular file that begins like an image; raises DataError naming it.

    role: what messages call the image. shown: what they call it with its name, if not by its path.
    ways: what to do where there is no such file. Of any other file no more than the first bytes are
    read, and none of them is told.
    """
    shown = shown or f"{role} {shortened(str(path))}"
    try:
        if path.exists() and not path.is_file():
            raise DataError(f"{shown}: no regular file: correct the path or drop the row")
        with path.open("rb") as file:
            start = file.read(_START_BYTES)
            _refuse_no_image(start, os.fstat(file.fileno()).st_size, shown)
            return start + file.read()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(f"{shown}: no such file", ways, cause=NO_FILE) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise DataError(
            f"{shown}: cannot be read ({reason}); correct it or drop the row"
        ) from error


def _refuse_no_image(start: bytes, num_bytes: int, shown: str) -> None:
    """An empty file passes: what decodes it says so."""
    if start and not is_image_start(start):
        raise DataError(
            f"{shown}: its first bytes are those of none of {', '.join(FORMATS)}: replace it "
            "or drop the row",
            cause=NO_IMAGE,
        )
    if num_bytes > MAX_IMAGE_BYTES:
        raise DataError(
            f"{shown}: {num_bytes:,} bytes, more than the {MAX_IMAGE_BYTES:,} that are read: "
            "shrink it or drop the row",
            cause=TOO_LARGE,
        )
