"""BLPO on one criterion at a time: every outer step rewrites the judge prompt of one question.

The step is one of `algorithm`, on that question as a task of its own. Where annotators have
answered the question, their answers are what it is aligned with; where they have not, the verdict
that all answers come to, with the other questions as they are. Its turn has the question with the
most to gain. What the judge has answered is not asked again: a step asks about one question.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any, Protocol, Self

from ...data.examples import Example
from ...data.tasks import Criterion, Task
from ...models.roles.criteria_judge import CriteriaVerdict, as_task, combine
from ...models.roles.criteria_prompt import question_prompts, with_question_prompt
from ...models.roles.judge import Verdict
from ...models.wrappers.budget import BudgetSpentError
from ..search.seeds import derived_seed
from ..search.step import Step
from .algorithm import optimize
from .config import BlpoConfig
from .policies.plus import choices_of
from .records import OuterStep
from .roles import Roles
from .to_steps import expected_calls, make_step

_ONE_STEP: Mapping[str, Any] = {"outer_steps": 1, "final": "last"}
"""What becomes of the algorithm's parameters: the choice of a final prompt would be one of each
question by itself."""


class CriteriaRoles(Roles, Protocol):
    """The roles of a task with criteria."""

    def remembering(self) -> Self:
        """The same, whose judge is asked for nothing twice."""
        ...

    def on(self, task: Task) -> Self:
        """The same models on another task."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """A question as the task of an outer step. train: with the labels that it is aligned with.
    note: for the report."""

    criterion: Criterion
    roles: Roles
    train: Sequence[Example]
    note: str


def search(
    roles: CriteriaRoles,
    train: Sequence[Example],
    judge_prompt: str,
    i2t_prompt: str,
    config: BlpoConfig,
    seed: int,
) -> Iterator[Step]:
    """Contract: `methods.base.Search`."""
    roles, task = roles.remembering(), roles.task
    fruitless: Counter[str] = Counter()
    p = judge_prompt
    with suppress(BudgetSpentError):
        for t in range(config.outer_steps):
            verdicts = roles.judge_pairs([(p, example) for example in train])
            gains = to_gain(task, train, verdicts)
            name = most_to_gain(gains, fruitless)
            turn = make_turn(roles, name, p, train)
            own_seed = derived_seed(seed, "criterion", t)
            step = _one_step(turn, question_prompts(p, task)[name], i2t_prompt, config, own_seed)
            if step is None:
                return
            p_next = p
            if step.next_judge_prompt != step.judge_prompt:
                p_next = with_question_prompt(p, task, name, step.next_judge_prompt)
            fruitless[name] += p_next == p
            record = make_step(step, turn.train)
            yield replace(
                record,
                index=t,
                judge_prompt=p,
                next_judge_prompt=p_next,
                examples=train,
                verdicts=verdicts,
                details={"criterion": name, "to_gain": gains, **record.details},
                notes=[turn.note, *record.notes],
            )
            p = p_next
            if not gains[name]:
                return


def most_to_gain(gains: Mapping[str, float], fruitless: Mapping[str, int]) -> str:
    """The criterion whose turn it is: of those with the fewest steps that led nowhere, the one with
    the most to gain, the first declared of equals."""
    open_ones = [name for name in gains if gains[name]] or list(gains)
    return min(open_ones, key=lambda name: (fruitless.get(name, 0), -gains[name]))


def to_gain(task: Task, train: Sequence[Example], verdicts: Sequence[Verdict]) -> dict[str, float]:
    """By criterion, what another answer to it alone could set right, as a share of the images.

    Where annotators have answered it: of these images, those whose answer is wrong. Where not: by
    how much the probability of the human label could rise on the images whose verdict is wrong.
    """
    return {
        criterion.name: _wrong_answers(criterion, place, train, verdicts)
        if _answered(criterion, train)
        else _mendable(task, place, train, verdicts)
        for place, criterion in enumerate(task.criteria)
    }


def make_turn(roles: CriteriaRoles, name: str, judge_prompt: str, train: Sequence[Example]) -> Turn:
    """The question of a criterion as a task."""
    task = roles.task
    [criterion] = [one for one in task.criteria if one.name == name]
    answered = _answered(criterion, train)
    if answered:
        own = [replace(e, label=criterion.label_of(e.criteria[name])) for e in answered]
        told = "The labels and verdicts below are answers to its question."
        return Turn(criterion, roles.on(as_task(criterion, task)), own, _note(name, told))
    told = "Annotators have not answered it: the labels and verdicts below are of the whole."
    return Turn(criterion, OneOfSeveral(roles, criterion, judge_prompt), train, _note(name, told))


class OneOfSeveral:
    """The roles of a question that is judged by the verdict that it leads to, under the prompt of
    one criterion and the others as they are. Contract: `Roles`."""

    def __init__(self, roles: CriteriaRoles, criterion: Criterion, judge_prompt: str) -> None:
        others = [one for one in roles.task.criteria if one is not criterion]
        self.task = roles.task.model_copy(update={"criteria": (criterion, *others), "rule": None})
        self._roles, self._name, self._judge_prompt = roles, criterion.name, judge_prompt
        asking = roles.on(self.task)
        self.verbalize_each = asking.verbalize_each
        self.update_judge_prompts = asking.update_judge_prompts
        self.update_i2t_prompts = asking.update_i2t_prompts
        self.scored = asking.scored

    def judge_pairs(self, pairs: Sequence[tuple[str, Example]]) -> list[Verdict]:
        whole = self._judge_prompt, self._roles.task, self._name
        return self._roles.judge_pairs(
            [(with_question_prompt(*whole, prompt), example) for prompt, example in pairs]
        )


def _one_step(
    turn: Turn, prompt: str, i2t_prompt: str, config: BlpoConfig, seed: int
) -> OuterStep | None:
    """None where the budget ended before the step did."""
    own = config.model_copy(update=_ONE_STEP)
    choices = choices_of(turn.roles, turn.train, prompt, own, seed)
    steps = [step for step in optimize(choices, prompt, i2t_prompt) if isinstance(step, OuterStep)]
    return steps[0] if steps else None


def _answered(criterion: Criterion, train: Sequence[Example]) -> list[Example]:
    return [example for example in train if criterion.name in example.criteria]


def _wrong_answers(
    criterion: Criterion, place: int, train: Sequence[Example], verdicts: Sequence[Verdict]
) -> float:
    name = criterion.name
    return fmean(
        _answers(verdict)[place].label != criterion.label_of(example.criteria[name])
        for example, verdict in zip(train, verdicts, strict=True)
        if name in example.criteria
    )


def _mendable(
    task: Task, place: int, train: Sequence[Example], verdicts: Sequence[Verdict]
) -> float:
    return fmean(
        0.0
        if verdict.label == example.label
        else max(
            _share(_with_answer(verdict, place, label, task), example.label)
            for label in task.criteria[place].labels
        )
        - _share(verdict, example.label)
        for example, verdict in zip(train, verdicts, strict=True)
    )


def _with_answer(verdict: Verdict, place: int, label: str, task: Task) -> Verdict:
    """What the rule makes of it if one answer is certainly another."""
    labels, answers = task.criteria[place].labels, list(_answers(verdict))
    answers[place] = Verdict(label, {own: float(own == label) for own in labels})
    return combine(answers, task)


def _share(verdict: Verdict, label: str) -> float:
    """P(label); of a verdict without probabilities, whether that is its label."""
    return float((verdict.probabilities or {verdict.label: 1.0}).get(label, 0.0))


def _answers(verdict: Verdict) -> Sequence[Verdict]:
    assert isinstance(verdict, CriteriaVerdict)
    return verdict.answers


def _note(name: str, told: str) -> str:
    return f"This step rewrote the prompt of one criterion, {name}. {told}"


class BlpoOfCriteria:
    """The method `blpo-criteria`. Contract: `methods.base.Search`."""

    section = "algorithm"
    length = "outer_steps"
    sees_images = False
    rewrites_criteria = True
    fixed: Mapping[str, Any] = {}
    run = staticmethod(search)
    expected_calls = staticmethod(expected_calls)
