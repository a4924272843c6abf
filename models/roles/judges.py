"""The judge of a task, whichever way it comes to a verdict, and what a verdict costs."""

from ...data.tasks import Task
from ..engine import Engine
from .criteria_judge import CriteriaJudge
from .judge import TEXT_VERDICT_TOKENS, Judge
from .pair_judge import Orders, PairJudge

AnyJudge = Judge | PairJudge | CriteriaJudge


def make_judge(
    engine: Engine,
    task: Task,
    orders: Orders = "both",
    reasoning_tokens: int | None = None,
    max_tokens: int = TEXT_VERDICT_TOKENS,
    thinking_tokens: int = 0,
) -> AnyJudge:
    """The judge of a task. orders: for a task whose judge sees both images of a pair at once."""
    if task.is_pairwise:
        return PairJudge(engine, task, orders, reasoning_tokens, max_tokens, thinking_tokens)
    if task.rule:
        return CriteriaJudge(engine, task, reasoning_tokens, max_tokens, thinking_tokens)
    return Judge(engine, task, reasoning_tokens, max_tokens, thinking_tokens)


def num_requests(task: Task, orders: Orders, reasoning_tokens: int | None = None) -> int:
    """Judge requests that a verdict takes."""
    takes_two = task.compare == "scores" or (task.compare == "joint" and orders == "both")
    num_questions = len(task.criteria) or (2 if takes_two else 1)
    return num_questions * (1 if reasoning_tokens is None else 2)
