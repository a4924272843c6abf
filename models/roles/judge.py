"""The judge: f(x; p), a verdict on each image under a judge prompt. It always sees the image.

A direct verdict is one request: the label is read as the first token of the reply. A reasoned one
is two: the model writes freely, then the label is read where a constant lead to the answer follows
what it wrote. An engine with a prefix cache computes little more than the lead for the second.
What a model writes is read by `replies`: a thought is no part of the answer.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean
from typing import Protocol

from ...data.images import ImageRef
from ...data.tasks import Task
from ..cost import Cost
from ..engine import Engine, Reply, Request, Sampling
from ..replies.budget import ReplyBudget
from ..replies.label import read_label

TEXT_VERDICT_TOKENS = 16
_ROUNDING = 1e-3
"""By so much probabilities may add up to more than 1."""
_TEXT_VERDICT = ReplyBudget(TEXT_VERDICT_TOKENS)

ANSWER_LEAD = "Final answer:"
"""Stands on a line of its own before the label of a reasoned verdict. The label begins a line, as
in a direct verdict it begins the reply: there it has the same tokens."""

_LEAD = re.compile(rf"(?<![\"'“‘«`])[*_#>\t ]*{re.escape(ANSWER_LEAD[:-1])}[*_ ]*:", re.IGNORECASE)

_PROBABILITY = re.compile(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*(%)?\.?\s*")

_LEAD_START = f"\n\n{ANSWER_LEAD}\n"

_REASONING_INSTRUCTION = (
    "First write in a few sentences what you see that decides this. Then write the line "
    f'"{ANSWER_LEAD}", and after it your answer.'
)


class Shown(Protocol):
    """What of an example a model is shown."""

    @property
    def images(self) -> tuple[ImageRef, ...]: ...

    @property
    def text(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge says about one example.

    label: one of the task's labels; None where the reply holds none, and `reason` says why.
    probabilities: P(label) normalised over the declared labels, in their order; None from an
        engine without log-probabilities.
    label_mass: how much of the model's probability lies on the declared labels, 0..1.
    reasoning: what the model wrote before its answer; None for a direct verdict. Of several
        criteria, what each was answered.
    is_error: the request failed: the model has said nothing.
    cost: of what was asked for it.
    """

    label: str | None
    probabilities: Mapping[str, float] | None = None
    label_mass: float | None = None
    reason: str | None = None
    reasoning: str | None = None
    is_error: bool = field(default=False, compare=False)
    cost: Cost = field(default=Cost(), compare=False)

    @property
    def shares(self) -> Mapping[str, float]:
        """Probability by label, of a verdict with a label; without probabilities it is certain."""
        return self.probabilities or {str(self.label): 1.0}


class Judge:
    """Asks an engine for verdicts under the task's fixed answer instruction.

    reasoning_tokens: how much the model may write before its answer; None for direct verdicts.
    max_tokens: of an answer from an engine that gives no label log-probabilities.
    thinking_tokens: on top of both for a thought; 0 for an engine that does not think.
    """

    def __init__(
        self,
        engine: Engine,
        task: Task,
        reasoning_tokens: int | None = None,
        max_tokens: int = TEXT_VERDICT_TOKENS,
        thinking_tokens: int = 0,
    ) -> None:
        self._engine = engine
        self._task = task
        self._reasoning_tokens = reasoning_tokens
        self._answer = ReplyBudget(max_tokens, thinking_tokens)
        self._written = ReplyBudget(reasoning_tokens or 0, thinking_tokens, "reasoning_tokens")

    def __call__(
        self, judge_prompt: str, examples: Sequence[Shown], sample_index: int = 0
    ) -> list[Verdict]:
        """One verdict per example, in order."""
        return self.pairs([(judge_prompt, example) for example in examples], sample_index)

    def pairs(self, pairs: Sequence[tuple[str, Shown]], sample_index: int = 0) -> list[Verdict]:
        """One verdict per (judge prompt, example), in order: one batch, two of reasoned ones."""
        return self.answers([(*pair, self._task) for pair in pairs], sample_index)

    def answers(
        self, questions: Sequence[tuple[str, Shown, Task]], sample_index: int = 0
    ) -> list[Verdict]:
        """Like `pairs`, with the task whose labels and answer instruction a question has."""
        read = Sampling(self._answer.max_tokens, sample_index=sample_index)
        tasks = [task for _, _, task in questions]
        if self._reasoning_tokens is None:
            replies = self._engine.ask([self._request(*one, read) for one in questions])
            return [self._verdict(*one) for one in zip(replies, tasks, strict=True)]
        write = Sampling(self._written.max_tokens, sample_index=sample_index)
        requests = [replace(self._request(*one, write), labels=()) for one in questions]
        replies = self._engine.ask(requests)
        verdicts = self._behind(requests, replies, tasks, read)
        return [
            replace(verdict, cost=Cost.of(reply) + verdict.cost)
            for verdict, reply in zip(verdicts, replies, strict=True)
        ]

    def _behind(
        self,
        requests: Sequence[Request],
        replies: Sequence[Reply],
        tasks: Sequence[Task],
        read: Sampling,
    ) -> list[Verdict]:
        """The verdicts whose labels are read behind what the model has written, in one batch."""
        written = [
            self._reasoned(reply, task.labels) for reply, task in zip(replies, tasks, strict=True)
        ]
        asked = [
            replace(request, labels=task.labels, sampling=read, reply_start=text.start)
            for request, text, task in zip(requests, written, tasks, strict=True)
            if text.failure is None
        ]
        answers = iter(self._engine.ask(asked))
        return [
            text.failure or self._concluded(text, next(answers), task)
            for text, task in zip(written, tasks, strict=True)
        ]

    def _reasoned(self, reply: Reply, labels: Sequence[str]) -> "_Reasoned":
        if reply.finish_reason == "error":
            return _Reasoned(failure=Verdict(None, reason=reply.error, is_error=True))
        text = self._written.read(reply)
        if text.missing == "thought" and text.closer:
            return _Reasoned(text.thought, f"{reply.text.rstrip()}\n{text.closer}{_LEAD_START}")
        if text.missing and not text.answer:
            failure = Verdict(None, reason=self._written.fault(text), reasoning=text.thought)
            return _Reasoned(failure=failure)
        body = _before_lead(reply.text[len(text.before) :])
        own = None if text.missing else read_label(text.answer, labels).label
        start = f"{text.before}{body}".rstrip() + _LEAD_START
        return _Reasoned(body.strip() or text.thought, start, own)

    def _concluded(self, text: "_Reasoned", reply: Reply, task: Task) -> Verdict:
        """The verdict behind a text; what the text names by itself where no answer followed it."""
        verdict = self._verdict(reply, task)
        if reply.label_logprobs is None and text.own_label is not None:
            answer = self._answer.read(reply)
            has_failed = reply.finish_reason == "error" or self._answer.fault(answer)
            verdict = Verdict(text.own_label, cost=verdict.cost) if has_failed else verdict
        return replace(verdict, reasoning=text.reasoning)

    def _verdict(self, reply: Reply, task: Task) -> Verdict:
        verdict = read_verdict(reply, task.labels, self._answer)
        if verdict.label is None and task.asks_probability and reply.finish_reason != "error":
            verdict = _probability_verdict(verdict, self._answer.read(reply).answer, task.labels)
        return replace(verdict, cost=Cost.of(reply))

    def _request(
        self, judge_prompt: str, example: Shown, task: Task, sampling: Sampling
    ) -> Request:
        return Request(
            f"{judge_prompt}\n{answer_instruction(task, self._reasoning_tokens)}",
            example.images[0],
            example.text,
            task.labels,
            sampling,
            further_images=example.images[1:],
            image_roles=task.images,
        )


@dataclass(frozen=True, slots=True)
class _Reasoned:
    """What a model wrote before its answer, and the start of the reply that it makes.

    own_label: that the text names by itself, in the end. failure: the verdict where no label can
    be read behind the text.
    """

    reasoning: str = ""
    start: str = ""
    own_label: str | None = None
    failure: Verdict | None = None


def answer_instruction(task: Task, reasoning_tokens: int | None) -> str:
    """What ends every judge call: the task's own instruction, after that to write first, if any."""
    if reasoning_tokens is None:
        return task.answer_instruction
    return f"{_REASONING_INSTRUCTION}\n{task.answer_instruction}"


def _before_lead(text: str) -> str:
    """The text without an answer that the model went on to by itself: up to the last lead.

    A lead in quotation marks is talk of it.
    """
    leads = list(_LEAD.finditer(text))
    return text[: leads[-1].start()].rstrip() if leads else text.rstrip()


def read_verdict(
    reply: Reply, labels: Sequence[str], budget: ReplyBudget = _TEXT_VERDICT
) -> Verdict:
    """The verdict in a reply: the most probable label, or the label its text names.

    A tie goes to the label declared first. budget: that the reply was asked for under.
    """
    if reply.finish_reason == "error":
        return Verdict(None, reason=reply.error, is_error=True)
    if reply.label_logprobs is None:
        return _text_verdict(reply, labels, budget)
    masses = {label: _probability(reply.label_logprobs[label]) for label in labels}
    label_mass = sum(masses.values())
    if not label_mass <= 1 + _ROUNDING:  # as NaN is not, either
        return Verdict(None, reason="the label probabilities are none: NaN, or more than 1 in all")
    if label_mass == 0.0:
        return Verdict(None, label_mass=0.0, reason="no probability on any declared label")
    probabilities = {label: mass / label_mass for label, mass in masses.items()}
    return Verdict(max(labels, key=probabilities.__getitem__), probabilities, label_mass)


def mean_mass(verdicts: Sequence[Verdict]) -> float | None:
    """The mean label mass of those that have one; None if none has."""
    masses = [verdict.label_mass for verdict in verdicts if verdict.label_mass is not None]
    return fmean(masses) if masses else None


def total_cost(verdicts: Sequence[Verdict]) -> Cost:
    return sum((verdict.cost for verdict in verdicts), Cost())


def _probability_verdict(verdict: Verdict, answer: str, labels: Sequence[str]) -> Verdict:
    """The verdict of an answer that is the probability of the last of two labels, "0.7" or "70 %";
    the given one of any other."""
    found = _PROBABILITY.fullmatch(answer)
    share = float(found[1]) / (100 if found[2] else 1) if found else math.nan
    if not 0 <= share <= 1:
        return verdict
    return Verdict(labels[share > 0.5], dict(zip(labels, (1 - share, share), strict=True)))


def _probability(logprob: float) -> float:
    return math.exp(logprob) if logprob <= _ROUNDING else math.nan


def _text_verdict(reply: Reply, labels: Sequence[str], budget: ReplyBudget) -> Verdict:
    text = budget.read(reply)
    fault = budget.fault(text)
    if fault is not None:
        return Verdict(None, reason=fault)
    read = read_label(text.answer, labels)
    return Verdict(read.label, reason=read.reason)
