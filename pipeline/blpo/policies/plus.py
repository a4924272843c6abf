"""The choices of `preset: plus`: each method puts a policy in place of what the paper does.

Every switch of `BlpoConfig` stands alone; under its published value a method does what
`Published` does. By the numbers of `algorithm.py`:
 3. `loss`: from the label probabilities.
 6. `score_on: probe` takes at most half of the misjudged examples: the rest must show a gain.
 9. `score_on`, `selector`: p' is judged on examples that no optimizer call of its lineage has
    seen, right and wrong ones, by racing; `inner_width`: several at a time.
 8. `update_p: informed`: it is told of what is right, too, and of judge prompts tried before.
10. `warm_start_q`: the history opens with the last q*. `update_q`: it also shows single items.
    `update_p: informed`: it also shows images as several q describe them.
    `remember_tried`: it goes back to the step in which p_t was new.
11. `q0_competes`: q_0 and p_t as an I2T prompt can be chosen. `controls`, `lint`: a q that wins
    with other images' descriptions, or a p' that copies them, cannot.
14. `accept`: p_{t+1} is p' on a paired gain, else p_t. `more_right`: and only if more verdicts
    are right. `second_look`: and if both hold on all of train. `parent`: p_t need not be the last
    one; with `best_first` it need not have been accepted, and the gain that p' has to show is over
    the one that was accepted last. `final`: what is returned is the best of all that was judged.
"""

from collections.abc import Collection, Mapping, Sequence

from ....data.examples import Example
from ....models.roles.briefing import Briefing, SideBySide
from ....models.roles.judge import Verdict
from ....models.roles.optimizer import Case, Proposal, ScoredPrompt
from ....models.roles.reflection import Reflection
from ....models.roles.verbalizer import Verbalization
from ...search.paired_gain import Losses, paired_gain
from ...search.seeds import derived_order
from ..algorithm import Published
from ..config import BlpoConfig
from ..records import (
    Candidate,
    Decision,
    FinalChoice,
    I2TSearch,
    InnerProblem,
    OuterStep,
    Scored,
)
from ..roles import Roles
from .acceptance import accept_on_gain, more_are_right
from .archive import Archive, Entry, choose_final
from .controls import control_wins, with_descriptions
from .effects import best_and_worst, changed_items, reflect
from .informing import (
    earlier_prompts,
    judged_right,
    label_counts,
    misses_of,
    side_by_side,
    with_noise,
)
from .lineage import Lineage, lineage_of
from .lint import Lint
from .probe import blocks, draw_probe, held_out
from .racing import race
from .remembering import remembered, with_remembered
from .verdict_memory import Judgments


def choices_of(
    roles: Roles, train: Sequence[Example], judge_prompt: str, config: BlpoConfig, seed: int
) -> Published:
    """The paper's choices, or plus's where any switch has another than its published value."""
    if config.is_published:
        return Published(roles, train, config, seed)
    return Plus(roles, train, judge_prompt, config, seed)


class Plus(Published):
    """Contract: `Published`. Keeps every verdict, and every judge prompt that was judged."""

    def __init__(
        self,
        roles: Roles,
        train: Sequence[Example],
        judge_prompt: str,
        config: BlpoConfig,
        seed: int,
    ) -> None:
        super().__init__(roles, train, config, seed)
        self._judgments = Judgments(roles.judge_pairs, ask_once=config.ask_once)
        self._held: frozenset[str] | None = None
        may_be_seen = frozenset[str]()
        if config.selection == "holdout":
            self._held = held_out(train, config.holdout_share, seed)
            may_be_seen = frozenset(e.example_id for e in train) - self._held
        self._archive = Archive(judge_prompt, seen=may_be_seen)
        self._lineages: dict[int, Lineage] = {}
        self._remembered: list[ScoredPrompt] = []
        self._described: dict[str, dict[str, Verbalization]] = {}

    def parent(self, last: str, t: int, /) -> str:
        """p_t: what was accepted last, one of the Pareto front, or the best not started from."""
        match self.config.parent:
            case "last":
                return last
            case "pareto":
                confidence = self.config.race_confidence
                return self._archive.draw_parent(confidence, self.seed, t).judge_prompt
            case "best_first":
                return self._archive.best_first(self._strata(self._archive.last)).judge_prompt

    def judge_train(self, judge_prompt: str) -> list[Verdict]:
        verdicts = super().judge_train(judge_prompt)
        self._archive.add(judge_prompt, self.losses(self.train, verdicts))
        return verdicts

    def judge_each(
        self, judge_prompts: Sequence[str], examples: Sequence[Example]
    ) -> list[list[Verdict]]:
        return self._judgments.each(judge_prompts, examples)

    def may_show(self, example: Example, /) -> bool:
        """Whether the example is not held out."""
        return self._held is None or example.example_id not in self._held

    def minibatch_size(self, num_misjudged: int, /) -> int:
        """Under `score_on: probe` half of the misjudged examples are left to show a gain."""
        size = self.config.minibatch_size
        if self.config.score_on == "probe" and self._held is None:
            return min(size, (num_misjudged + 1) // 2)
        return size

    def openers(
        self, problem: InnerProblem, i2t_prompt: str, before: Sequence[OuterStep], /
    ) -> list[str]:
        """The last q*, unless its control was as good, and with `q0_competes` q_0 and p_t."""
        if self.config.remember_tried:
            self._remembered = remembered(problem, before, self._scored_prompts)
        first = i2t_prompt
        if self.config.warm_start_q and before:
            first = _warm_start(before[-1]) or i2t_prompt
        rivals = [i2t_prompt, problem.judge_prompt] if self.config.q0_competes else []
        return list(dict.fromkeys([first, *rivals]))

    def competing(self, search: I2TSearch) -> Sequence[Candidate]:
        return search.tried if self.config.q0_competes else search.candidates

    def update_p(
        self, problem: InnerProblem, i2t_prompts: Sequence[str], cases: Sequence[Sequence[Case]], /
    ) -> list[Proposal]:
        """A p' for each set of cases; under lint, one that is sent back has failed."""
        if self.config.update_p == "informed":
            briefings = self._briefings(problem, i2t_prompts)
            proposals = self.roles.update_judge_prompts(problem.judge_prompt, cases, briefings)
        else:
            proposals = super().update_p(problem, i2t_prompts, cases)
        if not self.config.lint:
            return proposals
        return [
            self._linted(problem, proposal, shown)
            for proposal, shown in zip(proposals, cases, strict=True)
        ]

    def update_q(self, problem: InnerProblem, search: I2TSearch) -> list[Proposal]:
        """New I2T prompts from the history and, if reflective, from what two of them changed."""
        history = self._scored_prompts(search.tried, problem.index)
        if self.config.remember_tried:
            history = with_remembered(self._remembered, history)
        reflective = self.config.update_q == "reflective"
        reflections = self._reflections(problem, search) if reflective else []
        informed = self.config.update_p == "informed"
        return self.roles.update_i2t_prompts(
            problem.judge_prompt,
            history,
            reflections,
            self.config.inner_width,
            problem.index if self.config.remember_tried else 0,
            self._compared(problem, search, history) if informed else None,
        )

    def score(
        self, problem: InnerProblem, judge_prompts: Sequence[str], search: I2TSearch, /
    ) -> Mapping[str, Scored]:
        """By p': the paired gain over p_t, on what a race judges and on what is known already."""
        lineage = self._lineage(problem)
        seen = lineage.seen | search.shown
        known = {p: self._known_losses(p, seen) for p in judge_prompts}
        items = self._scored_items(problem, lineage, seen)
        judged = self._race(known, items, lineage, [tried.judged.losses for tried in search.tried])
        scored: dict[str, Scored] = {}
        for p, (examples, verdicts) in judged.items():
            own = {**known[p], **self.losses(examples, verdicts)}
            self._archive.add(p, own, seen)
            gain = paired_gain(lineage.losses, own, lineage.strata).mean
            scored[p] = Scored(gain, examples, verdicts, own, seen)
        return scored

    def decide(self, problem: InnerProblem, search: I2TSearch, q_star: Candidate, /) -> Decision:
        """Whether p' is accepted; where policies need it, it is judged further.

        Under controls, the q of an accepted p' is rejected if its descriptions were not what did
        it. Not p': it has gained on items that it had no part in.
        """
        decision = self._decision(problem, search, q_star)
        if decision.accepted:
            self._archive.accept(q_star.judge_prompt)
            if self.config.controls == "shuffled" and self._control_wins(problem, q_star):
                search.rejected.append(q_star)
        return decision

    def is_stuck(self, steps: Sequence[OuterStep], /) -> bool:
        """Whether the last `patience` outer steps all left the judge prompt as it was."""
        patience = self.config.patience
        if patience is None or len(steps) < patience:
            return False
        return all(step.next_judge_prompt == step.judge_prompt for step in steps[-patience:])

    def final(self, index: int, last: str, /) -> FinalChoice | None:
        """The best of all that was judged, or what was accepted last where `last` is not it."""
        # The last step may have started from a prompt that was not accepted, and kept that.
        is_other = self.config.parent == "best_first"
        accepted = self._archive.last.judge_prompt if is_other else last
        if self.config.final != "archive":
            return None if accepted == last else FinalChoice(index, accepted, accepted, [])
        ranked = self._archive.rank(self._strata(self._archive.entries[0]))
        chosen = choose_final(ranked, self.config.final_confidence)
        return FinalChoice(index, accepted, chosen.entry.judge_prompt, ranked)

    def _lineage(self, problem: InnerProblem) -> Lineage:
        if problem.index not in self._lineages:
            losses = self.losses(self.train, problem.verdicts)
            kept = {example.example_id for example in self._kept(problem)}
            seen = self._archive[problem.judge_prompt].seen | kept
            self._lineages[problem.index] = lineage_of(problem, self.train, losses, seen)
        return self._lineages[problem.index]

    def _kept(self, problem: InnerProblem) -> list[Example]:
        """Examples that are right and shown to Update_p as such."""
        if self.config.update_p != "informed":
            return []
        number = self.config.kept_cases
        return judged_right(problem, self.train, self.may_show, number, self.seed)

    def _scored_prompts(self, tried: Sequence[Candidate], t: int) -> list[ScoredPrompt]:
        """What was tried in outer step t; informed, with the uncertainty of each score."""
        if self.config.update_p == "informed":
            return with_noise(tried, self._lineages[t])
        return [ScoredPrompt(one.i2t_prompt, one.score) for one in tried]

    def _compared(
        self, problem: InnerProblem, search: I2TSearch, history: Sequence[ScoredPrompt]
    ) -> list[SideBySide]:
        """Examples of this step under the I2T prompts of the history that have described them."""
        for tried in search.tried:
            self._note(tried.i2t_prompt, problem.examples, tried.verbalizations)
        kept = self._kept(problem)
        compared = side_by_side(history, problem.misjudgments, kept, self._described)
        search.shown.update(example.example_id for example, _ in compared)
        return [shown for _, shown in compared]

    def _note(
        self, i2t_prompt: str, examples: Sequence[Example], verbalizations: Sequence[Verbalization]
    ) -> None:
        """Keep what examples are described as."""
        known = self._described.setdefault(i2t_prompt, {})
        for example, verbalization in zip(examples, verbalizations, strict=True):
            if verbalization.text:
                known[example.example_id] = verbalization

    def _briefings(self, problem: InnerProblem, i2t_prompts: Sequence[str]) -> list[Briefing]:
        kept = self._kept(problem)
        counts = label_counts(problem, self.train, self.roles.task.labels)
        misses = misses_of(self.roles.task)
        earlier = earlier_prompts(self._judgments.all, problem.judge_prompt, self.train, misses)
        described = self.roles.verbalize_each(i2t_prompts, kept)
        for i2t_prompt, verbalizations in zip(i2t_prompts, described, strict=True):
            self._note(i2t_prompt, kept, verbalizations)
        return [
            Briefing(
                counts,
                [
                    Case(
                        verbalization,
                        example.text,
                        example.label,
                        example.label,
                        comment=example.comment,
                    )
                    for example, verbalization in zip(kept, verbalizations, strict=True)
                ],
                earlier,
            )
            for verbalizations in described
        ]

    def _linted(self, problem: InnerProblem, proposal: Proposal, cases: Sequence[Case]) -> Proposal:
        if proposal.prompt is None:
            return proposal
        labels, limit = self.roles.task.labels, self.config.max_prompt_words
        reason = Lint(problem.judge_prompt, cases, labels, limit)(proposal.prompt)
        return Proposal(None, (*proposal.failures, reason)) if reason else proposal

    def _scored_items(
        self, problem: InnerProblem, lineage: Lineage, seen: Collection[str]
    ) -> list[Example]:
        if self.config.score_on == "errors":
            return problem.examples
        size = self.config.probe_size
        return draw_probe(self.train, lineage.strata, seen, size, self.seed, problem.index)

    def _known_losses(self, judge_prompt: str, seen: Collection[str]) -> Losses:
        """Losses under p' on unseen items, where an earlier round or step proposed it, too."""
        if self.config.score_on == "errors":
            return {}
        losses = self._archive.losses(judge_prompt)
        return {item: loss for item, loss in losses.items() if item not in seen}

    def _race(
        self,
        known: Mapping[str, Losses],
        items: Sequence[Example],
        lineage: Lineage,
        rivals: Sequence[Losses],
    ) -> dict[str, tuple[list[Example], list[Verdict]]]:
        """By p': the items that the selector asked for, with their verdicts.

        known: by p', the losses that are known already. rivals: losses of those tried before.
        """
        judged: dict[str, tuple[list[Example], list[Verdict]]] = {p: ([], []) for p in known}

        def judge(judge_prompts: Sequence[str], block: Sequence[Example]) -> list[Losses]:
            each = self.judge_each(judge_prompts, block)
            for p, verdicts in zip(judge_prompts, each, strict=True):
                judged[p][0].extend(block)
                judged[p][1].extend(verdicts)
            return [self.losses(*judged[p]) for p in judge_prompts]

        racing = self.config.selector == "racing"
        size = self.config.block_size if racing else max(len(items), 1)
        confidence = self.config.race_confidence
        race(known, blocks(items, size), judge, lineage.losses, lineage.strata, confidence, rivals)
        return judged

    def _decision(self, problem: InnerProblem, search: I2TSearch, q_star: Candidate) -> Decision:
        if self.config.accept == "paired" and q_star.score <= 0:
            return Decision(False, reason="no gain")
        if self.config.accept == "paired" and self._archive.has_accepted(q_star.judge_prompt):
            return Decision(False, reason="it was accepted in an earlier step")
        if self.config.judges_chosen:
            self._judge_further(q_star)
        if self.config.accept == "always":
            return Decision(True)
        rival, *_ = self._rivals(problem)
        decision = self._tested(rival, q_star.judge_prompt, q_star.judged.seen)
        if decision.accepted and self.config.second_look and self._held is None:
            return self._second_look(problem, search, q_star, decision)
        return decision

    def _tested(self, rival: Entry, judge_prompt: str, seen: Collection[str]) -> Decision:
        """The paired test of p' against another prompt, on what is known and was not seen."""
        losses, strata = self._archive.losses(judge_prompt), self._strata(rival)
        confidence = self.config.accept_confidence
        decision = accept_on_gain(rival.losses, losses, strata, seen, confidence)
        if decision.accepted and self.config.more_right:
            before, after = self._wrong(rival.judge_prompt), self._wrong(judge_prompt)
            if not more_are_right(before, after, strata, seen):
                return Decision(False, decision.gain, "no more verdicts are right")
        return decision

    def _second_look(
        self, problem: InnerProblem, search: I2TSearch, q_star: Candidate, first: Decision
    ) -> Decision:
        """The test again with p' judged on all of train, as a step from it would begin; over p_t,
        too.

        What both prompts' lineages were shown before this step favours neither: it counts.
        """
        self.judge_train(q_star.judge_prompt)
        now = {example.example_id for example in problem.examples} | search.shown
        now |= {example.example_id for example in self._kept(problem)}
        for rival in self._rivals(problem):
            since = q_star.judged.seen - rival.seen
            again = self._tested(rival, q_star.judge_prompt, since | now)
            if not again.accepted:
                return Decision(False, first.gain, f"{again.reason} at the second look")
        return first

    def _rivals(self, problem: InnerProblem) -> list[Entry]:
        """What p' has to gain on: first what was accepted last where p_t need not be; then p_t."""
        start, last = self._archive[problem.judge_prompt], self._archive.last
        return (
            [last, start] if self.config.parent == "best_first" and last is not start else [start]
        )

    def _wrong(self, judge_prompt: str) -> Losses:
        """1 for each wrong verdict under a judge prompt, 0 for each right one, of those known."""
        known = self._judgments.known(judge_prompt)
        return {
            example.example_id: float(known[example.example_id].label != example.label)
            for example in self.train
            if example.example_id in known
        }

    def _judge_further(self, candidate: Candidate) -> None:
        """Judge p' on all items that its lineage has not seen."""
        seen = candidate.judged.seen
        unseen = [e for e in self.train if e.example_id not in seen]
        [verdicts] = self.judge_each([candidate.judge_prompt], unseen)
        losses = self.losses(unseen, verdicts)
        self._archive.add(candidate.judge_prompt, losses, seen)

    def _control_wins(self, problem: InnerProblem, candidate: Candidate) -> bool:
        """Whether Update_p gains no less from the descriptions of other images."""
        shown = {example.example_id for example in problem.examples}
        others = derived_order(
            [example for example in self.train if example.example_id not in shown],
            lambda example: example.example_id,
            self.seed,
            "control",
            problem.index,
        )[: len(problem.examples)]
        [descriptions] = self.roles.verbalize_each([candidate.i2t_prompt], others)
        cases = with_descriptions(problem.cases(candidate.verbalizations), descriptions)
        [proposal] = self.update_p(problem, [candidate.i2t_prompt], [cases])
        if proposal.prompt is None:
            return False
        block = candidate.judged.examples[: self.config.block_size]
        [verdicts] = self.judge_each([proposal.prompt], block)
        lineage, control = self._lineage(problem), self.losses(block, verdicts)
        return control_wins(lineage.losses, candidate.judged.losses, control, lineage.strata)

    def _reflections(self, problem: InnerProblem, search: I2TSearch) -> list[Reflection]:
        """The best and the worst q so far, each with some items that its p' fixed or broke."""
        before = {
            example.example_id: verdict
            for example, verdict in zip(self.train, problem.verdicts, strict=True)
        }
        reflections: list[Reflection] = []
        ends = best_and_worst(search.tried)
        for candidate in ends:
            changed = changed_items(candidate, before, self.may_show, self.config.reflect_on)
            if changed:
                search.shown.update(example.example_id for example, _ in changed)
                is_best = candidate is ends[0]
                reflection = reflect(candidate, changed, before, self._verbalize, is_best=is_best)
                reflections.append(reflection)
        return reflections

    def _verbalize(self, i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]:
        return self.roles.verbalize_each([i2t_prompt], examples)[0]

    def _strata(self, entry: Entry) -> dict[str, bool]:
        """Whether a judge prompt judges the items right, of those known."""
        known = self._judgments.known(entry.judge_prompt)
        return {
            e.example_id: known[e.example_id].label == e.label
            for e in self.train
            if e.example_id in known
        }


def _warm_start(step: OuterStep) -> str | None:
    """The step's q*, unless its control was as good."""
    if step.search is None or step.chosen is None or step.chosen in step.search.rejected:
        return None
    return step.chosen.i2t_prompt
