"""Numbers in model text: each is read whole, or not at all.

3.7 is not 3, the 1 of 10 is none, "3-4" is no number but a range. "4/5" and "4 out of 5" are 4 on
a scale that ends at 5, and nothing on any other. A decimal comma could as well part two numbers:
it is not read.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

_RUN = re.compile(r"\d[\d.,]*\d|\.?\d+|\d")
_PLAIN = re.compile(r"\d+(?:\.\d+)?|\.\d+")
_OF = r"(?:out of|over|of|from|von|sur|su|sobre|de|из|van|av|af)"
_FRACTION = re.compile(
    rf"(?<![\w.,/])(?P<part>[+-]?\d+(?:\.\d+)?)[ ]?\(?(?:[ ]?/[ ]?|[ ]?{_OF}[ ])"
    r"(?P<whole>\d+(?:\.\d+)?)(?![\d/%]|[.,]\d)\)?",
    re.IGNORECASE,
)
_UNIT = re.compile(
    r"(?<=\d)[ ]*(?:(?:stars?|points?|pts?\.?)(?!\w)|[分点點점](?!之)|[星★⭐🌟]+)", re.IGNORECASE
)
_UNCERTAIN_BEFORE = re.compile(
    r"(?:[<>]=?|[≤≥~≈±/^]|\b(?:out of|max|maximum|scale of)|\d[ ]?(?:-|:|\.\.|to|or|and|&))[ ]?$",
    re.IGNORECASE,
)
_UNCERTAIN_AFTER = re.compile(
    r"[ ]?(?:[/~±+^⁄]|-[ ]?\d|-\w|\.\.\d|:[ ]?\d|(?:to|or|and|&)[ ][+-]?\d)|\.[^\W\d]",
    re.IGNORECASE,
)
_NEAR = 24
_FULL_MARKS = ("满分", "滿分", "満点")


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a text, at start:end. value: None for one that cannot be read with certainty."""

    value: Decimal | None
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Scale:
    """The labels that are numbers, by their values."""

    labels: dict[Decimal, str]

    @classmethod
    def of(cls, labels: Sequence[str]) -> "Scale":
        values = {label: as_number(label) for label in labels}
        return cls({value: label for label, value in values.items() if value is not None})

    def covers(self, value: Decimal) -> bool:
        """Whether a number can be meant as a step of the scale, if not one of its labels."""
        return min(self.labels) <= value <= max(self.labels)

    def simplified(self, text: str) -> str:
        """The text without its mentions of the scale itself: ranges, fractions, units."""
        if not self.labels:
            return text
        low, high = (re.escape(f"{end(self.labels):f}") for end in (min, max))
        ends = rf"{low}[ ]?(?:-|to|and|through|~)[ ]?{high}"
        named = (
            rf"(?:(?:on|in|from|using) )?(?:(?:a|the) )?"
            rf"(?:{ends}[ -]scale|scale (?:(?:of|from|between) )?\(?{ends}\)?),?|[(\[]{ends}[)\]]"
        )
        text = _FRACTION.sub(self._part, re.sub(named, " ", text, flags=re.IGNORECASE))
        text = re.sub(rf"\(?(?<!\d )(?<!\d)\bout of {high}\b\)?", " ", text, flags=re.IGNORECASE)
        return _UNIT.sub("", text)

    def _part(self, fraction: re.Match[str]) -> str:
        """4 of "4/5" where the scale ends at 5; else the fraction as it is, which is no number.

        Of two labels, "0/1" names both.
        """
        part, whole = Decimal(fraction["part"]), Decimal(fraction["whole"])
        is_step = part in self.labels and whole == max(self.labels) and len(self.labels) > 2
        return f"{fraction['part']} " if is_step else f"{part}/{whole}"


def as_number(text: str) -> Decimal | None:
    """The number that a text is as a whole."""
    sign, digits = ("-", text[1:]) if text[:1] == "-" else ("", text.removeprefix("+"))
    if not _PLAIN.fullmatch(digits):
        return None
    try:
        return Decimal(sign + digits)
    except InvalidOperation:
        return None


def numbers(text: str) -> list[Number]:
    """The numbers in a plain text. What is part of a word ("3D", "4th", "80%") is none."""
    found: list[Number] = []
    for run in _RUN.finditer(text):
        start = run.start()
        if text[start - 1 : start] in ("-", "+") and not text[: start - 1][-1:].isalnum():
            start -= 1
        before, after = text[max(start - _NEAR, 0) : start], text[run.end() : run.end() + _NEAR]
        if not before.endswith(_FULL_MARKS) and _is_of_a_word(before, after):
            continue
        is_certain = not before.endswith(_FULL_MARKS) and not (
            _UNCERTAIN_BEFORE.search(before) or _UNCERTAIN_AFTER.match(after)
        )
        value = as_number(text[start : run.end()]) if is_certain else None
        found.append(Number(value, start, run.end()))
    return found


def _is_of_a_word(before: str, after: str) -> bool:
    """Whether what stands around a number makes it a part of something else."""
    is_glued = any(char.isalnum() or char == "_" for char in (before[-1:], after[:1]))
    is_share = after.lstrip(" ").startswith(("%", "‰", "°", "percent"))
    return is_glued or is_share or (before[-1:] == "-" and before[-2:-1].isalpha())
