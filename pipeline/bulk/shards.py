"""Bulk judging in shards that are judged anywhere.

FOLDER/
    _manifest.json      what is judged, how, in how many shards, and which rows those are
    part-00000.parquet  verdicts of the first shard; whole or absent, and so its own done-marker

Shards count from 1 where a user reads or types their number and in arrays of Slurm, from 0 in here
and in names of files.

The folder is OUT.shards where the output is to be one file in the end, OUT itself where its name
has no suffix. A launcher keeps its own files beside them, under names with a `_` in front, which
readers of partitioned Parquet pass over.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...data.arrow import (
    ARROW_ERRORS,
    atomic_path,
    open_parquet,
    pa,
    parquet_fault,
    pq,
    refuse_ending,
)
from ...data.errors import ConfigError, DataError
from ...data.redaction import public_address
from ...data.remote import address
from ...data.shards import Shard, parse_shard
from ...data.table.extent import Extent
from ...data.table.items import (
    NO_ITEM_OPTIONS,
    ItemOptions,
    items_extent,
    refuse_shared_addresses,
)
from ...data.tasks import Task
from ..config import LIMIT_FIELDS, JudgeConfig, differences, load_config
from ..decisions.decide import Decision
from ..metrics.drift import Distribution
from ..readings.choose import Reading
from ..runs.judged_by import JUDGED_BY_KEY
from .counts import JudgedCounts
from .judge_source import JudgeSource, warn_of_other_judge
from .judging import OTHER_JUDGE_KEY, SHARD_KEY, Workers, judge_cuts

_MANIFEST_FILE = "_manifest.json"
_MERGE_ROWS = 8192
_COUNTED = ("verdict", "reason", "label_mass", "decision")


class JudgeManifest(BaseModel):
    """What the shards are of. extent: the files of the dataset when the job began.

    own_stores: whether each shard has a reply store of its own below `store`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Path
    extent: Extent
    out: Path
    store: Path
    own_stores: bool = False
    num_shards: int
    task: Task
    judge_prompt: str
    judge: JudgeConfig
    reading: Reading | None = None
    decision: Decision | None = None
    expected: Distribution | None = None
    aligned: dict[str, str] = Field(default_factory=dict)
    options: ItemOptions = NO_ITEM_OPTIONS

    @property
    def source(self) -> JudgeSource:
        return JudgeSource(
            self.task,
            self.judge_prompt,
            self.judge,
            self.reading,
            self.aligned,
            decision=self.decision,
            expected=self.expected,
        )

    @property
    def is_merged(self) -> bool:
        """Whether the output is one file; else it is the folder of shards."""
        return bool(self.out.suffix)

    @property
    def folder(self) -> Path:
        """Where the shards lie."""
        return self.out.with_name(f"{self.out.name}.shards") if self.is_merged else self.out

    def part(self, number: int) -> Path:
        """The file of a shard, from 0."""
        return self.folder / f"part-{number:05d}.parquet"

    def missing(self) -> list[int]:
        """Numbers of the shards that are not judged yet."""
        return [number for number in range(self.num_shards) if not self.part(number).exists()]

    def store_of(self, number: int) -> Path:
        return self.store / f"shard-{number:05d}" if self.own_stores else self.store


def judge_manifest(
    source: JudgeSource,
    dataset: Path,
    out: Path,
    store: Path,
    num_shards: int,
    options: ItemOptions = NO_ITEM_OPTIONS,
    *,
    own_stores: bool = False,
) -> JudgeManifest:
    """The manifest of a job.

    Raises DataError if the dataset cannot be read, has a password or a key in its address, or calls
    two images alike, and for an output with another ending than .parquet; one without is a folder.
    """
    if out.suffix:
        refuse_ending(out, ".parquet")
    shown = public_address(address(dataset))
    if shown != address(dataset):
        raise DataError(
            f"{shown}: a password or key stands in its address, which a folder of shards would "
            "keep: judge it without shards, or download the images first and give their folder"
        )
    refuse_shared_addresses(dataset, source.task, options)
    return JudgeManifest(
        dataset=dataset,
        extent=items_extent(dataset, source.task, options),
        out=out,
        store=store,
        own_stores=own_stores,
        num_shards=num_shards,
        task=source.task,
        judge_prompt=source.judge_prompt,
        judge=source.config,
        reading=source.reading,
        decision=source.decision,
        expected=source.expected,
        aligned=dict(source.aligned),
        options=options,
    )


def shard_folder(manifest: JudgeManifest) -> Path:
    """Where the shards of an output lie, or will lie.

    Raises DataError if the output exists, ConfigError if the folder belongs to another job.
    """
    folder = manifest.folder
    if manifest.is_merged and manifest.out.exists():
        raise DataError(f"{manifest.out}: exists already; name another file or remove it")
    if is_shard_folder(folder):
        _refuse_other(manifest)
    elif folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(
            f"{folder}: exists already, and is no folder of shards: name another --out, or one "
            "that ends in .parquet for a single file"
        )
    return folder


def write_manifest(folder: Path, manifest: JudgeManifest) -> None:
    """Make the folder of shards, so that `judge_shard` finds what it needs."""
    with atomic_path(folder / _MANIFEST_FILE) as temporary:
        temporary.write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")


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
    """Judge the shards that are missing one after the other, here, and put them together."""
    folder = shard_folder(manifest)
    write_manifest(folder, manifest)
    at_work, new_calls = workers or Workers(), 0
    try:
        for number in manifest.missing():
            new_calls += judge_shard(folder, number, at_work).new_calls
    finally:
        at_work.close()
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


def _opened(part: Path) -> Any:
    try:
        return open_parquet(part)
    except ARROW_ERRORS as error:
        raise DataError(
            f"{part}: not a whole Parquet file ({parquet_fault(error)}): remove it, and run the "
            "`blpo judge` command again: what was answered is in the store"
        ) from error


def refuse_missing(folder: Path, manifest: JudgeManifest) -> None:
    """Raise DataError that says which shards of the folder are not judged yet, if any."""
    missing = manifest.missing()
    if missing:
        raise DataError(
            f"{folder}: {missing_shards(missing, manifest.num_shards)}; the `blpo judge` command "
            "that made the others makes what is missing alone"
        )


def missing_shards(missing: Sequence[int], num_shards: int) -> str:
    """Which shards, from 0, are not there, in words that count from 1 as --shard does."""
    some = ", ".join(str(number + 1) for number in missing[:10])
    more = ", ..." if len(missing) > 10 else ""
    of = f"{len(missing)} of {num_shards} shards are missing"
    return f"{of} (of 1 to {num_shards}: {some}{more})"


def shard_of(file: Path) -> Shard | None:
    """Which shard of a dataset a file of verdicts is of; None for one that does not say."""
    try:
        with open_parquet(file) as opened:
            remark = _remarks(opened).get(SHARD_KEY.encode())
        return None if remark is None else parse_shard(remark.decode())
    except (*ARROW_ERRORS, DataError):
        return None


def is_shard_folder(folder: Path) -> bool:
    return (folder / _MANIFEST_FILE).exists()


def read_manifest(folder: Path) -> JudgeManifest:
    """Of a folder of shards; raises ConfigError for another folder."""
    if not is_shard_folder(folder):
        raise ConfigError(f"{folder}: not a folder of shards (no {_MANIFEST_FILE})")
    manifest = load_config(JudgeManifest, folder / _MANIFEST_FILE)
    # Wherever the folder is now, seen from here.
    out = folder if not manifest.is_merged else folder.with_name(manifest.out.name)
    return manifest.model_copy(update={"out": out})


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


def _other_judge(file: Any) -> str:
    return _remarks(file).get(OTHER_JUDGE_KEY.encode(), b"").decode()


def _remarks(file: Any) -> dict[bytes, bytes]:
    return file.schema_arrow.metadata or {}


def _judged_by(files: Sequence[Any]) -> dict[bytes, bytes]:
    """The remark on what judged the shards, where that was the same for all."""
    key = JUDGED_BY_KEY.encode()
    found = {_remarks(file).get(key, b"") for file in files}
    return {key: found.pop()} if len(found) == 1 and b"" not in found else {}


def _refuse_other(manifest: JudgeManifest) -> None:
    folder = manifest.folder
    stored, asked_for = (_comparable(m) for m in (read_manifest(folder), manifest))
    found = differences(stored, asked_for)
    if found:
        raise ConfigError(
            f"{folder}: its shards belong to another job, which differs in\n  "
            + "\n  ".join(found)
            + "\nName another --out, restore these values, or remove that folder (replies in the "
            "store are kept)."
        )


def _comparable(manifest: JudgeManifest) -> dict[str, Any]:
    """What shapes the shards, as JSON values: what a prompt was aligned with shapes a remark."""
    left_out = {"judge": set(LIMIT_FIELDS), "aligned": True, "extent": True, "out": True}
    found = manifest.model_dump(mode="json", exclude=left_out)
    return found | {"contents of the dataset": manifest.extent.digest}
