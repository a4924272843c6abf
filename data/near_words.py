"""Words that nobody knows: told with the known one that may be meant."""

import difflib
from collections.abc import Callable, Iterable

_LEAST_LIKENESS = 0.75
"""Of a misspelt word to one that is proposed: one letter in four may be another."""


def near_words(word: str, known: Iterable[str]) -> list[str]:
    """The known words that this one may be a slip for, in whatever case, nearest first."""
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), names, cutoff=_LEAST_LIKENESS)
    return [names[name] for name in near]


def did_you_mean(word: str, known: Iterable[str], shown: Callable[[str], str] = repr) -> str:
    """ "; did you mean X?" of the nearest known word; empty if none is near."""
    near = near_words(word, known)
    return f"; did you mean {shown(near[0])}?" if near else ""
