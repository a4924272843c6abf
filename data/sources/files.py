"""A single file as a table, by its suffix."""

from collections.abc import Callable, Mapping
from pathlib import Path

from ..errors import DataError
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
    _refuse_empty(path)
    return _SOURCES[suffix](path)


def _refuse_empty(path: Path) -> None:
    if path.is_file() and not path.stat().st_size:
        raise DataError(f"{path}: the file is empty (0 bytes): export it again, or copy it anew")
