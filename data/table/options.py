"""What a user decides about the import of a table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Validation = Literal["train", "test", "skip"]


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How a table becomes a dataset.

    more: further tables with the same columns, read after the first.
    columns: the table's column per role, where its name is not one of ALIASES; an empty name
        leaves a role out (split="" splits anew).
    label_map: the task's label for labels that the table spells otherwise.
    scale_map: the task's label for labels on another scale, of which not all have to occur.
    criteria: column of annotators' answers by criterion of the task; those that are not named here
        are found as criterion_NAME.
    ratings: columns of one annotator each. several_raters: whether rows with the same image and
        text are answers of several annotators, though no column tells whose.
    image_root: what image paths start from; the table's folder if not given.
    more_roots: further folders, tried after image_root; a path that is in two of them is a problem.
    image_prefix: what they begin with in place of it; None to find out.
    allow_outside: whether they may lead out of that folder.
    downloads: folder for images behind URLs; None to refuse them.
    sheet: of a spreadsheet; "" for the only one.
    skip_faulty: whether rows with a problem are left out and counted.
    validation: where the rows of a validation split go; None leaves them out, or takes them for
        test where there is none.
    test_fraction, train_per_class, seed: of the split where the table has none.
    split_as: an older dataset, whose images and groups keep their side; the numbers above are of
        the rows that are new.
    shuffle_pairs: writes pairs in the order that a hash of their id decides, with the label turned
        along: for tables that have the preferred image always first.
    """

    more: tuple[Path, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict[str, str])
    label_map: Mapping[str, str] = field(default_factory=dict[str, str])
    scale_map: Mapping[str, str] = field(default_factory=dict[str, str])
    criteria: Mapping[str, str] = field(default_factory=dict[str, str])
    ratings: tuple[str, ...] = ()
    several_raters: bool = False
    image_root: Path | None = None
    more_roots: tuple[Path, ...] = ()
    image_prefix: str | None = None
    allow_outside: bool = False
    downloads: Path | None = None
    sheet: str = ""
    skip_faulty: bool = False
    validation: Validation | None = None
    test_fraction: float = 0.5
    train_per_class: int | None = None
    seed: int = 0
    split_as: Path | None = None
    shuffle_pairs: bool = False

    def files_read(self, source: Path) -> tuple[Path, ...]:
        """The table and what is read beside it, but images."""
        return (source, *self.more, *filter(None, [self.split_as]))


NO_OPTIONS = TableOptions()
