"""What each of several criteria costs and adds: the verdict with its question and without it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict

from ...data.tasks import Criterion, Task
from ...models.cost import Cost
from ...models.roles.criteria_judge import CriteriaVerdict, combine
from ...models.roles.judge import Verdict, total_cost
from ..metrics.agreement import Gain, agreement, gain
from ..metrics.labelled import Identified
from .choose import choose_reading
from .config import ReadingConfig


class HasCriteria(Identified, Protocol):
    """One whose criteria annotators may have answered."""

    @property
    def criteria(self) -> Mapping[str, str]: ...


class QuestionFigures(BaseModel):
    """One criterion on the test split, under the final prompt.

    calls and tokens: of its question, over all images, as they were paid for when they were first
        asked. share: of the tokens that were computed for all questions, those from a prefix cache
        left out; None of an engine that counts none.
    answered: images that annotators have answered it on; right: the share of them with the same
        answer by the judge.
    without: accuracy of the verdicts without it, by the rule on the other answers, and where a
        reading is asked for under one that is chosen anew for these; gain: of those with it over
        these. None where it is the only one.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    calls: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    share: float | None
    answered: int
    right: float | None
    without: float | None
    gain: Gain | None


@dataclass(frozen=True, slots=True)
class Split:
    """Examples, and the verdicts on them by the likeliest label, one for each in order."""

    examples: Sequence[HasCriteria]
    verdicts: Sequence[Verdict]


def question_figures(
    config: ReadingConfig,
    task: Task,
    train: Split,
    test: Split,
    read: Sequence[Verdict],
    seed: int,
) -> tuple[QuestionFigures, ...]:
    """The figures of every criterion, in order.

    read: the verdicts on the test split as they are read. train: empty where no reading is asked
    for.
    """
    costs = [_cost(test.verdicts, place) for place in range(len(task.criteria))]
    total = sum(cost.computed_tokens for cost in costs)
    figures: list[QuestionFigures] = []
    for place, (criterion, cost) in enumerate(zip(task.criteria, costs, strict=True)):
        answered, right = _own_agreement(criterion, place, test)
        others = _without(config, task, place, train, test)
        without, by_it = None, None
        if others is not None:
            without = agreement(test.examples, others, task.labels, seed).accuracy
            by_it = gain(test.examples, others, read, task.labels, seed)
        figures.append(
            QuestionFigures(
                name=criterion.name,
                calls=cost.calls,
                prompt_tokens=cost.prompt_tokens,
                cached_tokens=cost.cached_tokens,
                completion_tokens=cost.completion_tokens,
                share=cost.computed_tokens / total if total else None,
                answered=answered,
                right=right,
                without=without,
                gain=by_it,
            )
        )
    return tuple(figures)


def _answers(verdict: Verdict) -> Sequence[Verdict]:
    assert isinstance(verdict, CriteriaVerdict)
    return verdict.answers


def _cost(verdicts: Sequence[Verdict], place: int) -> Cost:
    return total_cost([_answers(verdict)[place] for verdict in verdicts])


def _own_agreement(criterion: Criterion, place: int, test: Split) -> tuple[int, float | None]:
    """How many images annotators have answered it on, and the share of the same answers."""
    name = criterion.name
    right = [
        _answers(verdict)[place].label == criterion.label_of(example.criteria[name])
        for example, verdict in zip(test.examples, test.verdicts, strict=True)
        if name in example.criteria
    ]
    return len(right), sum(right) / len(right) if right else None


def _without(
    config: ReadingConfig, task: Task, place: int, train: Split, test: Split
) -> list[Verdict] | None:
    """Verdicts on the test split by the other answers; None where there are none."""
    if len(task.criteria) == 1:
        return None
    rest = tuple(one for i, one in enumerate(task.criteria) if i != place)
    other = task.model_copy(update={"criteria": rest})
    to_fit, to_read = (
        [_less(verdict, place, other) for verdict in split.verdicts] for split in (train, test)
    )
    reading = choose_reading(config, other, train.examples, to_fit).reading if to_fit else None
    return [reading(verdict) for verdict in to_read] if reading else list[Verdict](to_read)


def _less(verdict: Verdict, place: int, task: Task) -> Verdict:
    """What the rule makes of the other answers."""
    answers = _answers(verdict)
    return combine([*answers[:place], *answers[place + 1 :]], task)
