"""Markup: the tokens of a vocabulary that structure a chat, and text in which they mean nothing.

Prompts are written by models and texts by anybody: a token of markup spelled out in one must not
become that token. Tokenizers split those that are flagged special when asked to; others (<think>,
<tool_call>) they do not, so that the text is cut within each before it is tokenized.
"""

import re
from functools import cached_property
from itertools import pairwise
from typing import Any

_BRACKETS = frozenset("<>[]{}|\uff5c\u25c1\u25b7")
"""One of these is in every token of markup: vocabularies have words and spaces added, too."""


class Markup:
    """The markup of a tokenizer; not for several threads at once.

    ids: of all tokens that were added to the vocabulary as markup.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        added: dict[str, int] = getattr(tokenizer, "get_added_vocab", dict)()
        self._texts = {text: i for text, i in added.items() if _is_markup(text)}
        self.ids = frozenset((*self._texts.values(), *getattr(tokenizer, "all_special_ids", ())))

    def plain(self, text: str) -> tuple[int, ...]:
        """Token ids of a text, none of them markup."""
        cuts = [found.start() + 1 for found in self._pattern.finditer(text)] if self._texts else []
        pieces = [text[a:b] for a, b in pairwise((0, *cuts, len(text)))]
        ids = tuple(i for piece in pieces for i in self._encode(piece))
        if self.ids.isdisjoint(ids):
            return ids
        return tuple(i for character in text for i in self._encode(character))

    def around(self, text: str) -> tuple[str, str]:
        """What of a text, markup in it being meant as such, stands before and behind all markup;
        empty where there is none.
        """
        found = list(self._pattern.finditer(text)) if self._texts else []
        return (text[: found[0].start()], text[found[-1].end() :]) if found else ("", "")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted(self._texts, key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)))

    def _encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)


def _is_markup(token: str) -> bool:
    return not _BRACKETS.isdisjoint(token)
