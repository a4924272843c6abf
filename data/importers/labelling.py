"""From raw rows to labelled ones on a side of the split: binned, renamed, checked, grouped."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..errors import DataError
from ..examples import SPLITS, Split
from ..groups import connected_groups
from ..label_sets import explain_contradiction, rescaled_labels, unknown_label, unseen_label
from ..problems import Problems
from ..splits import assign_splits
from ..tasks import Task, label_text
from .binning import Binning, fit_binning
from .options import ImportOptions
from .protocol import Intake, RawRow
from .sampling import LabelledRow


@dataclass(frozen=True, slots=True)
class Labelling:
    """Labelled rows, and how they came to their labels and splits.

    binning: None for a source of labels. label_map: what labels were renamed to.
    own_splits: whether train and test are the source's.
    """

    rows: list[LabelledRow]
    binning: Binning | None
    label_map: dict[str, str]
    own_splits: bool


def check_renames(rows: Sequence[RawRow], label_map: Mapping[str, str], source: str) -> None:
    """Raises DataError for a label to rename that no row has. Scores are no labels."""
    of_labels = [row for row in rows if isinstance(row.value, str)]
    labels = {label_text(value) for row in of_labels for value in (row.value, *row.ratings)}
    problems = Problems(source)
    for found, name in label_map.items():
        if found not in labels:
            problems.add(f"--label {found}={name}", unseen_label(found, labels))
    problems.raise_if_any()


def label_rows(
    rows: Sequence[RawRow], task: Task, options: ImportOptions, intake: Intake, source: str
) -> Labelling:
    """Labels and splits of all rows; train rows of groups that are in test are left out.

    Raises DataError for scores that cannot be binned without a guess, and where the labels of the
    source contradict the task.
    """
    binning = _binning(rows, task, options, intake, source)
    label_map = _label_map(task, options, binning)
    labels = [_label(row.value, binning, label_map) for row in rows]
    _check_labels(rows, labels, task, source, has_scores=binning is not None)
    groups = connected_groups([row.groups or (row.row_id,) for row in rows])
    splits = _splits(rows, labels, groups, options)
    labelled = [
        LabelledRow(
            row, label, tuple(_label(r, binning, label_map) for r in row.ratings), split, group
        )
        for row, label, split, group in zip(rows, labels, splits, groups, strict=True)
    ]
    own_splits = _has_own_splits(rows, options)
    return Labelling(_disjoint(labelled, intake), binning, label_map, own_splits)


def _binning(
    rows: Sequence[RawRow], task: Task, options: ImportOptions, intake: Intake, source: str
) -> Binning | None:
    """The binning of a source of raw scores; None for one of labels."""
    scores = [row.value for row in rows if isinstance(row.value, float)]
    if not scores:
        if options.bins:
            raise DataError(f"{source}: has labels, not raw scores: leave --bins out")
        return None
    return fit_binning(scores, task, options.bins, options.scale or intake.scale, source)


def _label_map(task: Task, options: ImportOptions, binning: Binning | None) -> dict[str, str]:
    """The label for labels that the source spells otherwise or has on another scale."""
    given = dict(options.label_map or {})
    if binning is not None or options.scale is None:
        return given
    low, high = options.scale
    return rescaled_labels(low, high, task) | given


def _label(value: str | float, binning: Binning | None, label_map: Mapping[str, str]) -> str:
    if binning is not None and isinstance(value, float):
        return binning.label(value)
    text = label_text(value)
    return label_map.get(text, text)


def _check_labels(
    rows: Sequence[RawRow], labels: Sequence[str], task: Task, source: str, *, has_scores: bool
) -> None:
    """Raises DataError where the labels of the whole source and of the task are not the same."""
    problems = Problems(source)
    problems.explain(explain_contradiction(labels, task, has_scores=has_scores))
    for row, label in zip(rows, labels, strict=True):
        if label not in task.labels:
            problems.add(row.row_id, unknown_label(label, task))
    for label in sorted(set(task.labels) - set(labels), key=task.labels.index):
        problems.add(f"label {label!r}", "never occurs")
    problems.raise_if_any()


def _splits(
    rows: Sequence[RawRow], labels: Sequence[str], groups: Sequence[str], options: ImportOptions
) -> list[Split]:
    if _has_own_splits(rows, options):
        return [row.split for row in rows if row.split is not None]
    return assign_splits(labels, groups, seed=options.seed, test_fraction=options.test_fraction)


def _has_own_splits(rows: Sequence[RawRow], options: ImportOptions) -> bool:
    """Whether train and test are the source's: every row has a split, and both occur."""
    return not options.resplit and {row.split for row in rows} == set(SPLITS)


def _disjoint(rows: Sequence[LabelledRow], intake: Intake) -> list[LabelledRow]:
    """Without the train rows of groups that are in test, too."""
    in_test = {row.group for row in rows if row.split == "test"}
    kept: list[LabelledRow] = []
    for row in rows:
        if row.split == "train" and row.group in in_test:
            intake.skip("train row of a group that is in test", row.row.row_id)
        else:
            kept.append(row)
    return kept
