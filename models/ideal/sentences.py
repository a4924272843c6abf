"""A prompt as sentences in plain words: "bad" and "fine" for states, "&" within a list."""

import re
from collections.abc import Iterable, Iterator

from ...data.micro.world import ASPECTS, Family
from . import words
from .idioms import plain, with_antecedent, with_fine_images, with_scope, without_asides
from .mentions import NAMES, NOUN
from .states import with_states

_SEPARATOR = " (?:, and|, or|and|or|,|as well as) "
_LIST = re.compile(f"{NOUN}(?:{_SEPARATOR}{NOUN})+")
_CLAUSE = re.compile(
    rf"^\s*(?:no|not|neither)\b|(?<!that )(?<!which )\b(?:{'|'.join(words.VERBS_OF_CLAUSES)})\b"
)
_OF_LABELS = {*NAMES, "the", "a", "an", "and", "or", *(v for a in ASPECTS for v in a.values)}
_VERBS = {"count", "counts", "focus"}
_ITEM = re.compile(r"\s*(?:[-*\u2022]|\d+[.)])\s+")


def sentences_of(prompt: str, family: Family) -> list[str]:
    """Lower-case words and commas, with states, negations and lists in plain form."""
    text = prompt.lower().replace("\u2019", "'").replace("n't", " not").replace("can not", "cannot")
    text = "\n".join(_with_leads(text.splitlines()))
    text = re.sub(r"[*_`\"]", " ", text).replace("(", ", ").replace(")", ", ")
    text = re.sub(r"\s[-\u2013]+\s|\s?\u2014\s?", ", ", text)
    parts = re.split(r"[.!?\n;]+|(?<=\w): ", text)
    bare = (" ".join(re.findall(r"[a-z0-9]+|,", part)) for part in parts)
    sentences = list[str]()
    for part in bare:
        said = with_scope(with_states(plain(part), family))
        said = with_antecedent(said, sentences[-1] if sentences else "", family)
        sentences.append(with_fine_images(_with_lists(without_asides(said, family))))
    return [sentence for sentence in sentences if sentence]


def _with_leads(lines: Iterable[str]) -> Iterator[str]:
    """Lines, the items of a list each behind the words that lead to it: "ignore:", "- the tint"."""
    lead = ""
    for line in lines:
        item = _ITEM.match(line)
        if item is None:
            sentences = [_without_colon(part) for part in re.split(r"(?<=[.;!?])\s+", line)]
            head, colon, rest = sentences[-1].partition(":")
            lead = head if colon and not rest.strip() and not _words(head) & NAMES.keys() else ""
            yield " ".join(sentences)
        else:
            text = _without_colon(line[item.end() :])
            is_noun = re.split(r"\W", text, maxsplit=1)[0] in NAMES
            yield f"{lead} the {text}" if is_noun else f"{lead} {text}"


def _without_colon(sentence: str) -> str:
    """A lead or a label and what follows it as one: "ignore: the tint", "tint: ignore it"."""
    head, colon, rest = sentence.partition(":")
    if not colon or not rest.strip():
        return sentence
    names = _words(head) & NAMES.keys()
    is_label = (
        bool(names) and _words(head) <= _OF_LABELS and not (_words(rest) - _VERBS) & NAMES.keys()
    )
    if is_label:
        return f"{head}, {rest}"
    return sentence if names or _CLAUSE.search(rest) else f"{head} {rest}"


def _words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", text))


def _with_lists(sentence: str) -> str:
    """The sentence with "&" between the aspects of a list, so that no clause ends within it.

    In "if the tint is fine, the focus" a single comma ends a clause instead.
    """
    opens = any(sentence.startswith(f"{opener} ") for opener in words.OPENERS)

    def joined(found: re.Match[str]) -> str:
        parts = re.split(_SEPARATOR, found[0])
        if opens and len(parts) == 2 and " , " in found[0]:
            return found[0]
        return " & ".join(parts)

    return _LIST.sub(joined, sentence)
