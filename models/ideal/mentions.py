"""Where a text names aspects, and in what state."""

import re
from collections.abc import Sequence

from ...data.micro.world import ASPECTS, Family, aspect, plural

NAMES = {form: a.name for a in ASPECTS for word in a.words for form in (word, plural(word))}
"""Aspect name by a word that names it."""
NOUN = (
    r"(?:(?:whether )?(?:there (?:is|are) )?(?:the|any|an?|each|every|both|bad|fine|single)"
    r"(?: (?!and|or|nor|of|in|is|are|not|for|no)\w+){0,2}? )?(?:(?:bad|fine) )?"
    rf"(?:{'|'.join(sorted(NAMES, key=len, reverse=True))})\b"
)
"""An aspect with what stands before it: "an overall tint"."""
_VERBS_OF_COUNT = frozenset({"count", "counts"})
_BEFORE_NOUN = frozenset(
    """the a an any its their bad good faulty poor odd & and or , of in with for no each every
    about""".split()  # noqa: SIM905
)


def names_in(text: str, family: Family) -> list[str]:
    """The family's aspects that a text names, in order; words used as verbs name none."""
    tokens = text.split()
    found = dict[str, None]()
    for place, token in enumerate(tokens):
        name = NAMES.get(token)
        if name is None or aspect(name).family != family or _is_verb(tokens, place):
            continue
        found[name] = None
    return list(found)


def fine_names(text: str) -> set[str]:
    """The aspects that a text names in good order: "a fine seam"."""
    return {NAMES[word] for word in re.findall(r"\bfine (\w+)", text) if word in NAMES}


def has(text: str, phrase: str) -> bool:
    """Whether the words of a phrase stand in a text, in a row."""
    return f" {phrase} " in f" {text} "


def without(text: str, phrase: str) -> str:
    """The text without a phrase."""
    return f" {text} ".replace(f" {phrase} ", " ").strip()


def _is_verb(tokens: Sequence[str], place: int) -> bool:
    """Whether "counts", "count" or "focus on" is what is done, and names no aspect."""
    token = tokens[place]
    following = tokens[place + 1] if place + 1 < len(tokens) else ""
    before = tokens[place - 1] if place else ""
    if token == "focus":
        return following == "on" and before not in ("the", "a")
    if token not in _VERBS_OF_COUNT:
        return False
    return before not in _BEFORE_NOUN and not (place == 0 and following in ("", ",", "and", "or"))
