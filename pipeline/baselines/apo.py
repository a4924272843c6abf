"""APO, also ProTeGi (Pryzant et al., arXiv 2305.03495): beam search over judge prompts, expanded by
textual gradients and paraphrases, narrowed by a bandit.

After Algorithms 1 to 3 and the published code; what is set otherwise here, or left open there:
 1. 6 rounds, a beam of 4, minibatches of 64, 4 gradients of at most 4 errors each, one edit per
    gradient, 2 paraphrases of every edit and of the parent, 8 successors kept per parent at
    random, 8 rounds of the bandit over 8 prompts and 32 examples: the published code's values.
 2. UCB: mean + c sqrt(log t / n), n the examples seen by the prompt, t the bandit's round from 1,
    c = 1; a prompt not yet seen comes first. (The code counts t from 0, so that its second round
    explores nothing.) All prompts of a bandit round judge the same examples, as in the code.
 3. Parents compete with their successors; a tie goes to the parent. The result is the beam's best
    by the bandit's estimate.
 4. `evidence: verbalizations`: the optimizer reads the errors as described under q_0.
    `evidence: images`: it sees the images themselves, Eq 5 of the BLPO paper (APO-image), as many
    of a gradient's errors as its context holds by a count made before the call.
 5. Paraphrases are drawn at temperature 0.7, critiques and edits at the optimizer's own.
 6. A failed critique, edit or paraphrase has no successor. Without errors, or with all failed,
    only paraphrases are tried.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ...data.examples import Example
from ...models.roles.baselines import Complaint
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Answer, Case, Proposal
from ...models.wrappers.ledger import Role
from ..search.budget import until_spent
from ..search.seeds import derived_order
from ..search.step import ShownCase, Step, Tried, num_right
from .cases import Judged, Verbalizes, described_cases, image_cases, judged, shown_cases

Evidence = Literal["verbalizations", "images"]


class ApoConfig(BaseModel):
    """Parameters of APO."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    rounds: int = Field(default=6, ge=0)
    beam_size: int = Field(default=4, ge=1)
    minibatch_size: int = Field(default=64, ge=1, description="examples that a parent judges")
    gradients: int = Field(default=4, ge=0, description="critiques of a parent")
    errors_per_gradient: int = Field(default=4, ge=1)
    paraphrases: int = Field(default=2, ge=0, description="of every edit and of the parent")
    paraphrase_temperature: float = Field(default=0.7, ge=0)
    successors: int = Field(default=8, ge=1, description="kept per parent")
    bandit_rounds: int = Field(default=8, ge=1)
    prompts_per_round: int = Field(default=8, ge=1, description="pulled in a bandit round")
    examples_per_pull: int = Field(default=32, ge=1)
    exploration: float = Field(default=1.0, ge=0, description="c of UCB")
    evidence: Evidence = "verbalizations"


class Roles(Verbalizes, Protocol):
    """What APO asks of models."""

    def judge(self, judge_prompt: str, examples: Sequence[Example]) -> list[Verdict]: ...

    def criticize(self, complaints: Sequence[Complaint]) -> list[Answer]: ...

    def edit(self, complaints: Sequence[Complaint]) -> list[Proposal]: ...

    def paraphrase(
        self, judge_prompts: Sequence[str], number: int, temperature: float
    ) -> list[list[Proposal]]: ...


@dataclass(frozen=True, slots=True)
class Expansion:
    """A parent of the beam and what it was expanded to.

    judged: the minibatch under the parent. groups, cases: the errors behind each gradient.
    """

    parent: str
    judged: list[Judged]
    groups: list[list[Judged]]
    cases: list[list[Case]]
    critiques: list[Answer]
    edits: list[Proposal]
    successors: list[str]


@dataclass(slots=True)
class Arm:
    """A prompt that the bandit pulls. num_seen: examples it has judged, num_right of them right."""

    judge_prompt: str
    num_pulls: int = 0
    num_seen: int = 0
    num_right: int = 0

    @property
    def mean(self) -> float:
        return self.num_right / self.num_seen if self.num_seen else 0.0

    def ucb(self, bandit_round: int, exploration: float) -> float:
        """Upper confidence bound in a round counted from 1."""
        if not self.num_seen:
            return math.inf
        return self.mean + exploration * math.sqrt(math.log(bandit_round) / self.num_seen)


@dataclass(frozen=True, slots=True)
class Round:
    """What a round of the search works on."""

    roles: Roles
    train: Sequence[Example]
    i2t_prompt: str
    config: ApoConfig
    seed: int
    index: int


def search(
    roles: Roles,
    train: Sequence[Example],
    judge_prompt: str,
    i2t_prompt: str,
    config: ApoConfig,
    seed: int,
) -> Iterator[Step]:
    """Contract: `methods.base.Search`. Algorithm 1."""
    beam = [judge_prompt]
    for index in range(config.rounds):
        this_round = Round(roles, train, i2t_prompt, config, seed, index)
        expansions = until_spent(expand(this_round, parent) for parent in beam)
        successors = [prompt for expansion in expansions for prompt in expansion.successors]
        arms = select(this_round, list(dict.fromkeys([*beam, *successors])))
        ranked = sorted(arms, key=lambda arm: arm.mean, reverse=True)[: config.beam_size]
        yield make_step(index, beam, ranked, arms, expansions)
        beam = [arm.judge_prompt for arm in ranked]


def expected_calls(config: ApoConfig, num_train: int) -> dict[Role, int]:
    """Contract: `methods.base.Search`; counts on full beams from round two, and on errors."""
    parents = 1 + (config.rounds - 1) * config.beam_size if config.rounds else 0
    pulls = config.rounds * config.bandit_rounds * config.prompts_per_round
    shown = config.gradients * config.errors_per_gradient
    questions = 2 * config.gradients + (config.gradients + 1) * config.paraphrases
    return {
        "judge": parents * min(config.minibatch_size, num_train)
        + pulls * min(config.examples_per_pull, num_train),
        "verbalizer": parents * shown if config.evidence == "verbalizations" else 0,
        "optimizer": parents * questions,
    }


def expand(this: Round, parent: str) -> Expansion:
    """Algorithm 2: successors of a parent from textual gradients and paraphrases."""
    config = this.config
    minibatch = derived_order(
        this.train, lambda e: e.example_id, this.seed, "minibatch", this.index
    )
    minibatch = minibatch[: config.minibatch_size]
    items = judged(minibatch, this.roles.judge(parent, minibatch))
    groups = error_groups(this, parent, items)
    cases = group_cases(this, groups)
    critiques = this.roles.criticize([Complaint(parent, group) for group in cases])
    complaints = [
        Complaint(parent, group, critique.texts[-1:])
        for group, critique in zip(cases, critiques, strict=True)
        if critique.texts
    ]
    edits = this.roles.edit(complaints)
    edited = [edit.prompt for edit in edits if edit.prompt is not None]
    paraphrases = this.roles.paraphrase(
        [*edited, parent], config.paraphrases, config.paraphrase_temperature
    )
    new = [*edited, *(p.prompt for group in paraphrases for p in group if p.prompt is not None)]
    successors = [prompt for prompt in dict.fromkeys(new) if prompt != parent]
    kept = derived_order(successors, str, this.seed, "successors", this.index, parent)
    return Expansion(parent, items, groups, cases, critiques, edits, kept[: config.successors])


def error_groups(this: Round, parent: str, items: Sequence[Judged]) -> list[list[Judged]]:
    """The errors behind each gradient, drawn without regard to the other gradients."""
    errors = [item for item in items if not item.is_right and not item.verdict.is_error]
    if not errors:
        return []
    size = this.config.errors_per_gradient
    purpose = ("errors", this.index, parent)
    return [
        derived_order(errors, lambda i: i.example.example_id, this.seed, *purpose, g)[:size]
        for g in range(this.config.gradients)
    ]


def group_cases(this: Round, groups: Sequence[Sequence[Judged]]) -> list[list[Case]]:
    """The groups as the optimizer sees them; an image in several groups is described once."""
    if this.config.evidence == "images":
        return [image_cases(group) for group in groups]
    items = list({item.example.example_id: item for group in groups for item in group}.values())
    cases = described_cases(this.roles, this.i2t_prompt, items)
    by_id = {item.example.example_id: case for item, case in zip(items, cases, strict=True)}
    return [[by_id[item.example.example_id] for item in group] for group in groups]


def select(this: Round, judge_prompts: Sequence[str]) -> list[Arm]:
    """Algorithm 3: the prompts as arms, pulled as often as bandit and budget allow.

    A lone prompt needs no pull.
    """
    arms = [Arm(judge_prompt) for judge_prompt in judge_prompts]
    if len(arms) > 1:
        until_spent(pulls(this, arms))
    return arms


def pulls(this: Round, arms: Sequence[Arm]) -> Iterator[Arm]:
    """The arms as they are pulled; those of a bandit round judge the same examples."""
    config = this.config
    for bandit_round in range(1, config.bandit_rounds + 1):
        purpose = (this.index, bandit_round)
        examples = derived_order(this.train, lambda e: e.example_id, this.seed, "pull", *purpose)
        examples = examples[: config.examples_per_pull]
        shuffled = derived_order(arms, lambda arm: arm.judge_prompt, this.seed, "arms", *purpose)
        by_bound = sorted(
            shuffled, key=lambda arm: arm.ucb(bandit_round, config.exploration), reverse=True
        )
        for arm in by_bound[: config.prompts_per_round]:
            verdicts = this.roles.judge(arm.judge_prompt, examples)
            arm.num_pulls += 1
            arm.num_seen += len(examples)
            arm.num_right += num_right(examples, verdicts)
            yield arm


def make_step(
    index: int,
    beam: Sequence[str],
    ranked: Sequence[Arm],
    arms: Sequence[Arm],
    expansions: Sequence[Expansion],
) -> Step:
    best = ranked[0]
    items = expansions[0].judged if expansions else []
    return Step(
        index,
        beam[0],
        best.judge_prompt,
        [item.example for item in items],
        [item.verdict for item in items],
        {
            "expansions": [_expansion_record(expansion) for expansion in expansions],
            "arms": [_arm_record(arm) for arm in arms],
            "beam": [arm.judge_prompt for arm in ranked],
        },
        [_tried(number, arm, best) for number, arm in enumerate(ranked, 1)],
        _shown(expansions),
        notes=["The judge prompt was kept."] if best.judge_prompt == beam[0] else [],
    )


def _tried(number: int, arm: Arm, best: Arm) -> Tried:
    return Tried(
        f"beam {number}", arm.judge_prompt, arm.mean, arm.num_right, arm.num_seen, arm is best
    )


def _shown(expansions: Sequence[Expansion]) -> list[ShownCase]:
    """The errors of the beam's best, each once."""
    if not expansions:
        return []
    first = expansions[0]
    shown = {
        case.example.example_id: case
        for group, cases in zip(first.groups, first.cases, strict=True)
        for case in shown_cases(group, cases)
    }
    return list(shown.values())


def _arm_record(arm: Arm) -> dict[str, Any]:
    return {
        "judge_prompt": arm.judge_prompt,
        "pulls": arm.num_pulls,
        "examples": arm.num_seen,
        "mean": arm.mean,
    }


def _expansion_record(expansion: Expansion) -> dict[str, Any]:
    return {
        "parent": expansion.parent,
        "misjudged": sum(not item.is_right for item in expansion.judged),
        "errors": [[item.example.example_id for item in group] for group in expansion.groups],
        "critiques": [
            {"text": "\n".join(answer.texts), "failures": list(answer.failures)}
            for answer in expansion.critiques
        ],
        "edits": [
            {
                "judge_prompt": edit.prompt,
                "failures": list(edit.failures),
                "repeats_parent": edit.is_repeat,
            }
            for edit in expansion.edits
        ],
        "successors": expansion.successors,
    }


class Apo:
    """The methods `apo` and `apo-image`. Contract: `methods.base.Search`."""

    section = "apo"
    length = "rounds"
    rewrites_criteria = False
    run = staticmethod(search)
    expected_calls = staticmethod(expected_calls)

    def __init__(self, evidence: Evidence) -> None:
        self.fixed: Mapping[str, Any] = {"evidence": evidence}
        self.sees_images = evidence == "images"
