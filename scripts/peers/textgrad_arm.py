"""textgrad 0.1.8: its variables, losses and optimizer; the loop around them is its users' own.

Settings, each where the library leaves a choice:
 1. Batches of 3 drawn anew for every step, and a rewrite taken back if it is worse on the
    validation set: the published script for prompt optimization. Halves of the training examples,
    the same as those of our TextGrad and of gepa.
 2. The loss tells the case: the description under q_0, human label, verdict.
 3. Gradients lie in sets of objects without an order, so that the rendered prompts of two runs
    can differ in the order of the criticisms; the stand-in does not mind the order.
 4. The library shortens a long variable in its prompts; the judge prompt stands in full in the
    conversation beside it, and is read there.
"""

import importlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from blpo.data.examples import Example
from blpo.models.roles.judge import Verdict
from blpo.models.wrappers.budget import BudgetSpentError
from blpo.pipeline.baselines.textgrad import split_validation
from blpo.pipeline.search.seeds import derived_order
from blpo.pipeline.search.step import num_right

from .stand_in import JUDGE_PROMPT_ROLE, evidence
from .world import Found, Trajectory, World

_MANY_STEPS = 1000


@dataclass(frozen=True, slots=True)
class TextGradArm:
    """Contract: `Arm`."""

    name: str = "textgrad-lib"
    batch_size: int = 3
    keeps_global_state: bool = True

    def run(self, world: World) -> Found:
        trajectory, scores = world.trajectory(), list[float]()
        with suppress(BudgetSpentError):
            self._descend(world, trajectory, scores)
        return Found(trajectory.points, scores[0] if scores else None, max(scores, default=None))

    def _descend(self, world: World, trajectory: Trajectory, scores: list[float]) -> None:
        validation, training = split_validation(world.train, 0.5, world.seed)
        library = Library(world)
        scores.append(_score(world, world.judge_prompt, validation))
        for step in range(_MANY_STEPS):
            batch = derived_order(training, lambda e: e.example_id, world.seed, "batch", step)
            judge_prompt = trajectory.points[-1].judge_prompt
            proposed = library.step(judge_prompt, batch[: self.batch_size])
            if proposed == judge_prompt:
                continue
            score = _score(world, proposed, validation)
            if score >= max(scores):
                scores.append(score)
                trajectory.now(world.judge_calls, proposed)


def _score(world: World, judge_prompt: str, validation: Sequence[Example]) -> float:
    return num_right(validation, world.judge(judge_prompt, validation)) / len(validation)


class Library:
    """textgrad over a world."""

    def __init__(self, world: World) -> None:
        os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
        os.environ["TEXTGRAD_LOG_DIR"] = str(world.folder / "textgrad")
        self._textgrad: Any = importlib.import_module("textgrad")
        self._functions: Any = importlib.import_module("textgrad.autograd.string_based_ops")
        self._textgrad.logger.setLevel("ERROR")
        self._world = world
        self._by_id = {example.example_id: example for example in world.train}
        self._meta = self._engine("stand-in", self._ask_stand_in)
        self._textgrad.set_backward_engine(self._meta, override=True)

    def step(self, judge_prompt: str, batch: Sequence[Example]) -> str:
        """The judge prompt after one step on a batch."""
        tg = self._textgrad
        prompt = tg.Variable(judge_prompt, requires_grad=True, role_description=JUDGE_PROMPT_ROLE)
        model = tg.BlackboxLLM(self._engine("judge", self._judge), prompt)
        optimizer = tg.TextualGradientDescent(parameters=[prompt], engine=self._meta)
        loss = self._functions.StringBasedFunction(self._loss, "agreement with the human label")
        losses = [
            loss(inputs={"prediction": model(item), "item": item})
            for item in (self._constant(example.example_id) for example in batch)
        ]
        tg.sum(losses).backward()
        optimizer.step()
        return prompt.value

    def _loss(self, prediction: Any, item: Any) -> str:
        """The case in words, which is the evaluation that the gradients start from."""
        world, example = self._world, self._by_id[item.value]
        [case] = world.cases(world.i2t_prompt, [example], [Verdict(prediction.value)])
        return "\n" + evidence(world.task, [case])

    def _judge(self, prompt: str, system_prompt: str) -> str:
        [verdict] = self._world.judge(system_prompt, [self._by_id[prompt]])
        return verdict.label or "(no verdict)"

    def _ask_stand_in(self, prompt: str, system_prompt: str) -> str:
        return self._world.ask_stand_in(f"{system_prompt}\n\n{prompt}")

    def _constant(self, value: str) -> Any:
        return self._textgrad.Variable(value, requires_grad=False, role_description="the image")

    @staticmethod
    def _engine(name: str, answer: Any) -> Any:
        base: Any = importlib.import_module("textgrad.engine.base").EngineLM

        class Model(base):
            model_string = name

            def generate(self, prompt: str, system_prompt: str | None = None, **_: Any) -> str:
                return answer(prompt, system_prompt or "")

            def __call__(self, prompt: str, **options: Any) -> str:
                return self.generate(prompt, **options)

        return Model()
