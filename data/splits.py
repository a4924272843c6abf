"""Train and test: stratified by label, disjoint by group, the same under any row order."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from .errors import DataError
from .examples import Split


def assign_splits(
    labels: Sequence[str],
    groups: Sequence[str],
    *,
    seed: int = 0,
    test_fraction: float = 0.5,
    train_per_class: int | None = None,
) -> list[Split]:
    """The split of each row; `labels` and `groups` are aligned.

    Rows of one group stay together. Of each label the test split gets the share `test_fraction`,
    or all but `train_per_class` rows, as nearly as the groups allow: every label keeps a train
    row, and every label of two or more rows aims at a test row. Groups are placed largest first,
    equal ones by sha256 of seed and name, so that the order of rows makes no difference.

    Raises DataError for a fraction outside (0, 1) and for a label with no row to spare.
    """
    totals = Counter(labels)
    wanted = _test_targets(totals, test_fraction, train_per_class)
    members: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for label, group in zip(labels, groups, strict=True):
        members[group][label] += 1
    order = sorted(members, key=lambda name: (-members[name].total(), _draw(seed, name)))
    test_groups = _place([(group, members[group]) for group in order], wanted, totals)
    return ["test" if group in test_groups else "train" for group in groups]


def _place(
    groups: Sequence[tuple[str, Counter[str]]], wanted: dict[str, int], totals: Counter[str]
) -> set[str]:
    """The groups of the test split: each is moved for as long as that nears the targets."""
    test_groups: set[str] = set()
    placed: Counter[str] = Counter()
    is_settled = False
    while not is_settled:
        is_settled = True
        for group, members in groups:
            step = -1 if group in test_groups else 1
            if _nears_targets(members, step, placed, wanted, totals):
                test_groups ^= {group}
                for label, count in members.items():
                    placed[label] += step * count
                is_settled = False
    return test_groups


def _test_targets(
    totals: Counter[str], test_fraction: float, train_per_class: int | None
) -> dict[str, int]:
    if train_per_class is None:
        if not 0 < test_fraction < 1:
            raise DataError(f"--test-fraction {test_fraction}: give a number between 0 and 1")
        shares = {label: int(count * test_fraction + 0.5) for label, count in totals.items()}
        return {label: min(max(share, 1), totals[label] - 1) for label, share in shares.items()}
    short = [label for label, count in totals.items() if count <= train_per_class]
    if short or train_per_class < 1:
        found = ", ".join(f"{label}: {totals[label]}" for label in sorted(short)) or "all do"
        raise DataError(
            f"--train-per-class {train_per_class}: must be at least 1 and leave every class a "
            f"test row (classes with too few rows: {found})"
        )
    return {label: count - train_per_class for label, count in totals.items()}


def _nears_targets(
    members: Counter[str],
    step: int,
    placed: Counter[str],
    wanted: dict[str, int],
    totals: Counter[str],
) -> bool:
    """Whether moving a group into test (step 1) or out of it (-1) lessens the squared misses.

    A move that would leave a label without a train row is none.
    """
    gain = 0
    for label, count in members.items():
        miss = wanted[label] - placed[label]
        gain += miss**2 - (miss - step * count) ** 2
        if placed[label] + step * count >= totals[label]:
            return False
    return gain > 0


def _draw(seed: int, group: str) -> str:
    return hashlib.sha256(f"{seed}:{group}".encode()).hexdigest()
