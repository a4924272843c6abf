"""What the runs of one process share, and the roles of one run on top of it."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..data.errors import ConfigError
from ..data.examples import Example
from ..data.store import ReplyStore
from ..data.tasks import Task
from ..models import baseline_questions as baselines
from ..models.baseline_questions import Complaint, TriedPrompt
from ..models.context import Context
from ..models.engine import Engine
from ..models.judge import Verdict
from ..models.optimizer import Answer, Case, PromptOptimizer, Proposal, ScoredPrompt
from ..models.pair_judge import make_judge
from ..models.reflection import Reflection, update_i2t_prompts, update_judge_prompts
from ..models.second_hand import SecondHandImages
from ..models.settings import EngineSettings, make_engine, takes_several_images
from ..models.stopping import StoppableEngine, StopRequest
from ..models.stored import InFlight, Role, StoredEngine
from ..models.verbalizer import Verbalization, Verbalizer
from .budget import Budget, BudgetedEngine
from .config import RunConfig


class EnginePool:
    """One engine for each distinct settings, one store for each folder, and what is in flight.

    From construction to `close` a stop signal makes its engines take no request any more.
    """

    def __init__(self) -> None:
        self.stop = StopRequest()
        self.stop.listen()
        self._lock = threading.Lock()
        self._engines: dict[EngineSettings, Engine] = {}
        self._stores: dict[Path, ReplyStore] = {}
        self._in_flight: dict[tuple[Role, Path], InFlight] = {}

    def engine(self, settings: EngineSettings) -> Engine:
        with self._lock:
            if settings not in self._engines:
                self._engines[settings] = StoppableEngine(make_engine(settings), self.stop)
            return self._engines[settings]

    def store(self, root: Path) -> ReplyStore:
        """Shared by the runs over one folder: what one has written, no other need read."""
        with self._lock:
            return self._stores.setdefault(root.resolve(), ReplyStore(root))

    def in_flight(self, role: Role, store: Path) -> InFlight:
        """Shared by the runs over one store: what one of them asks is not stored in another's."""
        with self._lock:
            return self._in_flight.setdefault((role, store.resolve()), InFlight())

    def close(self) -> None:
        for engine in self._engines.values():
            engine.close()
        self.stop.stop_listening()


def role_engines(config: RunConfig, task: Task, pool: EnginePool) -> dict[Role, Engine]:
    """The engine of each role; verbalizer and optimizer share the judge's unless configured.

    Raises ConfigError if the method shows the optimizer images that its engine cannot take.
    """
    judge = config.judge.taking(task.images_per_request)
    return {
        "judge": pool.engine(judge),
        "verbalizer": pool.engine(config.verbalizer.engine or judge),
        "optimizer": _optimizer_engine(config, config.optimizer.engine or judge, judge, pool),
    }


def _optimizer_engine(
    config: RunConfig, settings: EngineSettings, judge: EngineSettings, pool: EnginePool
) -> Engine:
    engine = pool.engine(settings)
    if not config.search.sees_images or takes_several_images(settings):
        return engine
    if settings.kind == "lexicon":
        return SecondHandImages(engine, pool.engine(judge), config.verbalizer.max_tokens)
    raise ConfigError(
        f"method {config.method}: shows the optimizer several images in one request, which an "
        f"engine of kind {settings.kind} does not take; set optimizer.engine to a server "
        "(kind: openai) whose model sees images, or take method apo"
    )


def stored_engines(
    config: RunConfig, task: Task, pool: EnginePool, store: ReplyStore, run_id: str
) -> dict[Role, StoredEngine]:
    """The engine of each role behind the reply store, with a ledger of this run's own."""
    return {
        role: StoredEngine(engine, store, role, run_id, pool.in_flight(role, store.root))
        for role, engine in role_engines(config, task, pool).items()
    }


def within_budget(engines: Mapping[Role, StoredEngine], budget: Budget) -> dict[Role, Engine]:
    """The same engines for as long as the budget lasts."""
    return {role: BudgetedEngine(engine, role, budget) for role, engine in engines.items()}


class RunRoles:
    """Judge, verbalizer and prompt optimizer of one run."""

    def __init__(self, config: RunConfig, task: Task, engines: Mapping[Role, Engine]) -> None:
        self.task = task
        self._judge = make_judge(engines["judge"], task, config.orders, config.reasoning)
        self._verbalizer = Verbalizer(engines["verbalizer"], config.verbalizer.max_tokens)
        self._optimizer = PromptOptimizer(
            engines["optimizer"],
            task,
            max_tokens=config.optimizer.max_tokens,
            temperature=config.optimizer.temperature,
            max_attempts=config.optimizer.max_attempts,
        )
        self._context = Context(config.optimizer.context_tokens, config.optimizer.image_token_px)

    def judge(
        self, judge_prompt: str, examples: Sequence[Example], sample_index: int = 0
    ) -> list[Verdict]:
        return self._judge(judge_prompt, examples, sample_index)

    def judge_pairs(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]:
        return self._judge.pairs(pairs)

    def verbalize_each(
        self, i2t_prompts: Sequence[str], examples: Sequence[Example]
    ) -> list[list[Verbalization]]:
        return self._verbalizer.each(i2t_prompts, examples)

    def update_judge_prompts(
        self, judge_prompt: str, cases: Sequence[Sequence[Case]]
    ) -> list[Proposal]:
        return update_judge_prompts(self._optimizer, judge_prompt, cases)

    def update_i2t_prompts(
        self,
        judge_prompt: str,
        history: Sequence[ScoredPrompt],
        reflections: Sequence[Reflection],
        count: int,
    ) -> list[Proposal]:
        return update_i2t_prompts(self._optimizer, judge_prompt, history, reflections, count)

    def verbalize(self, i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]:
        return self._verbalizer(i2t_prompt, examples)

    def update_judge_prompt(self, judge_prompt: str, cases: Sequence[Case]) -> Proposal:
        return self._optimizer.update_judge_prompt(judge_prompt, cases)

    def update_i2t_prompt(self, judge_prompt: str, history: Sequence[ScoredPrompt]) -> Proposal:
        return self._optimizer.update_i2t_prompt(judge_prompt, history)

    def propose_judge_prompts(
        self, history: Sequence[TriedPrompt], cases: Sequence[Case], number: int, temperature: float
    ) -> list[Proposal]:
        return baselines.propose_judge_prompts(self._optimizer, history, cases, number, temperature)

    def criticize(self, complaints: Sequence[Complaint]) -> list[Answer]:
        return baselines.criticize(self._optimizer, self._context, complaints)

    def criticize_on_cases(self, judge_prompt: str, cases: Sequence[Case]) -> list[Answer]:
        return baselines.criticize_on_cases(self._optimizer, judge_prompt, cases)

    def edit(self, complaints: Sequence[Complaint]) -> list[Proposal]:
        return baselines.edit(self._optimizer, self._context, complaints)

    def paraphrase(
        self, judge_prompts: Sequence[str], number: int, temperature: float
    ) -> list[list[Proposal]]:
        return baselines.paraphrase(self._optimizer, judge_prompts, number, temperature)
