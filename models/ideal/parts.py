"""The clauses of a sentence."""

import re
from collections.abc import Iterable

from ...data.micro.world import Family
from . import words
from .mentions import NOUN, has, names_in

_VERBS = "|".join(words.VERBS_OF_CLAUSES)
_BREAK = (
    rf"\s(?=(?:but (?:not )?|and (?:{'|'.join(words.VERBS_AFTER_AND)})\b"
    rf"|{'|'.join(words.CONTRASTS_WITHIN)}\b))"
)
_COMMA_BREAK = (
    rf"\s?,\s(?=(?:(?:{'|'.join(words.AFTER_COMMA)})\b"
    rf"|(?:the |any )?[\w&]+(?: [\w&]+)*? (?:{_VERBS})\b"
    rf"|(?:and )?{NOUN} (?:not|no|never)\b))"
)
"""Where a clause ends within a sentence."""
_ITEM = re.compile(NOUN)
_VERB = re.compile(rf"\b(?:{_VERBS}|makes?|lowers?|looks?|can|cannot|may|will)\b")


def clauses(sentence: str, family: Family) -> list[tuple[str, bool]]:
    """The clauses of a sentence, each with whether it is contrasted with what is weighed."""
    pieces = re.split(f"{_BREAK}|{_COMMA_BREAK}", sentence)
    pieces = [piece.strip(" ,") for piece in _rejoined(pieces, family) if piece.strip(" ,")]
    turned = [any(piece.startswith(f"{c} ") for c in words.CONTRASTS) for piece in pieces]
    if len(pieces) > 1:
        decides = any(
            has(p, w) for p in pieces for w in ("only", "decides", "it is", "that matters")
        )
        for place, piece in enumerate(pieces):
            concedes = any(piece.startswith(f"{c} ") for c in words.CONCESSIONS)
            seems = any(has(piece, word) for word in words.SEEMING) and place == 0
            turned[place] = turned[place] or ((concedes or seems) and decides)
    return [
        (_without_contrast(piece) if is_turned else piece, is_turned)
        for piece, is_turned in zip(pieces, turned, strict=True)
    ]


def _rejoined(pieces: Iterable[str], family: Family) -> list[str]:
    """Clauses, with the items of a list put back together: they have no verb of their own."""
    joined = list[str]()
    for piece in pieces:
        is_item = re.fullmatch(r"the \w+(?: & the \w+)*", piece.strip(" ,"))
        if joined and (is_item or _is_item(joined[-1], piece) or not _says_anything(piece, family)):
            joined[-1] += f" , {piece}"
        else:
            joined.append(piece)
    return joined


def _is_item(before: str, piece: str) -> bool:
    """Whether a list goes on: what stands before has no verb, and a noun comes next."""
    if piece.startswith(words.EXAMPLES):
        return True
    is_open = _ITEM.match(before) and not _VERB.search(before)
    return bool(is_open) and not piece.startswith((*words.AFTER_COMMA, *words.CONTRASTS))


def _says_anything(piece: str, family: Family) -> bool:
    """Whether it is a clause by itself; "but they do not matter" is about what was named before."""
    if names_in(piece, family):
        return True
    first, second = [*piece.split(), "", ""][:2]
    return first == "not" or (first == "but" and second not in words.PRONOUNS)


def _without_contrast(piece: str) -> str:
    for phrase in (*words.CONTRASTS, *words.CONCESSIONS):
        if piece.startswith(f"{phrase} "):
            return piece.removeprefix(phrase).strip()
    return piece
