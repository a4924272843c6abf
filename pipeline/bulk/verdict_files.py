"""The files of verdicts that `judge` has written: one, or the parts of a folder."""

from collections.abc import Sequence
from pathlib import Path

from ...data.dataset_files import parquet_files
from ...data.errors import DataError
from .shards import is_shard_folder, read_manifest, refuse_missing


def verdict_files(given: Sequence[Path]) -> list[Path]:
    """The files, and those of folders in the order of their names, each once.

    Raises DataError for a folder without one, and for a folder of shards of which some are missing.
    """
    files = [file for path in given for file in (_parts(path) if path.is_dir() else [path])]
    return list({file.resolve(): file for file in files}.values())


def _parts(folder: Path) -> list[Path]:
    if is_shard_folder(folder):
        refuse_missing(folder, read_manifest(folder))
    found = parquet_files(folder)
    if not found:
        raise DataError(f"{folder}: holds no Parquet file: give what `blpo judge` wrote")
    return found
