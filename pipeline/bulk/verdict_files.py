"""The files of verdicts that `judge` has written: one, or the parts of a folder."""

import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...data.dataset_files import parquet_files
from ...data.errors import DataError
from ...data.sources.several import joint_name
from .manifest import is_shard_folder, missing_shards, read_manifest, refuse_missing
from .shards import shard_of

_log = logging.getLogger("blpo.estimate")


def verdict_files(given: Sequence[Path]) -> list[Path]:
    """The files, and those of folders in the order of their names.

    Raises DataError for a path that is none, a file that is named twice, a folder without one, and
    a folder of shards of which some are missing; warns of them among files that are named singly.
    """
    files: list[Path] = []
    firsts: dict[Path, int] = {}
    for number, path in enumerate(given):
        for file in _parts(path) if path.is_dir() else [path]:
            if not file.exists():
                raise DataError(
                    f"{file}: no such file; make a file of verdicts with `blpo judge IMAGES --run "
                    "RUN --out VERDICTS.parquet`"
                )
            first = firsts.setdefault(file.resolve(), number)
            if first != number:
                raise DataError(
                    f"{file}: is named twice, the first time as {given[first]}: leave one of them "
                    "out"
                )
            files.append(file)
    singly = [path for path in given if not path.is_dir()]
    for told in _missing(singly):
        _log.warning("%s: %s, and not counted", joint_name(singly), told)
    return files


def _parts(folder: Path) -> list[Path]:
    if is_shard_folder(folder):
        refuse_missing(folder, read_manifest(folder))
    found = parquet_files(folder)
    if not found:
        raise DataError(f"{folder}: holds no Parquet file: give what `blpo judge` wrote")
    for told in _missing(found):
        raise DataError(
            f"{folder}: {told}; judge them with `blpo judge ... --shard I/N`, or name the files "
            "one by one to count these alone"
        )
    return found


def _missing(files: Sequence[Path]) -> Iterator[str]:
    """What is missing of the jobs whose shards are among the files; jobs differ in their number."""
    found: defaultdict[int, set[int]] = defaultdict(set)
    for file in files:
        if shard := shard_of(file):
            found[shard.count].add(shard.index - 1)
    for count, numbers in found.items():
        if missing := sorted({*range(count)} - numbers):
            yield missing_shards(missing, count)
