"""What an importer is: facts about a source, and its rows before any check."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from ..examples import Split
from ..left_out import LeftOut
from .places import ImagePlace

Strata = Literal["label", "category", "category-label"]


@dataclass(frozen=True, slots=True)
class PaperSplit:
    """The sample of the BLPO paper: `per_stratum` train and as many test examples per stratum.

    num_strata: how many strata there have to be. max_per_group: at most so many of one group.
    """

    strata: Strata
    num_strata: int
    per_stratum: int
    max_per_group: int | None = None


@dataclass(frozen=True, slots=True)
class Card:
    """What is known of a source without reading it.

    home: its page. hub_id: its repository on the Hugging Face Hub, None if it has
        none; revision: the commit whose format was checked, None if no commit is pinned.
    patterns: the files of the repository that an import needs.
    gate: what has to be accepted first. notice: what its authors ask of its users.
    targets: the columns that can be the label, the default first, each with the packaged task
        that judges it; None where the user has to give a task.
    """

    name: str
    home: str
    licence: str
    targets: Mapping[str, str | None]
    hub_id: str | None = None
    revision: str | None = None
    patterns: tuple[str, ...] = ()
    gate: str | None = None
    notice: str | None = None
    paper_split: PaperSplit | None = None


@dataclass(frozen=True, slots=True)
class RawRow:
    """A labelled image as its source has it, before its image is read.

    row_id: unique in the source, the same under any order of files and rows.
    value: the label as text, or a raw score still to be binned.
    ratings: of the individual annotators, in rater order, on the scale of `value`.
    groups: rows that share one of these belong on one side of the split; the row's own id if
        there is none.
    split: the source's own, None if it has none.
    score_sd: standard deviation of the annotators' scores around `value`, where the source says so.
    image_b, swapped: of a pair: its second image in presented order, and whether the source has
        them the other way round.
    """

    row_id: str
    image: ImagePlace
    value: str | float
    text: str | None = None
    groups: tuple[str, ...] = ()
    category: str | None = None
    split: Split | None = None
    ratings: tuple[str | float, ...] = ()
    score_sd: float | None = None
    image_b: ImagePlace | None = None
    swapped: bool = False

    @property
    def images(self) -> tuple[ImagePlace, ...]:
        """The place of the image, or of image A and image B."""
        return (self.image,) if self.image_b is None else (self.image, self.image_b)


@dataclass(slots=True)
class Intake(LeftOut):
    """What an importer saw: files with their columns, and rows it could not use, by reason.

    scale: lowest and highest possible score where the source says so.
    """

    files: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    scale: tuple[float, float] | None = None

    def saw(self, path: Path, columns: list[str]) -> None:
        """A file that is read, and the columns it has."""
        self.files[str(path)] = columns


class Importer(Protocol):
    """A source that can be imported."""

    @property
    def card(self) -> Card: ...

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:
        """The labelled rows of `source`, a folder or file as downloaded, in any order.

        target: one of the card's. Files and skipped rows go to `intake`. Raises DataError for a
        source that is not in the format, naming the file and what is missing.
        """
        ...
