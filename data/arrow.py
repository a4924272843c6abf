"""pyarrow, which ships no type information, and files that appear whole or not at all."""

import errno
import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

# Arrow's own keeps, for each thread, what it once had: a tenth of the memory of `blpo judge`.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

import pyarrow  # pyright: ignore[reportMissingTypeStubs]
import pyarrow.parquet  # pyright: ignore[reportMissingTypeStubs]

from .errors import DataError, OutputError, what_failed

pa: Any = pyarrow
pq: Any = pyarrow.parquet

ARROW_ERRORS: tuple[type[Exception], ...] = (pa.ArrowException, OSError, UnicodeDecodeError)
"""What pyarrow raises on a file that is cut off, damaged or no Parquet at all."""

_NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)
"""What file systems answer that have no second names for a file."""


def open_parquet(source: Any, **options: Any) -> Any:
    """A path or Arrow file as a ParquetFile; its memory does not grow with what is read."""
    return pq.ParquetFile(source, pre_buffer=False, buffer_size=2**20, **options)


def parquet_fault(error: Exception) -> str:
    """Which of ARROW_ERRORS a file gave, in words without those of the library."""
    if isinstance(error, UnicodeDecodeError):
        return "holds text that is not UTF-8"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno).lower()
    text = str(error).lower()
    if "magic bytes" in text or "file size is" in text:
        return "its end is missing"
    return "its contents are damaged"


def temporary_name(path: Path) -> Path:
    """A hidden unique name beside `path`; readers skip it, `is_temporary` knows it."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(8)}.tmp")


def is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(".tmp")


def sync(path: Path) -> None:
    """Flushes a file, or the entries of a directory, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_output(out: Path, source: Path, ending: str, *, overwrite: bool) -> None:
    """Raise DataError if a file is there already, is the one that is read, or is named as another
    format than the one of `ending`, such as .html."""
    is_there = out.exists()
    if is_there:
        _refuse_place(out)
    if is_there and source.exists() and out.samefile(source):
        raise DataError(f"{out}: is the file that is read: name another one")
    refuse_ending(out, ending)
    if is_there and not overwrite:
        raise DataError(f"{out}: already there: name another file or pass --overwrite")


def refuse_ending(out: Path, *endings: str) -> None:
    """Raise DataError for the name of an output that has none of these endings."""
    if out.suffix.lower() not in endings:
        written = out.with_suffix(endings[0]) if out.name else endings[0]
        raise DataError(f"{out}: what is written there ends in {endings[0]}: name it {written}")


def _refuse_place(path: Path) -> None:
    if not path.name or path.is_dir():
        raise OutputError(f"{path}: cannot be written: a folder is in its place: name another path")
    if path.exists() and not path.is_file():
        raise OutputError(f"{path}: cannot be written: no regular file: name another path")


@contextmanager
def atomic_path(path: Path, *, overwrite: bool = True) -> Generator[Path]:
    """A temporary path that becomes `path`, synced, when the block ends without an exception.

    overwrite: whether it takes the place of a file that is there by then; of several processes
    that write one path without it, one succeeds. Raises OutputError where it cannot be written, at
    once for a folder or device in its place; nothing is left behind then.
    """
    _refuse_place(path)
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        sync(temporary)
        if overwrite:
            temporary.replace(path)
        else:
            _place_new(temporary, path)
        sync(path.parent)
    except OSError as error:
        # What the block reads meanwhile has a name of its own.
        if error.filename not in (None, str(temporary), str(path), str(path.parent)):
            raise
        raise OutputError(f"{path}: cannot be written: {what_failed(error)}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _place_new(temporary: Path, path: Path) -> None:
    """Give a file its name unless another has it; raises OutputError then."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        # A file server may have made the link, and answered a question that was sent twice.
        if not path.samefile(temporary):
            raise _taken(path) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            path.open("x").close()
        except FileExistsError:
            raise _taken(path) from None
        temporary.replace(path)


def _taken(path: Path) -> OutputError:
    return OutputError(
        f"{path}: already there: another process has written it meanwhile; name another file or "
        "pass --overwrite"
    )
