"""Looking at a table before anything is written: rows checked, told and divided."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

from ..errors import DataError
from ..label_sets import check_label_map, explain_contradiction, spelling, unseen_label
from ..problems import Problems
from ..shown import shortened
from ..sources.base import TableRow, TableSource
from ..sources.opening import open_source
from ..sources.several import SeveralTables, joint_name
from ..tasks import Task
from .cells import ImageReader, common_prefix
from .columns import FoundColumns, cell_of, columns_in, match_columns
from .division import Inspection, divide
from .downloads import Downloads
from .headers import advice_on_header
from .kept_sides import read_split
from .options import TableOptions
from .raters import NO_MAJORITY, merged, rule
from .records import Record
from .report import ImportReport, notes_on_cells, notes_on_empty
from .rows import RowReader

_ROWS_AT_ONCE = 64
_ROWS_FOR_PREFIX = 64
_MAY_LACK = frozenset({"rater", "comment", "category"})
"""Roles that one of several tables may have no column for: an empty cell says nothing of others."""

OnRow = Callable[[], None]


def inspect_table(
    source: Path, task: Task, options: TableOptions, on_row: OnRow = lambda: None
) -> Inspection:
    """Reads every row and image once; the same input gives the same records and splits.

    on_row: called after each row. Raises DataError for renames to what is no label of the task, and
    for a source that is no table, or whose columns cannot be told; what is wrong with rows is
    collected.
    """
    check_label_map(options.label_map, task)
    table = _opened(source, options)
    old = None if options.split_as is None else read_split(options.split_as, task)
    name = joint_name((source, *options.more))
    with advice_on_header(name, table, task):
        names = table.columns()
        if not names:
            raise DataError(
                f"{name}: the table has no columns, as nothing stands in it: check that it is the "
                "right file"
            )
        found = _matched(name, names, table, task, options)
    reader = RowReader(
        found.roles,
        task,
        _image_reader(source, table, found, task, options),
        {**options.scale_map, **options.label_map},
        found.ratings,
        criteria=found.criteria,
    )
    unused = _unused(names, found)
    report = ImportReport(
        source, table.layout, found.roles, found.ratings, unused, more=options.more
    )
    report.left_out.add(table.left_out())
    report.notes += _notes_on_source(names, table, reader, options)
    looked = Inspection(table, reader, report, Problems(name), [], [])
    renamed = _look(looked, on_row, skip_faulty=options.skip_faulty)
    _check_renames(looked, options.label_map, renamed)
    _collect_problems(looked)
    report.notes += notes_on_empty(looked.records, found.roles, found.criteria)
    if "rater" in found.roles or options.several_raters:
        _merge(looked)
    else:
        _check_ids(looked)
        report.contradictions = _contradictions(looked.records)
    if not looked.problems.count:
        _leave_out_ties(looked)
        divide(looked, options, old)
    return looked


def _matched(
    name: str, names: Sequence[str], table: TableSource, task: Task, options: TableOptions
) -> FoundColumns:
    """The columns that are read. Raises DataError as `match_columns` does, and for those that not
    all tables have, or that do not go with the options.
    """
    found = match_columns(
        name,
        names,
        options.columns,
        task,
        criteria=options.criteria,
        ratings=options.ratings,
        images=table.image_columns(),
    )
    if isinstance(table, SeveralTables):
        _check_parts(name, table, found)
    if task.is_pairwise and options.shuffle_pairs and "comment" in found.roles:
        raise DataError(
            f"{name}: comments may name the images of a pair, and --shuffle-pairs exchanges "
            "them: leave the comments out with --column comment=, or keep the order"
        )
    return found


def _notes_on_source(
    names: Sequence[str], table: TableSource, reader: RowReader, options: TableOptions
) -> Iterator[str]:
    """Which tables lack columns that others have, and what image paths are read as."""
    if isinstance(table, SeveralTables):
        wanted = [column for column in reader.wanted if column in names]
        for part, missing in table.lacking(wanted):
            yield f"{part} has no {', '.join(missing)}: read as empty there"
    if reader.images.prefix:
        yield f"image paths: {options.image_root} stands for {reader.images.prefix}"


def _collect_problems(looked: Inspection) -> None:
    for record in looked.records:
        for problem in record.problems:
            looked.problems.add(record.where, problem.message, problem.remedy)


def _opened(source: Path, options: TableOptions) -> TableSource:
    _check_different((source, *options.more))
    tables = [
        open_source(path, sheet=options.sheet, allow_outside=options.allow_outside)
        for path in (source, *options.more)
    ]
    if not options.more:
        return tables[0]
    names = map(str, (source, *options.more))
    return SeveralTables(tuple(zip(names, tables, strict=True)))


def _check_different(sources: Sequence[Path]) -> None:
    """Raise DataError if a source is named twice, or a folder and another one within it."""
    firsts: dict[Path, Path] = {}
    for source in sources:
        place = Path(os.path.realpath(source))
        if place in firsts:
            raise DataError(
                f"{source}: is named twice, the first time as {firsts[place]}: leave one of them "
                "out"
            )
        firsts[place] = source
    folders = {place: source for place, source in firsts.items() if place.is_dir()}
    for place, source in folders.items():
        if holder := next((folders[above] for above in place.parents if above in folders), None):
            raise DataError(
                f"{source}: lies within {holder}, which is read with all that is in it: name one "
                "of them"
            )


def _check_parts(name: str, tables: SeveralTables, found: FoundColumns) -> None:
    """Raise DataError if a table lacks a column that every row needs a value of."""
    for role, own in found.roles.items():
        lacking = [] if role in _MAY_LACK else tables.lacking(columns_in(own))
        for part, missing in lacking:
            raise DataError(
                f"{name}: {part} has no column {missing[0]}, which others have for the {role}: "
                f"give it one, ignore it in all with --column {role}= if it can be spared, or "
                "import that table by itself"
            )


def _unused(names: Sequence[str], found: FoundColumns) -> list[str]:
    """Columns that are not read; of objects only the innermost."""
    used = found.names()
    holders = {name[:at] for name in names for at, c in enumerate(name) if c == "."}
    return [name for name in names if name not in used and name not in holders]


def _image_reader(
    source: Path, table: TableSource, found: FoundColumns, task: Task, options: TableOptions
) -> ImageReader:
    prefix = options.image_prefix
    if prefix is None:
        root = options.image_root
        prefix = "" if root is None else _prefix(table, found, task.image_columns[0], root)
        prefix = "" if options.more_roots else prefix
    downloads = None if options.downloads is None else Downloads(options.downloads)
    return ImageReader(
        source,
        options.image_root,
        prefix,
        options.allow_outside,
        downloads,
        options.more,
        options.more_roots,
    )


def _prefix(table: TableSource, found: FoundColumns, image: str, root: Path) -> str:
    """What the first image path that can be found below the root begins with beyond it."""
    column = found.roles[image]
    rows = islice(table.rows(columns_in(column)), _ROWS_FOR_PREFIX)
    return common_prefix((cell_of(column, row.values) for row in rows), root) or ""


def _look(looked: Inspection, on_row: OnRow, *, skip_faulty: bool) -> Counter[str]:
    """Check every row; fills in records, and the notes on cells. How often each text was
    renamed, in rows that are left out, too."""
    renamed: Counter[str] = Counter()
    for record in _records(looked, on_row):
        renamed.update(record.renamed)
        if record.problems and skip_faulty:
            looked.report.left_out.skip(f"row with {record.problems[0].reason}", record.where)
            continue
        looked.records.append(record)
    if not looked.records:
        raise DataError(
            f"{looked.report.name}: has no rows: add some, or check that it is the right file"
        )
    looked.problems.explain(explain_contradiction(_given_labels(looked), looked.reader.task))
    looked.report.notes += notes_on_cells(looked.records)
    return renamed


def _check_renames(
    looked: Inspection, label_map: Mapping[str, str], renamed: Mapping[str, int]
) -> None:
    """Tell what was renamed how often; a label to rename that occurs nowhere is a problem."""
    told: dict[str, None] = {}
    for found, label in label_map.items():
        alike = [
            text
            for text in renamed
            if text == found or (text not in label_map and spelling(text) == spelling(found))
        ]
        told |= dict.fromkeys(f"{shortened(t)!r} to {label} ({renamed[t]:,})" for t in alike)
        if not alike:
            names = [*_given_labels(looked), *renamed]
            looked.problems.add(f"--label {found}={label}", unseen_label(found, names))
    if told:
        looked.report.notes.append(f"labels renamed: {', '.join(told)}")


def _given_labels(looked: Inspection) -> list[str]:
    """Those of all annotators, but for what no option could rename."""
    given = (label for r in looked.records for label in r.ratings or (r.label,))
    return [label for label in given if label and "\0" not in label]


def _records(looked: Inspection, on_row: OnRow) -> Iterator[Record]:
    rows = _filled_rows(looked)
    with ThreadPoolExecutor() as pool:
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            numbers, found = zip(*chunk, strict=True)
            for record in pool.map(looked.reader.record, numbers, found):
                yield record
                on_row()


def _filled_rows(looked: Inspection) -> Iterator[tuple[int, TableRow]]:
    for number, row in enumerate(looked.table.rows(looked.reader.wanted)):
        if looked.reader.is_empty(row):
            looked.report.left_out.skip("empty row", row.where)
        else:
            yield number, row


def _merge(looked: Inspection) -> None:
    """One record per image and text of rows without a problem: each is one annotator's answer."""
    sound = [record for record in looked.records if not record.problems]
    if "rater" in looked.reader.columns:
        _check_nameless(looked.problems, sound)
    num_rows = len(looked.records)
    looked.records = merged(sound, looked.reader.task, looked.problems, looked.report.left_out)
    if len(looked.records) < len(sound):
        faulty = num_rows - len(sound)
        left = f"; {faulty:,} rows with a problem are not among them" if faulty else ""
        looked.report.notes.append(
            f"{len(sound):,} answers on {len(looked.records):,} images: a row is the answer of one "
            f"annotator{left}"
        )
    _check_ids(looked)


def _check_nameless(problems: Problems, records: Sequence[Record]) -> None:
    """Two answers on one image that nobody's name stands by could be of one annotator."""
    firsts: dict[tuple[object, ...], Record] = {}
    for record in records:
        if record.rater is None:
            first = firsts.setdefault((record.image_hashes, record.text), record)
            if first is not record:
                problems.add(
                    record.where,
                    f"an answer on the image of {first.where}, and neither says whose it is: fill "
                    "in the rater, keep one of them, or pass --column rater= --several-raters if "
                    "each row is of another annotator",
                )


def _leave_out_ties(looked: Inspection) -> None:
    """Leave out what no label has a majority for, and say how labels came about."""
    task, report = looked.reader.task, looked.report
    if any(record.ratings for record in looked.records):
        draws = sum(not record.label for record in looked.records)
        report.notes.append(
            f"label: {rule(task)}; no majority: {draws or 'none'}; single answers kept as ratings"
        )
    for record in looked.records:
        if not record.label:
            report.left_out.skip(NO_MAJORITY, record.where)
    looked.records = [record for record in looked.records if record.label]
    if not looked.records:
        looked.problems.add("", "no image has a majority among its annotators")


def _check_ids(looked: Inspection) -> None:
    firsts: dict[str, Record] = {}
    has_ids = "id" in looked.reader.columns
    for record in looked.records:
        first = firsts.setdefault(record.example_id, record)
        if first is not record and record.has_image:
            name = shortened(record.example_id)
            what = f"id {name!r}" if has_ids else f"image {name}"
            told = f"{what} is that of {first.where} too{_remedy(looked.report, first, record)}"
            looked.problems.add(record.where, told)


def _remedy(report: ImportReport, first: Record, record: Record) -> str:
    """What to do about two rows with one id."""
    if "id" in report.columns:
        return "; give every row its own id"
    if first.image_hashes != record.image_hashes:
        folders = "give the folders in place of the tables, so that ids begin with their names, or "
        return (
            f", which is another image of that name: {folders if report.more else ''}name an id "
            "column with --column id=COLUMN"
        )
    return (
        "; keep one row with one label, or name an id column with --column id=COLUMN; if rows "
        "are answers of several annotators, name the column that tells whose with --column "
        "rater=COLUMN, or pass --several-raters"
    )


def _contradictions(records: Sequence[Record]) -> list[str]:
    """Rows that give the same images and text another label than an earlier row does."""
    firsts: dict[tuple[object, ...], Record] = {}
    found: list[str] = []
    for record in records:
        first = firsts.setdefault((record.image_hashes, record.text), record)
        if first.label != record.label:
            found.append(f"{record.where}: {record.label}, but {first.label} in {first.where}")
    return found
