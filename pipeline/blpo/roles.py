"""What Algorithm 1 asks of models."""

from collections.abc import Sequence
from typing import Protocol

from ...data.examples import Example
from ...data.tasks import Task
from ...models.roles.briefing import Briefing, SideBySide
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Case, Proposal, ScoredPrompt
from ...models.roles.reflection import Reflection
from ...models.roles.verbalizer import Verbalization
from .records import Candidate


class Roles(Protocol):
    """The four questions that the algorithm asks of models, several of a kind in one batch.

    scored: told of what a step has tried so far, after every round of it, for who looks on.
    """

    @property
    def task(self) -> Task: ...

    def judge_pairs(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]: ...

    def verbalize_each(
        self, i2t_prompts: Sequence[str], examples: Sequence[Example]
    ) -> list[list[Verbalization]]: ...

    def update_judge_prompts(
        self,
        judge_prompt: str,
        cases: Sequence[Sequence[Case]],
        briefings: Sequence[Briefing] = (),
    ) -> list[Proposal]: ...

    def update_i2t_prompts(
        self,
        judge_prompt: str,
        history: Sequence[ScoredPrompt],
        reflections: Sequence[Reflection],
        count: int,
        draw: int = 0,
        compared: Sequence[SideBySide] | None = None,
    ) -> list[Proposal]: ...

    def scored(
        self, step: int, openers: Sequence[Candidate], candidates: Sequence[Candidate] = ()
    ) -> None: ...
