"""Bi-Level Prompt Optimization (Pan et al., arXiv 2602.11340), Algorithm 1.

What the paper leaves open, and the choice made here:
 1. Eq 2: the loss is 0/1; a verdict without a label counts as wrong.
 2. Algorithm 1: the error minibatch is drawn from the misjudged training examples of p_t,
    uniformly, without replacement; with none left the loop ends early.
 3. Eq 9: p' is judged on the same minibatch that the optimizer LLM has seen.
 4. Eq 10: the history starts anew from q_0 in every outer step.
 5. Eq 11: q_0 is not a candidate; a tie goes to the I2T prompt tried first.
 6. p_{t+1} is the p' that was scored for q*, not a second proposal.
 7. The verbalizer sees the example's own text in tasks that have one.
 8. A proposal that fails as often as is allowed keeps the current prompt: a failed Update_p
    scores its I2T prompt 0, a failed Update_q is left out of the history.
 9. The last iterate is returned, accepted or not by any test.

Ablations of Table 2: `i2t: fixed` verbalizes under q_0, `i2t: judge_prompt` under p_t itself;
both take one Update_p per outer step and have no inner loop.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ..data.examples import Example
from ..models.judge import Verdict
from ..models.optimizer import Case, Proposal, ScoredPrompt
from ..models.verbalizer import Verbalization
from .losses import LOSSES
from .seeds import derived_order


class BlpoConfig(BaseModel):
    """Parameters of Algorithm 1; the defaults are the paper's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outer_steps: int = Field(default=5, ge=0, description="T, updates of the judge prompt")
    inner_steps: int = Field(default=5, ge=1, description="K, I2T prompts tried in an outer step")
    minibatch_size: int = Field(default=10, ge=1, description="|I_B|, misjudged examples at most")
    loss: Literal["zero_one"] = "zero_one"
    i2t: Literal["learned", "fixed", "judge_prompt"] = "learned"


class Roles(Protocol):
    """The four questions that the algorithm asks of models."""

    def judge(self, judge_prompt: str, examples: Sequence[Example]) -> list[Verdict]: ...

    def verbalize(self, i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]: ...

    def update_judge_prompt(self, judge_prompt: str, cases: Sequence[Case]) -> Proposal: ...

    def update_i2t_prompt(self, judge_prompt: str, history: Sequence[ScoredPrompt]) -> Proposal: ...


@dataclass(frozen=True, slots=True)
class Misjudgment:
    """An example of the error minibatch with the verdict that p_t gave it."""

    example: Example
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Candidate:
    """An I2T prompt q, what it led to, and its score.

    judge_prompt: p' = J(q, p), or p itself where `proposal` failed.
    verbalizations, verdicts: under q and under p', in the order of the error minibatch.
    score: Eq 9, mean decrease of the loss on the minibatch.
    """

    i2t_prompt: str
    verbalizations: list[Verbalization]
    proposal: Proposal
    judge_prompt: str
    verdicts: list[Verdict]
    score: float


@dataclass(frozen=True, slots=True)
class I2TSearch:
    """What the inner loop tried in one outer step.

    baseline: q_0, where the I2T prompt is learned; it opens the history but cannot be chosen.
    candidates: q_1..q_K less those whose Update_q failed, which are in `failures`.
    """

    baseline: Candidate | None
    candidates: list[Candidate]
    failures: list[Proposal]

    @property
    def best(self) -> Candidate | None:
        """Eq 11: the first of the candidates with the highest score."""
        return max(self.candidates, key=lambda candidate: candidate.score, default=None)


@dataclass(frozen=True, slots=True)
class OuterStep:
    """One pass of the outer loop.

    verdicts: of p_t on the training examples, in their order.
    search: None where no example was misjudged.
    """

    index: int
    judge_prompt: str
    verdicts: list[Verdict]
    misjudgments: list[Misjudgment]
    search: I2TSearch | None

    @property
    def chosen(self) -> Candidate | None:
        """q* and its p'."""
        return self.search.best if self.search else None

    @property
    def next_judge_prompt(self) -> str:
        """p_{t+1}"""
        return self.chosen.judge_prompt if self.chosen else self.judge_prompt


def optimize(
    roles: Roles,
    train: Sequence[Example],
    judge_prompt: str,
    i2t_prompt: str,
    config: BlpoConfig,
    seed: int,
) -> Iterator[OuterStep]:
    """Run Algorithm 1 from p_0 and q_0; yields every outer step, the last one leads to p_T."""
    for outer_step in range(config.outer_steps):
        verdicts = roles.judge(judge_prompt, train)
        misjudgments = sample_error_minibatch(train, verdicts, config, seed, outer_step)
        if not misjudgments:
            yield OuterStep(outer_step, judge_prompt, verdicts, misjudgments, search=None)
            return
        trial = Trial(roles, judge_prompt, misjudgments, config)
        search = search_i2t_prompt(trial, i2t_prompt)
        step = OuterStep(outer_step, judge_prompt, verdicts, misjudgments, search)
        yield step
        judge_prompt = step.next_judge_prompt


def search_i2t_prompt(trial: "Trial", i2t_prompt: str) -> I2TSearch:
    """The inner loop, or its replacement in an ablation."""
    match trial.config.i2t:
        case "learned":
            return inner_loop(trial, i2t_prompt)
        case "fixed":
            return I2TSearch(None, [trial.run(i2t_prompt)], [])
        case "judge_prompt":
            return I2TSearch(None, [trial.run(trial.judge_prompt)], [])


def inner_loop(trial: "Trial", i2t_prompt: str) -> I2TSearch:
    """Learn an I2T prompt for p_t, starting from q_0."""
    baseline = trial.run(i2t_prompt)
    search = I2TSearch(baseline, [], [])
    history = [ScoredPrompt(i2t_prompt, baseline.score)]
    for _ in range(trial.config.inner_steps):
        proposal = trial.roles.update_i2t_prompt(trial.judge_prompt, history)
        if proposal.prompt is None:
            search.failures.append(proposal)
            continue
        candidate = trial.run(proposal.prompt)
        history.append(ScoredPrompt(candidate.i2t_prompt, candidate.score))
        search.candidates.append(candidate)
    return search


@dataclass(frozen=True, slots=True)
class Trial:
    """Trying I2T prompts on the error minibatch of one outer step."""

    roles: Roles
    judge_prompt: str
    misjudgments: Sequence[Misjudgment]
    config: BlpoConfig

    def run(self, i2t_prompt: str) -> Candidate:
        """Eq 6 and Eq 9: verbalize under q, update p, judge the minibatch again under p'."""
        examples = [misjudgment.example for misjudgment in self.misjudgments]
        verbalizations = self.roles.verbalize(i2t_prompt, examples)
        cases = [
            Case(verbalization, wrong.example.text, wrong.example.label, wrong.verdict.label)
            for wrong, verbalization in zip(self.misjudgments, verbalizations, strict=True)
        ]
        proposal = self.roles.update_judge_prompt(self.judge_prompt, cases)
        updated = self.judge_prompt if proposal.prompt is None else proposal.prompt
        verdicts = self.roles.judge(updated, examples)
        score = self._score(verdicts)
        return Candidate(i2t_prompt, verbalizations, proposal, updated, verdicts, score)

    def _score(self, verdicts: Sequence[Verdict]) -> float:
        loss = LOSSES[self.config.loss]
        decreases = [
            loss(wrong.verdict, wrong.example.label) - loss(verdict, wrong.example.label)
            for wrong, verdict in zip(self.misjudgments, verdicts, strict=True)
        ]
        return sum(decreases) / len(decreases)


def sample_error_minibatch(
    train: Sequence[Example],
    verdicts: Sequence[Verdict],
    config: BlpoConfig,
    seed: int,
    outer_step: int,
) -> list[Misjudgment]:
    """I_B: at most `minibatch_size` of the misjudged examples."""
    wrong = [
        Misjudgment(example, verdict)
        for example, verdict in zip(train, verdicts, strict=True)
        if verdict.label != example.label
    ]
    order = derived_order(
        wrong, lambda misjudgment: misjudgment.example.example_id, seed, "minibatch", outer_step
    )
    return order[: config.minibatch_size]
