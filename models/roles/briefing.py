"""What `update_p: informed` tells Update_p beside the misjudged cases, and Update_q of images."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .optimizer import Case
from .verbalizer import Verbalization


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """The verdicts on the images of one human label: how many got which; None has no label."""

    human_label: str
    verdicts: Sequence[tuple[str | None, int]]

    @property
    def total(self) -> int:
        return sum(count for _, count in self.verdicts)


@dataclass(frozen=True, slots=True)
class EarlierPrompt:
    """A judge prompt that was judged before, beside the current one on the same images.

    num_gained: images that it alone judges as people do; num_lost: that the current one alone does.
    num_closer, num_further: images on which its verdict is nearer to the human label, or further
    from it; of labels without an order those gained and lost.
    """

    judge_prompt: str
    num_images: int
    num_gained: int
    num_lost: int
    num_closer: int
    num_further: int

    @property
    def standing(self) -> float:
        """How surely it is better than the current one: the signed root of McNemar's statistic."""
        changed = self.num_closer + self.num_further
        return (self.num_closer - self.num_further) / math.sqrt(changed) if changed else 0.0


@dataclass(frozen=True, slots=True)
class Briefing:
    """How the current judge prompt does, and what is known of others.

    counts: by human label, in the order of the task's labels. kept: cases that it judges as people
    do, seen through the same I2T prompt as the misjudged ones. earlier: the best last.
    """

    counts: Sequence[LabelCounts]
    kept: Sequence[Case]
    earlier: Sequence[EarlierPrompt]

    @property
    def num_images(self) -> int:
        return sum(row.total for row in self.counts)

    @property
    def num_right(self) -> int:
        return sum(
            count
            for row in self.counts
            for label, count in row.verdicts
            if label == row.human_label
        )


@dataclass(frozen=True, slots=True)
class SideBySide:
    """A judged example with its descriptions under several I2T prompts.

    verdict, comment: as of a case. descriptions: each with the place of its I2T prompt in the
    history, counted from 1; in the order of the history.
    """

    text: str | None
    human_label: str
    verdict: str | None
    comment: str | None
    descriptions: Sequence[tuple[int, Verbalization]]

    @property
    def is_cut_off(self) -> bool:
        """Whether a description is."""
        return any(description.is_cut_off for _, description in self.descriptions)

    @property
    def has_failed(self) -> bool:
        """Whether a description lacks one of the images for another reason."""
        return any(description.has_failed for _, description in self.descriptions)
