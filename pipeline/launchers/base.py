"""What a launcher is: it runs the cells of a sweep and judges datasets, here or elsewhere."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ...data.errors import ConfigError
from ...data.shards import Shard
from ...data.table.items import NO_ITEM_OPTIONS, ItemOptions
from ..bulk.counts import JudgedCounts
from ..bulk.judge_source import JudgeSource
from ..bulk.manifest import JudgeManifest, judge_manifest
from ..config import RunConfig
from ..sweeps.cells import CellState, Outcome
from ..sweeps.sweep import SweepConfig

NUM_SHARDS = 8
"""Of a dataset where nobody says."""


@dataclass(frozen=True, slots=True)
class SweepJob:
    """A sweep to run.

    cells: all of its cells by name. names_file: names the cells to run, one a line; None for all.
    """

    config: SweepConfig
    cells: Mapping[str, RunConfig]
    names_file: Path | None = None
    start_over: bool = False


@dataclass(frozen=True, slots=True)
class JudgeJob:
    """A dataset to judge. None: not asked for, so that the launcher decides.

    shard: the only share of the dataset to judge. num_shards: into how many the launcher splits
    it. own_stores: whether each has a reply store of its own. gpus: of a task. max_running: tasks
    or actors at work at a time. options: where images are, of what is no dataset file.
    """

    source: JudgeSource
    dataset: Path
    out: Path
    store: Path
    overwrite: bool = False
    shard: Shard | None = None
    num_shards: int | None = None
    own_stores: bool = False
    gpus: int | None = None
    max_running: int | None = None
    sbatch_options: Sequence[str] | None = None
    options: ItemOptions = NO_ITEM_OPTIONS

    def manifest(self) -> JudgeManifest:
        """Of the shards, which are the same for every launcher."""
        return judge_manifest(
            self.source,
            self.dataset,
            self.out,
            self.store,
            self.num_shards or NUM_SHARDS,
            self.options,
            own_stores=self.own_stores,
        )


@dataclass(frozen=True, slots=True)
class Submission:
    """Work that others do later. record: what was submitted, JSON values. lines: it in words."""

    record: Mapping[str, Any]
    lines: Sequence[str]


class Launcher(Protocol):
    """What runs sweep cells and judges datasets.

    Both raise ConfigError, before anything is done, for an option that the launcher has no use for
    (`refuse_options`) and for what it cannot run at all.
    """

    @abstractmethod
    def run_sweep(self, job: SweepJob) -> Mapping[str, Outcome] | Submission:
        """What became of every cell that was to run, by name; or what was submitted."""
        ...

    @abstractmethod
    def judge(self, job: JudgeJob) -> JudgedCounts | Submission:
        """What was judged, when `job.out` is written; or what was submitted."""
        ...

    def queued_cells(self, folder: Path) -> Mapping[str, CellState]:
        """Cells of a sweep's output folder that others run now or will run: RUNNING or QUEUED."""
        del folder
        return {}


def refuse_options(launcher: str, does: str, options: Mapping[str, object]) -> None:
    """Raises ConfigError, naming them, for options that were given: a value that is not None.

    does: what the launcher does, and so why it has no use for them.
    """
    given = [option for option, value in options.items() if value is not None]
    if given:
        raise ConfigError(f"--launcher {launcher}: {does}; drop {', '.join(given)}")
