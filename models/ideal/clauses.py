"""What the clauses of a sentence say of the aspects they name: which are weighed, which are not.

A clause about aspects is turned round by each negation and by each word of dismissal, so that "do
not ignore the tint" weighs it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ...data.micro.meaning import Condition, Weighing
from ...data.micro.world import ASPECTS, Family, aspect, family_aspects, plural
from . import words

NAMES = {form: a.name for a in ASPECTS for word in a.words for form in (word, plural(word))}
"""Aspect name by a word that names it."""
_VERBS_OF_COUNT = frozenset({"count", "counts"})
_BREAK = (
    rf"\s(?=(?:but (?:not )?|and (?:{'|'.join(words.VERBS_AFTER_AND)})\b"
    rf"|{'|'.join(words.CONTRASTS_WITHIN)}\b))"
)
_COMMA_BREAK = (
    rf"\s?,\s(?=(?:(?:{'|'.join(words.AFTER_COMMA)})\b"
    rf"|(?:the |any )?[\w&]+(?: [\w&]+)*? (?:{'|'.join(words.VERBS_OF_CLAUSES)})\b))"
)
"""Where a clause ends within a sentence."""
_SEPARABLE = [
    re.compile(r"\b" + r"(?: [\w&]+){1,4}? ".join(phrase.split()) + r"\b")
    for phrase in words.DISMISSING_PHRASES
    if phrase.split()[0] in words.SEPARABLE_VERBS
]
"""Phrases of dismissal that take the aspect between their words: "leave the tint out"."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a clause says of some aspects."""

    names: Sequence[str]
    is_weighed: bool
    weighing: Weighing = field(default_factory=Weighing)


def read_clauses(sentence: str, family: Family) -> list[Statement]:
    """What a sentence without condition says, clause after clause."""
    only = next((p for p in words.ONLY_THIS if has(sentence, p)), None)
    if only is not None and not has(sentence, "all faults"):
        head, tail = sentence.split(only, 1)
        if names_in(tail, family) and not names_in(head, family) and _is_exclusive(head, only):
            return [Statement(names_in(tail, family), is_weighed=True)]
    except_at = _exception(sentence, family)
    if except_at is not None:
        return except_at
    statements = list[Statement]()
    for part, is_turned in _parts(sentence, family):
        names = names_in(part, family)
        if names:
            statements.append(_read_part(part, names, is_turned))
    return statements


def _is_exclusive(head: str, phrase: str) -> bool:
    """Whether "everything but x" is what is left out, or "nothing but x" what is looked at."""
    if phrase.startswith(("everything", "all")):
        return _is_dismissing(head)
    return not _is_dismissing(head)


def _exception(sentence: str, family: Family) -> list[Statement] | None:
    """ "Check everything except the tint": all aspects but one."""
    if not any(has(sentence, phrase) for phrase in words.ALL) or _is_about_the_rest(sentence):
        return None
    own = [a.name for a in family_aspects(family)]
    gone = names_in(sentence, family)
    if not gone:
        return [] if _is_dismissing(sentence) else [Statement(own, is_weighed=True)]
    if not any(has(sentence, p) for p in (*words.EXCEPT, "not", "never", "but", "only")):
        return None
    rest = [name for name in own if name not in gone]
    return [Statement(rest, is_weighed=True), Statement(gone, is_weighed=False)]


def _is_about_the_rest(sentence: str) -> bool:
    """Whether "everything" is everything else, which is another matter."""
    return any(has(sentence, phrase) for phrase in words.EXPLETIVES)


def _parts(sentence: str, family: Family) -> list[tuple[str, bool]]:
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
        if joined and (is_item or not _says_anything(piece, family)):
            joined[-1] += f" , {piece}"
        else:
            joined.append(piece)
    return joined


def _says_anything(piece: str, family: Family) -> bool:
    return bool(names_in(piece, family)) or piece.split()[:1] in (["but"], ["not"])


def _without_contrast(piece: str) -> str:
    for phrase in (*words.CONTRASTS, *words.CONCESSIONS):
        if piece.startswith(f"{phrase} "):
            return piece.removeprefix(phrase).strip()
    return piece


def _read_part(part: str, names: Sequence[str], is_turned: bool) -> Statement:
    if is_turned:
        return Statement(names, is_weighed=False)
    is_dismissed = _is_dismissing(part)
    if any(has(part, phrase) for phrase in words.ALONE) and is_dismissed:
        return Statement(names, True, Weighing(condition=Condition(None)))
    return Statement(names, not is_dismissed, Weighing(1 if is_dismissed else _steps(part)))


def _steps(part: str) -> int:
    tokens = part.split()
    if any(token in words.TRIPLE for token in tokens):
        return 3
    return 2 if any(token in words.DOUBLE for token in tokens) else 1


def _is_dismissing(part: str) -> bool:
    """Whether a clause says not to weigh what it names: an odd number of turns."""
    if any(has(part, phrase) for phrase in words.PRETENDING):
        return True
    for phrase in words.EXPLETIVES:
        if has(part, phrase):
            for verb in words.VERBS_AFTER_AND:
                part = without(part, f"{verb} {phrase}")
            part = without(part, phrase)
    turns = 0
    for phrase in words.DISMISSING_PHRASES:
        if has(part, phrase):
            turns, part = turns + 1, without(part, phrase)
    for pattern in _SEPARABLE:
        part, found = pattern.subn(" ", part)
        turns += found
    tokens = part.split()
    turns += sum(token in words.DISMISSALS or token in words.NEGATIONS for token in tokens)
    return turns % 2 == 1


def has(text: str, phrase: str) -> bool:
    """Whether the words of a phrase stand in a text, in a row."""
    return f" {phrase} " in f" {text} "


def without(text: str, phrase: str) -> str:
    """The text without a phrase."""
    return f" {text} ".replace(f" {phrase} ", " ").strip()


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


_BEFORE_NOUN = frozenset(
    """the a an any its their bad good faulty poor odd & and or , of in with for no each every
    about""".split()  # noqa: SIM905
)


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
