"""What an import has seen: one report, for the console, scripts and tests."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..examples import SPLITS, Split
from ..left_out import LeftOut
from ..shown import shortened
from ..sources.several import joint_name
from ..tasks import Task
from .columns import Role
from .records import Record

_EXTREME_RATIO = 10.0
_FEW_GROUPS = 10
_FEW_ROWS = 10
_MOST_SHOWN = 3


@dataclass(slots=True)
class ImportReport:
    """What was recognised, left out, read otherwise than written, and divided.

    path: the dataset file; None if none was written. layout: of the source, in words. more: further
        sources that were read with it.
    num_rows: examples of the dataset. counts: by split and label, labels in declared order; empty
        until the rows are divided.
    columns: the table's column for each role that has one. ratings: columns of one annotator each.
    unused_columns: the table's other columns.
    left_out: rows and files, by reason.
    contradictions: rows whose image and text an earlier row has under another label, in words.
    notes: what else a user should know, a sentence each.
    """

    source: Path
    layout: str
    columns: dict[Role, str]
    ratings: list[str] = field(default_factory=list[str])
    unused_columns: list[str] = field(default_factory=list[str])
    left_out: LeftOut = field(default_factory=LeftOut)
    num_rows: int = 0
    num_groups: int = 0
    counts: dict[Split, dict[str, int]] = field(default_factory=dict[Split, dict[str, int]])
    contradictions: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])
    path: Path | None = None
    more: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """What messages call the source, or all of them."""
        return joint_name((self.source, *self.more))


def notes_on_cells(records: Sequence[Record]) -> Iterator[str]:
    """How cells were read, and what is unusual about images."""
    spelled = Counter(spelling for record in records for spelling in record.spellings)
    if spelled:
        told = [f"{shortened(text)!r} as {label} ({n:,})" for (text, label), n in _some(spelled)]
        more = f", {len(spelled) - len(told):,} more spellings" if len(spelled) > len(told) else ""
        yield f"labels read: {', '.join(told)}{more}"
    for way, count in Counter(way for record in records for way in record.ways).most_common():
        yield f"images read otherwise than as plain files: {way} ({count:,})"
    frames = [r for r in records if any(facts.num_frames > 1 for facts in r.facts)]
    yield from _images("with several frames or pages, of which the first is judged", frames)
    deep = [r for r in records if any(facts.bits > 8 for facts in r.facts)]
    yield from _images("with 16 bits, of which the upper 8 are judged", deep)
    long = [r for r in records if any(f.aspect_ratio > _EXTREME_RATIO for f in r.facts)]
    yield from _images(f"more than {_EXTREME_RATIO:g} times as long as wide or high", long)


def notes_on_empty(
    records: Sequence[Record], roles: Mapping[Role, str], criteria: Mapping[str, str]
) -> Iterator[str]:
    """How many rows have an answer to each criterion, which columns hold nothing at all, and how
    many comments are no text."""
    for name, column in criteria.items():
        count = sum(name in record.criteria for record in records)
        told = f"{count:,} of {len(records):,} rows" if count else "none, every cell is empty"
        yield f"annotators' answers to criterion {name}: column {column}, {told}"
    unread = [record for record in records if record.has_unread_comment]
    for role in ("category", "rater", *(() if unread else ("comment",))):
        if role in roles and all(getattr(record, role) is None for record in records):
            yield f"{role} from {roles[role]!r}: every cell is empty"
    if unread:
        column, first = roles["comment"], ", ".join(r.where for r in unread[:_MOST_SHOWN])
        yield (
            f"comment from {column!r}: {len(unread):,} are objects, which are not read (first: "
            f"{first}): write them as text, or name a field with --column comment={column}.FIELD"
        )


def notes_on_copies(records: Sequence[Record]) -> Iterator[str]:
    """Images that several examples share."""
    seen: set[str] = set()
    copies: list[Record] = []
    for record in records:
        if not seen.isdisjoint(record.image_hashes):
            copies.append(record)
        seen.update(record.image_hashes)
    yield from _images("that are byte for byte those of earlier rows, on the same side", copies)


def notes_on_split(
    records: Sequence[Record], splits: Sequence[Split], task: Task, *, drawn: bool
) -> Iterator[str]:
    """Few groups, and classes with few rows."""
    num_groups = len({record.group for record in records})
    if drawn and num_groups < min(_FEW_GROUPS, len(records)):
        yield (
            f"only {num_groups} groups decide the split: whole groups are on one side, so the "
            "shares are rough and the test depends on few of them"
        )
    counts = Counter(zip(splits, (record.label for record in records), strict=True))
    few = [
        f"{label} in {split} ({counts[split, label]})"
        for split in SPLITS
        for label in task.labels
        if counts[split, label] < _FEW_ROWS
    ]
    if few:
        yield f"fewer than {_FEW_ROWS} rows: {', '.join(few)}"


def _images(what: str, records: Sequence[Record]) -> Iterator[str]:
    if records:
        first = ", ".join(record.where for record in records[:_MOST_SHOWN])
        yield f"images {what}: {len(records):,} (first: {first})"


def _some(counted: Counter[tuple[str, str]]) -> list[tuple[tuple[str, str], int]]:
    return counted.most_common(2 * _MOST_SHOWN)
