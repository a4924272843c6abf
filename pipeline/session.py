"""What the runs of one process share, and the roles of one run on top of it."""

import threading
from collections.abc import Sequence
from pathlib import Path

from ..data.examples import Example
from ..data.store import ReplyStore
from ..data.tasks import Task
from ..models.engine import Engine
from ..models.judge import Judge, Verdict
from ..models.optimizer import Case, PromptOptimizer, Proposal, ScoredPrompt
from ..models.settings import EngineSettings, make_engine
from ..models.stopping import StoppableEngine, StopRequest
from ..models.stored import InFlight, Role, RoleLedger, StoredEngine
from ..models.verbalizer import Verbalization, Verbalizer
from .config import RunConfig


class EnginePool:
    """One engine for each distinct settings, and the requests in flight for each role and store.

    From construction to `close` a stop signal makes its engines take no request any more.
    """

    def __init__(self) -> None:
        self.stop = StopRequest()
        self.stop.listen()
        self._lock = threading.Lock()
        self._engines: dict[EngineSettings, Engine] = {}
        self._in_flight: dict[tuple[Role, Path], InFlight] = {}

    def engine(self, settings: EngineSettings) -> Engine:
        with self._lock:
            if settings not in self._engines:
                self._engines[settings] = StoppableEngine(make_engine(settings), self.stop)
            return self._engines[settings]

    def in_flight(self, role: Role, store: Path) -> InFlight:
        """Shared by the runs over one store: what one of them asks is not stored in another's."""
        with self._lock:
            return self._in_flight.setdefault((role, store.resolve()), InFlight())

    def close(self) -> None:
        for engine in self._engines.values():
            engine.close()
        self.stop.stop_listening()


def role_engines(config: RunConfig, pool: EnginePool) -> dict[Role, Engine]:
    """The engine of each role; verbalizer and optimizer share the judge's unless configured."""
    return {
        "judge": pool.engine(config.judge),
        "verbalizer": pool.engine(config.verbalizer.engine or config.judge),
        "optimizer": pool.engine(config.optimizer.engine or config.judge),
    }


class RunRoles:
    """Judge, verbalizer and prompt optimizer of one run, each behind the reply store."""

    def __init__(
        self, config: RunConfig, task: Task, pool: EnginePool, store: ReplyStore, run_id: str
    ) -> None:
        self.engines: dict[Role, StoredEngine] = {
            role: StoredEngine(engine, store, role, run_id, pool.in_flight(role, store.root))
            for role, engine in role_engines(config, pool).items()
        }
        self._judge = Judge(self.engines["judge"], task)
        self._verbalizer = Verbalizer(self.engines["verbalizer"], config.verbalizer.max_tokens)
        self._optimizer = PromptOptimizer(
            self.engines["optimizer"],
            task,
            max_tokens=config.optimizer.max_tokens,
            temperature=config.optimizer.temperature,
            max_attempts=config.optimizer.max_attempts,
        )

    @property
    def ledgers(self) -> dict[Role, RoleLedger]:
        return {role: engine.ledger for role, engine in self.engines.items()}

    def judge(self, judge_prompt: str, examples: Sequence[Example]) -> list[Verdict]:
        return self._judge(judge_prompt, examples)

    def verbalize(self, i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]:
        return self._verbalizer(i2t_prompt, examples)

    def update_judge_prompt(self, judge_prompt: str, cases: Sequence[Case]) -> Proposal:
        return self._optimizer.update_judge_prompt(judge_prompt, cases)

    def update_i2t_prompt(self, judge_prompt: str, history: Sequence[ScoredPrompt]) -> Proposal:
        return self._optimizer.update_i2t_prompt(judge_prompt, history)
