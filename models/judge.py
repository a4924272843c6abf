"""The judge: f(x; p), a verdict on each image under a judge prompt. It always sees the image."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..data.images import ImageRef
from ..data.tasks import Task
from .engine import Engine, Reply, Request, Sampling

_MAX_TEXT_VERDICT_TOKENS = 16


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
    """

    label: str | None
    probabilities: Mapping[str, float] | None = None
    label_mass: float | None = None
    reason: str | None = None


class Judge:
    """Asks an engine for verdicts under the task's fixed answer instruction."""

    def __init__(self, engine: Engine, task: Task) -> None:
        self._engine = engine
        self._task = task

    def __call__(
        self, judge_prompt: str, examples: Sequence[Shown], sample_index: int = 0
    ) -> list[Verdict]:
        """One verdict per example, in order."""
        return self.pairs([(judge_prompt, example) for example in examples], sample_index)

    def pairs(self, pairs: Sequence[tuple[str, Shown]], sample_index: int = 0) -> list[Verdict]:
        """One verdict per (judge prompt, example), in order; one batch."""
        sampling = Sampling(max_tokens=_MAX_TEXT_VERDICT_TOKENS, sample_index=sample_index)
        instruction, labels = self._task.answer_instruction, self._task.labels
        requests = [
            Request(
                f"{prompt}\n{instruction}",
                example.images[0],
                example.text,
                labels,
                sampling,
                further_images=example.images[1:],
            )
            for prompt, example in pairs
        ]
        return [read_verdict(reply, self._task.labels) for reply in self._engine.ask(requests)]


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
    """The one declared label that stands in a text as a word of its own, case ignored."""
    by_folded = {label.casefold(): label for label in labels}
    longest_first = sorted(by_folded, key=len, reverse=True)
    pattern = r"(?<!\w)(" + "|".join(map(re.escape, longest_first)) + r")(?!\w)"
    found = {by_folded[match] for match in re.findall(pattern, text.casefold())}
    if len(found) == 1:
        return Verdict(found.pop())
    reason = "no declared label in the reply" if not found else "several labels in the reply"
    return Verdict(None, reason=f"{reason}: {text[:80]!r}")
