"""The label that an answer names, if it names one with certainty.

An answer is a label as a whole, or says it behind a lead ("Final answer:"), in answer tags or in
JSON, or in plain statements ("The image is unsafe."). Every mention of a label must then go with
one and the same: two labels, a hedge, a question or a negation that is not plain are no verdict.
"Not safe" is the other label where there are two; "not really safe" is none.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .label_set import LabelSet, label_set, other_label
from .leads import (
    answers_among_text,
    answers_behind_leads,
    answers_in_json,
    tagged_answer,
    without_boxes,
)
from .normal import plain
from .phrases import (
    DOUBTFUL,
    LABEL,
    concludes,
    is_bare,
    is_doubt,
    is_hedge,
    leads_up,
    may_contradict,
    statement,
)

NO_LABEL = "no declared label in the reply"
SEVERAL_LABELS = "several labels in the reply"
UNCLEAR = "what the reply says of a label is not certain"
EMPTY = "empty reply"

_EXCERPT_CHARS = 80
_OPENING = " \"'([{<“„«‹「『【"
_MAX_CHARS = 20_000
_SENTENCES = re.compile(r"(?<=[.!?。！？])\s+|(?<=[。！？])|(?<=\w[.!?])(?=[^\W\d])|\n+")
_CLAUSES = re.compile(rf",(?!\d)|[;()\[\]|—–；，]|(?<=[{LABEL}{DOUBTFUL}]):|\s-\s")
_REFUTED = re.compile(
    r"\W*(?:no|nope|not|never|false|none|nein|否|不|不是|\d[\d.,]*\s*%?)\W*", re.IGNORECASE
)
_ENDS_IN_NOT = re.compile(r"(?:\bnot|n't)\W*$", re.IGNORECASE)
_SPACED_SIGN = re.compile(r"(?:^|[\s:=(])[-−–—][ \t]+\d", re.MULTILINE)
_HYPHENED_NOT = re.compile(r"\bnot[-_](?=\w)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReadLabel:
    """A label, or None and the reason in words."""

    label: str | None
    reason: str | None = None


def read_label(answer: str, labels: Sequence[str]) -> ReadLabel:
    """The declared label that a complete answer names."""
    if not answer.strip():
        return ReadLabel(None, EMPTY)
    if len(answer) > _MAX_CHARS:
        return ReadLabel(None, f"{len(answer):,} characters are too long for a verdict")
    if answer.strip() in labels:
        return ReadLabel(answer.strip())
    read = _read(answer, label_set(tuple(labels)))
    if read.label is None:
        excerpt = " ".join(answer.split())[:_EXCERPT_CHARS]
        return ReadLabel(None, f"{read.reason}: {excerpt!r}")
    return read


def leading_label(answer: str, labels: Sequence[str]) -> str | None:
    """The label that an answer begins with, whatever comes after it."""
    text = plain(answer).lstrip(_OPENING)
    mentions = label_set(tuple(labels)).mentions(text)
    first = mentions[0] if mentions else None
    return first.label if first and first.is_certain and first.start == 0 else None


def _read(answer: str, declared: LabelSet) -> ReadLabel:
    if any(value < 0 for value in declared.scale.labels) and _SPACED_SIGN.search(answer):
        return ReadLabel(None, "a dash in the reply may be a minus")
    whole = declared.whole(answer)
    return ReadLabel(whole) if whole is not None else _agreed(_zones(answer, declared), declared)


def _zones(answer: str, declared: LabelSet) -> list[str]:
    """The parts of an answer that say the label, in plain form."""
    values = answers_in_json(answer)
    if values is not None:
        return [plain(value) for value in values]
    values, rest = answers_among_text(answer)
    if values and not may_contradict(rest) and not is_doubt(rest):
        return [plain(value) for value in (*values, rest)]
    tagged = tagged_answer(answer)
    if tagged is not None:
        return _zones(tagged, declared)
    text = declared.scale.simplified(plain(without_boxes(answer)))
    return answers_behind_leads(text) or [text]


def _agreed(zones: Sequence[str], declared: LabelSet) -> ReadLabel:
    """What all zones that hold a label say."""
    found = [_read_zone(zone, declared) for zone in zones]
    named = [read for read in found if read.reason != NO_LABEL]
    unclear = [read for read in named if read.label is None]
    if unclear or not named:
        return (unclear or [ReadLabel(None, NO_LABEL)])[0]
    if len({read.label for read in named}) > 1:
        return ReadLabel(None, SEVERAL_LABELS)
    return named[0]


def _read_zone(zone: str, declared: LabelSet) -> ReadLabel:
    whole = declared.whole(zone)
    if whole is not None:
        return ReadLabel(whole)
    text = declared.scale.simplified(_HYPHENED_NOT.sub("not ", zone))
    text = text.replace(LABEL, " ").replace(DOUBTFUL, " ")
    mentions = declared.mentions(text)
    if not mentions:
        return ReadLabel(None, NO_LABEL)
    if len({mention.label for mention in mentions}) > 1 and len(declared.labels) > 2:
        return ReadLabel(None, SEVERAL_LABELS)
    marked, end = "", 0
    for mention in mentions:
        marked += text[end : mention.start] + (LABEL if mention.is_certain else DOUBTFUL)
        end = mention.end
    said = iter([mention.label for mention in mentions])
    claims = list(_claims(marked + text[end:], said, declared.labels))
    return _judged(claims, is_in_doubt=is_doubt(text))


@dataclass(frozen=True, slots=True)
class _Claim:
    """label: what a mention comes to; None where that is not certain, `of` being what it names.

    is_weak: whether an uncertain mention contradicts nothing.
    """

    label: str | None
    of: str | None
    is_weak: bool = False


def _judged(claims: Sequence[_Claim], *, is_in_doubt: bool) -> ReadLabel:
    said = {claim.label for claim in claims if claim.label is not None}
    uncertain = [claim for claim in claims if claim.label is None]
    named = said | {claim.of for claim in uncertain}
    if len(said) > 1 or (len(named) > 1 and all(claim.is_weak for claim in uncertain)):
        return ReadLabel(None, SEVERAL_LABELS)
    if not said or is_in_doubt or not all(c.is_weak and c.of in said for c in uncertain):
        return ReadLabel(None, UNCLEAR)
    return ReadLabel(said.pop())


@dataclass(frozen=True, slots=True)
class _Clause:
    """A clause of a marked text.

    is_clear: whether what stands before it in its sentence lets it say a label. takes_back: its
    sentence weakens what was said. is_weak: its sentence contradicts nothing.
    """

    text: str
    num_mentions: int
    is_clear: bool
    takes_back: bool
    is_weak: bool


def _clauses(marked: str) -> Iterator[_Clause]:
    for sentence in _SENTENCES.split(marked):
        takes_back, is_weak = is_hedge(sentence), not may_contradict(sentence)
        leads = True
        for text in _CLAUSES.split(sentence):
            if text.strip(" .!"):
                num_mentions = text.count(LABEL) + text.count(DOUBTFUL)
                is_clear = not takes_back and (leads or concludes(text))
                yield _Clause(text, num_mentions, is_clear, takes_back, is_weak)
                leads = leads and (num_mentions > 0 or leads_up(text))


def _claims(marked: str, said: Iterator[str | None], labels: Sequence[str]) -> Iterator[_Claim]:
    """A claim for each mention, and one of nothing for a sentence that takes back what was said."""
    clauses = list(_clauses(marked))
    has_said = False
    for place, clause in enumerate(clauses):
        beside = clauses[max(place - 1, 0) : place] + clauses[place + 1 : place + 2]
        is_plain = clause.is_clear and clause.num_mentions == 1
        if not clause.num_mentions and clause.takes_back and has_said:
            yield _Claim(None, None)
        for _ in range(clause.num_mentions):
            of = next(said)
            is_stated = is_plain and not _is_refuted(clause.text, of, beside)
            stated = statement(clause.text, takes_article=_takes_article(of)) if is_stated else ""
            yield _claim(of, stated, labels, is_weak=clause.is_weak)
        has_said = has_said or clause.num_mentions > 0


def _is_refuted(clause: str, label: str | None, beside: Sequence[_Clause]) -> bool:
    """Whether a label alone is answered by what stands beside it: "Safe: no", "Safe, it is not"."""
    if not is_bare(clause):
        return False
    says_no = label is not None and _REFUTED.fullmatch(label)
    return any(
        _REFUTED.fullmatch(other.text) or (_ENDS_IN_NOT.search(other.text) and not says_no)
        for other in beside
        if not other.num_mentions
    )


def _takes_article(label: str | None) -> bool:
    return label is not None and (len(label) == 1 or label.lower() == "tie" or label[-1].isdigit())


def _claim(of: str | None, stated: str, labels: Sequence[str], *, is_weak: bool) -> _Claim:
    if stated == "said":
        return _Claim(of, of)
    if stated == "negated" and of is not None:
        return _Claim(other_label(of, labels), of)
    return _Claim(None, of, is_weak)
