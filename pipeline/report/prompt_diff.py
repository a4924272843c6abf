"""Two prompts side by side, with what changed marked word by word."""

import difflib
import re
from dataclasses import dataclass

_FEWEST_SHARED_WORDS = 3

Span = tuple[bool, str]
"""Whether a stretch of text is on this side only, and the text."""


@dataclass(frozen=True, slots=True)
class PromptDiff:
    """Two prompts cut into what both have and what one has; each side joins to its whole text."""

    old: list[Span]
    new: list[Span]

    @classmethod
    def make(cls, old: str, new: str) -> "PromptDiff":
        """Compares words; white space goes with the word before it and is not compared.

        One or two words that stay the same between two changes count as changed: a rewritten
        sentence would fall to pieces around every "the".
        """
        old_words, new_words = (re.findall(r"\s*\S+\s*|\s+", text) for text in (old, new))
        matcher = difflib.SequenceMatcher(
            None, list(map(str.strip, old_words)), list(map(str.strip, new_words)), autojunk=False
        )
        diff, opcodes = cls([], []), matcher.get_opcodes()
        for i, (tag, old_from, old_to, new_from, new_to) in enumerate(opcodes):
            is_stray = 0 < i < len(opcodes) - 1 and old_to - old_from < _FEWEST_SHARED_WORDS
            changed = tag != "equal" or is_stray
            diff.old.append((changed, "".join(old_words[old_from:old_to])))
            diff.new.append((changed, "".join(new_words[new_from:new_to])))
        return diff

    @property
    def is_same(self) -> bool:
        """Whether they are equal to the last character."""
        old, new = ("".join(text for _, text in side) for side in (self.old, self.new))
        return old == new
