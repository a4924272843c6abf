"""Whether what came back from an engine is right: a cell for each check."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from .official import Bounds, Official, OtherPromptError
from .questions import AGREE, CHECKS, ENCODE_ONCE, HOSTILE, OFF, OFFICIAL, ON, PAIR, Question
from .records import Answered, Record
from .registry import Family

TOLERANCE = 1e-4
"""Nats between two computations of one label log-probability in float32."""
_SLACK = 1e-3
"""Nats beyond the bounds of a label, which come from another computation."""
_ROUNDING = 0.5
"""The same for a reply in bfloat16."""
_BROKEN = "\ufffd"

Answers = Mapping[str, Answered]
Status = Literal["ok", "n/a", "deviation", "WRONG"]


@dataclass(frozen=True, slots=True)
class Cell:
    """note: why a check does not apply ("n/a"), what is behind one that is not ok, or how exactly
    engines agree.
    """

    status: Status
    note: str = ""


_NO_THOUGHTS = Cell("n/a", "the family does not think")
_NO_CACHE = Cell("n/a", "transformers encodes an image for every request")
_REFERENCE = Cell("n/a", "transformers is what vLLM is compared with")


@dataclass(frozen=True, slots=True)
class Problem:
    """check: under which it counts. is_rounded: of a reply that was computed in bfloat16 alone."""

    check: str
    text: str
    is_rounded: bool = False


class Checks:
    """Of one engine on one family."""

    def __init__(self, family: Family, engine: str, official: Official) -> None:
        self._family = family
        self._engine = engine
        is_causal = family.attends_causally and engine == "vllm"
        self._official = official.attending_causally() if is_causal else official
        self._known = family.known_deviation(engine)

    def cells(
        self, asked: Iterable[Question], record: Record, reference: Record | None
    ) -> dict[str, Cell]:
        asked = list(asked)
        problems = [p for question in asked for p in self._problems(question, record)]
        problems += _same_in_both_orders(record)
        cells = {check: self._cell(check, problems) for check in CHECKS}
        cells[ENCODE_ONCE] = self._encode_once(record)
        cells[AGREE] = self._agreement(record, reference)
        if self._family.thought is None:
            cells[ON] = _NO_THOUGHTS
        return cells

    def _cell(self, check: str, problems: list[Problem]) -> Cell:
        found = [p for p in problems if p.check == check]
        if not found:
            return Cell("ok")
        known = self._known if all(p.is_rounded for p in found) else None
        texts = "; ".join(dict.fromkeys(p.text for p in found))
        return Cell("deviation", f"{known}: {texts}") if known else Cell("WRONG", texts)

    def _problems(self, question: Question, record: Record) -> list[Problem]:
        answered = record.answers.get(question.name)
        name = question.name
        if answered is None:
            return [Problem(question.check, f"{name}: {record.failure or 'not asked'}")]
        if name == "direct":
            return [] if answered.error else [Problem(ON, "a verdict is read inside the thought")]
        if answered.error is not None:
            return [
                Problem(check, f"{name}: refused: {answered.error}")
                for check in (question.check, OFFICIAL)
            ]
        try:
            return self._wrong(question, answered, record.exact.get(name) if self._rounds else None)
        except OtherPromptError as error:
            return [Problem(check, f"{name}: {error}") for check in (question.check, OFFICIAL)]

    def _wrong(
        self, question: Question, answered: Answered, exact: Answered | None
    ) -> list[Problem]:
        """What is wrong with a reply or its prompt.

        exact: the reply without rounding, if there is one. Raises OtherPromptError if the prompt
        cannot be taken apart.
        """
        official, name = self._official, question.name
        prompt = official.read(question, answered.token_ids)
        markup = official.num_markup(answered.token_ids) - official.num_own_markup(question)
        if markup:
            return [Problem(HOSTILE, f"{name}: {markup} tokens of markup from texts")]
        if question.check == HOSTILE:  # the official prompt takes markup in texts for its own
            return []
        if found := official.difference(question, prompt, answered.token_ids):
            checks = (OFFICIAL, OFF) if self._is_off(question) else (OFFICIAL,)
            return [Problem(check, f"{name}: {found}") for check in checks]
        is_rounded = self._rounds and exact is None
        if question.request.labels:
            bounds = official.label_bounds(question, prompt)
            slack = _ROUNDING if is_rounded else _SLACK
            texts = _outside((exact or answered).label_logprobs, bounds, slack)
        else:
            texts = self._other_text(answered.text, official.written(question, prompt))
        return [Problem(question.check, f"{name}: {text}", is_rounded) for text in texts]

    def _is_off(self, question: Question) -> bool:
        return self._family.thought is not None and not question.thinks

    @property
    def _rounds(self) -> bool:
        return self._family.computes_in_bfloat16 and self._engine == "vllm"

    def _other_text(self, found: str, expected: str) -> list[str]:
        same = self._bare(found) == self._bare(expected)
        return [] if same else [f"it writes {found!r}, the model {expected!r}"]

    def _bare(self, text: str) -> str:
        """Without broken characters and tags of thoughts, which each side writes in its own way."""
        tags = ["<think>", "</think>"]
        if self._family.thought is not None:
            tags += [self._family.thought.opener.strip(), self._family.thought.closer.strip()]
        for tag in tags:
            text = text.replace(tag, "")
        return "".join(text.replace(_BROKEN, "").split())

    def _encode_once(self, record: Record) -> Cell:
        if self._engine == "transformers":
            return _NO_CACHE
        if record.num_encoded is None:
            return Cell("WRONG", record.failure or "no images were encoded")
        first, *later = record.num_encoded
        if first == record.num_images and not any(later):
            return Cell("ok")
        counts = ", ".join(map(str, record.num_encoded))
        return Cell("WRONG", f"{record.num_images} images encoded {counts} times under 4 prompts")

    def _agreement(self, record: Record, reference: Record | None) -> Cell:
        if self._engine == "transformers":
            return _REFERENCE
        if reference is None:
            return Cell("WRONG", "transformers has no record")
        difference, where = largest_difference(record.answers, reference.answers)
        if where is None:
            return Cell("WRONG", record.failure or "no reply to compare")
        if difference <= TOLERANCE:
            return Cell("ok", f"{difference:.0e}")
        text = f"{difference:.2g} nat apart on {where}"
        if self._known is None:
            return Cell("WRONG", text)
        return _without_cause(f"{self._known}: {text}", record, reference)


def _same_in_both_orders(record: Record) -> list[Problem]:
    """Two images in either order are two questions: if not, the engine does not see them."""
    pair, swapped = (record.answers.get(name) for name in ("pair", "pair, swapped"))
    if (
        pair is None
        or not pair.label_logprobs
        or pair.label_logprobs != getattr(swapped, "label_logprobs", None)
    ):
        return []
    return [Problem(PAIR, "the order of the images makes no difference")]


def _without_cause(text: str, record: Record, reference: Record) -> Cell:
    """A known deviation, which must be gone where either engine was asked without its cause."""
    how = "in float32, with the model's own operator in its place," if record.exact else ""
    how = "from transformers made to attend causally, too," if reference.exact else how
    ours, theirs = record.exact or record.answers, reference.exact or reference.answers
    difference, where = largest_difference(ours, theirs)
    is_gone = where is not None and difference <= TOLERANCE
    return Cell("deviation" if is_gone else "WRONG", f"{text}; {how} {difference:.0e}")


def largest_difference(one: Answers, two: Answers) -> tuple[float, str | None]:
    """Between label log-probabilities, in nats, and on which question."""
    differences = {
        name: max(abs(logprobs[label] - others[label]) for label in logprobs)
        for name, answered in one.items()
        if (logprobs := answered.label_logprobs)
        and (other := two.get(name))
        and (others := other.label_logprobs)
    }
    if not differences:
        return math.nan, None
    where = max(differences, key=differences.__getitem__)
    return differences[where], where


def _outside(
    logprobs: Mapping[str, float] | None, bounds: Mapping[str, Bounds], slack: float
) -> list[str]:
    """Labels whose log-probability is not what the model gives them."""
    if logprobs is None:
        return ["no log-probabilities"]
    mass = sum(map(math.exp, logprobs.values()))
    wrong = [
        f"log P({label}) is {logprobs[label]:.3f}, not in [{b.low:.3f}, {b.high:.3f}]"
        for label, b in bounds.items()
        if not b.low - slack <= logprobs[label] <= b.high + slack
    ]
    return [*wrong, *([f"the labels have mass {mass:.4f}"] if mass > 1 + slack else [])]
