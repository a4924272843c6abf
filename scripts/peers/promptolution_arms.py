"""promptolution 2.3.0: OPRO and CAPO.

Settings, each where promptolution leaves a choice:
 1. An input is one line that names the example and describes it under q_0, which is what the
    meta-LLM sees of it; the judge is asked about the image that the line names.
 2. OPRO: its own defaults (8 prompts a step, history of 20, 3 examples), scored on all training
    examples; its template with the task description, the only one that names the labels.
 3. CAPO starts from p_0 and prompts that the stand-in makes of the task description, by
    promptolution's own template; mutation and crossover alone would never name anything new. 5 of
    them and blocks of 10 examples did best on the ideal judge, of 3, 5 or 9 and blocks of 10 or 30.
 4. CAPO adds examples to prompts. They are described images, and the judge takes what they name
    for what it shall look at (tried with 3 shots: no better than without on one seed, much worse on
    the other): `upper_shots` is 0, and no example is set aside for shots.
 5. Both draw from the global generators of random and numpy, which are seeded here.
 6. No classes are declared: digits are not lower-case letters, which declared classes must be, and
    a verdict without a label would count as the first class.
 7. Both swallow every error of a step and end early: whatever but the budget ends a run is raised
    again here. A run also ends when 20 steps in a row have asked the judge nothing new.
"""

import importlib
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from blpo.data.examples import Example
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.vllm.options import quieten, set_environment
from blpo.pipeline.search.seeds import derived_order, derived_seed

from .stand_in import FIRST_PROMPT, labels_line
from .world import Found, Trajectory, World

_MANY_STEPS = 1000
_IDLE_STEPS = 20
"""Steps without a judge call after which a method has converged: it repeats itself."""
_ANSWER = "<final_answer>{}</final_answer>"


class EndedEarlyError(Exception):
    """A library swallowed an error and ended before its budget did."""


@dataclass(frozen=True, slots=True)
class OproArm:
    """Contract: `Arm`."""

    name: str = "promptolution-opro"
    keeps_global_state: bool = True

    def run(self, world: World) -> Found:
        library = Library(world)
        optimizer = library.optimizer(
            "OPRO",
            library.task("full"),
            [world.judge_prompt],
            prompt_template=_library("utils.templates").OPRO_TEMPLATE_TD,
        )
        return library.optimize(optimizer)


@dataclass(frozen=True, slots=True)
class CapoArm:
    """Contract: `Arm`. block_size: examples of a block of its race."""

    name: str = "promptolution-capo"
    block_size: int = 10
    num_first: int = 5
    upper_shots: int = 0
    keeps_global_state: bool = True

    def run(self, world: World) -> Found:
        library = Library(world)
        pandas: Any = importlib.import_module("pandas")
        optimizer = library.optimizer(
            "CAPO",
            library.task("sequential_block", self.block_size),
            [world.judge_prompt, *library.first_prompts(self.num_first)],
            upper_shots=self.upper_shots,
            df_few_shots=None if self.upper_shots else pandas.DataFrame({"x": [], "y": []}),
        )
        return library.optimize(optimizer)


def _library(module: str) -> Any:
    # It imports vLLM, which reads its environment then.
    settings = EngineSettings(kind="vllm", model="micro")
    set_environment(settings, None)
    quieten(settings)
    return importlib.import_module(f"promptolution.{module}")


@dataclass(slots=True)
class Library:
    """promptolution over a world."""

    world: World
    by_input: dict[str, Example] = field(default_factory=dict[str, Example])
    errors: list[BaseException] = field(default_factory=list[BaseException])

    def __post_init__(self) -> None:
        logging.getLogger("promptolution").setLevel(logging.CRITICAL)
        world = self.world
        random.seed(derived_seed(world.seed, "promptolution"))
        np.random.seed(derived_seed(world.seed, "promptolution") % 2**32)
        described = world.verbalize(world.i2t_prompt, world.train)
        for example, text in zip(world.train, described, strict=True):
            told = f"text: {example.text} " if example.text else ""
            self.by_input[f"[{example.example_id}] {told}description: {text.text}"] = example

    @property
    def description(self) -> str:
        """What the task is; no line of it ends in what the library would take for a mark."""
        world = self.world
        return (
            f"A multimodal model judges images by a prompt.\n{FIRST_PROMPT}\n{world.judge_prompt}\n"
            f"{labels_line(world.task)}"
        )

    def task(self, eval_strategy: str, block_size: int = 30) -> Any:
        """The training examples, in an order of the seed: blocks are taken from the front."""
        pandas: Any = importlib.import_module("pandas")
        inputs = derived_order(list(self.by_input), str, self.world.seed, "promptolution")
        labels = [self.by_input[line].label.lower() for line in inputs]
        return _library("tasks").ClassificationTask(
            pandas.DataFrame({"x": inputs, "y": labels}),
            task_description=self.description,
            n_subsamples=block_size,
            eval_strategy=eval_strategy,
            seed=self.world.seed,
            metric=_is_right,
        )

    def first_prompts(self, number: int) -> list[str]:
        creation = _library("utils.prompt_creation")
        return creation.create_prompts_from_task_description(
            self.description, meta_llm(self), n_prompts=number
        )

    def optimizer(self, name: str, task: Any, initial: Sequence[str], **options: Any) -> Any:
        predictors = _library("predictors")
        predictor = predictors.MarkerBasedPredictor(judge_llm(self), classes=None)
        return getattr(_library("optimizers"), name)(
            predictor=predictor,
            task=task,
            meta_llm=meta_llm(self),
            initial_prompts=list(initial),
            **options,
        )

    def optimize(self, optimizer: Any) -> Found:
        """Run to the end of the budget. The result is the best prompt by the library's score."""
        trajectory = self.world.trajectory()
        callback = best_follower(self.world, trajectory)
        optimizer.callbacks.append(callback)
        optimizer.optimize(_MANY_STEPS)
        if self.world.budget.stopped is None and callback.idle_steps < _IDLE_STEPS:
            cause = self.errors[0] if self.errors else None
            raise EndedEarlyError("promptolution ended before its budget") from cause
        seen = seen_scores(optimizer)
        trajectory.now(self.world.judge_calls, best_prompt(optimizer))
        found = Found(trajectory.points)
        return replace(
            found,
            own_initial=seen.get(self.world.judge_prompt),
            own_final=seen.get(found.judge_prompt),
        )


def best_prompt(optimizer: Any) -> str:
    """The best of the library's current prompts by their scores so far; a tie goes to the first."""
    seen = seen_scores(optimizer)
    return max(map(str, optimizer.prompts), key=lambda prompt: seen.get(prompt, 0.0))


def seen_scores(optimizer: Any) -> dict[str, float]:
    """Mean score of every prompt over what the library has judged under it."""
    scores: defaultdict[str, list[float]] = defaultdict(list)
    for (prompt, _, _), score in optimizer.task.eval_cache.items():
        scores[prompt].append(score)
    return {prompt: float(np.mean(own)) for prompt, own in scores.items()}


def _is_right(label: Sequence[str], predicted: Sequence[str]) -> float:
    return float(label == predicted)


def best_follower(world: World, trajectory: Trajectory) -> Any:
    """A callback that follows the best prompt from step to step."""
    base: Any = _library("utils.callbacks").BaseCallback

    class Follower(base):
        idle_steps = 0
        judge_calls = 0

        def on_step_end(self, optimizer: Any) -> bool:
            trajectory.now(world.judge_calls, best_prompt(optimizer))
            self.idle_steps = self.idle_steps + 1 if world.judge_calls == self.judge_calls else 0
            self.judge_calls = world.judge_calls
            return self.idle_steps < _IDLE_STEPS

    return Follower()


def judge_llm(library: Library) -> Any:
    """The judge as a text model: the input's last line names the image."""

    def answer(prompts: Sequence[str]) -> list[str]:
        pairs = [prompt.rpartition("\n")[::2] for prompt in prompts]
        asked = [(judge_prompt, library.by_input[line]) for judge_prompt, line in pairs]
        verdicts = library.world.judge_pairs(asked)
        return [_ANSWER.format((verdict.label or "").lower()) for verdict in verdicts]

    return _make_llm(library, answer)


def meta_llm(library: Library) -> Any:
    """The stand-in. A prompt asked again is another draw, as at a temperature."""
    asked: dict[str, int] = {}

    def one(prompt: str) -> str:
        draw = asked.get(prompt, 0)
        asked[prompt] = draw + 1
        return library.world.ask_stand_in(prompt, draw)

    return _make_llm(library, lambda prompts: [one(prompt) for prompt in prompts])


def _make_llm(library: Library, answer: Callable[[Sequence[str]], list[str]]) -> Any:
    base: Any = _library("llms.base_llm").BaseLLM

    class Llm(base):
        def _get_response(self, prompts: list[str], system_prompts: list[str]) -> list[str]:
            del system_prompts
            try:
                return answer(prompts)
            except Exception as error:
                library.errors.append(error)
                raise

    return Llm()
