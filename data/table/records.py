"""A row of a table after it was looked at."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..images import ImageFacts
from ..sources.base import SplitName

_NO_IMAGE = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a row. reason: the kind, under which rows are counted. remedy: what to do,
    where it is told once for all rows."""

    reason: str
    message: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """A checked row without its image bytes; image_hash is their sha256, of none where the image
    cannot be used.

    row: its number in the source, from 0. default_id: the id of a row that gives none.
    label: "" without one. spellings: cells that are read as another text, with the label.
    renamed: what cells say that the label map renames, as they say it.
    rater: who answered, of a row per answer. ratings: of the annotators that one row holds.
    score: the mean that the label was rounded from.
    facts, ways: of its images; how those were read that were not plain files.
    criteria: annotators' answers by criterion. further_hashes: of the images after the first.
    has_unread_comment: whether the comment is an object, and no text.
    swapped: whether a pair is written the other way round than the table has it, which `label` then
    speaks of.
    """

    row: int
    where: str
    example_id: str
    default_id: str
    image_hash: str
    text: str | None
    label: str
    group: str
    category: str | None
    split: SplitName | None
    problems: tuple[Problem, ...] = ()
    renamed: tuple[str, ...] = ()
    spellings: tuple[tuple[str, str], ...] = ()
    rater: str | None = None
    ratings: tuple[str, ...] = ()
    score: float | None = None
    facts: tuple[ImageFacts, ...] = ()
    ways: tuple[str, ...] = ()
    further_hashes: tuple[str, ...] = ()
    swapped: bool = False
    comment: str | None = None
    has_unread_comment: bool = False
    criteria: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    @property
    def has_image(self) -> bool:
        """Whether its first image can be used."""
        return self.image_hash != _NO_IMAGE

    @property
    def image_hashes(self) -> tuple[str, ...]:
        """Of its images, in order."""
        return (self.image_hash, *self.further_hashes)
