"""What a judge prompt in plain English means: a small parser for the ideal judge.

Sentence by sentence, and clause by clause, it tells what is said of the aspects named there: a
clause about them is turned round by each negation and by each word of dismissal, so that "do not
ignore the tint" weighs it. Conditions, weights and exceptions are read off their usual words. A
sentence that only names aspects weighs them.

It knows the words of `words.py` and `states.py` and no others: how often it is right on wordings
that it was not written for is measured (`data/micro/held_out.yaml`).
"""

from functools import lru_cache

from ...data.micro.meaning import Meaning, Weighing
from ...data.micro.world import Family
from .clauses import Statement, read_clauses
from .conditions import conditional, read_excuse, split_condition
from .sentences import sentences_of
from .verdicts import read_verdict


@lru_cache(maxsize=4096)
def understand(prompt: str, family: Family) -> Meaning:
    """The meaning of a prompt for a family's aspects."""
    statements = list[Statement]()
    for sentence in sentences_of(prompt, family):
        dismissed_before = bool(statements) and not statements[-1].is_weighed
        statements += _read_sentence(sentence, family, dismissed_before)
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
    conditions = [w.condition for w in (other, one) if w.condition is not None]
    named = [condition for condition in conditions if condition.aspect is not None]
    return Weighing(max(one.steps, other.steps), next(iter([*named, *conditions]), None))


def _read_sentence(sentence: str, family: Family, dismissed_before: bool) -> list[Statement]:
    verdict = read_verdict(sentence, family)
    if verdict is not None:
        return verdict
    excused = read_excuse(sentence, family)
    if excused is not None:
        return [excused]
    condition, main = split_condition(sentence, family)
    said = read_clauses(main, family, dismissed_before)
    return said if condition is None else [conditional(one, condition) for one in said]
