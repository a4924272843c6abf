"""Whether a proposed prompt only repeats one that is there already."""

import re
import unicodedata
from collections.abc import Iterable

_WORDS = re.compile(r"\w+")


def repeated(prompt: str, taken: Iterable[str]) -> str | None:
    """The prompt of `taken` that this one repeats: the same words, whatever stands between them.

    None if it repeats none of them.
    """
    own = _words(prompt)
    return next((other for other in taken if _words(other) == own), None)


def _words(prompt: str) -> list[str]:
    text = unicodedata.normalize("NFKC", prompt).casefold()
    return _WORDS.findall(text) or text.split()
