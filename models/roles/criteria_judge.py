"""Judging by several criteria: one question each about an image, and a rule that joins the answers.

The answers to a question stand on a scale from 0 to 1, by the place of its labels in declared
order; an answer's place is the mean over the label probabilities. A task's last label is what the
criteria speak for. `all`: its probability is the lowest place, so that one criterion is enough to
deny it. `any`: the highest. `mean`: the weighted mean, of an ordinal task shared out between the
two labels nearest to it. Of a categorical task, `mean` is that of the label probabilities.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from ...data.tasks import Criterion, Task
from ..engine import Engine
from .criteria_prompt import question_prompts
from .judge import TEXT_VERDICT_TOKENS, Judge, Shown, Verdict, mean_mass, total_cost


@dataclass(frozen=True, slots=True)
class CriteriaVerdict(Verdict):
    """What several answers come to. answers: to the questions, in the order of the criteria."""

    answers: tuple[Verdict, ...] = ()


class CriteriaJudge:
    """Asks an engine every question of a task about an image, one after the other: the image is
    encoded for the first, and in the prefix cache for the others."""

    def __init__(
        self,
        engine: Engine,
        task: Task,
        reasoning_tokens: int | None = None,
        max_tokens: int = TEXT_VERDICT_TOKENS,
        thinking_tokens: int = 0,
    ) -> None:
        self._task = task
        self._asked = [as_task(criterion, task) for criterion in task.criteria]
        self._judge = Judge(engine, task, reasoning_tokens, max_tokens, thinking_tokens)

    def __call__(
        self, judge_prompt: str, examples: Sequence[Shown], sample_index: int = 0
    ) -> list[Verdict]:
        """One verdict per example, in order."""
        return self.pairs([(judge_prompt, example) for example in examples], sample_index)

    def pairs(self, pairs: Sequence[tuple[str, Shown]], sample_index: int = 0) -> list[Verdict]:
        """One verdict per (judge prompt, example), in order; one batch."""
        by_prompt = {
            prompt: question_prompts(prompt, self._task)
            for prompt in dict.fromkeys(prompt for prompt, _ in pairs)
        }
        questions = [
            (by_prompt[prompt][criterion.name], example, asked)
            for prompt, example in pairs
            for criterion, asked in zip(self._task.criteria, self._asked, strict=True)
        ]
        answers = self._judge.answers(questions, sample_index)
        size = len(self._asked)
        return [
            combine(answers[start : start + size], self._task)
            for start in range(0, len(answers), size)
        ]


def as_task(criterion: Criterion, task: Task) -> Task:
    """One of the criteria of a task, as a task of its own (`Task.is_question`)."""
    instruction = criterion.answer_instruction or task.answer_instruction
    return task.model_copy(
        update={
            "kind": "binary" if len(criterion.labels) == 2 else "ordinal",
            "labels": criterion.labels,
            "answer_instruction": instruction,
            "criteria": (criterion,),
            "rule": None,
        }
    )


def combine(answers: Sequence[Verdict], task: Task) -> CriteriaVerdict:
    """The verdict that the answers come to, one for each criterion; its `reasoning` names them.

    A criterion without an answer leaves the image without a verdict. An answer without
    probabilities counts as certain.
    """
    kept, cost = tuple(answers), total_cost(answers)
    told = "\n".join(_told(c, a) for c, a in zip(task.criteria, answers, strict=True))
    failed = [(c, a) for c, a in zip(task.criteria, answers, strict=True) if a.label is None]
    if failed:
        criterion, answer = failed[0]
        reason = f"criterion {criterion.name}: {answer.reason}"
        return CriteriaVerdict(
            None, reason=reason, reasoning=told, is_error=answer.is_error, cost=cost, answers=kept
        )
    probabilities = _joined(answers, task)
    has_all = all(answer.probabilities is not None for answer in answers)
    return CriteriaVerdict(
        max(task.labels, key=probabilities.__getitem__),
        probabilities if has_all else None,
        mean_mass(answers),
        reasoning=told,
        cost=cost,
        answers=kept,
    )


def place_of(answer: Verdict, labels: Sequence[str]) -> float:
    """Where an answer stands on a question's scale, from 0 to 1."""
    expected = sum(answer.shares.get(label, 0.0) * k for k, label in enumerate(labels))
    return expected / (len(labels) - 1)


def _joined(answers: Sequence[Verdict], task: Task) -> dict[str, float]:
    """Probability by label, by the task's rule."""
    weights = [criterion.weight for criterion in task.criteria]
    if task.kind == "categorical":
        return {
            label: fmean([answer.shares.get(label, 0.0) for answer in answers], weights)
            for label in task.labels
        }
    places = [place_of(a, c.labels) for c, a in zip(task.criteria, answers, strict=True)]
    if task.rule == "all":
        return _shares(min(places), task)
    if task.rule == "any":
        return _shares(max(places), task)
    return _shares(fmean(places, weights), task)


def _shares(place: float, task: Task) -> dict[str, float]:
    """Probability by label of a place between the first label, 0, and the last, 1."""
    step = min(max(place, 0.0), 1.0) * (len(task.labels) - 1)
    return {label: max(0.0, 1 - abs(step - k)) for k, label in enumerate(task.labels)}


def _told(criterion: Criterion, answer: Verdict) -> str:
    told = f"{criterion.name}: {answer.label or 'no answer'}"
    if answer.label is not None and answer.probabilities is not None:
        told += f" ({answer.probabilities[answer.label]:.2f})"
    return told if answer.reasoning is None else f"{told}\n{answer.reasoning}"
