"""Folds of training examples that part no group."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..metrics.labelled import Labelled

Places = NDArray[np.int64]
NUM_FOLDS = 5


def folds(examples: Sequence[Labelled]) -> Iterator[tuple[Places, Places]]:
    """Positions of the rest and of the held-out examples, for each of `NUM_FOLDS` folds.

    The examples come from at least as many groups.
    """
    selection: Any = import_module("sklearn.model_selection")
    groups = [example.group for example in examples]
    yield from selection.GroupKFold(NUM_FOLDS).split(groups, groups=groups)


def num_groups(examples: Sequence[Labelled]) -> int:
    return len({example.group for example in examples})
