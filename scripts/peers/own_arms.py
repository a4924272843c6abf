"""Our own methods as arms: the searches of `blpo optimize`, as they are, for as long as the budget.

The presets keep their values; only the number of steps is lifted where it would end a search
before the budget does. BLPO as published fits 800 judge calls at 100 training examples exactly.

What a method holds of its own result, and so whether it claims a gain:
 - blpo (paper): mean of Eq 9 over the chosen I2T prompts, against 0. It has no other measure, and
   this one cannot be negative.
 - blpo-plus: gain of its result over p_0 on unseen training examples, in its loss; its result is
   p_0 unless the lower bound is above 0.
 - opro: accuracy on the training examples. apo: the bandit's estimate. textgrad: validation
   accuracy.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from blpo.models.engines.settings import EngineSettings
from blpo.models.wrappers.budget import BudgetSpentError
from blpo.pipeline.config import OptimizerConfig, RunConfig, VerbalizerConfig, parse_config
from blpo.pipeline.runs.roles import RunRoles
from blpo.pipeline.search.step import Step, num_right

from .world import VERBALIZATION_TOKENS, Found, World

MANY_STEPS: Mapping[str, Any] = {
    "algorithm": {"outer_steps": 50},
    "opro": {"steps": 50},
    "apo": {"rounds": 50},
    "textgrad": {"steps": 1000},
}

Scores = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class OwnArm:
    """Contract: `Arm`."""

    method: str
    preset: Literal["paper", "plus"] = "paper"
    keeps_global_state: bool = False

    @property
    def name(self) -> str:
        return f"{self.method}-plus" if self.preset == "plus" else str(self.method)

    def run(self, world: World) -> Found:
        config = self.config(world.task.name, world.seed)
        roles, trajectory = RunRoles(config, world.task, world.engines), world.trajectory()
        steps: list[Step] = []
        accepted = world.judge_prompt
        with suppress(BudgetSpentError):
            for step in config.search.run(
                roles,
                world.train,
                world.judge_prompt,
                world.i2t_prompt,
                config.resolved_algorithm,
                config.seed,
            ):
                steps.append(step)
                if step.next_judge_prompt != step.judge_prompt:
                    accepted = step.next_judge_prompt
                trajectory.now(world.judge_calls, accepted)
        if not steps:
            return Found(trajectory.points)
        first, last = own_scores(self, steps)
        return Found(trajectory.points, first, last)

    def config(self, task: str, seed: int, **fields: Any) -> RunConfig:
        """The run's configuration; nothing is read from or written to its paths here."""
        nowhere = Path("unused")
        given: dict[str, Any] = {
            "task": task,
            "dataset": nowhere,
            "output": nowhere,
            "method": self.method,
            "preset": self.preset,
            "seed": seed,
            "judge": EngineSettings(kind="vllm", model="micro"),
            "verbalizer": VerbalizerConfig(max_tokens=VERBALIZATION_TOKENS),
            "optimizer": OptimizerConfig(engine=EngineSettings(kind="lexicon")),
            **MANY_STEPS,
            **fields,
        }
        return parse_config(RunConfig, given, self.name)


def own_scores(arm: OwnArm, steps: Sequence[Step]) -> Scores:
    """p_0 and the result by the method's own measure."""
    measures: dict[str, Callable[[Sequence[Step]], Scores]] = {
        "blpo-plus": _of_archive,
        "opro": _of_opro,
        "apo": _of_arms,
        "apo-image": _of_arms,
        "textgrad": _of_textgrad,
    }
    return measures.get(arm.name, _of_scores)(steps)


def _of_scores(steps: Sequence[Step]) -> Scores:
    chosen = [step.details["candidates"][step.details["chosen"]]["score"] for step in steps]
    return 0.0, sum(chosen) / len(chosen)


def _of_archive(steps: Sequence[Step]) -> Scores:
    entries = steps[-1].details.get("archive", [])
    gains = [e["gain"]["mean"] for e in entries if e["judge_prompt"] == steps[-1].next_judge_prompt]
    return 0.0, gains[0] if gains else None


def _of_opro(steps: Sequence[Step]) -> Scores:
    first = num_right(steps[0].examples, steps[0].verdicts) / len(steps[0].examples)
    scored = [one["accuracy"] for step in steps for one in step.details["scored"]]
    return first, max([first, *scored])


def _of_arms(steps: Sequence[Step]) -> Scores:
    last = [_arm_mean(step, steps[-1].next_judge_prompt) for step in reversed(steps)]
    return _arm_mean(steps[0], steps[0].judge_prompt), next(
        (m for m in last if m is not None), None
    )


def _arm_mean(step: Step, judge_prompt: str) -> float | None:
    """None where the budget ended the step before the prompt's first example."""
    arms = [arm for arm in step.details["arms"] if arm["examples"]]
    return next((arm["mean"] for arm in arms if arm["judge_prompt"] == judge_prompt), None)


def _of_textgrad(steps: Sequence[Step]) -> Scores:
    first = num_right(steps[0].examples, steps[0].verdicts) / len(steps[0].examples)
    accepted = [s.details["validation_accuracy"] for s in steps if s.details["accepted"]]
    return first, accepted[-1] if accepted else first
