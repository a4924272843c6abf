"""The judge: f(x; p), a verdict on each image under a judge prompt. It always sees the image.

A direct verdict is one request: the label is read as the first token of the reply. A reasoned one
is two: the model writes freely, then the label is read where a constant lead to the answer follows
what it wrote. An engine with a prefix cache computes little more than the lead for the second.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from ...data.images import ImageRef
from ...data.tasks import Task
from ..engine import Engine, Reply, Request, Sampling

_MAX_TEXT_VERDICT_TOKENS = 16
_AROUND_A_WORD = " \t\n.,:;!?\"'*_()[]"

ANSWER_LEAD = "Final answer:"
"""Stands on a line of its own before the label of a reasoned verdict. The label begins a line, as
in a direct verdict it begins the reply: there it has the same tokens."""

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
    reasoning: what the model wrote before its answer; None for a direct verdict.
    """

    label: str | None
    probabilities: Mapping[str, float] | None = None
    label_mass: float | None = None
    reason: str | None = None
    reasoning: str | None = None


class Judge:
    """Asks an engine for verdicts under the task's fixed answer instruction.

    reasoning_tokens: how much the model may write before its answer; None for direct verdicts.
    """

    def __init__(self, engine: Engine, task: Task, reasoning_tokens: int | None = None) -> None:
        self._engine = engine
        self._task = task
        self._reasoning_tokens = reasoning_tokens

    def __call__(
        self, judge_prompt: str, examples: Sequence[Shown], sample_index: int = 0
    ) -> list[Verdict]:
        """One verdict per example, in order."""
        return self.pairs([(judge_prompt, example) for example in examples], sample_index)

    def pairs(self, pairs: Sequence[tuple[str, Shown]], sample_index: int = 0) -> list[Verdict]:
        """One verdict per (judge prompt, example), in order: one batch, two of reasoned ones."""
        labels = self._task.labels
        read = Sampling(max_tokens=_MAX_TEXT_VERDICT_TOKENS, sample_index=sample_index)
        if self._reasoning_tokens is None:
            return self._read(self._request(*pair, labels, read) for pair in pairs)
        write = Sampling(max_tokens=self._reasoning_tokens, sample_index=sample_index)
        requests = [self._request(*pair, (), write) for pair in pairs]
        replies = self._engine.ask(requests)
        verdicts = self._read(
            replace(request, labels=labels, sampling=read, reply_start=_answer_start(reply.text))
            for request, reply in zip(requests, replies, strict=True)
            if reply.finish_reason != "error"
        )
        return _with_reasoning(replies, verdicts)

    def _request(
        self, judge_prompt: str, example: Shown, labels: tuple[str, ...], sampling: Sampling
    ) -> Request:
        return Request(
            f"{judge_prompt}\n{answer_instruction(self._task, self._reasoning_tokens)}",
            example.images[0],
            example.text,
            labels,
            sampling,
            further_images=example.images[1:],
        )

    def _read(self, requests: Iterable[Request]) -> list[Verdict]:
        replies = self._engine.ask(list(requests))
        return [read_verdict(reply, self._task.labels) for reply in replies]


def answer_instruction(task: Task, reasoning_tokens: int | None) -> str:
    """What ends every judge call: the task's own instruction, after that to write first, if any."""
    if reasoning_tokens is None:
        return task.answer_instruction
    return f"{_REASONING_INSTRUCTION}\n{task.answer_instruction}"


def _with_reasoning(replies: Sequence[Reply], verdicts: Iterable[Verdict]) -> list[Verdict]:
    """A verdict for each reply, from those on the replies that are no errors."""
    read = iter(verdicts)
    return [
        Verdict(None, reason=reply.error)
        if reply.finish_reason == "error"
        else replace(next(read), reasoning=_reasoning(reply.text))
        for reply in replies
    ]


def _reasoning(text: str) -> str:
    """What the model wrote, without an answer that it went on to by itself."""
    return text.partition(ANSWER_LEAD)[0].rstrip()


def _answer_start(text: str) -> str:
    return f"{_reasoning(text)}\n\n{ANSWER_LEAD}\n"


def read_verdict(reply: Reply, labels: Sequence[str]) -> Verdict:
    """The verdict in a reply: the most probable label, or the label its text names.

    A tie goes to the label declared first.
    """
    if reply.finish_reason == "error":
        return Verdict(None, reason=reply.error)
    if reply.label_logprobs is None:
        return _parse_verdict(reply.text, labels)
    masses = {label: math.exp(reply.label_logprobs[label]) for label in labels}
    label_mass = sum(masses.values())
    if label_mass == 0.0:
        return Verdict(None, label_mass=0.0, reason="no probability on any declared label")
    probabilities = {label: mass / label_mass for label, mass in masses.items()}
    return Verdict(max(labels, key=probabilities.__getitem__), probabilities, label_mass)


def _parse_verdict(text: str, labels: Sequence[str]) -> Verdict:
    """The one declared label that stands in a text as a word of its own, case ignored.

    Of a label that is a single letter, the case counts in a longer text: "a" is not label "A".
    """
    longest_first = sorted(labels, key=len, reverse=True)
    is_one_word = text.strip(_AROUND_A_WORD).isalnum()
    patterns = [_pattern(label, any_case=is_one_word or len(label) > 1) for label in longest_first]
    matches = re.finditer(rf"(?<!\w)(?:{'|'.join(patterns)})(?!\w)", text)
    found = {longest_first[match.lastindex - 1] for match in matches if match.lastindex}
    if len(found) == 1:
        return Verdict(found.pop())
    reason = "no declared label in the reply" if not found else "several labels in the reply"
    return Verdict(None, reason=f"{reason}: {text[:80]!r}")


def _pattern(label: str, *, any_case: bool) -> str:
    """A group of its own that matches the label."""
    return f"((?i:{re.escape(label)}))" if any_case else f"({re.escape(label)})"
