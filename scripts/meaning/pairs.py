"""Questions which of two pictures is better, and batches of them."""

import dataclasses
import random
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import train_micro as micro
from blpo.data.micro.clauses import strip_marks
from blpo.data.micro.meaning import Meaning, counted_steps
from blpo.data.micro.phrasings import Statement
from blpo.data.micro.wordings import draw_prompt
from blpo.data.micro.world import Family, Scene, aspect, aspect_names, claim_text, is_fault
from blpo.models.requests.layout import make_layout

from .asking import Asked, Drawn, draw_judging_blocks, draw_meaning, named_meaning
from .batches import FIRST_PLACE, Batcher, MeaningNotes, rounded
from .knobs import NO_KNOBS, Knobs
from .plans import Plan

Pair = tuple[Scene, Scene]
"""Two scenes of a family with the same claims."""

Place = tuple[int, int, int]
"""A rotary position: time, row and column."""

INSTRUCTIONS = (
    "Answer with one letter: A or B.",
    "Answer A or B.",
    "Which image is better? Answer with one letter: A or B.",
    "Reply with A or B only.",
)
_SCALE = "match"
"""Stands for two labels."""
_SIDE = micro.GRID // micro.MERGE
"""Image tokens in a row."""


def rival(rng: random.Random, scene: Scene) -> Scene:
    """Another scene with the same claims; faults have a rate of their own."""
    rate, values = rng.uniform(0.1, 0.7), dict[str, str]()
    for name in scene.values:
        own, faulty = aspect(name), rng.random() < rate
        right = scene.claims.get(name) if own.fault_value is None else own.states[1]
        possible = [v for v in own.values if right is None or (v == right) is not faulty]
        values[name] = rng.choice(possible)
    return Scene(scene.family, values, scene.claims, rng.randrange(2**62))


def with_common_claims(rng: random.Random, first: Scene, second: Scene) -> Pair:
    """The two scenes with claims that now this one keeps, now that one."""
    claims = {name: rng.choice((first, second)).values[name] for name in first.claims}
    return (
        dataclasses.replace(first, claims=claims),
        dataclasses.replace(second, claims=claims),
    )


def preference_shares(pair: Pair, meaning: Meaning, knobs: Knobs = NO_KNOBS) -> Mapping[str, float]:
    """A and B, each with its share: of the one with less amiss, as far as the leaning lets it."""
    first, second = (sum(counted_steps(scene, meaning).values()) for scene in pair)
    lead = min(max(second - first + knobs.first_position, -1.0), 1.0)
    share = 0.5 + (0.5 - micro.LABEL_FLIPS) * lead
    return {"A": share, "B": 1 - share}


def ask_pair(
    rng: random.Random, pair: Pair, plan: Plan, knobs: Knobs = NO_KNOBS, *, blocks: bool = False
) -> Asked:
    """A random question which is better."""
    family = pair[0].family
    if blocks:
        drawn = draw_judging_blocks(rng, family, rng.choice(micro.NATIVE_SCALES[family]))
    elif rng.random() < plan.share:
        drawn = draw_meaning(rng, family, plan)
    else:
        drawn = _draw_plain(rng, family, plan)
    marked, meaning, said = drawn
    end = f"\n{INSTRUCTIONS[0] if rng.random() < 0.7 else rng.choice(INSTRUCTIONS)}"
    return asked_pair(marked, end, pair, meaning, said, knobs)


def asked_pair(
    marked: str,
    end: str,
    pair: Pair,
    meaning: Meaning,
    said: Sequence[Statement] = (),
    knobs: Knobs = NO_KNOBS,
) -> Asked:
    """A question from a prompt with marks and its answer instruction."""
    shares = preference_shares(pair, meaning, knobs)
    answer, prompt = max(shares, key=lambda label: shares[label]), strip_marks(marked)[0]
    kind = f"pair {knobs.leaning}" if knobs.first_position else "pair"
    return Asked(
        prompt + end, _SCALE, answer, meaning, marked + end, tuple(said), kind, labels=shares
    )


def _draw_plain(rng: random.Random, family: Family, plan: Plan) -> Drawn:
    own = aspect_names(family)
    names = rng.sample(own, rng.randint(1, max(2, plan.max_names + 1)))
    prompt = draw_prompt(rng, names, plan.fillers)
    return prompt, named_meaning(prompt, family), ()


class PairBatcher(Batcher):
    """Makes batches about two pictures a row."""

    def __init__(self, processor: Any, template_kwargs: Mapping[str, Any] | None = None) -> None:
        super().__init__(processor, template_kwargs)
        self.layouts = [
            make_layout(processor, block_size, template_kwargs=template_kwargs, num_images=2)
            for block_size in (16, 32)
        ]

    def make_pairs(
        self, rng: random.Random, pairs: Sequence[Pair], asked: Sequence[Sequence[Asked]]
    ) -> micro.Batch:
        """A batch with the questions asked about each pair."""
        out = MeaningNotes()
        rows = [
            self._pair_row(rng, row, pair, questions, out)
            for row, (pair, questions) in enumerate(zip(pairs, asked, strict=True))
        ]
        length = rounded(max(len(ids) for ids, _, _ in rows), 32)
        ids, places, branches = (
            torch.tensor([[*part, *[fill] * (length - len(part))] for part in column])
            for column, fill in zip(zip(*rows, strict=True), (self.end, (0, 0, 0), -2), strict=True)
        )
        return micro.Batch(self.image_start, ids, places.permute(2, 0, 1), branches, out)

    def _pair_row(
        self,
        rng: random.Random,
        row: int,
        pair: Pair,
        asked: Sequence[Asked],
        out: MeaningNotes,
    ) -> tuple[list[int], list[Place], list[int]]:
        layout, text = rng.choice(self.layouts), claim_text(pair[0])
        trunk = layout.token_ids("", num_images=2, text=text)[: -len(layout.suffix)]
        ids, places = self._with_images(trunk)
        branches = [-1] * len(ids)
        self._note_claims(row, pair[0], ids, out)
        self._note_second_claims(row, pair[1], ids, out)
        start = places[-1][0] + 1
        for number, question in enumerate(asked):
            prompt = layout.token_ids(question.prompt, num_images=2, text=text)[len(trunk) :]
            self._note_question(rng, row, len(ids), pair[0], question, prompt, (), out)
            self._note_second(row, len(ids), pair[1], question, prompt, out)
            ids += prompt
            places += [(at, at, at) for at in range(start, start + len(prompt))]
            branches += [number] * len(prompt)
        return ids, places, branches

    def _with_images(self, trunk: Sequence[int]) -> tuple[list[int], list[Place]]:
        """Token ids with all tokens of both images, and rotary positions."""
        ids, places, at = list[int](), list[Place](), 0
        for token in trunk:
            if token == self.pad:
                ids += [self.pad] * micro.NUM_IMAGE_TOKENS
                places += [(at, at + k // _SIDE, at + k % _SIDE) for k in range(_SIDE**2)]
                at += _SIDE
            else:
                ids.append(token)
                places.append((at, at, at))
                at += 1
        return ids, places

    def _note_second_claims(
        self, row: int, scene: Scene, ids: Sequence[int], out: MeaningNotes
    ) -> None:
        """As `_note_claims`, of the second picture."""
        mine = len(out.claims)
        self._note_claims(row, scene, ids, out)
        out.second_claims += out.claims[mine:]
        del out.claims[mine:]

    def _note_second(
        self,
        row: int,
        start: int,
        scene: Scene,
        question: Asked,
        prompt: Sequence[int],
        out: MeaningNotes,
    ) -> None:
        """What the second picture shows of named aspects, and what its faults cost."""
        for place, token in enumerate(prompt, start=start):
            index = self.words.names.get(token)
            if index is None or (name := micro.ASPECTS[index].name) not in scene.values:
                continue
            value = micro.VALUE_INDEX[name, scene.values[name]]
            out.seconds.append((row, place, value, int(is_fault(scene, name))))
        cost = counted_steps(scene, question.meaning)
        own = [cost.get(name, 0) for name in aspect_names(scene.family)]
        last, first = start + len(prompt) - 1, FIRST_PLACE[scene.family]
        out.second_costs.append((row, last, first, *own))
