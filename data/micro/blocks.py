"""Long prompts in the manner of language models, with their meaning: headings with items below
them, sentences about several aspects, and prompts that ask for a description.

An item means what its heading says, unless it says something itself. That the good state of a
weighed aspect is harmless changes nothing.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from random import Random

from .block_words import (
    ALONE_SENTENCES,
    ASK_ENDS,
    ASK_HEADS,
    ASK_ITEMS,
    ASK_LISTS,
    ASK_OPENINGS,
    ASK_OTHER_SENTENCES,
    ASK_OTHERS,
    ASK_SENTENCES,
    BARE_ITEMS,
    DOUBLE_HEADS,
    DOUBLE_ITEM_ENDS,
    DOUBLE_SENTENCES,
    EITHER_ITEMS,
    EXCLUDED_HEADS,
    EXCLUDED_ITEM_ENDS,
    EXCLUDED_LISTS,
    EXCLUDED_NOTES,
    EXCLUDED_SENTENCES,
    FAULT_ITEMS,
    FILLERS,
    FOLLOWING,
    HARMLESS,
    MARKS,
    OPENINGS,
    OTHER_ITEMS,
    SAFE_HEADS,
    TAILS,
    TEXT_EXCLUDED_SENTENCES,
    TEXT_ITEMS,
    WEIGHED_HEADS,
    WEIGHED_ITEM_ENDS,
    WEIGHED_LISTS,
    WEIGHED_SENTENCES,
    WHETHER_LISTS,
    Manner,
)
from .clause_words import DOUBLES, LLM_FILLERS
from .clauses import DISMISSES, ENDS, WEIGHS, Things, strip_marks
from .meaning import Condition, Weighing
from .phrasings import Phrasings, Statement, is_held_out
from .wordings import filler
from .world import Family, Scale, aspect, aspect_names, named_aspects, plural

_FREE_KINDS = ("excluded", "weighed", "double", "conditional", "forgiven", "alone")
_NOTHING_THERE = ("none", "gone", "absent")
_ITEM_ENDS: Mapping[str, Sequence[str]] = {
    "weighed": WEIGHED_ITEM_ENDS,
    "double": DOUBLE_ITEM_ENDS,
    "excluded": EXCLUDED_ITEM_ENDS,
}
_VOWELS = tuple("aeiou")
_SINGULAR = re.compile(r"\bis\b|\bit\b|\blooks?\b|\bhas\b|\{a\}|\{A\}|\ban? |\bA ")
"""Finds what makes a frame one about a single thing."""


@dataclass(slots=True)
class Prompt:
    """A prompt in the making. paragraphs: with marks."""

    paragraphs: list[str] = field(default_factory=list[str])
    statements: list[Statement] = field(default_factory=list[Statement])

    def add(self, text: str, *statements: Statement) -> None:
        self.paragraphs.append(text)
        self.statements += statements


def manner_of(family: Family, scale: Scale) -> Manner:
    """What a prompt on that scale is after."""
    if scale == "safety":
        return "danger"
    return "text" if family == "objects" else "flaw"


class Blocks:
    """Draws prompts about the aspects of a family."""

    def __init__(self, rng: Random, family: Family, manner: Manner = "flaw") -> None:
        self.rng = rng
        self.family: Family = family
        self.manner: Manner = manner
        self.by_text, self.phrasings = family == "objects", Phrasings(rng)
        self.own = aspect_names(family)

    def judging(self) -> tuple[str, list[Statement]]:
        """A judge prompt with marks but without an answer instruction, and what it says."""
        for _ in range(50):
            prompt = self._judging()
            marked = self._joined(prompt.paragraphs)
            said = {n for s in prompt.statements for n in (*s.weighed, *s.excluded)}
            others = _conditions(prompt.statements)
            named = set(named_aspects(strip_marks(marked)[0], self.family))
            if named == said | others:
                return marked, prompt.statements
        raise AssertionError(f"no prompt about {self.family}")

    def asking(self) -> str:
        """A prompt that asks for a description of the aspects that it names."""
        names = self.rng.sample(self.own, self.rng.choice((0, 1, 2, 3, 3, 4, 4, 5, 6, 7, 8)))
        for _ in range(50):
            text = self._asking(names)
            if list(named_aspects(text, self.family)) == names:
                return text
        raise AssertionError(f"no prompt that asks for {names}")

    # ------------------------------------------------------------------------------- judge prompts

    def _judging(self) -> Prompt:
        rng = self.rng
        free, prompt = rng.sample(self.own, len(self.own)), Prompt()

        def take(num: int) -> list[str]:
            return [free.pop() for _ in range(min(num, len(free)))]

        weighed = take(rng.choice((0, 1, 2, 2, 3, 3, 4, 5)))
        sections: list[Callable[[], None]] = []
        if weighed:
            sections.append(lambda: self._weigh(prompt, weighed))
        if self.manner != "danger" and rng.random() < 0.35:
            doubled = take(rng.choice((1, 1, 2)))
            sections.append(lambda: self._double(prompt, doubled))
        if free and (rng.random() < 0.75 or not weighed):
            excluded = take(rng.choice((1, 1, 2, 2, 3, 4)))
            sections.append(lambda: self._exclude(prompt, excluded))
        if free and rng.random() < 0.15:
            alone = take(1)[0]
            sections.append(lambda: self._alone(prompt, alone))
        if free and rng.random() < 0.25:
            about = take(1)
            sections.append(lambda: self._statement(prompt, about[0]))
        if rng.random() < 0.4:
            rng.shuffle(sections)
        if rng.random() < 0.2:
            weighed, mixed = [], rng.sample(self.own, rng.choice((2, 3, 3, 4, 5)))
            sections = [lambda: self._mixed(prompt, mixed)]
        if rng.random() < 0.85:
            prompt.add(rng.choice(OPENINGS[self.manner]))
        for section in sections:
            section()
        if weighed and HARMLESS[self.manner] and not self.by_text and rng.random() < 0.35:
            prompt.add(self._harmless(weighed))
        self._fill(prompt)
        return prompt

    def _fill(self, prompt: Prompt) -> None:
        """Sentences that name nothing, up to a random length."""
        rng, paragraphs = self.rng, prompt.paragraphs
        wanted = rng.choice((0, 20, 40, 60, 80, 110, 140, 170))
        while sum(len(text.split()) for text in paragraphs) < wanted:
            kind = rng.random()
            text = filler(rng) if kind < 0.15 else rng.choice((*FILLERS, *LLM_FILLERS))
            if text in paragraphs:
                continue
            paragraphs.insert(rng.randint(0, len(paragraphs)), text)

    def _weigh(self, prompt: Prompt, names: Sequence[str]) -> None:
        kind = self.rng.random()
        if kind < 0.65:
            head = self._head(WEIGHED_HEADS[self.manner], Weighing())
            self._items(prompt, head, names, self._weighed_item, Weighing())
        elif kind < 0.8:
            frame = self.rng.choice(WEIGHED_LISTS[self.manner])
            self._listed(prompt, frame, names, Weighing())
        else:
            self._sentences(prompt, names, Weighing())

    def _double(self, prompt: Prompt, names: Sequence[str]) -> None:
        if self.rng.random() < 0.7:
            head = self._head(DOUBLE_HEADS, Weighing(2))
            self._items(prompt, head, names, self._weighed_item, Weighing(2))
        else:
            self._sentences(prompt, names, Weighing(2))

    def _exclude(self, prompt: Prompt, names: Sequence[str]) -> None:
        kind = self.rng.random()
        if kind < 0.5:
            safe = self.manner == "danger" and self.rng.random() < 0.4
            head = self._head(SAFE_HEADS if safe else EXCLUDED_HEADS, None)
            self._items(prompt, head, names, self._excluded_item, None)
        elif kind < 0.6:
            self._listed(prompt, self.rng.choice(EXCLUDED_LISTS), names, None)
        elif kind < 0.75:
            frames = ("whether the {x} is {f}", "whether the {x} is {f} or {c}")
            own = self.rng.choice(frames)
            some = self._enumerated([self._say(own, name) for name in names])
            text = self.rng.choice(WHETHER_LISTS).format(some=some) + DISMISSES + ENDS
            prompt.add(text, Statement(text, excluded=names))
        else:
            self._sentences(prompt, names, None)

    def _mixed(self, prompt: Prompt, names: Sequence[str]) -> None:
        """One list of which every item says by itself what becomes of its aspect."""
        kinds = (None, Weighing(), Weighing(), Weighing(2))
        mark = self.rng.choice(MARKS)
        lines, statements = list[str](), list[Statement]()
        for number, name in enumerate(names, start=1):
            weighing = self.rng.choice(kinds if self.manner != "danger" else kinds[:2])
            statement = self._own_statement(name, weighing, item=True)
            statements.append(statement)
            lines.append(mark.format(statement.text, n=number))
        prompt.add("\n".join(lines), *statements)

    def _own_statement(
        self, name: str, weighing: Weighing | None, *, item: bool = False
    ) -> Statement:
        """A sentence or an item about one aspect."""
        rng, weighs = self.rng, weighing is not None
        kind = "excluded" if weighing is None else "double" if weighing.steps == 2 else "weighed"
        choice = rng.random()
        if choice < 0.3:
            return self.phrasings.draw(kind, [name])
        if item and choice < 0.6:
            text = self._faulty(name) + rng.choice(_ITEM_ENDS[kind])
        else:
            text = self._say(rng.choice(self._frames(kind)), name)
        return _statement_about(text + (WEIGHS if weighs else DISMISSES) + ENDS, [name], weighing)

    def _frames(self, kind: str) -> Sequence[str]:
        if kind == "double":
            return DOUBLE_SENTENCES
        if kind == "excluded":
            return TEXT_EXCLUDED_SENTENCES if self.by_text else EXCLUDED_SENTENCES
        return WEIGHED_SENTENCES["text" if self.by_text else self.manner]

    def _head(self, heads: Sequence[str], weighing: Weighing | None) -> str:
        """One of the given headings, or a clause of the short statements about what follows."""
        things = Things(self.rng.choice(FOLLOWING), "them", is_plural=True)
        while self.rng.random() < 0.5:
            if weighing and weighing.steps == 2:
                text = self.phrasings.fill(self.rng.choice(DOUBLES), things)
            else:
                text = strip_marks(self.phrasings.clause(things, weighing is not None))[0]
            if not is_held_out(text):
                return f"{text[0].upper()}{text[1:]}:"
        return self.rng.choice(heads)

    def _alone(self, prompt: Prompt, name: str) -> None:
        weighing = Weighing(condition=Condition(None))
        text = self._say(self.rng.choice(ALONE_SENTENCES), name) + DISMISSES + ENDS
        prompt.add(text, _statement_about(text, [name], weighing))

    def _statement(self, prompt: Prompt, name: str) -> None:
        """One of the short statements that stand in other prompts too."""
        other = self.rng.choice([own for own in self.own if own != name])
        statement = self.phrasings.draw(self.rng.choice(_FREE_KINDS), [name, other])
        prompt.add(statement.text, statement)

    def _harmless(self, names: Sequence[str]) -> str:
        some = self._enumerated([self._clean(name) for name in names])
        return _filled(self.rng.choice(HARMLESS[self.manner]), some)

    # -------------------------------------------------------------------------- lists and sentences

    def _items(
        self,
        prompt: Prompt,
        head: str,
        names: Sequence[str],
        item: Callable[[str], str],
        weighing: Weighing | None,
    ) -> None:
        """A heading with an item for each name."""
        said: list[tuple[str | None, str]] = [(name, item(name)) for name in names]
        if weighing and self.rng.random() < 0.25:
            other = self.rng.choice(OTHER_ITEMS[self.manner])
            said.insert(self.rng.randint(0, len(said)), (None, other))
        mark, (tail, last) = self.rng.choice(MARKS), self.rng.choice(TAILS)
        clause = WEIGHS if weighing else DISMISSES
        lines, statements = [head + clause], list[Statement]()
        for number, (name, text) in enumerate(said, start=1):
            line = mark.format(text, n=number)
            line += "" if text.endswith("?") else last if number == len(said) else tail
            if name is not None:
                line += clause + ENDS
                statements.append(_statement_about(line, [name], weighing))
            lines.append(line)
        prompt.add("\n".join(lines), *statements)

    def _listed(
        self, prompt: Prompt, frame: str, names: Sequence[str], weighing: Weighing | None
    ) -> None:
        some = self._enumerated([self._faulty(name) for name in names])
        text = _filled(frame, some) + (WEIGHS if weighing else DISMISSES) + ENDS
        prompt.add(text, _statement_about(text, names, weighing))

    def _sentences(self, prompt: Prompt, names: Sequence[str], weighing: Weighing | None) -> None:
        said = [self._own_statement(name, weighing) for name in names]
        prompt.add(" ".join(statement.text for statement in said), *said)

    # ---------------------------------------------------------------------------------------- items

    def _weighed_item(self, name: str) -> str:
        kind = self.rng.random()
        frames = TEXT_ITEMS if self.by_text else FAULT_ITEMS
        if kind < 0.25:
            frames = BARE_ITEMS
        elif kind < 0.35:
            frames = EITHER_ITEMS
        return self._say(self.rng.choice(frames), name)

    def _excluded_item(self, name: str) -> str:
        frames = EXCLUDED_NOTES if self.rng.random() < 0.2 else EITHER_ITEMS
        return (
            self._weighed_item(name)
            if self.rng.random() < 0.5
            else self._say(self.rng.choice(frames), name)
        )

    def _faulty(self, name: str) -> str:
        frames = ("{a} {f} {x}", "{a} {f} {x}", "{a} {x} that is {f}", "the {x}")
        if self.by_text:
            frames = ("a wrong {x}", "the {x}", "mistakes in the {x}", "a different {x}")
        return self._say(self.rng.choice(frames), name)

    def _clean(self, name: str) -> str:
        if aspect(name).values[1] in _NOTHING_THERE:
            return self._say(self.rng.choice(("no {x}", "no {x} at all", "the {x} {c}")), name)
        frames = ("a {c} {x}", "{x} that is {c}", "the {x} {c}", "a {x} that is {c}")
        return self._say(self.rng.choice(frames), name)

    def _say(self, frame: str, name: str) -> str:
        own, thing = aspect(name), self._word(name)
        if self.rng.random() < 0.15 and not _SINGULAR.search(frame):
            thing = plural(thing)
        fault, clean = own.states
        after = frame.partition("{a} ")[2] or frame.partition("{A} ")[2]
        a = "an" if (fault if after.startswith("{f}") else thing).startswith(_VOWELS) else "a"
        values = self._enumerated(list(own.values), " or ")
        text = frame.format(
            x=thing, X=thing.capitalize(), f=fault, c=clean, a=a, A=a.capitalize(), v=values
        )
        return text.replace(" a unlit", " an unlit").replace(" a even", " an even")

    def _word(self, name: str) -> str:
        own = aspect(name)
        return self.rng.choice(own.synonyms) if self.rng.random() < 0.25 else name

    def _enumerated(self, texts: Sequence[str], joint: str | None = None) -> str:
        if len(texts) == 1:
            return texts[0]
        joint = joint or self.rng.choice((" or ", " or ", " and ", ", or "))
        return ", ".join(texts[:-1]) + joint + texts[-1]

    def _joined(self, paragraphs: Sequence[str]) -> str:
        """Paragraphs on lines of their own where they have items, else mostly in one line."""
        rng = self.rng
        gap, text = rng.choice(("\n", "\n\n", "\n\n")), paragraphs[0]
        for before, after in pairwise(paragraphs):
            has_items = "\n" in before or "\n" in after
            text += (gap if has_items or rng.random() < 0.3 else " ") + after
        return text

    # --------------------------------------------------------------------------- asking for states

    def _asking(self, names: Sequence[str]) -> str:
        rng, left, parts = self.rng, list(names), list[str]()
        if rng.random() < 0.8:
            parts.append(rng.choice(ASK_OPENINGS))
        while left:
            num = min(len(left), rng.choice((1, 2, 3, 4, 8, 8)))
            some, left = left[:num], left[num:]
            parts.append(rng.choice((self._asked_list, self._asked_items, self._asked))(some))
            if rng.random() < 0.2:
                parts.append(self._other_sentence())
        if not names or rng.random() < 0.3:
            parts += [self._other_sentence() for _ in range(rng.choice((1, 1, 2, 3)))]
        if rng.random() < 0.5:
            parts.append(rng.choice(ASK_ENDS))
        return self._joined(parts)

    def _asked_list(self, names: Sequence[str]) -> str:
        things = [f"the {self._word(name)}" for name in names]
        if self.rng.random() < 0.3:
            things = [self._say("{x} ({v})", name) for name in names]
        for _ in range(self.rng.choice((0, 0, 0, 1, 2))):
            things.insert(self.rng.randint(0, len(things)), self.rng.choice(ASK_OTHERS))
        return self.rng.choice(ASK_LISTS).format(some=self._enumerated(things, " and "))

    def _asked_items(self, names: Sequence[str]) -> str:
        frames = self.rng.sample(ASK_ITEMS, self.rng.choice((1, 1, 2)))
        items = [self._say(self.rng.choice(frames), name) for name in names]
        for _ in range(self.rng.choice((0, 0, 0, 1, 2))):
            items.insert(self.rng.randint(0, len(items)), self.rng.choice(ASK_OTHERS))
        head, mark = self.rng.choice(ASK_HEADS), self.rng.choice(MARKS)
        tail, last = self.rng.choice(TAILS)
        lines = [
            mark.format(item, n=n)
            + ("" if item.endswith("?") else last if n == len(items) else tail)
            for n, item in enumerate(items, start=1)
        ]
        if head and self.rng.random() < 0.2:
            return f"{head} {'; '.join(items)}."
        return "\n".join([head, *lines] if head else lines)

    def _asked(self, names: Sequence[str]) -> str:
        frames = self.rng.sample(ASK_SENTENCES, self.rng.choice((1, 2, 4)))
        return " ".join(self._say(self.rng.choice(frames), name) for name in names)

    def _other_sentence(self) -> str:
        frame = self.rng.choice(ASK_OTHER_SENTENCES)
        return frame.format(o=self.rng.choice(ASK_OTHERS))


def _statement_about(text: str, names: Sequence[str], weighing: Weighing | None) -> Statement:
    if weighing is None:
        return Statement(text, excluded=names)
    return Statement(text, dict.fromkeys(names, weighing))


def _conditions(statements: Sequence[Statement]) -> set[str]:
    """The aspects whose state is a condition."""
    found = [w.condition for s in statements for w in s.weighed.values() if w.condition]
    return {condition.aspect for condition in found if condition.aspect}


def _filled(frame: str, some: str) -> str:
    return frame.format(some=some, Some=some[0].upper() + some[1:])
