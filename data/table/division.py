"""Which side of the split each row of a table is on."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import DataError
from ..examples import SPLITS, Split, check_coverage
from ..groups import connected_groups
from ..pairs import SWAPPED_LABELS, is_swapped
from ..problems import Problems
from ..shown import shortened
from ..sources.base import TableSource
from ..splits import assign_splits
from .columns import columns_in
from .kept_sides import OldSplit, kept_sides, keys_of, told_sides
from .options import NO_OPTIONS, TableOptions, Validation
from .records import Record
from .report import ImportReport, notes_on_copies, notes_on_split
from .rows import RowReader


@dataclass(slots=True)
class Inspection:
    """A table that was looked at.

    problems: why it cannot become a dataset; nothing is written then. records: the examples, and
    splits, one of each.
    """

    table: TableSource
    reader: RowReader
    report: ImportReport
    problems: Problems
    records: list[Record]
    splits: list[Split]


def divide(looked: Inspection, options: TableOptions, old: OldSplit | None = None) -> None:
    """Fill in the splits and what the report says of them.

    Rows of one group stay together, and so do rows with one image. A split that the table gives is
    taken as it is; one of train rows alone is none. old: what of it is here keeps its side.
    """
    given_groups = {record.row: record.group for record in looked.records}
    looked.records = _linked(looked.records)
    if looked.reader.task.is_pairwise and options.shuffle_pairs:
        looked.records = [_shuffled(record) for record in looked.records]
    _place_validation(looked, options.validation)
    _check_disjoint(looked.problems, looked.records)
    _check_groups(looked, given_groups)
    kept = _kept(looked, given_groups, options, old)
    if looked.problems.count:
        return
    given: list[Split] = [r.split for r in looked.records if r.split and r.split != "validation"]
    drawn = not given or set(given) == {"train"}
    if given and drawn:
        looked.report.notes.append("every row is in train: test is drawn anew")
    if old is not None and not drawn:
        looked.problems.add(
            "",
            "the source has a split of its own: ignore it with --column split=, or leave out "
            "--split-as",
        )
    looked.splits = _dealt(looked.records, kept, options) if drawn else given
    _tell_split(looked, drawn=drawn)


def _kept(
    looked: Inspection,
    given_groups: Mapping[int, str],
    options: TableOptions,
    old: OldSplit | None,
) -> list[Split | None]:
    """The side that each row has in the old split; None where it has none."""
    if old is None:
        return [None for _ in looked.records]
    kept = kept_sides(old, looked.records, given_groups, looked.problems)
    looked.report.notes += told_sides(old, looked.records, kept)
    looked.report.notes += _unused_numbers(kept, options)
    return kept


def _tell_split(looked: Inspection, *, drawn: bool) -> None:
    """What the report says of the splits; a label that a side lacks is a problem."""
    task, report = looked.reader.task, looked.report
    rows = zip(looked.splits, looked.records, strict=True)
    sides: list[tuple[Split, str]] = [(split, record.label) for split, record in rows]
    check_coverage(looked.problems, sides, task)
    counts = Counter(sides)
    report.num_rows = len(looked.records)
    report.num_groups = len({record.group for record in looked.records})
    report.counts = {s: {label: counts[s, label] for label in task.labels} for s in SPLITS}
    report.notes += notes_on_copies(looked.records)
    report.notes += notes_on_split(looked.records, looked.splits, task, drawn=drawn)


def _dealt(
    records: Sequence[Record], kept: Sequence[Split | None], options: TableOptions
) -> list[Split]:
    """The sides of all rows: those that are kept, and one drawn for each other row."""
    new = [record for record, side in zip(records, kept, strict=True) if side is None]
    try:
        drawn = assign_splits(
            [record.label for record in new],
            [record.group for record in new],
            seed=options.seed,
            test_fraction=options.test_fraction,
            train_per_class=options.train_per_class,
        )
    except DataError as error:
        if options.split_as is None:
            raise
        raise DataError(
            f"{error}; with --split-as only new rows count, {len(new):,} of {len(kept):,} here: "
            f"those of {options.split_as}, and of its groups and images, are on a side already"
        ) from error
    rest = iter(drawn)
    return [side or next(rest) for side in kept]


def _unused_numbers(kept: Sequence[Split | None], options: TableOptions) -> Iterator[str]:
    """Which of the numbers of the split are given in vain, as no row is dealt."""
    if None in kept:
        return
    for name in ("test_fraction", "train_per_class"):
        if getattr(options, name) != getattr(NO_OPTIONS, name):
            yield f"no row is dealt: --{name.replace('_', '-')} changes nothing"


def _linked(records: Sequence[Record]) -> list[Record]:
    """Rows of one group, or that share an image, or are connected by others that do, in one group.

    It is named after the first of its rows' groups in sorted order.
    """
    linked = connected_groups([keys_of(record.group, record.image_hashes) for record in records])
    names: dict[str, str] = {}
    for record, group in zip(records, linked, strict=True):
        names[group] = min(record.group, names.get(group, record.group))
    return [replace(r, group=names[group]) for r, group in zip(records, linked, strict=True)]


def _shuffled(record: Record) -> Record:
    if not is_swapped(record.example_id):
        return record
    ratings = tuple(SWAPPED_LABELS[rating] for rating in record.ratings)
    return replace(record, label=SWAPPED_LABELS[record.label], ratings=ratings, swapped=True)


def _place_validation(looked: Inspection, wanted: Validation | None) -> None:
    """Leave out the validation split, or make it one of the two that there are."""
    held = [record for record in looked.records if record.split == "validation"]
    if not held:
        return
    has_test = any(record.split == "test" for record in looked.records)
    place = wanted or ("skip" if has_test else "test")
    if place == "skip":
        for record in held:
            reason = "row of the validation split, which --validation test or train takes"
            looked.report.left_out.skip(reason, record.where)
        looked.records = [r for r in looked.records if r.split != "validation"]
        return
    looked.records = [
        replace(r, split=place) if r.split == "validation" else r for r in looked.records
    ]
    why = "" if wanted else " as there is no test split; --validation train or skip changes it"
    looked.report.notes.append(f"the validation split, {len(held):,} rows, is in {place}{why}")


def _check_disjoint(problems: Problems, records: Sequence[Record]) -> None:
    rows: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for record in records:
        if record.split is not None:
            rows[record.group].setdefault(record.split, record.where)
    for group, places in rows.items():
        if len(places) == len(SPLITS):
            problems.add(
                places["test"],
                f"group {shortened(group)!r} is in test here and in train at {places['train']}; "
                "ignore the split column with --column split= to split anew, or name a column of "
                "finer groups with --column group=COLUMN",
            )


def _check_groups(looked: Inspection, given: Mapping[int, str]) -> None:
    """One group cannot be divided: say what makes it one. given: group by row, before links."""
    records = looked.records
    has_splits = any(record.split is not None for record in records)
    if has_splits or len(records) < 2 or len({record.group for record in records}) > 1:
        return
    columns = looked.reader.columns
    image = columns_in(columns[looked.reader.image_roles[0]])[0]
    by_image = len({*connected_groups([record.image_hashes for record in records])}) > 1
    remedy = (
        f"group them by image instead with --column group={image}, or name a column of finer "
        "groups with --column group=COLUMN"
        if by_image
        else "no column of groups can part them: add rows with other images"
    )
    looked.problems.add(
        "",
        f"all {len(records):,} rows are one group, which is on one side of the split; rows that "
        "share a group, a text or an image stay together, as do "
        f"{'; '.join(_ties(looked, given))}: {remedy}",
    )


def _ties(looked: Inspection, given: Mapping[int, str]) -> Iterator[str]:
    """The first rows that share a group or text, and the first that share an image, in words."""
    what = "group" if "group" in looked.reader.columns else "text"
    names = [[given[r.row]] if given[r.row] != r.image_hash else [] for r in looked.records]
    if pair := _first_pair(looked.records, names):
        first, second, name = pair
        yield f"{first} and {second} ({what} {shortened(name)!r})"
    if pair := _first_pair(looked.records, [record.image_hashes for record in looked.records]):
        yield f"{pair[0]} and {pair[1]} (an image)"


def _first_pair(
    records: Sequence[Record], keys: Sequence[Sequence[str]]
) -> tuple[str, str, str] | None:
    """Where the first two rows with a common key are, and the key."""
    firsts: dict[str, Record] = {}
    for record, own in zip(records, keys, strict=True):
        for key in own:
            first = firsts.setdefault(key, record)
            if first is not record:
                return first.where, record.where, key
    return None
