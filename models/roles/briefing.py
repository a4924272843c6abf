"""What `update_p: informed` tells Update_p beside the misjudged cases."""

from collections.abc import Sequence
from dataclasses import dataclass

from .optimizer import Case


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
    """

    judge_prompt: str
    num_images: int
    num_gained: int
    num_lost: int

    @property
    def gain(self) -> float:
        """Difference of the shares that are right."""
        return (self.num_gained - self.num_lost) / self.num_images


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
