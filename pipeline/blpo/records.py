"""What an outer step of Algorithm 1 saw, tried and decided."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...data.examples import Example
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Case, Proposal
from ...models.roles.verbalizer import Verbalization
from ..search.paired_gain import PairedGain
from ..search.step import failure_note
from .policies.archive import Ranked


@dataclass(frozen=True, slots=True)
class Misjudgment:
    """An example of the error minibatch with the verdict that p_t gave it."""

    example: Example
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class InnerProblem:
    """What an outer step is about: p_t, its verdicts, and the error minibatch I_B.

    verdicts: of p_t on the training examples, in their order.
    """

    index: int
    judge_prompt: str
    verdicts: list[Verdict]
    misjudgments: list[Misjudgment]

    @property
    def examples(self) -> list[Example]:
        """Of the error minibatch, in its order."""
        return [wrong.example for wrong in self.misjudgments]

    @property
    def misjudged_verdicts(self) -> list[Verdict]:
        """f(x_i; p_t) on the error minibatch, in its order."""
        return [wrong.verdict for wrong in self.misjudgments]

    def cases(self, verbalizations: Sequence[Verbalization]) -> list[Case]:
        """{g(x_i; q), y_i, f(x_i; p_t)}: what Update_p is shown of the error minibatch."""
        return [
            Case(
                verbalization,
                wrong.example.text,
                wrong.example.label,
                wrong.verdict.label,
                comment=wrong.example.comment,
            )
            for wrong, verbalization in zip(self.misjudgments, verbalizations, strict=True)
        ]

    def end(
        self,
        search: "I2TSearch | None" = None,
        chosen: "Candidate | None" = None,
        decision: "Decision | None" = None,
        next_judge_prompt: str | None = None,
    ) -> "OuterStep":
        """The step as it ended; p_t is kept where nothing leads on."""
        return OuterStep(
            self.index,
            self.judge_prompt,
            next_judge_prompt or self.judge_prompt,
            self.verdicts,
            self.misjudgments,
            search,
            chosen,
            decision,
        )


@dataclass(frozen=True, slots=True)
class Scored:
    """What a proposed judge prompt p' was judged on, and what it gains.

    score: Eq 9, mean decrease of the loss on the items of `losses`.
    examples, verdicts: those asked for now: the error minibatch, or as much of the probe as a
        race asked for.
    losses: under p' by example_id: on these examples, and with `score_on: probe` on those that
        an earlier round or step judged under the same p'.
    seen: example_ids that an optimizer call of its lineage was shown, where these do not count.
    """

    score: float
    examples: Sequence[Example] = ()
    verdicts: Sequence[Verdict] = ()
    losses: Mapping[str, float] = field(default_factory=dict[str, float])
    seen: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """An I2T prompt q and what it led to.

    verbalizations: under q, in the order of the error minibatch.
    judge_prompt: p' = J(q, p_t), or p_t itself where `proposal` failed.
    """

    i2t_prompt: str
    verbalizations: list[Verbalization]
    proposal: Proposal
    judge_prompt: str
    judged: Scored

    @property
    def score(self) -> float:
        """score(q; p_t), Eq 9"""
        return self.judged.score

    @property
    def note(self) -> str:
        """Why the optimizer's judge prompt is none, or no new one, in words; else empty."""
        return failure_note(self.proposal, "judge prompt", ", current one kept")


def named(
    openers: Sequence[Candidate], candidates: Sequence[Candidate]
) -> list[tuple[str, Candidate]]:
    """What a step has tried, by the names that console and report call it: initial, 1, 2, ..."""
    names = ["initial", *["opener"] * (len(openers) - 1)] if openers else []
    names += [str(number) for number in range(1, len(candidates) + 1)]
    return list(zip(names, [*openers, *candidates], strict=True))


@dataclass(slots=True)
class I2TSearch:
    """What the inner loop has tried in one outer step.

    openers: what opens the history: q_0, or what a switch puts beside it or in its place.
    candidates: q_1..q_K less those whose Update_q failed, which are in `failures`.
    repeats: I2T prompts in replies to Update_q that were tried before.
    shown: example_ids that Update_q was shown.
    rejected: whose shuffled control was as good: their I2T prompts open no further history.
    """

    openers: list[Candidate] = field(default_factory=list[Candidate])
    candidates: list[Candidate] = field(default_factory=list[Candidate])
    failures: list[Proposal] = field(default_factory=list[Proposal])
    repeats: int = 0
    shown: set[str] = field(default_factory=set[str])
    rejected: list[Candidate] = field(default_factory=list[Candidate])

    @property
    def tried(self) -> list[Candidate]:
        """H_k: all, in the order in which they were tried."""
        return [*self.openers, *self.candidates]


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether a proposal was accepted, on which gain; `reason` says why not."""

    accepted: bool
    gain: PairedGain | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class OuterStep:
    """One pass of the outer loop, from p_t to p_{t+1}, the next judge prompt.

    verdicts: of p_t on the training examples, in their order.
    search: None where no example was misjudged.
    chosen: q* and its p'; None where there is none to choose from. decision: on that p'.
    """

    index: int
    judge_prompt: str
    next_judge_prompt: str
    verdicts: list[Verdict]
    misjudgments: list[Misjudgment]
    search: I2TSearch | None = None
    chosen: Candidate | None = None
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class FinalChoice:
    """The choice of the final judge prompt, after the last outer step.

    judge_prompt: what the outer steps led to. final_judge_prompt: what was chosen.
    ranked: the archive, p_0 first, in order of entry; empty where it is what was accepted last.
    """

    index: int
    judge_prompt: str
    final_judge_prompt: str
    ranked: Sequence[Ranked]
