"""OPRO, Optimization by PROmpting (Yang et al., arXiv 2309.03409): the optimizer LLM reads the
prompts tried so far with their scores, and proposes better ones.

After section 5.1 and the published code; what is set otherwise here, or left open there:
 1. 8 new prompts a step, drawn at temperature 1; the best 20 in the meta-prompt, best last, with
    scores in whole percent; 3 random training examples beside them: all as published.
 2. The score is the accuracy on all training examples (published: on a share of a larger set).
 3. 20 steps (published: 200): give a budget of judge calls to compare methods.
 4. The training examples in the meta-prompt are described under q_0, since they are images, and
    shown with their labels alone.
 5. A prompt proposed before is not scored again.
 6. The result is the prompt with the highest score; a tie goes to the one tried first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from ...data.examples import Example
from ...models.roles.baselines import TriedPrompt
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Case, Proposal
from ...models.wrappers.ledger import Role
from ..search.budget import until_spent
from ..search.seeds import derived_order
from ..search.step import ShownCase, Step, Tried, failure_note, num_right
from .cases import Judged, Verbalizes, described_cases, judged, shown_cases


class OproConfig(BaseModel):
    """Parameters of OPRO."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    steps: int = Field(default=20, ge=0)
    proposals: int = Field(default=8, ge=1, description="new prompts drawn in a step")
    temperature: float = Field(default=1.0, ge=0, description="of the optimizer in these draws")
    history_size: int = Field(default=20, ge=1, description="prompts in the meta-prompt")
    exemplars: int = Field(default=3, ge=0, description="training examples in the meta-prompt")


class Roles(Verbalizes, Protocol):
    """What OPRO asks of models."""

    def judge(self, judge_prompt: str, examples: Sequence[Example]) -> list[Verdict]: ...

    def propose_judge_prompts(
        self, history: Sequence[TriedPrompt], cases: Sequence[Case], number: int, temperature: float
    ) -> list[Proposal]: ...


@dataclass(frozen=True, slots=True)
class Scored:
    """A judge prompt with its verdicts on the training examples and the share of right ones."""

    judge_prompt: str
    verdicts: list[Verdict]
    num_right: int
    accuracy: float


def search(
    roles: Roles,
    train: Sequence[Example],
    judge_prompt: str,
    i2t_prompt: str,
    config: OproConfig,
    seed: int,
) -> Iterator[Step]:
    """Contract: `methods.base.Search`."""
    history = [score(roles, train, judge_prompt)]
    for step in range(config.steps):
        best = best_of(history)
        exemplars = draw_exemplars(best, train, config.exemplars, seed, step)
        cases = described_cases(roles, i2t_prompt, exemplars)
        proposals = roles.propose_judge_prompts(
            meta_history(history, config.history_size), cases, config.proposals, config.temperature
        )
        new_prompts = unseen_prompts(proposals, history)
        scored = until_spent(score(roles, train, prompt) for prompt in new_prompts)
        history += scored
        shown = shown_cases(exemplars, cases)
        yield make_step(step, train, best, best_of(history), scored, proposals, shown)


def expected_calls(config: OproConfig, num_train: int) -> dict[Role, int]:
    """Contract: `methods.base.Search`."""
    num_proposals = config.steps * config.proposals
    return {
        "judge": (1 + num_proposals) * num_train,
        "verbalizer": config.steps * config.exemplars,
        "optimizer": num_proposals,
    }


def score(roles: Roles, train: Sequence[Example], judge_prompt: str) -> Scored:
    verdicts = roles.judge(judge_prompt, train)
    right = num_right(train, verdicts)
    return Scored(judge_prompt, verdicts, right, right / len(train))


def best_of(history: Sequence[Scored]) -> Scored:
    return max(history, key=lambda scored: scored.accuracy)


def meta_history(history: Sequence[Scored], size: int) -> list[TriedPrompt]:
    """The best prompts, in ascending order of their scores."""
    best = sorted(history, key=lambda scored: scored.accuracy)[-size:]
    return [TriedPrompt(scored.judge_prompt, round(100 * scored.accuracy)) for scored in best]


def draw_exemplars(
    best: Scored, train: Sequence[Example], number: int, seed: int, step: int
) -> list[Judged]:
    """Random training examples with the verdicts of the best prompt."""
    items = judged(train, best.verdicts)
    order = derived_order(items, lambda i: i.example.example_id, seed, "exemplars", step)
    return order[:number]


def unseen_prompts(proposals: Sequence[Proposal], history: Sequence[Scored]) -> list[str]:
    """The proposed prompts that are not in the history, each once, in order."""
    tried = {scored.judge_prompt for scored in history}
    proposed = dict.fromkeys(p.prompt for p in proposals if p.prompt is not None)
    return [prompt for prompt in proposed if prompt not in tried]


def make_step(
    index: int,
    train: Sequence[Example],
    best_before: Scored,
    best: Scored,
    scored: Sequence[Scored],
    proposals: Sequence[Proposal],
    shown: Sequence[ShownCase],
) -> Step:
    tried = [
        Tried(str(number), s.judge_prompt, s.accuracy, s.num_right, len(train), s is best)
        for number, s in enumerate(scored, 1)
    ]
    failed = [p for p in proposals if p.prompt is None]
    details: dict[str, Any] = {
        "exemplars": [case.example.example_id for case in shown],
        "scored": [{"judge_prompt": s.judge_prompt, "accuracy": s.accuracy} for s in scored],
        "proposals": len(proposals),
        "proposals_tried_before": sum(p.is_repeat for p in proposals),
        "proposal_failures": [list(p.failures) for p in proposals if p.failures],
    }
    return Step(
        index,
        best_before.judge_prompt,
        best.judge_prompt,
        train,
        best_before.verdicts,
        details,
        [*tried, *(Tried("failed", "", note=failure_note(p, "judge prompt")) for p in failed)],
        shown,
        notes=[] if best is not best_before else ["No new prompt scored higher."],
    )


class Opro:
    """The method `opro`. Contract: `methods.base.Search`."""

    section = "opro"
    length = "steps"
    fixed: Mapping[str, Any] = {}
    sees_images = False
    rewrites_criteria = False
    run = staticmethod(search)
    expected_calls = staticmethod(expected_calls)
