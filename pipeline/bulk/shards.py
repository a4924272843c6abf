"""Bulk judging in shards that are judged anywhere, in a folder that `manifest` describes."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from ...data.arrow import ARROW_ERRORS, atomic_path, open_parquet, pa, parquet_fault, pq
from ...data.errors import ConfigError, DataError
from ...data.shards import Shard, parse_shard
from ...data.table.items import items_extent
from ..runs.judged_by import JUDGED_BY_KEY
from .counts import JudgedCounts
from .judge_source import warn_of_other_judge
from .judging import OTHER_JUDGE_KEY, SHARD_KEY, Workers, judge_cuts
from .manifest import (
    JudgeManifest,
    read_manifest,
    refuse_missing,
    shard_folder,
    write_manifest,
)

_MERGE_ROWS = 8192
_COUNTED = ("verdict", "reason", "label_mass", "decision")


def judge_shard(folder: Path, number: int, workers: Workers | None = None) -> JudgedCounts:
    """Judge one shard, from 0, of a folder. One that is judged already is left alone.

    workers: stay at work; None for some of its own.
    """
    manifest = read_manifest(folder)
    if not 0 <= number < manifest.num_shards:
        raise ConfigError(
            f"{folder}: shard {number + 1}: there are {manifest.num_shards}, counted from 1"
        )
    out = manifest.part(number)
    if out.exists():
        return JudgedCounts()
    shard = Shard(number + 1, manifest.num_shards)
    at_work = workers or Workers()
    try:
        return judge_cuts(
            manifest.source,
            manifest.dataset,
            out,
            manifest.store_of(number),
            at_work,
            manifest.extent.share(shard),
            shard,
            manifest.options,
        )
    finally:
        if manifest.own_stores:
            at_work.pool.forget_store(manifest.store_of(number))
        if workers is None:
            at_work.close()


def judge_missing(manifest: JudgeManifest, workers: Workers | None = None) -> JudgedCounts:
    """Judge the shards that are missing one after the other, here, and put them together.

    workers: closed at the end.
    """
    folder = shard_folder(manifest)
    write_manifest(folder, manifest)
    with closing(workers or Workers()) as at_work:
        new_calls = sum(
            judge_shard(folder, number, at_work).new_calls for number in manifest.missing()
        )
    _, counts = collect_shards(folder)
    counts.new_calls = new_calls
    return counts


def collect_shards(folder: Path) -> tuple[Path, JudgedCounts]:
    """The output, merged in the order of the dataset where it is one file, and what is in it.

    Raises DataError that says which shards are missing, or that the dataset is another by now;
    FailuresError if more verdicts have no label than the manifest allows.
    """
    manifest = read_manifest(folder)
    refuse_missing(folder, manifest)
    if items_extent(manifest.dataset, manifest.task, manifest.options) != manifest.extent:
        raise DataError(f"{manifest.dataset}: holds other rows than when it was judged")
    parts = map(manifest.part, range(manifest.num_shards))
    files = [_opened(part) for part in parts]
    others = [_other_judge(file) for file in files]
    counts = JudgedCounts(other_judge=next(filter(None, others), ""), expected=manifest.expected)
    warn_of_other_judge(counts.other_judge)
    if manifest.is_merged:
        _merge(files, manifest, counts)
    else:
        for table in _tables(files, _COUNTED):
            counts.add(table)
        counts.check(manifest.judge.max_failed_share.judge)
    counts.warn()
    return manifest.out, counts


def shard_of(file: Path) -> Shard | None:
    """Which shard of a dataset a file of verdicts is of; None for one that does not say."""
    try:
        with open_parquet(file) as opened:
            remark = _remarks(opened).get(SHARD_KEY.encode())
        return None if remark is None else parse_shard(remark.decode())
    except (*ARROW_ERRORS, DataError):
        return None


def _merge(files: Sequence[Any], manifest: JudgeManifest, counts: JudgedCounts) -> None:
    """One file of all shards, which are in the order of the dataset already."""
    schema = files[0].schema_arrow.with_metadata(_judged_by(files))
    with atomic_path(manifest.out) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for table in _tables(files, schema.names):
            counts.add(table)
            writer.write_table(table.cast(schema))
        counts.check(manifest.judge.max_failed_share.judge)


def _tables(files: Sequence[Any], columns: Sequence[str]) -> Iterator[Any]:
    """Rows of all files, a few at a time, as far as they have these columns."""
    for file in files:
        names = [name for name in columns if name in file.schema_arrow.names]
        for batch in file.iter_batches(_MERGE_ROWS, columns=names):
            yield pa.Table.from_batches([batch])


def _opened(part: Path) -> Any:
    try:
        return open_parquet(part)
    except ARROW_ERRORS as error:
        raise DataError(
            f"{part}: not a whole Parquet file ({parquet_fault(error)}): remove it, and run the "
            "`blpo judge` command again: what was answered is in the store"
        ) from error


def _other_judge(file: Any) -> str:
    return _remarks(file).get(OTHER_JUDGE_KEY.encode(), b"").decode()


def _remarks(file: Any) -> dict[bytes, bytes]:
    return file.schema_arrow.metadata or {}


def _judged_by(files: Sequence[Any]) -> dict[bytes, bytes]:
    """The remark on what judged the shards, where that was the same for all."""
    key = JUDGED_BY_KEY.encode()
    found = {_remarks(file).get(key, b"") for file in files}
    return {key: found.pop()} if len(found) == 1 and b"" not in found else {}
