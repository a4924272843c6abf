"""Racing: proposals are judged block by block, and one that cannot win any more is dropped.

Successive elimination on paired differences. `argmax` is a race of one block.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from ...search.paired_gain import Losses, Strata, paired_gain

Block = TypeVar("Block")
Judge = Callable[[Sequence[str], Block], Sequence[Losses]]
"""Losses on a block of each of some judge prompts, in order."""


def race(
    known: Mapping[str, Losses],
    blocks: Sequence[Block],
    judge: Judge[Block],
    parent: Losses,
    strata: Strata,
    confidence: float,
    rivals: Sequence[Losses] = (),
) -> dict[str, dict[str, float]]:
    """The losses of each prompt on the items that it was judged on, those known included.

    known: the prompts, each with the losses known before. Before every block a prompt stays if it
    may still be better than the parent and than the best, which may be one of the `rivals`, judged
    before: both at one-sided `confidence`. The best one stays as long as it may be better than the
    parent.
    """
    losses = {prompt: dict(own) for prompt, own in known.items()}
    running = list(losses)
    for block in blocks:
        running = survivors({p: losses[p] for p in running}, parent, strata, confidence, rivals)
        if not running:
            break
        for prompt, judged in zip(running, judge(running, block), strict=True):
            losses[prompt] |= judged
    return losses


def survivors(
    losses: Mapping[str, Losses],
    parent: Losses,
    strata: Strata,
    confidence: float,
    rivals: Sequence[Losses] = (),
) -> list[str]:
    """The prompts that may still win, in order."""
    best = max([*losses.values(), *rivals], key=lambda own: paired_gain(parent, own, strata).mean)
    return [
        prompt
        for prompt, own in losses.items()
        if paired_gain(parent, own, strata).upper(confidence) > 0
        and (own is best or paired_gain(best, own, strata).upper(confidence) > 0)
    ]
