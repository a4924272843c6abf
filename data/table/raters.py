"""Several annotators of one image: their answers become one label, and are kept as ratings.

Nominal labels and preferences take the majority; ordinal ones the mean, rounded to the nearest
label, halves up. A draw of A and B is a tie where the task has one.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import fmean, median_low

import numpy as np

from ..label_sets import label_numbers
from ..left_out import LeftOut
from ..problems import Problems
from ..tasks import TIE, Criterion, Task
from .records import Record

NO_MAJORITY = "no majority among its annotators"


@dataclass(frozen=True, slots=True)
class Consensus:
    """label: None where no label has a majority. score: the mean of labels that are numbers."""

    label: str | None
    score: float | None = None


def rule(task: Task) -> str:
    """How the label comes about, in words."""
    if task.kind == "ordinal":
        return "mean of its annotators, rounded to the nearest label, halves up"
    return "majority of its annotators"


def consensus(ratings: Sequence[str], task: Task) -> Consensus:
    """The label of an image from its ratings, of which there is one at least."""
    if task.kind == "ordinal":
        return _mean(ratings, task)
    (first, most), *others = Counter(ratings).most_common()
    if not others or others[0][1] < most:
        return Consensus(first)
    return Consensus(TIE if task.is_pairwise and TIE in task.labels else None)


def _mean(ratings: Sequence[str], task: Task) -> Consensus:
    numbers = label_numbers(task.labels)
    steps = numbers or [float(step) for step in range(len(task.labels))]
    mean = fmean(steps[task.labels.index(rating)] for rating in ratings)
    middles = [(low + high) / 2 for low, high in pairwise(steps)]
    label = task.labels[int(np.searchsorted(middles, mean, side="right"))]
    return Consensus(label, mean if numbers else None)


def merged(
    records: Sequence[Record], task: Task, problems: Problems, left_out: LeftOut
) -> list[Record]:
    """One record per image and text, with the answers of all its rows in the order of raters.

    A repeated answer of one annotator counts once; one that contradicts it is a problem.
    """
    rows: defaultdict[tuple[object, ...], list[Record]] = defaultdict(list)
    for record in records:
        rows[record.image_hashes, record.text].append(record)
    return [_merged(item, task, problems, left_out) for item in rows.values()]


def _merged(rows: list[Record], task: Task, problems: Problems, left_out: LeftOut) -> Record:
    first = rows[0]
    if len(rows) == 1:
        return first
    for row in rows[1:]:
        if row.split != first.split:
            told = f"the image is in {row.split} here and in {first.split} at {first.where}"
            problems.add(row.where, f"{told}: correct the split")
    kept = sorted(_without_repeats(rows, problems, left_out), key=lambda row: _natural(row.rater))
    ratings = tuple(label for row in kept for label in row.ratings or (row.label,) if label)
    found = consensus(ratings, task)
    same_id = len({row.example_id for row in rows}) == 1
    return replace(
        first,
        example_id=first.example_id if same_id else first.default_id,
        label=found.label or "",
        score=found.score,
        ratings=ratings if len(ratings) > 1 else (),
        comment="; ".join(dict.fromkeys(row.comment for row in kept if row.comment)) or None,
        criteria=_merged_criteria(kept, task),
    )


def _merged_criteria(rows: Sequence[Record], task: Task) -> dict[str, str]:
    """By criterion, what most of its annotators answer: of probabilities the mean, of a scale the
    median, the lower one of two; none without a majority."""
    found: dict[str, str] = {}
    for criterion in task.criteria:
        name = criterion.name
        given = [row.criteria[name] for row in rows if name in row.criteria]
        answer = _joint_answer(given, criterion) if given else None
        if answer is not None:
            found[name] = answer
    return found


def _joint_answer(given: Sequence[str], criterion: Criterion) -> str | None:
    if criterion.kind == "probability":
        return f"{fmean(map(float, given)):.6g}"
    if len(criterion.labels) > 2 or criterion.kind == "ordinal":
        return criterion.labels[median_low(map(criterion.labels.index, given))]
    [(answer, most), *others] = Counter(given).most_common()
    return None if any(count == most for _, count in others) else answer


def _without_repeats(rows: list[Record], problems: Problems, left_out: LeftOut) -> list[Record]:
    firsts: dict[str, Record] = {}
    kept: list[Record] = []
    for row in rows:
        first = row if row.rater is None else firsts.setdefault(row.rater, row)
        if first is row:
            kept.append(row)
        elif first.label == row.label:
            left_out.skip("repeated answer of one annotator", row.where)
        else:
            problems.add(
                row.where,
                f"annotator {row.rater} says {row.label} here and {first.label} in {first.where}: "
                "keep one of them",
            )
    return kept


def _natural(rater: str | None) -> list[tuple[int, int, str]]:
    """A key under which W2 goes before W10."""
    parts = re.split(r"(\d+)", rater or "")
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p) for p in parts]
