"""What a user decides about an import."""

from collections.abc import Mapping
from dataclasses import dataclass

from .binning import Bins, Scale
from .sampling import SamplePlan

_EVERYTHING = SamplePlan()


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a source becomes a dataset; the defaults take every row that can be used.

    target: the column that is the label, the card's first if None.
    bins, scale: how raw scores become labels, see `fit_binning`.
    label_map: the task's label for labels that the source spells otherwise.
    plan: how much to draw; `paper_split` of the card if `use_paper_split`.
    resplit: whether the source's own train and test are ignored.
    test_fraction: share of the test split where the source has none of its own.
    """

    task: str | None = None
    target: str | None = None
    bins: Bins | None = None
    scale: Scale | None = None
    label_map: Mapping[str, str] | None = None
    plan: SamplePlan = _EVERYTHING
    use_paper_split: bool = False
    resplit: bool = False
    test_fraction: float = 0.5
    seed: int = 0
    overwrite: bool = False
