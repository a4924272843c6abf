"""What was tried from the same judge prompt in earlier steps, so that it is not proposed again."""

from collections.abc import Callable, Sequence

from ....models.roles.optimizer import ScoredPrompt
from ..records import Candidate, InnerProblem, OuterStep

ScoredPrompts = Callable[[Sequence[Candidate], int], Sequence[ScoredPrompt]]
"""What was tried in an outer step of this number, as Update_q is told of it."""


def remembered(
    problem: InnerProblem, before: Sequence[OuterStep], scored_prompts: ScoredPrompts
) -> list[ScoredPrompt]:
    """The I2T prompts that earlier steps from this p_t have tried, with their last scores.

    Each was scored on that step's cases, by the gain over the same p_t.
    """
    found: dict[str, ScoredPrompt] = {}
    for step in before:
        if step.search is not None and step.judge_prompt == problem.judge_prompt:
            told = scored_prompts(step.search.tried, step.index)
            found |= {tried.i2t_prompt: tried for tried in told}
    return list(found.values())


def with_remembered(
    earlier: Sequence[ScoredPrompt], history: Sequence[ScoredPrompt]
) -> list[ScoredPrompt]:
    """Earlier steps first, then this one; what is tried again has the score of this step."""
    own = {tried.i2t_prompt for tried in history}
    return [*(tried for tried in earlier if tried.i2t_prompt not in own), *history]
