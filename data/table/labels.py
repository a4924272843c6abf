"""How a cell is read as a label: one rule for all spellings.

In this order, the first that gives a declared label:

1. the text as it is, without white space around it; 1, 1.0 and "1.0" are all "1";
2. the number: 1.50 and 1,5 are 1.5 where the declared labels are numbers;
3. the words: upper and lower case, and what stands between words, make no difference;
4. yes and no: true, yes and 1 are one, and so are false, no and 0, where the task has one of each;
5. of pairs: model_a, image_a and left are A, and so on.
"""

import math
import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property

from ..label_sets import label_numbers, spelling
from ..tasks import Task, label_text

_MISSING = frozenset({"", "nan", "null", "none", "na", "n/a", "#n/a", "<na>", "nat"})
_YES_AND_NO = (("false", "no", "0"), ("true", "yes", "1"))
_PAIR_SPELLINGS = {
    "A": ("a", "model a", "image a", "image 0", "image0", "response a", "left", "first"),
    "B": ("b", "model b", "image b", "image 1", "image1", "response b", "right", "second"),
    "tie": ("tie", "tie (bothbad)", "both", "neither", "both good", "both bad", "bothbad", "equal"),
}


class LabelReader:
    """Reads cells as labels of a task."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def read(self, cell: object) -> str | None:
        """A declared label, or the cell's text where it is none; None for an empty cell."""
        if cell is None or (isinstance(cell, float) and math.isnan(cell)):
            return None
        text = label_text(unicodedata.normalize("NFC", str(cell)))
        if text in self._task.labels:
            return text
        if text.casefold() in _MISSING:
            return None
        return self._by_number(text) or self._by_words.get(spelling(text)) or text

    def _by_number(self, text: str) -> str | None:
        number = _number(text)
        return None if number is None else self._numbers.get(number)

    @cached_property
    def _numbers(self) -> dict[float, str]:
        ordered = sorted(self._task.labels, key=lambda label: _number(label) or 0)
        numbers = label_numbers(ordered)
        return {} if numbers is None else dict(zip(numbers, ordered, strict=True))

    @cached_property
    def _by_words(self) -> dict[str, str]:
        """The label of every other spelling that belongs to one label alone."""
        found: dict[str, set[str]] = {}
        for label in self._task.labels:
            for name in (label, *self._other_names(label)):
                found.setdefault(spelling(name), set()).add(label)
        return {name: labels.pop() for name, labels in found.items() if len(labels) == 1}

    def _other_names(self, label: str) -> Sequence[str]:
        if self._task.is_pairwise:
            return _PAIR_SPELLINGS.get(label, ())
        words = set(map(spelling, self._task.labels))
        if len(words) != 2 or not all(words & set(names) for names in _YES_AND_NO):
            return ()
        return next(names for names in _YES_AND_NO if spelling(label) in names)


def _number(text: str) -> float | None:
    """A finite number, with a point or a comma; "1,000" could be either of two and is none."""
    if re.fullmatch(r"[+-]?\d+,(\d{1,2}|\d{4,})", text):
        text = text.replace(",", ".")
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
