"""What every method of the comparison is given, and what it gives back.

A method asks models through its world alone: the micro judge and verbalizer and the optimizer
stand-in, each behind the reply store, with a ledger and a budget that the world owns.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from blpo.data.errors import EngineError
from blpo.data.examples import Example
from blpo.data.tasks import Task
from blpo.models.engine import Engine, Request, Sampling
from blpo.models.roles.judge import Judge, Verdict
from blpo.models.roles.optimizer import Case
from blpo.models.roles.verbalizer import Verbalization, Verbalizer
from blpo.models.wrappers.budget import Budget, BudgetedEngine
from blpo.models.wrappers.ledger import Role
from blpo.models.wrappers.stored import StoredEngine
from blpo.pipeline.baselines.cases import Judged
from blpo.pipeline.runs.roles import within_budget
from blpo.pipeline.search.budget import BudgetConfig

VERBALIZATION_TOKENS = 96
_OPTIMIZER_TOKENS = 4096
_DRAWS_OF_A_SEED = 10_000


@dataclass(frozen=True, slots=True)
class Point:
    """The judge prompt that a method would have returned after so many judge calls."""

    judge_calls: int
    judge_prompt: str


@dataclass(frozen=True, slots=True)
class Found:
    """What a method found.

    trajectory: from p_0 on; the last point is the result.
    own_initial, own_final: p_0 and the result by the method's own measure, higher is better; None
        where it has measured neither.
    """

    trajectory: Sequence[Point]
    own_initial: float | None = None
    own_final: float | None = None

    @property
    def judge_prompt(self) -> str:
        return self.trajectory[-1].judge_prompt

    @property
    def claims_gain(self) -> bool:
        """Whether the method itself holds its result to be better than p_0."""
        if self.own_initial is None or self.own_final is None:
            return False
        return self.own_final > self.own_initial


@dataclass(slots=True)
class Trajectory:
    """The trajectory as it grows: a point for every change of a method's best prompt."""

    points: list[Point]

    def now(self, judge_calls: int, judge_prompt: str) -> None:
        if judge_prompt != self.points[-1].judge_prompt:
            self.points.append(Point(judge_calls, judge_prompt))


class World:
    """One task, one seed, one budget. The test split is not in it.

    engines: judge, verbalizer and the optimizer of our own methods. stand_in: the same optimizer
    behind the peers' meta-prompts (`stand_in.py`). folder: for whatever a library writes.
    """

    def __init__(
        self,
        task: Task,
        train: Sequence[Example],
        seed: int,
        engines: Mapping[Role, StoredEngine],
        stand_in: StoredEngine,
        budget: BudgetConfig,
        folder: Path,
    ) -> None:
        self.task = task
        self.train = train
        self.seed = seed
        self.folder = folder
        self.judge_prompt = task.judge_prompt
        self.i2t_prompt = task.i2t_prompt
        self.max_judge_calls = budget.judge_calls
        self.budget = Budget(budget.limits)
        self._stored: Mapping[Role, StoredEngine] = engines
        self._stored_stand_in = stand_in
        self.engines: Mapping[Role, Engine] = within_budget(engines, self.budget)
        self._judge = Judge(self.engines["judge"], task)
        self._verbalizer = Verbalizer(self.engines["verbalizer"], VERBALIZATION_TOKENS)
        self._stand_in = BudgetedEngine(stand_in, "optimizer", self.budget)

    @property
    def judge_calls(self) -> int:
        """Judge calls asked so far."""
        return self._stored["judge"].ledger.asked

    def calls(self) -> dict[Role, int]:
        """Calls asked so far, whoever answered them."""
        asked: dict[Role, int] = {
            role: engine.ledger.asked for role, engine in self._stored.items()
        }
        asked["optimizer"] += self._stored_stand_in.ledger.asked
        return asked

    def trajectory(self) -> Trajectory:
        return Trajectory([Point(0, self.judge_prompt)])

    def judge(self, judge_prompt: str, examples: Sequence[Example]) -> list[Verdict]:
        """Raises BudgetSpentError where the budget does not hold the whole batch."""
        return self._judge(judge_prompt, examples)

    def judge_pairs(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]:
        """One verdict per pair of judge prompt and example, asked as one batch."""
        return self._judge.pairs(pairs)

    def verbalize(self, i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]:
        return self._verbalizer(i2t_prompt, examples)

    def cases(
        self, i2t_prompt: str, examples: Sequence[Example], verdicts: Sequence[Verdict]
    ) -> list[Case]:
        """The evidence that every optimizer reads of judged examples."""
        described = self.verbalize(i2t_prompt, examples)
        items = [Judged(e, v) for e, v in zip(examples, verdicts, strict=True)]
        return [
            Case(text, item.example.text, item.example.label, item.verdict.label)
            for item, text in zip(items, described, strict=True)
        ]

    def ask_stand_in(self, meta_prompt: str, draw: int = 0) -> str:
        """The stand-in's answer to a peer's rendered meta-prompt; each seed has draws of its own.

        Raises EngineError if it does not understand the prompt: a harness that goes on would
        cripple the peer without a word.
        """
        own_draw = self.seed * _DRAWS_OF_A_SEED + draw
        sampling = Sampling(_OPTIMIZER_TOKENS, sample_index=own_draw)
        [reply] = self._stand_in.ask([Request(meta_prompt, sampling=sampling)])
        if reply.error is not None:
            raise EngineError(f"the stand-in does not read a peer's prompt: {reply.error}")
        return reply.text


class Arm(Protocol):
    """A method in the comparison. `run` ends when the world's budget does, or before."""

    @property
    def name(self) -> str: ...

    @property
    def keeps_global_state(self) -> bool:
        """Whether runs in one process disturb one another."""
        ...

    def run(self, world: World) -> Found: ...
