"""Whether p' becomes p_{t+1}: always, as published, or only on a paired gain.

The p' with the best of a few noisy scores is often worse than p. The paired test asks for a gain
on items that no optimizer call of the proposal's lineage has seen.
"""

from collections.abc import Collection

from ...search.paired_gain import Losses, Strata, paired_gain
from ..records import Decision


def accept_on_gain(
    before: Losses, after: Losses, strata: Strata, seen: Collection[str], confidence: float
) -> Decision:
    """The paired test: accepted if the lower bound of the gain on unseen items is above 0."""
    unseen = {item: loss for item, loss in after.items() if item not in seen}
    gain = paired_gain(before, unseen, strata)
    if gain.lower(confidence) > 0:
        return Decision(True, gain)
    return Decision(False, gain, f"no gain at {confidence:.0%} confidence")


def more_are_right(before: Losses, after: Losses, strata: Strata, seen: Collection[str]) -> bool:
    """Whether more verdicts on unseen items are right; the losses are 0 and 1."""
    unseen = {item: loss for item, loss in after.items() if item not in seen}
    return paired_gain(before, unseen, strata).mean > 0
