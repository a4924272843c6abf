"""TextGrad (Yuksekgonul et al., arXiv 2406.07496) on the judge prompt: criticism of a few judged
examples as the gradient, a rewrite as the step, and a return to the prompt before if the
validation set says so.

After the paper's prompt optimization and the published code of it; what is set otherwise here, or
left open there:
 1. 12 steps on batches of 3, drawn anew for every step, right and wrong verdicts alike: as
    published. A rewrite is taken back if its validation accuracy is lower, not if it is equal: as
    in the published code.
 2. The validation set is a stratified half of the training examples, and batches come from the
    other half (published: a validation split of its own). No other method gets more labels.
 3. The gradient of an example is one criticism of the judge prompt (published: one of the
    verdict, then one of the prompt). The sum of the gradients is all of them, one after another.
 4. The optimizer reads the examples as described under q_0, since they are images.
 5. Criticism that comes to nothing is left out of the sum; a failed or unchanged rewrite keeps
    the prompt without a validation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ...data.examples import Example
from ...models.roles.baselines import Complaint
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Answer, Case, Proposal
from ...models.wrappers.ledger import Role
from ..search.seeds import derived_order
from ..search.step import (
    Step,
    Tried,
    failure_note,
    num_right,
    verbalization_records,
    verdict_records,
)
from .cases import Judged, Verbalizes, described_cases, judged, shown_cases


class TextGradConfig(BaseModel):
    """Parameters of TextGrad."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(default=12, ge=0)
    batch_size: int = Field(default=3, ge=1)
    validation_fraction: float = Field(default=0.5, gt=0, lt=1, description="of every label")


class Roles(Verbalizes, Protocol):
    """What TextGrad asks of models."""

    def judge(self, judge_prompt: str, examples: Sequence[Example]) -> list[Verdict]: ...

    def criticize_on_cases(self, judge_prompt: str, cases: Sequence[Case]) -> list[Answer]: ...

    def edit(self, complaints: Sequence[Complaint]) -> list[Proposal]: ...


@dataclass(frozen=True, slots=True)
class Rewrite:
    """What a batch led to. verdicts: on the validation set; None without a new prompt."""

    batch: list[Judged]
    cases: list[Case]
    criticism: list[Answer]
    proposal: Proposal
    verdicts: list[Verdict] | None
    accepted: bool


def search(
    roles: Roles,
    train: Sequence[Example],
    judge_prompt: str,
    i2t_prompt: str,
    config: TextGradConfig,
    seed: int,
) -> Iterator[Step]:
    """Contract: `methods.base.Search`."""
    validation, training = split_validation(train, config.validation_fraction, seed)
    verdicts = roles.judge(judge_prompt, validation)
    for step in range(config.steps):
        batch = derived_order(training, lambda e: e.example_id, seed, "batch", step)
        rewrite = descend(
            roles, judge_prompt, i2t_prompt, batch[: config.batch_size], validation, verdicts
        )
        made = make_step(step, judge_prompt, validation, verdicts, rewrite)
        yield made
        judge_prompt = made.next_judge_prompt
        if rewrite.accepted and rewrite.verdicts is not None:
            verdicts = rewrite.verdicts


def expected_calls(config: TextGradConfig, num_train: int) -> dict[Role, int]:
    """Contract: `methods.base.Search`."""
    num_validation = round(num_train * config.validation_fraction)
    criticized = config.steps * config.batch_size
    return {
        "judge": (1 + config.steps) * num_validation + criticized,
        "verbalizer": criticized,
        "optimizer": criticized + config.steps,
    }


def descend(
    roles: Roles,
    judge_prompt: str,
    i2t_prompt: str,
    batch: Sequence[Example],
    validation: Sequence[Example],
    verdicts: Sequence[Verdict],
) -> Rewrite:
    """One step of textual gradient descent; `verdicts` are the prompt's on the validation set."""
    items = judged(batch, roles.judge(judge_prompt, batch))
    cases = described_cases(roles, i2t_prompt, items)
    criticism = roles.criticize_on_cases(judge_prompt, cases)
    gradient = [text for answer in criticism for text in answer.texts[-1:]]
    if not gradient:
        return Rewrite(items, cases, criticism, Proposal(None), None, accepted=False)
    [proposal] = roles.edit([Complaint(judge_prompt, (), gradient)])
    if proposal.prompt in {None, judge_prompt}:
        return Rewrite(items, cases, criticism, proposal, None, accepted=False)
    new_verdicts = roles.judge(str(proposal.prompt), validation)
    accepted = num_right(validation, new_verdicts) >= num_right(validation, verdicts)
    return Rewrite(items, cases, criticism, proposal, new_verdicts, accepted)


def split_validation(
    train: Sequence[Example], fraction: float, seed: int
) -> tuple[list[Example], list[Example]]:
    """Validation and training examples, the same share of every label, both in train's order."""
    held_out: set[str] = set()
    for label in {example.label for example in train}:
        own = [example for example in train if example.label == label]
        order = derived_order(own, lambda e: e.example_id, seed, "validation")
        held_out |= {e.example_id for e in order[: max(1, round(len(own) * fraction))]}
    validation = [example for example in train if example.example_id in held_out]
    training = [example for example in train if example.example_id not in held_out]
    return validation, training or validation


def make_step(
    index: int,
    judge_prompt: str,
    validation: Sequence[Example],
    verdicts: Sequence[Verdict],
    rewrite: Rewrite,
) -> Step:
    proposed, new_verdicts = rewrite.proposal.prompt, rewrite.verdicts
    right = num_right(validation, new_verdicts) if new_verdicts is not None else None
    share_right = None if right is None else right / len(validation)
    tried = Tried(
        "rewrite",
        proposed or "",
        share_right,
        right or 0,
        len(validation),
        is_chosen=rewrite.accepted,
        note=failure_note(rewrite.proposal, "judge prompt", ", current one kept"),
    )
    return Step(
        index,
        judge_prompt,
        proposed if rewrite.accepted and proposed is not None else judge_prompt,
        validation,
        verdicts,
        _details(rewrite, share_right),
        [tried],
        shown_cases(rewrite.batch, rewrite.cases),
        notes=[] if rewrite.accepted else ["The judge prompt was kept."],
    )


def _details(rewrite: Rewrite, share_right: float | None) -> dict[str, Any]:
    """For the run's record. share_right: of the validation set under the proposed prompt."""
    items = rewrite.batch
    return {
        "batch": verdict_records([i.example for i in items], [i.verdict for i in items]),
        "verbalizations": verbalization_records([case.verbalization for case in rewrite.cases]),
        "criticism": [
            {"text": "\n".join(answer.texts), "failures": list(answer.failures)}
            for answer in rewrite.criticism
        ],
        "proposed": rewrite.proposal.prompt,
        "proposal_failures": list(rewrite.proposal.failures),
        "repeats_current_prompt": rewrite.proposal.is_repeat,
        "validation_accuracy": share_right,
        "accepted": rewrite.accepted,
    }


class TextGrad:
    """The method `textgrad`. Contract: `methods.base.Search`."""

    section = "textgrad"
    length = "steps"
    fixed: Mapping[str, Any] = {}
    sees_images = False
    rewrites_criteria = False
    run = staticmethod(search)
    expected_calls = staticmethod(expected_calls)
