"""Importing a table: what users have, checked row by row, becomes a dataset file."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from ..arrow import refuse_output
from ..errors import DataError
from ..examples import SPLITS, Example, Split, check_coverage, write_dataset
from ..groups import connected_groups
from ..images import ImageBounds, ImageRef
from ..label_sets import explain_contradiction
from ..pairs import SWAPPED_LABELS, is_swapped
from ..problems import Problems
from ..splits import assign_splits
from ..tasks import Task
from .columns import Role, match_columns
from .rows import Record, RowReader
from .sources import TableSource, open_source

_ROWS_AT_ONCE = 64
_NO_IMAGE = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """What an import wrote.

    num_rows: examples written, one for every row of the table.
    counts: examples by split and label, labels in declared order.
    columns: the table's column for each role that has one.
    unused_columns: the table's other columns.
    contradictions: rows whose image and text an earlier row has under another label, in words.
    """

    path: Path
    num_rows: int
    num_groups: int
    counts: dict[Split, dict[str, int]]
    columns: dict[Role, str]
    unused_columns: list[str]
    contradictions: list[str]


def import_table(
    source: Path,
    out: Path,
    task: Task,
    *,
    columns: Mapping[str, str] | None = None,
    label_map: Mapping[str, str] | None = None,
    image_root: Path | None = None,
    allow_outside: bool = False,
    test_fraction: float = 0.5,
    train_per_class: int | None = None,
    seed: int = 0,
    shuffle_pairs: bool = False,
    overwrite: bool = False,
    on_row: Callable[[], None] = lambda: None,
) -> ImportSummary:
    """Makes a dataset file for `task` from a csv, tsv, jsonl or Parquet table or an image folder.

    columns: the table's column per role, where its name is not one of ALIASES; an empty name
        leaves a role out (split="" splits anew).
    label_map: the task's label for labels that the table spells otherwise.
    image_root: what image paths start from; the table's folder if not given.
    allow_outside: whether they may lead out of that folder.
    shuffle_pairs: writes pairs in the order that a hash of their id decides, with the label turned
        along: for tables that have the preferred image always first.
    on_row: called after each row is checked.

    An example without an id is named after its image path, or the hash of its bytes, and its
    text. Rows without a group are grouped by text, or by image bytes if the task carries none;
    groups that share an image are one, so that no image is on both sides.
    A split column is taken as it is; without one see `assign_splits`. Images are read twice, a
    few at a time. The same input gives the same bytes.

    Raises DataError that lists the problems of all rows; nothing is written then.
    """
    refuse_output(out, source, overwrite=overwrite)
    table = open_source(source, allow_outside=allow_outside)
    names = table.columns()
    found = match_columns(str(source), names, columns or {}, task)
    reader = RowReader(source, found, task, label_map or {}, image_root, allow_outside)
    if task.is_pairwise and shuffle_pairs and "comment" in found:
        raise DataError(
            f"{source}: comments may name the images of a pair, and --shuffle-pairs exchanges "
            "them: leave the comments out with --column comment=, or keep the order"
        )
    records = _check_rows(str(source), table, reader, on_row)
    contradictions = _contradictions(records)
    records = _linked(records)
    if task.is_pairwise and shuffle_pairs:
        records = [_shuffled(record) for record in records]
    labels = [record.label for record in records]
    splits = _given_splits(records, str(source)) or assign_splits(
        labels,
        [record.group for record in records],
        seed=seed,
        test_fraction=test_fraction,
        train_per_class=train_per_class,
    )
    _check_coverage(splits, labels, task, str(source))
    write_dataset(out, _examples(table, reader, records, splits), comments="comment" in found)
    counts = Counter(zip(splits, labels, strict=True))
    return ImportSummary(
        path=out,
        num_rows=len(records),
        num_groups=len({record.group for record in records}),
        counts={s: {label: counts[s, label] for label in task.labels} for s in SPLITS},
        columns=found,
        unused_columns=[name for name in names if name not in found.values()],
        contradictions=contradictions,
    )


def _check_rows(
    source: str, table: TableSource, reader: RowReader, on_row: Callable[[], None]
) -> list[Record]:
    problems = Problems(source)
    records: list[Record] = []
    rows = table.rows(list(reader.columns.values()))
    with ThreadPoolExecutor() as pool:
        while chunk := list(islice(rows, _ROWS_AT_ONCE)):
            for record in pool.map(reader.record, chunk):
                for problem in record.problems:
                    problems.add(record.where, problem)
                records.append(record)
                on_row()
    if not records:
        raise DataError(f"{source}: has no rows: add some, or check that it is the right file")
    _check_ids(problems, records, has_ids="id" in reader.columns)
    labels = [record.label for record in records if record.label]
    problems.explain(explain_contradiction(labels, reader.task))
    problems.raise_if_any()
    return records


def _check_ids(problems: Problems, records: Sequence[Record], *, has_ids: bool) -> None:
    firsts: dict[str, Record] = {}
    remedy = (
        "give every row its own id"
        if has_ids
        else "keep one row with one label, or name an id column with --column id=COLUMN"
    )
    for record in records:
        first = firsts.setdefault(record.example_id, record)
        if first is not record and record.image_hash != _NO_IMAGE:
            what = f"id {record.example_id!r}" if has_ids else f"image {record.example_id}"
            problems.add(record.where, f"{what} is that of {first.where} too; {remedy}")


def _linked(records: Sequence[Record]) -> list[Record]:
    """Rows of one group, or that share an image, or are connected by others that do, in one group.

    It is named after the first of its rows' groups in sorted order.
    """
    keys = [(f"group {r.group}", *(f"image {image}" for image in r.image_hashes)) for r in records]
    linked = connected_groups(keys)
    names: dict[str, str] = {}
    for record, group in zip(records, linked, strict=True):
        names[group] = min(record.group, names.get(group, record.group))
    return [replace(r, group=names[group]) for r, group in zip(records, linked, strict=True)]


def _contradictions(records: Sequence[Record]) -> list[str]:
    """Rows that give the same images and text another label than an earlier row does."""
    firsts: dict[tuple[object, ...], Record] = {}
    found: list[str] = []
    for record in records:
        first = firsts.setdefault((record.image_hashes, record.text), record)
        if first.label != record.label:
            found.append(f"{record.where}: {record.label}, but {first.label} in {first.where}")
    return found


def _shuffled(record: Record) -> Record:
    if not is_swapped(record.example_id):
        return record
    return replace(record, label=SWAPPED_LABELS[record.label], swapped=True)


def _given_splits(records: Sequence[Record], source: str) -> list[Split]:
    """The splits that the table gives, checked to share no group; empty if it gives none."""
    problems = Problems(source)
    _check_disjoint(problems, records)
    problems.raise_if_any()
    return [record.split for record in records if record.split is not None]


def _check_coverage(
    splits: Sequence[Split], labels: Sequence[str], task: Task, source: str
) -> None:
    problems = Problems(source)
    problems.explain(explain_contradiction(labels, task))
    check_coverage(problems, zip(splits, labels, strict=True), task)
    problems.raise_if_any()


def _check_disjoint(problems: Problems, records: Sequence[Record]) -> None:
    rows: defaultdict[str, dict[Split, str]] = defaultdict(dict)
    for record in records:
        if record.split is not None:
            rows[record.group].setdefault(record.split, record.where)
    for group, places in rows.items():
        if len(places) == len(SPLITS):
            problems.add(
                places["test"],
                f"group {group!r} is in test here and in train at {places['train']}; ignore the "
                "split column with --column split= to split anew, or name a column of finer groups "
                "with --column group=COLUMN",
            )


def _examples(
    table: TableSource, reader: RowReader, records: Sequence[Record], splits: Sequence[Split]
) -> Iterator[Example]:
    rows = table.rows(list(reader.columns.values()))
    bounds = ImageBounds()
    for row, record, split in zip(rows, records, splits, strict=True):
        images = [reader.image_bytes(row, role) for role in reader.image_roles]
        hashes = [hashlib.sha256(image).hexdigest() for image in images]
        if hashes != [record.image_hash, record.image_b_hash][: len(hashes)]:
            raise DataError(
                f"{reader.source}: {row.where}: changed during the import: run it again"
            )
        if record.swapped:
            images.reverse()
        image, *other = [ImageRef(data, bounds) for data in images]
        yield Example(
            example_id=record.example_id,
            image=image,
            text=record.text,
            label=record.label,
            group=record.group,
            category=record.category,
            split=split,
            image_b=other[0] if other else None,
            swapped=record.swapped,
            comment=record.comment,
        )
