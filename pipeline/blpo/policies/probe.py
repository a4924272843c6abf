"""The probe: training items, right and wrong ones, on which the proposals of a step are judged.

A score on the error minibatch is a fix rate: blind to what a proposal breaks, and taken on items
that the optimizer LLM has just been shown. The probe is neither.
"""

from collections import defaultdict
from collections.abc import Collection, Hashable, Sequence

from ....data.examples import Example
from ...search.paired_gain import Strata
from ...search.seeds import derived_order, derived_seed


def draw_probe(
    train: Sequence[Example],
    strata: Strata,
    shown: Collection[str],
    size: int,
    seed: int,
    outer_step: int,
) -> list[Example]:
    """At most `size` items that no optimizer call has seen.

    Any first part of them holds the strata, split further by label, in about their shares.
    """
    unseen = [example for example in train if example.example_id not in shown]
    groups: defaultdict[Hashable, list[Example]] = defaultdict(list)
    for example in derived_order(unseen, _example_id, seed, "probe", outer_step):
        groups[strata[example.example_id], example.label].append(example)
    placed = [
        ((place + _offset(group, seed, outer_step)) / len(members), example)
        for group, members in groups.items()
        for place, example in enumerate(members)
    ]
    placed.sort(key=lambda item: (item[0], item[1].example_id))
    return [example for _, example in placed[:size]]


def held_out(train: Sequence[Example], share: float, seed: int) -> frozenset[str]:
    """example_ids of a share of the training examples, drawn by label."""
    by_label: defaultdict[str, list[Example]] = defaultdict(list)
    for example in derived_order(train, _example_id, seed, "holdout"):
        by_label[example.label].append(example)
    held = (e for own in by_label.values() for e in own[: round(share * len(own))])
    return frozenset(example.example_id for example in held)


def blocks(probe: Sequence[Example], size: int) -> list[Sequence[Example]]:
    """The probe cut into blocks of `size`; a rest shorter than half a block joins the last."""
    starts = list(range(0, len(probe), size))
    if not starts:
        return []
    if len(starts) > 1 and len(probe) - starts[-1] < size / 2:
        starts.pop()
    return [probe[a:b] for a, b in zip(starts, [*starts[1:], len(probe)], strict=True)]


def _example_id(example: Example) -> str:
    return example.example_id


def _offset(group: Hashable, seed: int, outer_step: int) -> float:
    """Where in its first interval a group starts, 0..1: small groups do not all come late."""
    return derived_seed(seed, "probe offset", outer_step, repr(group)) / 2**64
