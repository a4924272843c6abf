"""Sentences that say how aspects are weighed, thousands of them, with their meaning.

A sentence is put together of a clause that weighs or dismisses, of what it is about, of states of
another aspect, and of connectors. None of the sentences of `held_out.yaml` comes out.

Clauses end in marks, characters of the private use area, for training: `strip_marks` removes them.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from random import Random

from .clause_words import (
    ALONE_CLAUSES,
    ALONE_STATES,
    CONCESSIONS,
    CONTRASTS,
    DOUBLES,
    EXCEPTS,
    IF_WORDS,
    JOINTS,
    ONLY_IF_WORDS,
    UNLESS_WORDS,
)
from .clauses import DISMISSES, ENDS, WEIGHS, Clauses, strip_marks
from .held_out import held_out_sentences
from .meaning import Condition, Meaning, Weighing
from .world import Family, aspect_names

KINDS = {
    "weighed": 1, "excluded": 1, "excluded_list": 2, "except": 2, "contrast": 2, "conditional": 1,
    "forgiven": 1, "alone": 1, "double": 2,
}  # fmt: skip
"""What a statement can do, and how many aspects it says something about, at least or at most; that
whose state is a condition comes on top."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A sentence and what it says. all_weighed: of the aspects of the family that it leaves out."""

    text: str
    weighed: Mapping[str, Weighing] = field(default_factory=dict[str, Weighing])
    excluded: Sequence[str] = ()
    all_weighed: bool = False
    kind: str = ""


def combined(family: Family, names: Sequence[str], statements: Sequence[Statement]) -> Meaning:
    """What plain sentences that name aspects and statements mean together."""
    every = any(statement.all_weighed for statement in statements)
    own = aspect_names(family) if every else []
    weighed = dict.fromkeys([*names, *own], Weighing())
    for statement in statements:
        weighed |= statement.weighed
    gone = tuple(name for statement in statements for name in statement.excluded)
    return Meaning({n: w for n, w in weighed.items() if n not in gone}, gone)


class Phrasings(Clauses):
    """Draws statements. breadth: share of each list of words and frames that is in use, 0 to 1."""

    def __init__(self, rng: Random, breadth: float = 1.0, twists: float = 3.0) -> None:
        super().__init__(rng, breadth)
        self.twists = twists

    def draw(self, kind: str, names: Sequence[str]) -> Statement:
        """A statement of a kind; names: aspects of one family, as many as `num_names` says."""
        for _ in range(50):
            statement = getattr(self, f"_{kind}")(list(names))
            text = self._finish(statement.text)
            if not is_held_out(strip_marks(text)[0]):
                return replace(statement, text=text, kind=kind)
        raise AssertionError(f"no sentence of kind {kind}")

    def _finish(self, text: str) -> str:
        text = text[0].upper() + text[1:]
        plain = text.rstrip("".join(chr(0xE000 + k) for k in range(5)))
        if plain[-1] not in ".?!\n":
            text += self.pick((".", ".", ".", ".", "!"))
        return text + ENDS

    # ------------------------------------------------------------------------------- one ability

    def _weighed(self, names: list[str]) -> Statement:
        text = self.statement(names[:1], weighs=True, singles=True)
        return Statement(text, {names[0]: Weighing()})

    def _excluded(self, names: list[str]) -> Statement:
        return Statement(self.statement(names[:1], weighs=False), excluded=names[:1])

    def _excluded_list(self, names: list[str]) -> Statement:
        return Statement(self.statement(names, weighs=False), excluded=names)

    def _except(self, names: list[str]) -> Statement:
        gone = names[: 1 if self.rng.random() < 0.8 else 2]
        text = self.pick(EXCEPTS).format(X=self.things(gone).text, **self.common())
        return Statement(text + DISMISSES, excluded=gone, all_weighed=True)

    def _contrast(self, names: list[str]) -> Statement:
        gone, kept = names[:1], names[1:2]
        if self.rng.random() < 0.4:
            frame = self.pick(CONTRASTS)
            text = frame.format(A=self.things(gone).text, B=self.things(kept).text, **self.common())
            return Statement(text + WEIGHS, {kept[0]: Weighing()}, gone)
        out, into = self.clause(self.things(gone), False), self.clause(self.things(kept), True)
        pair = (out, into) if self.rng.random() < 0.5 else (into, out)
        text = self.pick(JOINTS).join(pair)
        if self.rng.random() < 0.2:
            text = f"{self.pick(CONCESSIONS)} {out}, {into}"
        return Statement(text, {kept[0]: Weighing()}, gone)

    def _conditional(self, names: list[str]) -> Statement:
        return self._under_condition(names[0], names[1], counts_at_fault=True)

    def _forgiven(self, names: list[str]) -> Statement:
        return self._under_condition(names[0], names[1], counts_at_fault=False)

    def _alone(self, names: list[str]) -> Statement:
        things = self.things(names[:1])
        if self.rng.random() < 0.6:
            text = self.fill(self.pick(ALONE_CLAUSES), things) + DISMISSES
        else:
            weighs = self.rng.random() < 0.5
            clause = self.clause(things, weighs)
            states = [state for kind, state in ALONE_STATES if kind == weighs]
            text = clause + " " + self.pick(states).format(it=things.pronoun)
        return Statement(text, {names[0]: Weighing(condition=Condition(None))})

    def _double(self, names: list[str]) -> Statement:
        some = names[:1] if self.rng.random() < 0.8 else names[:2]
        text = self.fill(self.pick(DOUBLES), self.things(some)) + WEIGHS
        return Statement(text, dict.fromkeys(some, Weighing(2)))

    # -------------------------------------------------------------------------------- conditions

    def _under_condition(self, a: str, b: str, *, counts_at_fault: bool) -> Statement:
        """Whether a counts there is turned round by a dismissing clause, by unless and by clean."""
        rng = self.rng
        connector = rng.choices(("if", "only", "unless"), (5, 3, self.twists))[0]
        at_fault = rng.random() > 0.1 * self.twists
        counts_there = at_fault == counts_at_fault
        weighs = counts_there if connector != "unless" else not counts_there
        words = {"if": IF_WORDS, "only": ONLY_IF_WORDS, "unless": UNLESS_WORDS}[connector]
        state = self.state(b, at_fault)
        clause = self.clause(self.things([a], short=True), weighs)
        joint = self.pick(words)
        if rng.random() < 0.4:
            front = joint if connector != "only" else "only " + self.pick(IF_WORDS)
            then = self.pick(("", "", "", "then ")) if connector == "if" else ""
            text = f"{front} {state}, {then}{clause}"
        else:
            text = f"{clause} {joint} {state}"
        meaning = Weighing(condition=Condition(b, at_fault=counts_at_fault))
        return Statement(text, {a: meaning})


@cache
def _held_out_patterns() -> re.Pattern[str]:
    """Matches a sentence of `held_out.yaml` about any aspects."""
    patterns = list[str]()
    for sentences in held_out_sentences().values():
        for template in sentences:
            text = re.escape(template.strip(".!")).replace(r"\ ", " ").lower()
            for key in ("a", "b", "fault", "clean", "list"):
                anything = ".+" if key == "list" else r"[\w*]+"
                text = text.replace(re.escape("{" + key + "}"), anything)
            patterns.append(text)
    return re.compile("|".join(patterns))


def is_held_out(text: str) -> bool:
    """Whether this is a sentence of `held_out.yaml`, about whichever aspects."""
    return bool(_held_out_patterns().fullmatch(text.strip(" .!\n").lower()))
