"""Trying I2T prompts on p_t in one outer step: Eq 6, Eq 9, and the policies around them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from ...data.examples import Example
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Case, Proposal, ScoredPrompt
from ...models.roles.reflection import Effect, Reflection
from ...models.roles.verbalizer import Verbalization
from ..search.paired_gain import Losses, paired_gain
from ..search.seeds import derived_order
from .policies.acceptance import Decision, decide
from .policies.controls import control_wins, with_descriptions
from .policies.lint import Lint
from .policies.probe import blocks, draw_probe
from .policies.racing import race
from .records import Candidate, I2TSearch, Misjudgment
from .state import SearchState


@dataclass(slots=True)
class _Judged:
    """Verdicts under one p', and the examples they are on, as a race goes on."""

    examples: list[Example]
    verdicts: list[Verdict]


class Trial:
    """Trying I2T prompts on p_t and the error minibatch of one outer step."""

    def __init__(
        self,
        state: SearchState,
        judge_prompt: str,
        verdicts: Sequence[Verdict],
        misjudgments: Sequence[Misjudgment],
        outer_step: int,
    ) -> None:
        """verdicts: of p_t on the training examples, in their order."""
        self.state = state
        self.judge_prompt = judge_prompt
        self._outer_step = outer_step
        self._misjudgments = misjudgments
        self._minibatch = [wrong.example for wrong in misjudgments]
        self._verdicts = {
            e.example_id: verdict for e, verdict in zip(state.train, verdicts, strict=True)
        }
        self._parent_losses = state.losses(state.train, verdicts)
        self._strata = {
            e.example_id: verdict.label == e.label
            for e, verdict in zip(state.train, verdicts, strict=True)
        }
        lineage = state.archive[judge_prompt].seen
        self._seen = lineage | {example.example_id for example in self._minibatch}

    def run(self, i2t_prompts: Sequence[str], search: I2TSearch) -> list[Candidate]:
        """Eq 6 and Eq 9 for each q: verbalize the minibatch, update p, judge again under p'."""
        if not i2t_prompts:
            return []
        verbalizations = self.state.roles.verbalize_each(i2t_prompts, self._minibatch)
        cases = [self._cases(of_one) for of_one in verbalizations]
        proposals = self._update_p(cases)
        updated = [proposal.prompt or self.judge_prompt for proposal in proposals]
        seen = self._seen | search.shown
        known = {p: self._known_losses(p, seen) for p in updated}
        judged = self._race(known, self._scored_items(seen), search.tried)
        candidates = [
            self._candidate(q, descriptions, proposal, p, judged[p], known[p], seen)
            for q, descriptions, proposal, p in zip(
                i2t_prompts, verbalizations, proposals, updated, strict=True
            )
        ]
        for candidate in candidates:
            self.state.archive.add(candidate.judge_prompt, candidate.losses, seen)
        return candidates

    def update_q(self, search: I2TSearch) -> list[Proposal]:
        """Eq 10: new I2T prompts from the history of those tried."""
        history = [ScoredPrompt(c.i2t_prompt, c.score) for c in search.tried]
        reflections = self._reflect(search) if self.state.config.update_q == "reflective" else []
        return self.state.roles.update_i2t_prompts(
            self.judge_prompt, history, reflections, self.state.config.inner_width
        )

    def decide(self, search: I2TSearch) -> Decision | None:
        """Whether the chosen p' is accepted; where policies need it, it is judged further.

        Under controls, the q of an accepted p' is rejected if its descriptions were not what did
        it. Not p': it has gained on items that it had no part in.
        """
        chosen, state, config = search.best, self.state, self.state.config
        if chosen is None:
            return None
        decision = Decision(True)
        if config.accept == "paired" and chosen.score <= 0:
            return Decision(False, reason="no gain")
        if config.accept == "paired" and state.archive.has_accepted(chosen.judge_prompt):
            return Decision(False, reason="accepted before")
        if config.judges_chosen:
            losses = self._judge_unseen(chosen)
            if config.accept == "paired":
                decision = decide(
                    self._parent_losses,
                    losses,
                    self._strata,
                    chosen.seen,
                    config.accept_confidence,
                )
        if decision.accepted:
            state.archive.accept(chosen.judge_prompt)
            if config.controls == "shuffled" and self._control_wins(chosen):
                search.rejected.append(chosen)
        return decision

    def _judge_unseen(self, candidate: Candidate) -> dict[str, float]:
        """Losses of p' on all items that its lineage has not seen, and what else is known."""
        state = self.state
        unseen = [e for e in state.train if e.example_id not in candidate.seen]
        verdicts = state.judge(candidate.judge_prompt, unseen)
        losses = state.losses(unseen, verdicts)
        return state.archive.add(candidate.judge_prompt, losses, candidate.seen).losses

    def _control_wins(self, candidate: Candidate) -> bool:
        """Whether Update_p gains no less from the descriptions of other images."""
        state, shown = self.state, {example.example_id for example in self._minibatch}
        others = derived_order(
            [example for example in state.train if example.example_id not in shown],
            lambda example: example.example_id,
            state.seed,
            "control",
            self._outer_step,
        )[: len(self._minibatch)]
        [descriptions] = state.roles.verbalize_each([candidate.i2t_prompt], others)
        cases = with_descriptions(self._cases(candidate.verbalizations), descriptions)
        [proposal] = self._update_p([cases])
        if proposal.prompt is None:
            return False
        block = candidate.examples[: state.config.block_size]
        control = state.losses(block, state.judge(proposal.prompt, block))
        return control_wins(self._parent_losses, candidate.losses, control, self._strata)

    def _cases(self, verbalizations: Sequence[Verbalization]) -> list[Case]:
        return [
            Case(verbalization, wrong.example.text, wrong.example.label, wrong.verdict.label)
            for wrong, verbalization in zip(self._misjudgments, verbalizations, strict=True)
        ]

    def _update_p(self, cases: Sequence[Sequence[Case]]) -> list[Proposal]:
        """A p' for each set of cases; under lint, one that is sent back has failed."""
        proposals = self.state.roles.update_judge_prompts(self.judge_prompt, cases)
        if not self.state.config.lint:
            return proposals
        return [self._linted(p, shown) for p, shown in zip(proposals, cases, strict=True)]

    def _linted(self, proposal: Proposal, cases: Sequence[Case]) -> Proposal:
        if proposal.prompt is None:
            return proposal
        labels, limit = self.state.roles.task.labels, self.state.config.max_prompt_words
        reason = Lint(self.judge_prompt, cases, labels, limit)(proposal.prompt)
        return Proposal(None, (*proposal.failures, reason)) if reason else proposal

    def _scored_items(self, seen: Collection[str]) -> list[Example]:
        if self.state.config.score_on == "errors":
            return self._minibatch
        return draw_probe(
            self.state.train,
            self._strata,
            seen,
            self.state.config.probe_size,
            self.state.seed,
            self._outer_step,
        )

    def _known_losses(self, judge_prompt: str, seen: Collection[str]) -> Losses:
        """Losses under p' on unseen items, where an earlier round or step proposed it, too."""
        if self.state.config.score_on == "errors":
            return {}
        losses = self.state.archive.losses(judge_prompt)
        return {item: loss for item, loss in losses.items() if item not in seen}

    def _race(
        self,
        known: Mapping[str, Losses],
        items: Sequence[Example],
        rivals: Sequence[Candidate],
    ) -> dict[str, _Judged]:
        """Verdicts under each prompt, on as many items as the selector asks for.

        known: by prompt, the losses that are known already.
        """
        judged = {prompt: _Judged([], []) for prompt in known}

        def judge(prompts: Sequence[str], block: Sequence[Example]) -> list[dict[str, float]]:
            for prompt, verdicts in zip(
                prompts, self.state.judge.each(prompts, block), strict=True
            ):
                judged[prompt].examples.extend(block)
                judged[prompt].verdicts.extend(verdicts)
            return [self._losses(judged[prompt]) for prompt in prompts]

        racing = self.state.config.selector == "racing"
        size = self.state.config.block_size if racing else max(len(items), 1)
        race(
            known,
            blocks(items, size),
            judge,
            self._parent_losses,
            self._strata,
            self.state.config.race_confidence,
            [rival.losses for rival in rivals],
        )
        return judged

    def _losses(self, judged: _Judged) -> dict[str, float]:
        return self.state.losses(judged.examples, judged.verdicts)

    def _candidate(
        self,
        i2t_prompt: str,
        verbalizations: list[Verbalization],
        proposal: Proposal,
        judge_prompt: str,
        judged: _Judged,
        known: Losses,
        seen: frozenset[str],
    ) -> Candidate:
        own = {**known, **self._losses(judged)}
        return Candidate(
            i2t_prompt=i2t_prompt,
            verbalizations=verbalizations,
            proposal=proposal,
            judge_prompt=judge_prompt,
            examples=judged.examples,
            verdicts=judged.verdicts,
            losses=own,
            score=paired_gain(self._parent_losses, own, self._strata).mean,
            seen=seen,
        )

    def _reflect(self, search: I2TSearch) -> list[Reflection]:
        """The best and the worst q so far, each with some items that its p' fixed or broke."""
        best = max(search.tried, key=lambda candidate: candidate.score)
        worst = min(search.tried, key=lambda candidate: candidate.score)
        both = [best] if best is worst else [best, worst]
        reflections = [self._reflection(candidate, search) for candidate in both]
        return [reflection for reflection in reflections if reflection.effects]

    def _reflection(self, candidate: Candidate, search: I2TSearch) -> Reflection:
        changed = self._changed(candidate, right=True) + self._changed(candidate, right=False)
        if not changed:
            return Reflection(candidate.i2t_prompt, [])
        examples = [example for example, _ in changed]
        search.shown.update(example.example_id for example in examples)
        [texts] = self.state.roles.verbalize_each([candidate.i2t_prompt], examples)
        effects = [
            Effect(
                "fixed" if after.label == example.label else "broken",
                text,
                example.text,
                example.label,
                self._verdicts[example.example_id].label,
                after.label,
            )
            for (example, after), text in zip(changed, texts, strict=True)
        ]
        return Reflection(candidate.i2t_prompt, effects)

    def _changed(self, candidate: Candidate, *, right: bool) -> list[tuple[Example, Verdict]]:
        """Judged items that p' sets right, or those that it sets wrong; a few of them."""
        changed = [
            (example, after)
            for example, after in zip(candidate.examples, candidate.verdicts, strict=True)
            if self.state.may_show(example)
            and (after.label == example.label) is right
            and (self._verdicts[example.example_id].label == example.label) is not right
        ]
        return changed[: self.state.config.reflect_on]
