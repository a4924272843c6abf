"""What the outer steps of one search share: roles, training examples, verdicts, the archive."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from ...data.examples import Example
from ...data.tasks import TIE, Task
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Case, Proposal, ScoredPrompt
from ...models.roles.reflection import Reflection
from ...models.roles.verbalizer import Verbalization
from ...models.wrappers.budget import BudgetSpentError
from ..search.cutpoints import CutPoints, choose_reading
from ..search.losses import LOSSES
from ..search.tie_band import fit_tie_band
from .config import BlpoConfig
from .policies.archive import Archive, choose_final
from .policies.probe import held_out
from .policies.verdict_memory import Judgments
from .records import FinalChoice


class Roles(Protocol):
    """The four questions that the algorithm asks of models, several of a kind in one batch."""

    @property
    def task(self) -> Task: ...

    def judge_pairs(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]: ...

    def verbalize_each(
        self, i2t_prompts: Sequence[str], examples: Sequence[Example]
    ) -> list[list[Verbalization]]: ...

    def update_judge_prompts(
        self, judge_prompt: str, cases: Sequence[Sequence[Case]]
    ) -> list[Proposal]: ...

    def update_i2t_prompts(
        self,
        judge_prompt: str,
        history: Sequence[ScoredPrompt],
        reflections: Sequence[Reflection],
        count: int,
    ) -> list[Proposal]: ...


@dataclass(frozen=True, slots=True)
class SearchState:
    """A search under way.

    held: example_ids that the optimizer is never shown; None where none are held out.
    """

    roles: Roles
    judge: Judgments
    train: Sequence[Example]
    archive: Archive
    held: frozenset[str] | None
    config: BlpoConfig
    seed: int

    @classmethod
    def start(
        cls,
        roles: Roles,
        train: Sequence[Example],
        judge_prompt: str,
        config: BlpoConfig,
        seed: int,
    ) -> "SearchState":
        judge = Judgments(roles.judge_pairs, ask_once=config.ask_once)
        holds_out = config.selection == "holdout"
        held = held_out(train, config.holdout_share, seed) if holds_out else None
        every = frozenset(example.example_id for example in train)
        archive = Archive(judge_prompt, seen=frozenset() if held is None else every - held)
        return cls(roles, judge, train, archive, held, config, seed)

    def may_show(self, example: Example) -> bool:
        """Whether the optimizer may be shown an example."""
        return self.held is None or example.example_id not in self.held

    def parent(self, outer_step: int) -> str:
        """p_t"""
        if self.config.parent == "last":
            return self.archive.last.judge_prompt
        return self.archive.draw_parent(
            self.config.race_confidence, self.seed, outer_step
        ).judge_prompt

    def judge_train(self, judge_prompt: str) -> list[Verdict]:
        """f(x; p) on the training examples, in their order."""
        verdicts = self.judge(judge_prompt, self.train)
        self.archive.add(judge_prompt, self.losses(self.train, verdicts))
        return verdicts

    def losses(self, examples: Sequence[Example], verdicts: Sequence[Verdict]) -> dict[str, float]:
        """The configured loss of every verdict, by example_id."""
        loss, labels = LOSSES[self.config.loss], self.roles.task.labels
        return {
            example.example_id: loss(verdict, example.label, labels)
            for example, verdict in zip(examples, verdicts, strict=True)
        }

    def final_choice(self, index: int, judge_prompt: str) -> FinalChoice:
        """What is returned in place of the last step's judge prompt, and how it is read."""
        ranked = self.archive.rank(self._first_strata) if self.config.final == "archive" else []
        if ranked:
            best = choose_final(ranked, self.config.final_confidence)
            final_prompt = best.entry.judge_prompt
        else:
            final_prompt = judge_prompt
        return FinalChoice(index, judge_prompt, final_prompt, ranked, self._reading(final_prompt))

    @property
    def _first_strata(self) -> dict[str, bool]:
        """Whether p_0 judges the items right."""
        first = self.archive.entries[0]
        known = self.judge.known(first.judge_prompt)
        return {
            e.example_id: known[e.example_id].label == e.label
            for e in self.train
            if e.example_id in known
        }

    def _reading(self, judge_prompt: str) -> CutPoints | None:
        """How verdicts are read best, as far as the training examples tell."""
        config, task = self.config, self.roles.task
        has_ties = task.is_pairwise and TIE in task.labels
        if not config.reads_places or not (task.kind == "ordinal" or has_ties):
            return None
        with suppress(BudgetSpentError):
            return choose_reading(
                task,
                self.train,
                self.judge(judge_prompt, self.train),
                config.final_confidence,
                self.seed,
                as_expected=config.decode == "expectation",
                fitted=config.calibrate == "cutpoints",
                fit=fit_tie_band if has_ties else None,
            )
        return None
