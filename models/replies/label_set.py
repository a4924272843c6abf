"""The declared labels as they occur in text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from .normal import bare, folded, has_no_spaces, is_hangul, plain
from .number import Scale, numbers

_NEGATION_WORDS = frozenset(["no", "not", "none", "never", "non", "nein", "nicht", "não"])
_ARTICLE = re.compile(
    r" (?!(?:is|was|wins|won|shows|depicts|because|since|as|over|better|and|or|but|nor|to|than|vs"
    r"|versus)\b)[a-z]|'"
)
_ALONE = r"(?=\s*(?:$|[.,;:!?()\[\]\n—–-]))"
_GLUE = "-/+#@&'_=\\"
_SPACES = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class Mention:
    """A label at start:end of a text.

    label: None for another number on the scale than the declared ones. is_certain: False for what
    only holds a label: "safe-ish", "3-4".
    """

    label: str | None
    start: int
    end: int
    is_certain: bool = True


@dataclass(frozen=True)
class LabelSet:
    """Finds a set of labels in plain text."""

    labels: tuple[str, ...]

    @cached_property
    def scale(self) -> Scale:
        """The labels that are numbers."""
        return Scale.of(self.labels)

    @cached_property
    def words(self) -> list[str]:
        """The others, longest first."""
        words = [label for label in self.labels if label not in self.scale.labels.values()]
        return sorted(words, key=len, reverse=True)

    @cached_property
    def by_form(self) -> dict[str, str]:
        """The words by the form under which spellings of one are the same; empty if two share one,
        and case and hyphens count."""
        found = {folded(plain(word)): word for word in self.words}
        return found if len(found) == len(self.words) and "" not in found else {}

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Finds the words, a group for each."""
        patterns = [_pattern(word, any_case=bool(self.by_form)) for word in self.words]
        return re.compile("|".join(patterns) or r"(?!)")

    def whole(self, text: str) -> str | None:
        """The label that a text is, up to case, separators and what stands around it."""
        text = plain(text)
        if text in self.labels or not self.by_form:
            return text if text in self.labels else None
        form, closed = folded(text), re.sub(r"(?<=\w)[-_](?=\w)", "", bare(text)).casefold()
        squeezed = {known.replace(" ", ""): label for known, label in self.by_form.items()}
        return self.by_form.get(form) or squeezed.get(closed)

    def mentions(self, text: str) -> list[Mention]:
        """All mentions in a plain text, in order, none overlapping another."""
        found = [
            self._word(match, text)
            for match in self.pattern.finditer(text)
            if not _is_article(match, text)
        ]
        taken = [range(mention.start, mention.end) for mention in found]
        for number in numbers(text) if self.scale.labels else []:
            label = self.scale.labels.get(number.value) if number.value is not None else None
            is_step = number.value is None or self.scale.covers(number.value)
            if is_step and not any(number.end - 1 in span for span in taken):
                certain = number.value is not None
                found.append(Mention(label, number.start, number.end, certain))
        return sorted(found, key=lambda mention: mention.start)

    def _word(self, match: re.Match[str], text: str) -> Mention:
        label = self.words[(match.lastindex or 1) - 1]
        around = text[max(match.start() - 1, 0) : match.start()] + text[match.end() :][:1]
        is_quoted = around == "''"
        is_glued = not (is_quoted or has_no_spaces(label)) and any(c in _GLUE for c in around)
        return Mention(label, match.start(), match.end(), not is_glued)


@lru_cache(maxsize=64)
def label_set(labels: tuple[str, ...]) -> LabelSet:
    """The set of these labels, made once."""
    return LabelSet(labels)


def other_label(label: str, labels: Sequence[str]) -> str | None:
    """The other one of two labels."""
    others = [other for other in labels if other != label]
    return others[0] if len(others) == 1 else None


def _pattern(label: str, *, any_case: bool) -> str:
    """A group of its own that finds the label. Of a single letter the case always counts."""
    form = plain(label) or label
    parts = [re.escape(part) for part in _SPACES.split(form)]
    pattern = r"[\s_-]+".join(parts) if all(parts) and any_case else re.escape(form)
    if any_case and len(form) > 1:
        pattern = f"(?i:{pattern})"
    if form.casefold() in _NEGATION_WORDS:
        pattern += _ALONE
    if has_no_spaces(form):
        return f"({pattern})"
    before = r"(?<!\w)" if form[0].isalnum() else ""
    behind = r"(?!\w)" if form[-1].isalnum() and not is_hangul(form[-1]) else ""
    return f"({before}{pattern}{behind})"


def _is_article(match: re.Match[str], text: str) -> bool:
    """Whether what looks like the label A or I is the word."""
    return match[0] in ("A", "a", "I", "i") and bool(_ARTICLE.match(text, match.end()))
