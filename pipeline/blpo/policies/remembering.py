"""What was tried from the same judge prompt in earlier steps, so that it is not proposed again."""

from collections.abc import Sequence

from ....models.roles.optimizer import ScoredPrompt
from ..records import InnerProblem, OuterStep


def remembered(problem: InnerProblem, before: Sequence[OuterStep]) -> list[ScoredPrompt]:
    """The I2T prompts that earlier steps from this p_t have tried, with their last scores.

    Each was scored on that step's cases, by the gain over the same p_t.
    """
    scores: dict[str, float] = {}
    for step in before:
        if step.search is not None and step.judge_prompt == problem.judge_prompt:
            scores |= {tried.i2t_prompt: tried.score for tried in step.search.tried}
    return [ScoredPrompt(i2t_prompt, score) for i2t_prompt, score in scores.items()]


def with_remembered(
    earlier: Sequence[ScoredPrompt], history: Sequence[ScoredPrompt]
) -> list[ScoredPrompt]:
    """Earlier steps first, then this one; what is tried again has the score of this step."""
    own = {tried.i2t_prompt for tried in history}
    return [*(tried for tried in earlier if tried.i2t_prompt not in own), *history]
