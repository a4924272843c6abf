"""Batches of questions, with what their prompts mean noted token by token."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import train_micro as micro
from blpo.data.micro.clauses import ENDS, strip_marks
from blpo.data.micro.meaning import Weighing, counted_steps, effective
from blpo.data.micro.phrasings import Statement
from blpo.data.micro.world import FAMILIES, Family, Scale, Scene, aspect_names

from .asking import Asked

NOT_NAMED, WEIGHED, EXCLUDED, DOUBLE, ALONE, AT_FAULT, CLEAN = 0, 1, 2, 3, 4, 5, 13
"""Status of an aspect. AT_FAULT and CLEAN: weighed where another is so, plus its place."""
NUM_STATUSES = 21
NUM_PLACES = 8
"""Aspects of a family."""
FIRST_PLACE: Mapping[Family, int] = {f: NUM_PLACES * k for k, f in enumerate(FAMILIES)}

Row = tuple[int, ...]


@dataclass(slots=True)
class MeaningNotes(micro.Notes):
    """What inner layers are trained towards; row and token first in every entry.

    clauses: kind of the clause that ends there. sentences, meanings: first place of the family,
    then the status of its aspects, as a sentence says it and as the whole prompt does. costs: the
    same with what each fault that counts costs. told: aspects of a description that are told up
    to there. kinds: of the question that ends there. Of the second picture of a pair: second_claims
    and second_costs as above; seconds: value and fault of the aspect named there.
    """

    clauses: list[Row] = field(default_factory=list[Row])
    sentences: list[Row] = field(default_factory=list[Row])
    meanings: list[Row] = field(default_factory=list[Row])
    costs: list[Row] = field(default_factory=list[Row])
    told: list[Row] = field(default_factory=list[Row])
    second_claims: list[Row] = field(default_factory=list[Row])
    seconds: list[Row] = field(default_factory=list[Row])
    second_costs: list[Row] = field(default_factory=list[Row])
    kinds: dict[tuple[int, int], str] = field(default_factory=dict[tuple[int, int], str])


def statuses(
    family: Family,
    weighed: Mapping[str, Weighing],
    excluded: Collection[str],
    *,
    rest: bool = False,
) -> list[int]:
    """Status of the family's aspects, in order. rest: those left out are weighed."""
    own = aspect_names(family)
    found = [EXCLUDED if n in excluded else _status(weighed.get(n), own) for n in own]
    return [WEIGHED if rest and status == NOT_NAMED else status for status in found]


def _status(weighing: Weighing | None, own: Sequence[str]) -> int:
    if weighing is None:
        return NOT_NAMED
    if (condition := weighing.condition) is None:
        return DOUBLE if weighing.steps == 2 else WEIGHED
    if condition.aspect is None:
        return ALONE
    return (AT_FAULT if condition.at_fault else CLEAN) + own.index(condition.aspect)


def rounded(length: int, step: int) -> int:
    """The next multiple: kernels are compiled anew for every shape."""
    return -(-length // step) * step


class Batcher(micro.Batcher):
    """Makes batches of given questions."""

    def make(
        self,
        rng: random.Random,
        scenes: Sequence[Scene],
        asked: Sequence[Sequence[Asked]],
        num_bridge: int,
        *,
        by_row: Sequence["Batcher"] | None = None,
    ) -> micro.Batch:
        """A batch with the questions asked about each scene.

        by_row: batchers whose layouts the rows have, with the image at this one's place.
        """
        out, makers = MeaningNotes(), by_row or [self] * len(scenes)
        assert {maker.image_start for maker in makers} == {self.image_start}
        rows = [
            maker._row(rng, row, scene, questions, num_bridge, out)
            for row, (maker, scene, questions) in enumerate(zip(makers, scenes, asked, strict=True))
        ]
        length = rounded(max(len(ids) for ids, _, _ in rows), 32)
        ids, offsets, branches = (
            torch.tensor([part + [fill] * (length - len(part)) for part in column])
            for column, fill in zip(zip(*rows, strict=True), (self.end, 0, -2), strict=True)
        )
        return micro.Batch(self.image_start, ids, self._spread(offsets), branches, out)

    def _label_shares(
        self, rng: random.Random, question: micro.Question, scale: Scale
    ) -> Mapping[str, float]:
        if isinstance(question, Asked) and question.labels:
            return question.labels
        return super()._label_shares(rng, question, scale)

    def _note_question(
        self,
        rng: random.Random,
        row: int,
        start: int,
        scene: Scene,
        question: micro.Question,
        prompt: Sequence[int],
        answer: Sequence[int],
        out: micro.Notes,
    ) -> None:
        super()._note_question(rng, row, start, scene, question, prompt, answer, out)
        if not isinstance(question, Asked) or not isinstance(out, MeaningNotes):
            return
        last, first = start + len(prompt) - 1, FIRST_PLACE[scene.family]
        weighed = effective(scene.family, question.meaning)
        status = statuses(scene.family, weighed, question.meaning.excluded)
        out.meanings.append((row, last, first, *status))
        out.kinds[row, last] = question.kind
        if question.scale:
            cost = counted_steps(scene, question.meaning)
            own = [cost.get(name, 0) for name in aspect_names(scene.family)]
            out.costs.append((row, last, first, *own))
        else:
            self._note_told(row, last + 1, answer, out)
        self._note_marks(row, start, scene.family, question, prompt, out)

    def _note_told(self, row: int, start: int, answer: Sequence[int], out: MeaningNotes) -> None:
        """Where a description goes on to a value, to another aspect or to its end."""
        texts, told = self.tokenizer.convert_ids_to_tokens(answer), 0
        for place, text in enumerate(texts):
            told += text == "."
            if text in (".", ":"):
                out.told.append((row, start + place, told))

    def _note_marks(
        self,
        row: int,
        start: int,
        family: Family,
        question: Asked,
        prompt: Sequence[int],
        out: MeaningNotes,
    ) -> None:
        """Clauses and sentences at their last tokens."""
        plain, marks = strip_marks(question.marked)
        if not marks:
            return
        encoded: Any = self.tokenizer(plain, add_special_tokens=False, return_offsets_mapping=True)
        if encoded["input_ids"] != list(prompt[: len(encoded["input_ids"])]):
            raise AssertionError(f"the layout has other tokens for {plain!r}")
        ends = [end for _, end in encoded["offset_mapping"]]
        said = iter(_in_order(question.statements, question.marked))
        for chars, mark in marks:
            where = start + next(k for k, end in enumerate(ends) if end >= chars)
            if mark != ENDS:
                out.clauses.append((row, where, ord(mark) - 0xE000))
                continue
            one = next(said)
            status = statuses(family, one.weighed, one.excluded, rest=one.all_weighed)
            out.sentences.append((row, where, FIRST_PLACE[family], *status))


def _in_order(statements: Sequence[Statement], marked: str) -> list[Statement]:
    return sorted(statements, key=lambda statement: marked.index(statement.text))
