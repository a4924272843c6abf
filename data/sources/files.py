"""A single file as a table, by its suffix."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import DataError
from ..images import is_image_start
from .base import TableSource
from .cvat import CvatSource
from .delimited import CsvSource
from .json_files import JsonLinesSource, JsonSource
from .lines import LinesSource
from .parquet_files import ParquetSource
from .webdataset import WebDatasetSource

SPREADSHEETS = (".xlsx", ".xlsm", ".xls", ".ods")
TABLE_SUFFIXES = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".xml", *SPREADSHEETS)
TEXT_LISTS = (".txt",)
"""Tables where they are named themselves; in a folder they may be anything."""

_SOURCES: Mapping[str, Callable[[Path], TableSource]] = {
    ".csv": CsvSource,
    ".tsv": CsvSource,
    ".jsonl": JsonLinesSource,
    ".ndjson": JsonLinesSource,
    ".json": JsonSource,
    ".parquet": ParquetSource,
    ".arrow": ParquetSource,
    ".xml": CvatSource,
    ".txt": LinesSource,
}
_START_BYTES = 16
_STARTS = {
    b"PK\3\4": "a spreadsheet (.xlsx, .ods) or a .zip",
    b"\xd0\xcf\x11\xe0": "a spreadsheet (.xls)",
    b"\x1f\x8b": "an archive (.gz)",
    b"PAR1": "a .parquet",
    b"%PDF": "a .pdf",
}
ARCHIVES = (".zip", ".gz", ".bz2", ".xz", ".zst", ".7z", ".rar")
TARS = (".tar", ".tar.gz", ".tgz")


def open_file(path: Path, sheet: str = "") -> TableSource:
    """The table in a file; raises DataError for a suffix that is none of a table.

    sheet: which one of a spreadsheet.
    """
    if path.name.lower().endswith(TARS):
        return WebDatasetSource(path.parent, [("", path)])
    suffix = path.suffix.lower()
    if sheet and suffix not in SPREADSHEETS:
        raise DataError(f"{path}: --sheet {sheet}: only spreadsheets have sheets: leave it out")
    if suffix in SPREADSHEETS:
        # Imported here: the reader of spreadsheets is needed by few.
        from .spreadsheets import SpreadsheetSource  # noqa: PLC0415

        return SpreadsheetSource(path, sheet)
    if suffix in ARCHIVES:
        raise DataError(f"{path}: an archive: unpack it and give the folder or file in it")
    if suffix not in _SOURCES:
        raise DataError(
            f"{path}: cannot read {suffix or 'a file without a suffix'} as a table: give .csv, "
            ".tsv, .xlsx, .jsonl, .ndjson, .json, .parquet, .tar, the .xml of CVAT, a folder, or a "
            ".txt of images without labels"
        )
    _check_start(path, suffix)
    return _SOURCES[suffix](path)


def _check_start(path: Path, suffix: str) -> None:
    """Raise DataError for an empty file, and for one that its first bytes give another suffix."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(_START_BYTES)
    if not start:
        raise DataError(f"{path}: the file is empty (0 bytes): export it again, or copy it anew")
    is_image = is_image_start(start) and b"\0" in start  # A header may begin with BM.
    found = "an image" if is_image else _kind(start)
    if found and suffix not in (".parquet", ".arrow"):
        raise DataError(f"{path}: is {found} by its first bytes, and no {suffix}: rename it")


def _kind(start: bytes) -> str:
    """What a file is that begins so; empty for any other."""
    return next((kind for mark, kind in _STARTS.items() if start.startswith(mark)), "")
