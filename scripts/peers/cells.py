"""Cells of the comparison: a method on one task and seed, run, then scored on the test split."""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from blpo.data.examples import Dataset
from blpo.data.store.store import ReplyStore
from blpo.data.tasks import Task, load_task
from blpo.models.engine import Engine
from blpo.models.engines.settings import EngineSettings
from blpo.models.lexicon.engine import LexiconEngine
from blpo.models.roles.judge import Judge, Verdict
from blpo.models.wrappers.ledger import Role
from blpo.models.wrappers.stored import StoredEngine
from blpo.pipeline.metrics.agreement import Agreement, Gain, agreement, gain
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.search.budget import BudgetConfig

from .stand_in import PeerStandIn
from .variants import Variant
from .world import Arm, Found, World

MICRO_JUDGE = EngineSettings(kind="vllm", model="micro")
_AT_ONCE = 5


@dataclass(frozen=True, slots=True)
class Setting:
    """What all methods of a cell share."""

    variant: Variant
    task: str
    seed: int
    judge_calls: int


@dataclass(frozen=True, slots=True)
class Cell:
    """What a method did under a setting.

    calls: asked by the search, by role. accuracies: on the test split, of each point of the
    trajectory. initial, final: of p_0 and of the result as it is read.
    """

    setting: Setting
    arm: str
    found: Found
    calls: dict[Role, int]
    stopped: str | None
    accuracies: list[float]
    initial: Agreement
    final: Agreement
    gain: Gain


class Bench:
    """Engines, store and scratch folder of a comparison."""

    def __init__(
        self,
        folder: Path,
        judge: Engine | None = None,
        store: Path | None = None,
        *,
        resume: bool = False,
    ) -> None:
        """judge: in place of the micro model in a vLLM engine. store: in place of the folder's own.
        resume: leave a library what it wrote before."""
        self.folder = folder
        self._pool = EnginePool()
        self._judge = judge or self._pool.engine(MICRO_JUDGE)
        self._store = ReplyStore(store or folder / "store")
        self._resume = resume
        self.engines: list[StoredEngine] = []

    @property
    def answered(self) -> int:
        return sum(engine.ledger.answered for engine in self.engines)

    @property
    def new_calls(self) -> int:
        """Replies of models, not of the store, in this session."""
        return sum(engine.ledger.session.calls for engine in self.engines)

    def close(self) -> None:
        self._pool.close()

    def world(self, setting: Setting, arm: str, data: Dataset) -> World:
        task = load_task(setting.task)
        engines: dict[Role, StoredEngine] = {
            "judge": self._stored(self._judge, "judge"),
            "verbalizer": self._stored(self._judge, "verbalizer"),
            "optimizer": self._stored(LexiconEngine(), "optimizer"),
        }
        stand_in = self._stored(PeerStandIn(task), "optimizer")
        name = f"{setting.variant}-{setting.task}-{setting.seed}-{setting.judge_calls}-{arm}"
        folder = self.folder / "scratch" / name
        if not self._resume:
            shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        budget = BudgetConfig(judge_calls=setting.judge_calls)
        return World(task, data.train, setting.seed, engines, stand_in, budget, folder)

    def score(self, task: Task, data: Dataset, judge_prompts: Sequence[str]) -> list[list[Verdict]]:
        """Verdicts on the test split, outside of every budget."""
        judge = Judge(self._stored(self._judge, "judge"), task)
        return [judge(judge_prompt, data.test) for judge_prompt in judge_prompts]

    def _stored(self, engine: Engine, role: Role) -> StoredEngine:
        in_flight = self._pool.in_flight(role, self._store.root)
        stored = StoredEngine(engine, self._store, role, "peers", in_flight)
        self.engines.append(stored)
        return stored


@dataclass(frozen=True, slots=True)
class Work:
    """A cell to run."""

    setting: Setting
    arm: Arm
    data: Dataset


def run_cell(bench: Bench, work: Work) -> Cell:
    """Search, then look at the test split for the first time."""
    setting, arm, data = work.setting, work.arm, work.data
    world = bench.world(setting, arm.name, data)
    found = arm.run(world)
    labels, seed = world.task.labels, setting.seed
    verdicts = bench.score(world.task, data, [point.judge_prompt for point in found.trajectory])
    rights = [
        sum(v.label == e.label for e, v in zip(data.test, each, strict=True)) for each in verdicts
    ]
    return Cell(
        setting,
        arm.name,
        found,
        world.calls(),
        world.budget.stopped,
        [right / len(data.test) for right in rights],
        agreement(data.test, verdicts[0], labels, seed),
        agreement(data.test, verdicts[-1], labels, seed),
        gain(data.test, verdicts[0], verdicts[-1], labels, seed),
    )


def run_cells(bench: Bench, work: Sequence[Work]) -> list[Cell]:
    """All cells, in the order given, several at once.

    Methods that keep state in the process, such as numpy's generator, run one after another.
    """
    alone, together = ThreadPoolExecutor(1), ThreadPoolExecutor(_AT_ONCE)
    pools = {True: alone, False: together}
    futures = [pools[one.arm.keeps_global_state].submit(run_cell, bench, one) for one in work]
    try:
        return [future.result() for future in futures]
    finally:
        for pool in pools.values():
            pool.shutdown(cancel_futures=True)
