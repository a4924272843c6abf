"""Lint: a proposed judge prompt that copies cases, changes the scale or grows is sent back."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ....models.roles.optimizer import Case

_COPIED_WORDS = 6
_RANGE = re.compile(
    r"(?<![\w.])(\d+)\s*(?:-|\N{EN DASH}|\N{EM DASH}|to|and|through)\s*(\d+)(?![\w.]\w)"
)
_OUT_OF = re.compile(r"\bout of (\d+)", re.IGNORECASE)

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lint:
    """The checks of one proposal: what it was made from, and the bounds.

    max_words: bound on the length of a prompt; a longer current prompt must not grow.
    """

    current: str
    cases: Sequence[Case]
    labels: Sequence[str]
    max_words: int

    def __call__(self, prompt: str) -> str | None:
        """Why the prompt is sent back; None if it is fine."""
        return self._length(prompt) or self._scale(prompt) or self._copied(prompt)

    def _length(self, prompt: str) -> str | None:
        limit = max(self.max_words, len(_words(self.current)))
        length = len(_words(prompt))
        return f"lint: {length} words, at most {limit} allowed" if length > limit else None

    def _scale(self, prompt: str) -> str | None:
        """Another scale than the labels', where the current prompt does not have it already."""
        known = _scales(self.current) | {(self.labels[0], self.labels[-1])}
        known |= {("", self.labels[-1])}
        foreign = sorted(_scales(prompt) - known)
        if not foreign:
            return None
        low, high = foreign[0]
        told = f"{low} to {high}" if low else f"out of {high}"
        return f"lint: the scale {told} is not that of the labels"

    def _copied(self, prompt: str) -> str | None:
        """A run of words that stands in a case and not in the current prompt."""
        shown = [case.text for case in self.cases if case.text]
        shown += [case.comment for case in self.cases if case.comment]
        shown += [case.verbalization.text for case in self.cases if case.verbalization]
        copied = _runs(prompt) & {run for text in shown for run in _runs(text)}
        new = sorted(copied - _runs(self.current))
        return f"lint: copied from a case: {' '.join(new[0])!r}" if new else None


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _runs(text: str) -> set[Words]:
    words = _words(text)
    return set(zip(*(words[i:] for i in range(_COPIED_WORDS)), strict=False))


def _scales(text: str) -> set[tuple[str, str]]:
    """Numeric ranges that a text speaks of; the low end of "out of 10" is ""."""
    ranges: Iterable[tuple[str, str]] = _RANGE.findall(text)
    return {*ranges, *(("", high) for high in _OUT_OF.findall(text))}
