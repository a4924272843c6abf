"""What a judge prompt in plain English means: a small parser for the ideal judge.

Sentence by sentence, and clause by clause, it tells what is said of the aspects named there: a
clause about them is turned round by each negation and by each word of dismissal, so that "do not
ignore the tint" weighs it. Conditions, weights and exceptions are read off their usual words. A
sentence that only names aspects weighs them.

It knows the words of `words.py` and no others: how often it is right on wordings that it was not
written for is measured (`data/micro/held_out.yaml`).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from ...data.micro.meaning import Condition, Meaning, Weighing
from ...data.micro.world import ASPECTS, Family
from . import words
from .clauses import NAMES, Statement, has, names_in, read_clauses

_VALUES = {value: (a.name, value == a.fault_value) for a in ASPECTS for value in a.values}
_NOUN = rf"(?:(?:the|any|a|an|bad) )*(?:{'|'.join(sorted(NAMES, key=len, reverse=True))})\b"
_LIST = re.compile(rf"{_NOUN}(?: (?:,|and|or|, and|, or|as well as) {_NOUN})+")
_ITEM = re.compile(r"\s*(?:[-*\u2022]|\d+[.)])\s+")


@lru_cache(maxsize=4096)
def understand(prompt: str, family: Family) -> Meaning:
    """The meaning of a prompt for a family's aspects."""
    statements = [
        statement
        for sentence in _sentences(prompt)
        for statement in _read_sentence(sentence, family)
    ]
    excluded = {name for s in statements if not s.is_weighed for name in s.names}
    weighed: dict[str, Weighing] = {}
    for statement in statements:
        for name in statement.names if statement.is_weighed else ():
            weighed[name] = _stronger(weighed.get(name), statement.weighing)
    kept = {name: weighing for name, weighing in weighed.items() if name not in excluded}
    return Meaning(kept, tuple(sorted(excluded)))


def _stronger(one: Weighing | None, other: Weighing) -> Weighing:
    """Of two sentences about an aspect, what says more than that it is weighed."""
    if one is None:
        return other
    return Weighing(max(one.steps, other.steps), other.condition or one.condition)


# ------------------------------------------------------------------------------------- sentences


def _sentences(prompt: str) -> list[str]:
    text = prompt.lower().replace("\u2019", "'").replace("n't", " not").replace("can not", "cannot")
    text = "\n".join(_with_leads(text.splitlines()))
    text = re.sub(r"[*_`\"]", " ", text).replace("(", ", ").replace(")", " ")
    parts = re.split(r"[.!?\n;]+|(?<=\w): ", text)
    bare = (" ".join(re.findall(r"[a-z0-9]+|,", part)) for part in parts)
    return [_with_lists(part) for part in bare if part]


def _with_leads(lines: Iterable[str]) -> Iterator[str]:
    """Lines, the items of a list each behind the words that lead to it: "ignore:", "- the tint".

    So is what follows a lead in its own line.
    """
    lead = ""
    for line in lines:
        item = _ITEM.match(line)
        if item is None:
            head, colon, rest = line.partition(":")
            said = head.rpartition(".")[2]
            leads = bool(colon) and not set(re.findall(r"[a-z]+", said)) & NAMES.keys()
            lead = said if leads and not rest.strip() else ""
            yield line.replace(":", " ", 1) if leads and rest.strip() else line
        else:
            text = line[item.end() :]
            is_noun = re.split(r"\W", text, maxsplit=1)[0] in NAMES
            yield f"{lead} the {text}" if is_noun else f"{lead} {text}"


def _with_lists(sentence: str) -> str:
    """The sentence with "&" between the aspects of a list, so that no clause ends within it.

    In "if the tint is fine, the focus" a single comma ends a clause instead.
    """
    opens = any(sentence.startswith(f"{opener} ") for opener in words.OPENERS)

    def joined(found: re.Match[str]) -> str:
        parts = re.split(r" (?:, and|or|as well as|,|and|or) ", found[0])
        if opens and len(parts) == 2 and " , " in found[0]:
            return found[0]
        return " & ".join(parts)

    return _LIST.sub(joined, sentence)


def _read_sentence(sentence: str, family: Family) -> list[Statement]:
    excused = _excuse(sentence, family)
    if excused is not None:
        return [excused]
    condition, main = _split_condition(sentence, family)
    if condition is None:
        return read_clauses(sentence, family)
    return [_conditional(statement, condition) for statement in read_clauses(main, family)]


def _excuse(sentence: str, family: Family) -> Statement | None:
    """ "A bad horizon excuses the tint"."""
    verb = next((phrase for phrase in words.EXCUSES if has(sentence, phrase)), None)
    if verb is None:
        return None
    before, after = (names_in(part, family) for part in sentence.split(verb, 1))
    if not before or not after:
        return None
    return Statement(after, True, Weighing(condition=Condition(before[-1], at_fault=False)))


@dataclass(frozen=True, slots=True)
class _Clause:
    """What a condition says of an aspect; None for any other that is weighed."""

    aspect: str | None
    at_fault: bool


def _split_condition(sentence: str, family: Family) -> tuple[_Clause | None, str]:
    """The condition of a sentence and what is left; None where a clause states no condition."""
    for opener in words.SUBORDINATORS:
        before, found, after = f" {sentence} ".partition(f" {opener} ")
        if not found or before.endswith("even"):
            continue
        clause, main = _clause_and_main(before.strip(" ,"), after.strip())
        state = _state(
            f"{opener} {clause}" if opener.startswith(("with a", "beside a", "in ")) else clause
        )
        names = names_in(clause, family)
        others = any(has(clause, phrase) for phrase in words.OTHERS)
        if state is None or not (names or others):
            continue
        if names and not names_in(main, family):
            return None, sentence
        at_fault = state != (opener in words.REVERSING)
        return _Clause(None if others and not names else names[0], at_fault), main
    return None, sentence


def _clause_and_main(before: str, after: str) -> tuple[str, str]:
    """The clause behind a subordinator, and the main clause before or behind it."""
    if before:
        clause, _, rest = after.partition(",")
        return clause, f"{before} , {rest}" if rest.strip() else before
    clause, comma, main = after.partition(",")
    if not comma:  # "only if the tint is bad does the focus matter"
        inverted = re.search(r"\s(does|do|should|can|is|will)\s(?=the\s|you\s|any\s)", after)
        if inverted:
            return after[: inverted.start()], after[inverted.end() :]
    return clause, main


def _state(clause: str) -> bool | None:
    """Whether a clause says that something is at fault; None if it says nothing of the kind."""
    for phrase in words.FINE_PHRASES:
        clause = clause.replace(phrase, "fine")
    tokens = clause.split()
    bad = any(t in words.BAD or _VALUES.get(t, ("", False))[1] for t in tokens)
    fine = any(t in words.FINE or (t in _VALUES and not _VALUES[t][1]) for t in tokens)
    if not bad and not fine:
        return None
    negations = sum(token in words.NEGATIONS and token not in _VALUES for token in tokens)
    return bad != (negations % 2 == 1)


def _conditional(statement: Statement, clause: _Clause) -> Statement:
    """A statement where a condition holds: not to weigh it there is to weigh it elsewhere."""
    at_fault = clause.at_fault == statement.is_weighed
    condition = Condition(clause.aspect, at_fault)
    return Statement(statement.names, True, Weighing(statement.weighing.steps, condition))
