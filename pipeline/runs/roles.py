"""The roles of one run: the engine of each, and what it is asked."""

from collections.abc import Mapping, Sequence
from typing import TypeVar

from ...data.errors import ConfigError
from ...data.examples import Example
from ...data.store.store import ReplyStore
from ...data.tasks import Task
from ...models.engine import Engine
from ...models.engines.factory import takes_several_images
from ...models.engines.settings import EngineSettings
from ...models.lexicon.second_hand import SecondHandImages
from ...models.roles import baselines
from ...models.roles.baselines import Complaint, TriedPrompt
from ...models.roles.briefing import Briefing, SideBySide
from ...models.roles.context import Context
from ...models.roles.judge import Verdict
from ...models.roles.judges import AnyJudge, make_judge
from ...models.roles.optimizer import Answer, Case, PromptOptimizer, Proposal, ScoredPrompt
from ...models.roles.reflection import Reflection, update_i2t_prompts, update_judge_prompts
from ...models.roles.verbalizer import Verbalization, Verbalizer
from ...models.wrappers.budget import Budget, BudgetedEngine
from ...models.wrappers.remembering import RememberingEngine
from ...models.wrappers.stored import Role, StoredEngine
from ..blpo.records import Candidate
from ..config import JudgeConfig, RunConfig
from .engine_pool import EnginePool
from .failure_watch import FailureWatch
from .story import Story

T = TypeVar("T")


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
    check_optimizer(config)
    engine = pool.engine(settings)
    if config.search.sees_images and settings.kind == "lexicon":
        return SecondHandImages(engine, pool.engine(judge), config.verbalizer.max_tokens)
    return engine


def check_optimizer(config: RunConfig) -> None:
    """Raises ConfigError if the method shows the optimizer images that its engine cannot take."""
    settings = config.optimizer.engine or config.judge
    takes_images = takes_several_images(settings) or settings.kind == "lexicon"
    if takes_images or not config.search.sees_images:
        return
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


def configured_judge(engine: Engine, task: Task, config: RunConfig | JudgeConfig) -> AnyJudge:
    """The judge of a task on this engine, as the configuration has it come to a verdict."""
    return make_judge(
        engine,
        task,
        config.orders,
        config.reasoning,
        config.max_tokens,
        thinking_budget(config.judge, config.thinking_tokens),
    )


def thinking_budget(engine: EngineSettings, thinking_tokens: int) -> int:
    """The tokens that a reply of this engine may have for a thought."""
    return thinking_tokens if engine.thinking == "on" else 0


_DRAWS_OF_A_SEED = 10_000


class RunRoles:
    """Judge, verbalizer and prompt optimizer of one run.

    Every question raises FailuresError where a role has failed too often.
    """

    def __init__(
        self,
        config: RunConfig,
        task: Task,
        engines: Mapping[Role, Engine],
        watch: FailureWatch | None = None,
        story: Story | None = None,
    ) -> None:
        self.task = task
        self._story = story
        self._config, self._engines = config, engines
        self._watch = watch or FailureWatch(config.max_failed_share)
        verbalizer, optimizer = config.verbalizer, config.optimizer
        optimizer_engine = optimizer.engine or config.judge
        self._judge = configured_judge(engines["judge"], task, config)
        self._description_tokens = verbalizer.max_tokens
        self._verbalizer = Verbalizer(
            engines["verbalizer"],
            verbalizer.max_tokens,
            thinking_budget(verbalizer.engine or config.judge, verbalizer.thinking_tokens),
            task.images,
        )
        self._optimizer = PromptOptimizer(
            engines["optimizer"],
            task,
            max_tokens=optimizer.max_tokens,
            temperature=optimizer.temperature,
            max_attempts=optimizer.max_attempts,
            thinking_tokens=thinking_budget(optimizer_engine, optimizer.thinking_tokens),
            asks_again=optimizer_engine.kind != "lexicon",
            first_draw=config.seed * _DRAWS_OF_A_SEED if optimizer.own_draws else 0,
        )
        self._context = Context(optimizer.context_tokens, optimizer.image_token_px)

    def on(self, task: Task) -> "RunRoles":
        """The same models on another task."""
        return RunRoles(self._config, task, self._engines, self._watch, self._story)

    def remembering(self) -> "RunRoles":
        """The same roles, whose judge is asked for nothing twice."""
        engines: dict[Role, Engine] = dict(self._engines)
        engines["judge"] = RememberingEngine(engines["judge"])
        return RunRoles(self._config, self.task, engines, self._watch, self._story)

    def judge(
        self, judge_prompt: str, examples: Sequence[Example], sample_index: int = 0
    ) -> list[Verdict]:
        pairs = [(judge_prompt, example) for example in examples]
        return self._watched(pairs, self._judge.pairs(pairs, sample_index))

    def judge_pairs(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]:
        return self._watched(pairs, self._judge.pairs(pairs))

    def verbalize_each(
        self, i2t_prompts: Sequence[str], examples: Sequence[Example]
    ) -> list[list[Verbalization]]:
        each = self._verbalizer.each(i2t_prompts, examples)
        self._watch.verbalized(i2t_prompts, each)
        return each

    def update_judge_prompts(
        self,
        judge_prompt: str,
        cases: Sequence[Sequence[Case]],
        briefings: Sequence[Briefing] = (),
    ) -> list[Proposal]:
        return self._proposed(update_judge_prompts(self._optimizer, judge_prompt, cases, briefings))

    def update_i2t_prompts(
        self,
        judge_prompt: str,
        history: Sequence[ScoredPrompt],
        reflections: Sequence[Reflection],
        count: int,
        draw: int = 0,
        compared: Sequence[SideBySide] | None = None,
    ) -> list[Proposal]:
        return self._proposed(
            update_i2t_prompts(
                self._optimizer,
                judge_prompt,
                history,
                reflections,
                count,
                draw,
                compared,
                self._description_tokens,
            )
        )

    def scored(
        self, step: int, openers: Sequence[Candidate], candidates: Sequence[Candidate] = ()
    ) -> None:
        if self._story is not None:
            self._story.scored(step, openers, candidates)

    def verbalize(self, i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]:
        return self.verbalize_each([i2t_prompt], examples)[0]

    def update_judge_prompt(self, judge_prompt: str, cases: Sequence[Case]) -> Proposal:
        return self._proposed(self._optimizer.update_judge_prompt(judge_prompt, cases))

    def update_i2t_prompt(self, judge_prompt: str, history: Sequence[ScoredPrompt]) -> Proposal:
        return self._proposed(self._optimizer.update_i2t_prompt(judge_prompt, history))

    def propose_judge_prompts(
        self, history: Sequence[TriedPrompt], cases: Sequence[Case], number: int, temperature: float
    ) -> list[Proposal]:
        return self._proposed(
            baselines.propose_judge_prompts(self._optimizer, history, cases, number, temperature)
        )

    def criticize(self, complaints: Sequence[Complaint]) -> list[Answer]:
        return self._proposed(baselines.criticize(self._optimizer, self._context, complaints))

    def criticize_on_cases(self, judge_prompt: str, cases: Sequence[Case]) -> list[Answer]:
        return self._proposed(baselines.criticize_on_cases(self._optimizer, judge_prompt, cases))

    def edit(self, complaints: Sequence[Complaint]) -> list[Proposal]:
        return self._proposed(baselines.edit(self._optimizer, self._context, complaints))

    def paraphrase(
        self, judge_prompts: Sequence[str], number: int, temperature: float
    ) -> list[list[Proposal]]:
        return self._proposed(
            baselines.paraphrase(self._optimizer, judge_prompts, number, temperature)
        )

    def _watched(
        self, pairs: Sequence[tuple[str, Example]], verdicts: list[Verdict]
    ) -> list[Verdict]:
        self._watch.judged(pairs, verdicts)
        return verdicts

    def _proposed(self, answers: T) -> T:
        self._watch.proposed(self._optimizer)
        return answers
