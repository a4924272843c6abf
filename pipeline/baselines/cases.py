"""What the baselines show the optimizer of a judged example: its description, or the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...data.examples import Example
from ...models.roles.judge import Verdict
from ...models.roles.optimizer import Case
from ...models.roles.verbalizer import Verbalization
from ..search.step import ShownCase

_SEEN = Verbalization("", "the optimizer sees the image")


class Verbalizes(Protocol):
    """The question that describing an image asks."""

    def verbalize(self, i2t_prompt: str, examples: Sequence[Example]) -> list[Verbalization]: ...


@dataclass(frozen=True, slots=True)
class Judged:
    """A training example and the verdict on it."""

    example: Example
    verdict: Verdict

    @property
    def is_right(self) -> bool:
        return self.verdict.label == self.example.label


def judged(examples: Sequence[Example], verdicts: Sequence[Verdict]) -> list[Judged]:
    return [Judged(e, v) for e, v in zip(examples, verdicts, strict=True)]


def described_cases(roles: Verbalizes, i2t_prompt: str, items: Sequence[Judged]) -> list[Case]:
    """Cases of which the optimizer reads a description under the I2T prompt."""
    verbalizations = roles.verbalize(i2t_prompt, [item.example for item in items])
    return [
        Case(
            verbalization,
            item.example.text,
            item.example.label,
            item.verdict.label,
            comment=item.example.comment,
        )
        for item, verbalization in zip(items, verbalizations, strict=True)
    ]


def image_cases(items: Sequence[Judged]) -> list[Case]:
    """Cases of which the optimizer sees the images themselves."""
    return [
        Case(
            _SEEN,
            item.example.text,
            item.example.label,
            item.verdict.label,
            item.example.images,
            item.example.comment,
        )
        for item in items
    ]


def shown_cases(items: Sequence[Judged], cases: Sequence[Case]) -> list[ShownCase]:
    """The cases for the report."""
    return [
        ShownCase(item.example, item.verdict, before_text=case.verbalization)
        for item, case in zip(items, cases, strict=True)
    ]
