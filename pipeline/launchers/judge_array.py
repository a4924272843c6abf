"""Bulk judging as a Slurm array: a task for each shard that is missing, then a job that merges.

OUT.shards/
    manifest.json   what is judged, how, in how many shards
    K.parquet       verdicts of shard K, from 0; whole or absent, and so its own done-marker
    jobs.jsonl      ids of what was submitted
    logs/
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from ...data.arrow import atomic_path, open_parquet, pa, pq
from ...data.errors import ConfigError, DataError
from ...data.examples import iter_example_ids
from ...data.shards import Shard, shard_of
from ...data.tasks import Task
from ..bulk.judging import JudgedCounts, JudgeSource, judge_dataset
from ..config import JudgeConfig, differences, load_config
from ..search.cutpoints import CutPoints
from .slurm_commands import (
    active_tasks,
    array_option,
    max_array_tasks,
    refuse_engine,
    refuse_request,
    submit,
)

_MANIFEST_FILE = "manifest.json"
_JOBS_FILE = "jobs.jsonl"
_MERGE_ROWS = 8192


class JudgeManifest(BaseModel):
    """What an array judges. ids: sha256 over the dataset's example_ids, in file order."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dataset: Path
    ids: str
    out: Path
    store: Path
    num_shards: int
    task: Task
    judge_prompt: str
    judge: JudgeConfig
    reading: CutPoints | None = None

    @property
    def source(self) -> JudgeSource:
        return JudgeSource(self.task, self.judge_prompt, self.judge, self.reading)


@dataclass(frozen=True, slots=True)
class JudgeSubmission:
    """What was submitted: the shards; array, collect: job ids, None if nothing was to do."""

    folder: Path
    shards: list[int]
    array: str | None
    collect: str | None


def judge_manifest(
    source: JudgeSource, dataset: Path, out: Path, store: Path, num_shards: int
) -> JudgeManifest:
    """The manifest of a job. Raises DataError if the dataset cannot be read."""
    return JudgeManifest(
        dataset=dataset,
        ids=_ids_digest(dataset),
        out=out,
        store=store,
        num_shards=num_shards,
        task=source.task,
        judge_prompt=source.judge_prompt,
        judge=source.config,
        reading=source.reading,
    )


def submit_judging(
    manifest: JudgeManifest, options: Sequence[str], max_running: int, gpus: int
) -> JudgeSubmission:
    """Submit the shards that are neither judged nor in the queue, and the job that merges.

    Raises DataError if the output exists; ConfigError or LaunchError, before anything is
    submitted, for what cannot run or belongs to another job.
    """
    folder = shard_folder(manifest.out)
    if manifest.out.exists():
        raise DataError(f"{manifest.out}: exists already; name another file or remove it")
    _refuse_other(folder, manifest)
    queued = _queued_shards(folder)
    missing = [k for k in missing_shards(folder, manifest.num_shards) if k not in queued]
    if queued and not missing:
        return JudgeSubmission(folder, [], None, None)
    array_options = [array_option(missing, max_running), f"--gpus-per-node={gpus}", *options]
    _refuse_impossible(manifest, array_options, gpus)
    with atomic_path(folder / _MANIFEST_FILE) as temporary:
        temporary.write_text(manifest.model_dump_json(indent=2) + "\n", "utf-8")
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    array = submit("judge", array_options, [str(folder)], logs) if missing else None
    after = [f"--dependency=afterany:{array}"] if array else []
    collect = submit("collect", after, ["judge", "collect", str(folder)], logs)
    with (folder / _JOBS_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps({"array": array, "collect": collect}) + "\n")
    return JudgeSubmission(folder, missing, array, collect)


def judge_shard(folder: Path, number: int) -> JudgedCounts:
    """Judge one shard, from 0, of a folder. One that is judged already is left alone."""
    manifest = _read_manifest(folder)
    if not 0 <= number < manifest.num_shards:
        raise ConfigError(f"{folder}: shard {number} of {manifest.num_shards}, counted from 0")
    out = folder / f"{number}.parquet"
    if out.exists():
        return JudgedCounts()
    shard = Shard(number + 1, manifest.num_shards)
    return judge_dataset(manifest.source, manifest.dataset, out, manifest.store, shard=shard)


def collect_shards(folder: Path) -> tuple[Path, int]:
    """Merge the shards in the order of the dataset; the output and its number of rows.

    Raises DataError that says which shards are missing, or that the dataset is another by now.
    """
    manifest = _read_manifest(folder)
    missing = missing_shards(folder, manifest.num_shards)
    if missing:
        some = ", ".join(map(str, missing[:10])) + (", ..." if len(missing) > 10 else "")
        raise DataError(
            f"{folder}: {len(missing)} of {manifest.num_shards} shards are missing ({some}); the "
            "command that submitted them submits what is missing"
        )
    if _ids_digest(manifest.dataset) != manifest.ids:
        raise DataError(f"{manifest.dataset}: holds other examples than when it was judged")
    readers = [_ShardReader(folder / f"{k}.parquet") for k in range(manifest.num_shards)]
    schema = readers[0].schema
    rows = 0
    with atomic_path(manifest.out) as temporary, pq.ParquetWriter(temporary, schema) as writer:
        for ids in _batches(iter_example_ids(manifest.dataset)):
            writer.write_table(_merged(ids, readers))
            rows += len(ids)
    return manifest.out, rows


def shard_folder(out: Path) -> Path:
    """Where the shards of an output are."""
    return out.with_name(f"{out.name}.shards")


def missing_shards(folder: Path, num_shards: int) -> list[int]:
    return [number for number in range(num_shards) if not (folder / f"{number}.parquet").exists()]


class _ShardReader:
    """Rows of a shard's file from first to last, a few at a time."""

    def __init__(self, path: Path) -> None:
        self._file: Any = open_parquet(path)
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


def _ids_digest(dataset: Path) -> str:
    digest = hashlib.sha256()
    for example_id in iter_example_ids(dataset):
        digest.update(f"{example_id}\n".encode())
    return digest.hexdigest()


def _read_manifest(folder: Path) -> JudgeManifest:
    if not (folder / _MANIFEST_FILE).exists():
        raise ConfigError(f"{folder}: not a folder of shards (no {_MANIFEST_FILE})")
    return load_config(JudgeManifest, folder / _MANIFEST_FILE)


def _refuse_other(folder: Path, manifest: JudgeManifest) -> None:
    if not (folder / _MANIFEST_FILE).exists():
        return
    stored = _read_manifest(folder).model_dump(mode="json")
    found = differences(stored, manifest.model_dump(mode="json"))
    if found:
        raise ConfigError(
            f"{folder}: its shards belong to another job, which differs in\n  "
            + "\n  ".join(found)
            + "\nName another --out, restore these values, or remove that folder (replies in the "
            "store are kept)."
        )


def _refuse_impossible(manifest: JudgeManifest, options: Sequence[str], gpus: int) -> None:
    refuse_engine("judge", manifest.judge.judge, gpus)
    most = max_array_tasks()
    if manifest.num_shards > most:
        raise ConfigError(
            f"--shards {manifest.num_shards}: an array may have {most} tasks here: lower it"
        )
    refuse_request("tasks", "judge", options)


def _queued_shards(folder: Path) -> set[int]:
    """Shards that wait in Slurm's queue or are at work."""
    try:
        lines = (folder / _JOBS_FILE).read_text("utf-8").splitlines()
    except FileNotFoundError:
        return set()
    arrays = [job for line in lines if (job := json.loads(line)["array"])]
    return {task for job in arrays for task in active_tasks(job)}
