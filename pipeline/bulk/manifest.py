"""The folder of shards, and the manifest that says what is judged in it.

FOLDER/
    _manifest.json      what is judged, how, in how many shards, and which rows those are
    part-00000.parquet  verdicts of the first shard; whole or absent, and so its own done-marker

Shards count from 1 where a user reads or types their number and in arrays of Slurm, from 0 in here
and in names of files.

The folder is OUT.shards where the output is to be one file in the end, OUT itself where its name
has no suffix. A launcher keeps its own files beside them, under names with a `_` in front, which
readers of partitioned Parquet pass over.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ...data.arrow import atomic_path, refuse_ending
from ...data.errors import ConfigError, DataError
from ...data.redaction import public_address
from ...data.remote import address
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
from .judge_source import JudgeSource

_MANIFEST_FILE = "_manifest.json"


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


def read_manifest(folder: Path) -> JudgeManifest:
    """Of a folder of shards; raises ConfigError for another folder."""
    if not is_shard_folder(folder):
        raise ConfigError(f"{folder}: not a folder of shards (no {_MANIFEST_FILE})")
    manifest = load_config(JudgeManifest, folder / _MANIFEST_FILE)
    # Wherever the folder is now, seen from here.
    out = folder if not manifest.is_merged else folder.with_name(manifest.out.name)
    return manifest.model_copy(update={"out": out})


def is_shard_folder(folder: Path) -> bool:
    return (folder / _MANIFEST_FILE).exists()


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
