"""What an outer step of Algorithm 1 saw, tried and decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...data.examples import Example
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Proposal
from ...models.roles.verbalizer import Verbalization
from ..search.cutpoints import CutPoints
from .policies.acceptance import Decision
from .policies.archive import Ranked


@dataclass(frozen=True, slots=True)
class Misjudgment:
    """An example of the error minibatch with the verdict that p_t gave it."""

    example: Example
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Candidate:
    """An I2T prompt q, what it led to, and its score.

    judge_prompt: p' = J(q, p), or p itself where `proposal` failed.
    verbalizations: under q, in the order of the error minibatch.
    verdicts: under p', on `examples`: the error minibatch, or as much of the probe as the race
        asked for.
    losses: under p' by example_id: on these examples, and with `score_on: probe` on those that
        an earlier round or step judged under the same p'.
    score: Eq 9, mean decrease of the loss on them.
    seen: example_ids that an optimizer call of its lineage was shown.
    """

    i2t_prompt: str
    verbalizations: list[Verbalization]
    proposal: Proposal
    judge_prompt: str
    examples: Sequence[Example]
    verdicts: list[Verdict]
    score: float
    losses: Mapping[str, float] = field(default_factory=dict[str, float])
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class I2TSearch:
    """What the inner loop tried in one outer step.

    openers: what opens the history: q_0, or what a switch puts beside it or in its place.
    candidates: q_1..q_K less those whose Update_q failed, which are in `failures`.
    openers_compete: whether an opener can be chosen, too.
    shown: example_ids that Update_q was shown.
    rejected: whose shuffled control was as good: their I2T prompts open no further history.
    """

    openers: list[Candidate] = field(default_factory=list[Candidate])
    candidates: list[Candidate] = field(default_factory=list[Candidate])
    failures: list[Proposal] = field(default_factory=list[Proposal])
    openers_compete: bool = False
    shown: set[str] = field(default_factory=set[str])
    rejected: list[Candidate] = field(default_factory=list[Candidate])

    @property
    def tried(self) -> list[Candidate]:
        """All, in the order in which they were tried."""
        return [*self.openers, *self.candidates]

    @property
    def best(self) -> Candidate | None:
        """Eq 11: the first of the candidates with the highest score."""
        candidates = self.tried if self.openers_compete else self.candidates
        return max(candidates, key=lambda candidate: candidate.score, default=None)

    @property
    def warm_start(self) -> str | None:
        """q*, unless its control was as good."""
        return self.best.i2t_prompt if self.best and self.best not in self.rejected else None


@dataclass(frozen=True, slots=True)
class OuterStep:
    """One pass of the outer loop.

    verdicts: of p_t on the training examples, in their order.
    search: None where no example was misjudged.
    decision: on the p' of q*; None where there is none.
    """

    index: int
    judge_prompt: str
    verdicts: list[Verdict]
    misjudgments: list[Misjudgment]
    search: I2TSearch | None
    decision: Decision | None = None

    @property
    def chosen(self) -> Candidate | None:
        """q* and its p'."""
        return self.search.best if self.search else None

    @property
    def next_judge_prompt(self) -> str:
        """p_{t+1}"""
        accepted = self.decision and self.decision.accepted
        return self.chosen.judge_prompt if self.chosen and accepted else self.judge_prompt


@dataclass(frozen=True, slots=True)
class FinalChoice:
    """The choice of the final judge prompt, after the last outer step.

    judge_prompt: what the last step led to. final_judge_prompt: what was chosen.
    ranked: the archive, p_0 first, in order of entry; empty where the last iterate wins.
    reading: how verdicts under the final prompt are read; None for the likeliest label.
    """

    index: int
    judge_prompt: str
    final_judge_prompt: str
    ranked: Sequence[Ranked]
    reading: CutPoints | None
