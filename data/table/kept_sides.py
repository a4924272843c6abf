"""The split of an older dataset, kept when labels are added to it."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..examples import SPLITS, Example, Split, read_dataset
from ..pairs import SWAPPED_LABELS
from ..problems import Problems
from ..shown import shortened
from ..tasks import Task
from .records import Record

_MOST_SHOWN = 3

ExampleKey = tuple[tuple[str, ...], str | None]
"""What tells an example from others, whatever its id: its images, in sorted order, and its text."""


@dataclass(frozen=True, slots=True)
class OldExample:
    """image_hashes: in the order in which the images are shown."""

    example_id: str
    image_hashes: tuple[str, ...]
    label: str


@dataclass(frozen=True, slots=True)
class OldSplit:
    """A dataset's examples, and the sides of its images and groups, by `keys_of`."""

    path: Path
    sides: Mapping[str, Split]
    examples: Mapping[ExampleKey, Sequence[OldExample]]

    def of(self, group: str, image_hashes: Iterable[str]) -> set[Split]:
        """The sides that a row's group and images are on."""
        keys = keys_of(group, image_hashes)
        return {self.sides[key] for key in keys if key in self.sides}


def keys_of(group: str, image_hashes: Iterable[str]) -> tuple[str, ...]:
    """What rows share that must not be parted."""
    return (f"group {group}", *(f"image {image}" for image in image_hashes))


def read_split(path: Path, task: Task) -> OldSplit:
    """Raises DataError for what is no dataset of the task, or has one thing on both sides."""
    data = read_dataset(path, task)
    problems = Problems(str(path))
    firsts: dict[str, Example] = {}
    examples: defaultdict[ExampleKey, list[OldExample]] = defaultdict(list)
    for example in (*data.train, *data.test):
        hashes = tuple(hashlib.sha256(image.data).hexdigest() for image in example.images)
        old = OldExample(example.example_id, hashes, example.label)
        examples[_key(hashes, example.text)].append(old)
        for key in keys_of(example.group, hashes):
            first = firsts.setdefault(key, example)
            if first.split != example.split:
                problems.add(
                    f"example {example.example_id!r}",
                    f"is in {example.split} and has {_named(key)} in common with example "
                    f"{first.example_id!r} in {first.split}: this split cannot be kept; leave out "
                    "--split-as to split anew",
                )
    problems.raise_if_any()
    return OldSplit(path, {key: example.split for key, example in firsts.items()}, examples)


def kept_sides(
    old: OldSplit, records: Sequence[Record], own_groups: Mapping[int, str], problems: Problems
) -> list[Split | None]:
    """The side of each record, of all rows of whose group one is known; None where none is.

    records: with the groups that must not be parted. own_groups: by row, as the table has them. A
    group that is on both sides is a problem.
    """
    places: defaultdict[str, dict[Split, str]] = defaultdict(dict)
    for record in records:
        for side in old.of(own_groups[record.row], record.image_hashes):
            places[record.group].setdefault(side, record.where)
    for group, found in places.items():
        if len(found) == len(SPLITS):
            problems.add(
                found["test"],
                f"group {shortened(group)!r} is in test of {old.path} here and in train of it at "
                f"{found['train']}: name a column of finer groups with --column group=COLUMN, "
                "leave one of the rows out, or leave out --split-as to split anew",
            )
    return [next(iter(places[record.group]), None) for record in records]


def told_sides(
    old: OldSplit, records: Sequence[Record], kept: Sequence[Split | None]
) -> Iterator[str]:
    """How many rows keep their side, follow others, and are dealt; what old ones have become of."""
    here = [_key(record.image_hashes, record.text) for record in records]
    known = [(key in old.examples, s) for key, s in zip(here, kept, strict=True) if s]
    stay = [side for is_old, side in known if is_old]
    follow = [side for is_old, side in known if not is_old]
    yield (
        f"split as {old.path}: {_by_side(stay)} keep their side; new: {len(follow):,} follow "
        f"their group or image ({_by_side(follow)}), {kept.count(None):,} dealt"
    )
    seen = {*here}
    gone = [e.example_id for key, own in old.examples.items() if key not in seen for e in own]
    if gone:
        yield f"examples of {old.path} that are not here: {len(gone):,} ({_some(sorted(gone))})"
    changed = [told for record in records if (told := _changed_label(old, record))]
    if changed:
        yield f"labels that are others than in {old.path}: {len(changed):,} ({_some(changed)})"


def _by_side(sides: Sequence[str]) -> str:
    return ", ".join(f"{sides.count(split):,} {split}" for split in SPLITS)


def _some(told: Sequence[str]) -> str:
    return f"first: {', '.join(told[:_MOST_SHOWN])}"


def _changed_label(old: OldSplit, record: Record) -> str:
    """Which label a row has in place of that of its old example; empty if it has the same."""
    shown = record.image_hashes[::-1] if record.swapped else record.image_hashes
    before = [
        e.label if e.image_hashes == shown else SWAPPED_LABELS.get(e.label, e.label)
        for e in old.examples.get(_key(shown, record.text), ())
    ]
    if not before or record.label in before:
        return ""
    return f"{record.example_id} {before[0]}, now {record.label}"


def _key(image_hashes: Sequence[str], text: str | None) -> ExampleKey:
    return tuple(sorted(image_hashes)), text


def _named(key: str) -> str:
    kind, _, name = key.partition(" ")
    return "an image" if kind == "image" else f"the group {shortened(name)!r}"
