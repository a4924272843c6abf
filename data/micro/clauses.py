"""Clauses that weigh or dismiss aspects, and states of aspects, for `phrasings.py`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from .clause_words import (
    ADVERBS,
    BAD_STATES,
    CLEAN_STATES,
    DISMISSALS,
    DISMISSING_PREDICATES,
    FAULT_PHRASES,
    GERUND_FRAMES,
    HEADERS,
    LISTS,
    NEGATED_FRAMES,
    OWNERS,
    PEOPLE,
    PLAIN_FRAMES,
    POSITIVE_PREDICATES,
    RATINGS,
    SINGLES,
    TAILS,
    TOPICS,
    WEIGHINGS,
    WHETHER_FRAMES,
    WHETHER_LEADS,
)
from .wordings import word
from .world import aspect, plural

WEIGHS, DISMISSES, AT_FAULT, CLEAN, ENDS = (chr(0xE000 + place) for place in range(5))
"""Marks behind a clause that weighs or dismisses, behind a state, and behind a whole sentence."""


def strip_marks(text: str) -> tuple[str, list[tuple[int, str]]]:
    """The text without marks, and each mark with the number of characters before it."""
    plain, marks = list[str](), list[tuple[int, str]]()
    for char in text:
        if WEIGHS <= char <= ENDS:
            marks.append((len(plain), char))
        else:
            plain.append(char)
    return "".join(plain), marks


@dataclass(frozen=True, slots=True)
class Things:
    text: str
    pronoun: str
    is_plural: bool


class Clauses:
    """Draws clauses. breadth: share of each list of words and frames that is in use, 0 to 1."""

    def __init__(self, rng: Random, breadth: float) -> None:
        self.rng, self.breadth = rng, breadth

    def state(self, name: str, at_fault: bool) -> str:
        thing = self._word(name)
        fault, clean = aspect(name).states
        states = BAD_STATES if at_fault else CLEAN_STATES
        the = self.pick(("the ", "the ", "the ", ""))
        text = self.pick(states).format(x=the + thing, w=thing, fault=fault, clean=clean)
        return text + (AT_FAULT if at_fault else CLEAN)

    # ----------------------------------------------------------------------------------- clauses

    def statement(self, names: list[str], *, weighs: bool, singles: bool = False) -> str:
        rng = self.rng
        things = self.things(names)
        kind = rng.random()
        if singles and kind < 0.15:
            return self.fill(self.pick(SINGLES), things) + WEIGHS
        if len(names) == 1 and kind < 0.27:
            return self._whether(names[0], weighs)
        if kind < 0.4 and self.breadth > 0.1:
            return self._topic(names, things, weighs)
        if kind < 0.5 and self.breadth > 0.1:
            return self._header(names, weighs)
        tail = self.pick(TAILS)
        return self.clause(things, weighs) + tail

    def _whether(self, name: str, weighs: bool) -> str:
        values = list(aspect(name).states)
        if self.rng.random() < 0.4:
            values.reverse()
        either = " or ".join(values)
        word = self._word(name)
        if self.rng.random() < 0.5:
            frame = self.pick(WHETHER_FRAMES[weighs])
            text = frame.format(x=f"the {word}", either=either, **self.common())
        else:
            lead = self.pick(WHETHER_LEADS)
            things = Things(f"the {word}" + lead.format(either), "it", False)
            text = self.fill(self._predicate(weighs), things)
        return text + (WEIGHS if weighs else DISMISSES)

    def _topic(self, names: list[str], things: "Things", weighs: bool) -> str:
        lead = self.pick(TOPICS)
        short = lead.startswith(("{}", "-")) and len(names) == 1
        topic = lead.format(self._word(names[0]) if short else things.text)
        it = Things(things.pronoun, things.pronoun, things.is_plural)
        return topic + self.clause(it, weighs)

    def _header(self, names: list[str], weighs: bool) -> str:
        head = self.pick(HEADERS[weighs])
        words = [self._word(name) for name in names]
        if self.rng.random() < 0.5:
            mark = self.pick(("- {}", "* {}", "- the {}", "- **{}**"))
            listed = "\n" + "\n".join(mark.format(word) for word in words)
            return f"{head}:{listed}" + (WEIGHS if weighs else DISMISSES) + "\n"
        return f"{head}: {', '.join(words)}" + (WEIGHS if weighs else DISMISSES)

    def clause(self, things: "Things", weighs: bool) -> str:
        """A clause that weighs or dismisses, with its mark."""
        rng = self.rng
        if rng.random() < 0.45:
            text = self.fill(self._predicate(weighs), things)
        else:
            negated = rng.random() < 0.5
            verb = self.pick(WEIGHINGS if weighs != negated else DISMISSALS)
            if " " not in verb.replace(" {X}", "") and rng.random() < 0.2:
                first, *rest = verb.split(" ")
                frame = self.pick(GERUND_FRAMES[not negated])
                text = frame.format(V=" ".join([gerund(first), *rest]), **self.common())
            else:
                frames = NEGATED_FRAMES if negated else PLAIN_FRAMES
                text = self.pick(frames).format(V=verb, **self.common())
            text = self.fill(text, things)
        return text + (WEIGHS if weighs else DISMISSES)

    def _predicate(self, weighs: bool) -> str:
        """A clause whose subject {X} stands for the things."""
        negated = self.rng.random() < 0.35
        pos = weighs != negated
        frame = self.pick(POSITIVE_PREDICATES if pos else DISMISSING_PREDICATES)
        return turned_round(self.rng, frame) if negated else self._adverb(frame)

    def _adverb(self, frame: str) -> str:
        if self.rng.random() < 0.25 and " {is} " in frame:
            return frame.replace(" {is} ", " {is} " + self.pick(ADVERBS) + " ", 1)
        return frame

    def fill(self, frame: str, things: "Things") -> str:
        many = things.is_plural
        return frame.format(
            X=things.text,
            it=things.pronoun,
            self="themselves" if many else "itself",
            its="their" if many else "its",
            s="" if many else "s",
            es="" if many else "es",
            ies="y" if many else "ies",
            **{"is": "are" if many else "is"},
            does="do" if many else "does",
            has="have" if many else "has",
            was="were" if many else "was",
            **self.common(),
        )

    def common(self) -> dict[str, str]:
        return {"rating": self.pick(RATINGS), "people": self.pick(PEOPLE)}

    # ------------------------------------------------------------------------------------ things

    def _word(self, name: str) -> str:
        return word(self.rng, name).lower() if self.rng.random() < 0.9 else word(self.rng, name)

    def things(self, names: Sequence[str], *, short: bool = False) -> "Things":
        """Aspects as the object or the subject of a clause."""
        rng = self.rng
        words = [self._word(name) for name in names]
        if len(words) > 1:
            the = "the " if rng.random() < 0.8 else ""
            joint = self.pick(LISTS)
            listed = ", ".join(the + word for word in words[:-1]) + joint + the + words[-1]
            return Things(listed, "them", True)
        own = aspect(names[0])
        many = words[0].lower() in {plural(form) for form in own.words}
        kind = rng.random()
        if kind < (0.75 if short else 0.6):
            return Things(f"the {words[0]}", "them" if many else "it", many)
        if kind < 0.75:
            return Things(words[0], "them" if many else "it", many)
        if kind < 0.8:
            owner = self.pick(OWNERS)
            return Things(f"the {words[0]}{owner}", "them" if many else "it", many)
        if kind < 0.87 and own.fault_value:
            return Things(f"a {own.fault_value} {words[0]}", "it", False)
        phrase = self.pick(FAULT_PHRASES)
        many = phrase.split()[0].endswith("s")
        return Things(phrase.format(words[0]), "them" if many else "it", many)

    def pick(self, options: Sequence[str]) -> str:
        num = max(min(4, len(options)), round(self.breadth * len(options)))
        return options[self.rng.randrange(num)]


def gerund(verb: str) -> str:
    """The -ing form."""
    if verb in ("skip", "omit", "drop", "permit", "forget"):
        return verb + verb[-1] + "ing"
    return (verb[:-1] if verb.endswith("e") and not verb.endswith("ee") else verb) + "ing"


def turned_round(rng: Random, frame: str) -> str:
    """The frame turned round."""
    swaps = (
        ("{is} ", ("{is} not ", "{is} never ", "{is} by no means ", "{is} hardly ")),
        ("should ", ("should not ", "should never ")),
        ("must ", ("must not ", "must never ")),
        ("may ", ("may not ", "must not ", "may never ")),
        ("can ", ("cannot ", "can not ", "can never ")),
        ("will ", ("will not ", "will never ")),
        ("{has} ", ("{does} not have ", "never {has} ")),
    )
    for old, new in swaps:
        if old in frame:
            return frame.replace(old, rng.choice(new), 1)
    for ending in ("{s}", "{es}", "{ies}"):
        if ending in frame:
            if rng.random() < 0.25:
                return re.sub(r"(\S+\{(?:s|es|ies)\})", r"never \1", frame, count=1)
            base = frame.replace(ending, "y" if ending == "{ies}" else "", 1)
            head, _, tail = base.partition("{X} ")
            return head + "{X} {does} not " + tail
    raise AssertionError(f"{frame!r} cannot be turned round")
