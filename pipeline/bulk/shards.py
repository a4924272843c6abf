"""Bulk judging in shards that are judged anywhere and merged in the end.

OUT.shards/
    manifest.json   what is judged, how, in how many shards
    K.parquet       verdicts of shard K, from 0; whole or absent, and so its own done-marker

A launcher keeps its own files beside them.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...data.arrow import atomic_path, open_parquet, pa, pq
from ...data.errors import ConfigError, DataError
from ...data.shards import Shard, shard_of
from ...data.table.items import NO_ITEM_OPTIONS, ItemOptions, iter_item_ids
from ...data.tasks import Task
from ..config import LIMIT_FIELDS, JudgeConfig, differences, load_config
from ..decisions.decide import Decision
from ..metrics.drift import Distribution
from ..readings.choose import Reading
from .judging import (
    OTHER_JUDGE_KEY,
    JudgedCounts,
    JudgeSource,
    judge_dataset,
    warn_of_other_judge,
)

_MANIFEST_FILE = "manifest.json"
_MERGE_ROWS = 8192


class JudgeManifest(BaseModel):
    """What the shards are of. ids: sha256 over the dataset's example_ids, in file order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Path
    ids: str
    out: Path
    store: Path
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

    def item_ids(self) -> Iterator[str | None]:
        """Of the dataset, in its order."""
        return iter_item_ids(self.dataset, self.task, self.options)


def judge_manifest(
    source: JudgeSource,
    dataset: Path,
    out: Path,
    store: Path,
    num_shards: int,
    options: ItemOptions = NO_ITEM_OPTIONS,
) -> JudgeManifest:
    """The manifest of a job. Raises DataError if the dataset cannot be read."""
    return JudgeManifest(
        dataset=dataset,
        ids=_ids_digest(iter_item_ids(dataset, source.task, options)),
        out=out,
        store=store,
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
    if manifest.out.exists():
        raise DataError(f"{manifest.out}: exists already; name another file or remove it")
    folder = manifest.out.with_name(f"{manifest.out.name}.shards")
    _refuse_other(folder, manifest)
    return folder


def write_manifest(folder: Path, manifest: JudgeManifest) -> None:
    """Make the folder of shards, so that `judge_shard` finds what it needs."""
    with atomic_path(folder / _MANIFEST_FILE) as temporary:
        temporary.write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")


def missing_shards(folder: Path, num_shards: int) -> list[int]:
    """Numbers of the shards that are not judged yet."""
    return [number for number in range(num_shards) if not (folder / f"{number}.parquet").exists()]


def judge_shard(folder: Path, number: int) -> JudgedCounts:
    """Judge one shard, from 0, of a folder. One that is judged already is left alone."""
    manifest = _read_manifest(folder)
    if not 0 <= number < manifest.num_shards:
        raise ConfigError(f"{folder}: shard {number} of {manifest.num_shards}, counted from 0")
    out = folder / f"{number}.parquet"
    if out.exists():
        return JudgedCounts()
    shard = Shard(number + 1, manifest.num_shards)
    return judge_dataset(
        manifest.source,
        manifest.dataset,
        out,
        manifest.store,
        shard=shard,
        options=manifest.options,
    )


def collect_shards(folder: Path) -> tuple[Path, JudgedCounts]:
    """Merge the shards in the order of the dataset; the output and what is in it.

    Raises DataError that says which shards are missing, or that the dataset is another by now;
    FailuresError if more verdicts have no label than the manifest allows.
    """
    manifest = _read_manifest(folder)
    missing = missing_shards(folder, manifest.num_shards)
    if missing:
        some = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise DataError(
            f"{folder}: {len(missing)} of {manifest.num_shards} shards are missing ({some}); the "
            "command that submitted them submits what is missing"
        )
    if _ids_digest(manifest.item_ids()) != manifest.ids:
        raise DataError(f"{manifest.dataset}: holds other examples than when it was judged")
    readers = [_ShardReader(folder / f"{k}.parquet") for k in range(manifest.num_shards)]
    schema = readers[0].schema
    other = next(filter(None, (r.other_judge for r in readers)), "")
    counts = JudgedCounts(other_judge=other, expected=manifest.expected)
    warn_of_other_judge(counts.other_judge)
    with atomic_path(manifest.out) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for ids in _batches(manifest.item_ids()):
            table = _merged(ids, readers)
            counts.add(table)
            writer.write_table(table)
        counts.check(manifest.judge.max_failed_share.judge)
    counts.warn()
    return manifest.out, counts


class _ShardReader:
    """Rows of a shard's file from first to last, a few at a time."""

    def __init__(self, path: Path) -> None:
        self._file: Any = open_parquet(path)
        remarks: dict[bytes, bytes] = self._file.schema_arrow.metadata or {}
        self.other_judge = remarks.get(OTHER_JUDGE_KEY.encode(), b"").decode()
        self.schema: Any = self._file.schema_arrow.remove_metadata()
        self._batches: Iterator[Any] = self._file.iter_batches(_MERGE_ROWS)
        self._table: Any = self.schema.empty_table()

    def take(self, num_rows: int) -> Any:
        """The next rows, as a table."""
        while self._table.num_rows < num_rows:
            batch = pa.Table.from_batches([next(self._batches)]).cast(self.schema)
            self._table = pa.concat_tables([self._table, batch])
        taken = self._table.slice(0, num_rows)
        self._table = self._table.slice(num_rows)
        return taken


def _merged(ids: Sequence[str | None], readers: Sequence[_ShardReader]) -> Any:
    """The verdicts on these examples, in their order."""
    shards = [shard_of(example_id or "", len(readers)) for example_id in ids]
    # Stable: examples of one shard keep their order, which is that of its file.
    order = sorted(range(len(ids)), key=shards.__getitem__)
    sizes = Counter(shards)
    parts = [reader.take(sizes[number]) for number, reader in enumerate(readers, start=1)]
    places = sorted(range(len(ids)), key=order.__getitem__)
    return pa.concat_tables(parts).take(pa.array(places))


def _batches(ids: Iterator[str | None]) -> Iterator[list[str | None]]:
    batch: list[str | None] = []
    for example_id in ids:
        batch.append(example_id)
        if len(batch) == _MERGE_ROWS:
            yield batch
            batch = []
    if batch:
        yield batch


def _ids_digest(ids: Iterator[str | None]) -> str:
    digest = hashlib.sha256()
    for example_id in ids:
        digest.update(f"{example_id}\n".encode())
    return digest.hexdigest()


def _read_manifest(folder: Path) -> JudgeManifest:
    if not (folder / _MANIFEST_FILE).exists():
        raise ConfigError(f"{folder}: not a folder of shards (no {_MANIFEST_FILE})")
    return load_config(JudgeManifest, folder / _MANIFEST_FILE)


def _refuse_other(folder: Path, manifest: JudgeManifest) -> None:
    if not (folder / _MANIFEST_FILE).exists():
        return
    stored, asked_for = (_comparable(m) for m in (_read_manifest(folder), manifest))
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
    return manifest.model_dump(mode="json", exclude={"judge": set(LIMIT_FIELDS), "aligned": True})
