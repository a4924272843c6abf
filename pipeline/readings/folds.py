"""Folds of training examples that part no group."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from ..metrics.labelled import Labelled

NUM_FOLDS = 5


def folds(examples: Sequence[Labelled]) -> Iterator[tuple[list[int], list[int]]]:
    """Positions of the rest and of the held-out examples, for each of `NUM_FOLDS` folds.

    The examples come from at least as many groups.
    """
    selection: Any = import_module("sklearn.model_selection")
    groups = [example.group for example in examples]
    for rest, held in selection.GroupKFold(NUM_FOLDS).split(groups, groups=groups):
        yield rest.tolist(), held.tolist()


def num_groups(examples: Sequence[Labelled]) -> int:
    return len({example.group for example in examples})
