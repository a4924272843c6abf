"""Drawing a stratified sample whose images are read only as they are drawn."""

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..errors import DataError
from ..examples import SPLITS, Split
from ..problems import Problems
from .protocol import RawRow, Strata

Stratum = tuple[Split, str]


@dataclass(frozen=True, slots=True)
class LabelledRow:
    """A row with its label, and the sides and strata that it may be drawn for."""

    row: RawRow
    label: str
    ratings: tuple[str, ...]
    split: Split
    group: str


@dataclass(frozen=True, slots=True)
class SamplePlan:
    """How much to draw; a number that is None takes all rows.

    strata: what a stratum is. train, test: examples per stratum. max_per_group: of one group.
    num_strata: how many strata there have to be, None if it does not matter.
    """

    strata: Strata = "label"
    train: int | None = None
    test: int | None = None
    max_per_group: int | None = None
    num_strata: int | None = None

    def size(self, split: Split) -> int | None:
        """Examples per stratum on one side."""
        return self.train if split == "train" else self.test

    def name(self, category: str | None, label: str) -> str:
        """The stratum of a row."""
        if self.strata == "label":
            return label
        return str(category) if self.strata == "category" else f"{category} x {label}"


Accept = Callable[[Sequence[LabelledRow]], Iterable[tuple[LabelledRow, bool]]]
"""Reads the images of candidates, and says of each, in order, whether it can be used."""


def draw(
    candidates: Sequence[LabelledRow],
    labels: Sequence[str],
    plan: SamplePlan,
    seed: int,
    accept: Accept,
    source: str,
) -> list[LabelledRow]:
    """The sample, the same under any order of `candidates`.

    Each stratum is drawn in the order of sha256 of seed and row id; what `accept` turns down is
    replaced by the next row. Scarce strata go first, since strata share groups.

    Raises DataError if strata are missing or short of rows, saying how short each one is.
    """
    queues = _queues(candidates, labels, plan, seed)
    _check_number(queues, plan, source)
    room = {stratum: plan.size(stratum[0]) for stratum in queues}
    drawn: list[LabelledRow] = []
    filled: Counter[Stratum] = Counter()
    per_group: Counter[str] = Counter()
    while batch := _next_batch(queues, room, filled, per_group, plan.max_per_group):
        for candidate, is_usable in accept(batch):
            if is_usable:
                drawn.append(candidate)
                filled[_stratum(candidate, plan)] += 1
            else:
                per_group[candidate.group] -= 1
    _check_filled(queues, room, filled, Counter(_stratum(c, plan) for c in candidates), source)
    return drawn


def _queues(
    candidates: Sequence[LabelledRow], labels: Sequence[str], plan: SamplePlan, seed: int
) -> dict[Stratum, deque[LabelledRow]]:
    """Candidates by stratum in the order to draw: test before train, scarce before frequent."""
    categories = {c.row.category for c in candidates}
    if plan.strata == "label":
        names = list(labels)
    else:
        pairs = [(category, label) for category in categories for label in labels]
        names = sorted({plan.name(category, label) for category, label in pairs})
    queues: dict[Stratum, deque[LabelledRow]] = {(s, n): deque() for s in SPLITS for n in names}
    for candidate in sorted(candidates, key=lambda c: _draw_key(seed, c.row.row_id)):
        queues[_stratum(candidate, plan)].append(candidate)
    return dict(sorted(queues.items(), key=lambda item: (item[0][0], len(item[1]), item[0])))


def _stratum(candidate: LabelledRow, plan: SamplePlan) -> Stratum:
    return candidate.split, plan.name(candidate.row.category, candidate.label)


def _next_batch(
    queues: Mapping[Stratum, deque[LabelledRow]],
    room: Mapping[Stratum, int | None],
    filled: Counter[Stratum],
    per_group: Counter[str],
    max_per_group: int | None,
) -> list[LabelledRow]:
    """What would fill every stratum if all of it can be used; counted into `per_group`."""
    batch: list[LabelledRow] = []
    for stratum, queue in queues.items():
        size = room[stratum]
        open_places = len(queue) if size is None else size - filled[stratum]
        held: list[LabelledRow] = []
        while queue and open_places > 0:
            candidate = queue.popleft()
            if max_per_group is not None and per_group[candidate.group] >= max_per_group:
                held.append(candidate)
                continue
            per_group[candidate.group] += 1
            batch.append(candidate)
            open_places -= 1
        # Their group has a place again if one of this batch turns out unusable.
        queue.extendleft(reversed(held))
    return batch


def _check_number(
    queues: Mapping[Stratum, deque[LabelledRow]], plan: SamplePlan, source: str
) -> None:
    names = sorted({name for _, name in queues})
    if plan.num_strata is not None and len(names) != plan.num_strata:
        raise DataError(
            f"{source}: the split needs {plan.num_strata} strata by {plan.strata}, found "
            f"{len(names)} ({', '.join(names)}): give numbers per class in place of the paper's"
        )


def _check_filled(
    queues: Mapping[Stratum, deque[LabelledRow]],
    room: Mapping[Stratum, int | None],
    filled: Counter[Stratum],
    available: Counter[Stratum],
    source: str,
) -> None:
    problems = Problems(source)
    for stratum in queues:
        size, (split, name) = room[stratum], stratum
        if size is not None and filled[stratum] < size:
            missing = size - filled[stratum]
            problems.add(
                f"{split}, {name}",
                f"{filled[stratum]} of {size} examples, {missing} short (rows in the source: "
                f"{available[stratum]}); ask for fewer, or stratify by something else",
            )
    problems.raise_if_any()


def _draw_key(seed: int, row_id: str) -> str:
    return hashlib.sha256(f"{seed}:{row_id}".encode()).hexdigest()
