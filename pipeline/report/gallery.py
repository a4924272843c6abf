"""The gallery of test images: what became of each verdict, mistakes first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ...data.examples import Example
from ...models.roles.judge import Verdict

Outcome = Literal["broken", "wrong", "unlabelled", "fixed", "right"]

OUTCOMES: dict[Outcome, str] = {
    "broken": "became wrong",
    "wrong": "still wrong",
    "unlabelled": "no label",
    "fixed": "became right",
    "right": "right under both",
}
"""What became of a verdict from the initial to the final prompt; the order of the gallery."""

MAX_IMAGES = 500
"""That a page holds, all images of an example counted: 500 photos make about 13 MB."""


@dataclass(frozen=True, slots=True)
class TestCase:
    """A test example with its verdicts under the initial and under the final prompt.

    place: in the test split, from 0.
    """

    example: Example
    before: Verdict
    after: Verdict
    place: int = 0

    @property
    def outcome(self) -> Outcome:
        if self.after.label is None:
            return "unlabelled"
        was_right = self.before.label == self.example.label
        if self.after.label == self.example.label:
            return "right" if was_right else "fixed"
        return "broken" if was_right else "wrong"

    @property
    def confidence(self) -> float | None:
        """Probability of the final verdict's label; None from a judge that gives none."""
        label, probabilities = self.after.label, self.after.probabilities
        return probabilities[label] if label is not None and probabilities else None

    @property
    def is_disputed(self) -> bool:
        """Whether annotators gave it more than one label, as far as single ratings are known."""
        return len(set(self.example.ratings)) > 1


@dataclass(frozen=True, slots=True)
class Gallery:
    """The cases that the page shows, and how many of all have which outcome."""

    cases: list[TestCase]
    counts: Counter[Outcome]

    @classmethod
    def make(
        cls, examples: Sequence[Example], initial: Sequence[Verdict], final: Sequence[Verdict]
    ) -> "Gallery":
        """Verdicts are those on the examples, in their order."""
        rows = zip(examples, initial, final, strict=True)
        found = [TestCase(*row, place) for place, row in enumerate(rows)]
        counts: Counter[Outcome] = Counter(case.outcome for case in found)
        most = MAX_IMAGES // max((len(example.images) for example in examples), default=1)
        return cls(sorted(found, key=_rank)[:most], counts)

    @property
    def shown(self) -> dict[Outcome, int]:
        """Outcomes of the cases that the page shows, without those that have none."""
        counts: Counter[Outcome] = Counter(case.outcome for case in self.cases)
        return {name: counts[name] for name in OUTCOMES if name in counts}

    @property
    def has_confidence(self) -> bool:
        return any(case.confidence is not None for case in self.cases)

    @property
    def has_disputed(self) -> bool:
        return any(case.is_disputed for case in self.cases)


def _rank(case: TestCase) -> tuple[int, float]:
    """By outcome, and the most confident first."""
    return list(OUTCOMES).index(case.outcome), -(case.confidence or 0)
