"""The split of an older dataset, kept when labels are added to it."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..examples import SPLITS, Example, Split, read_dataset
from ..problems import Problems
from ..shown import shortened
from ..tasks import Task
from .records import Record


@dataclass(frozen=True, slots=True)
class OldSplit:
    """The sides of a dataset's images and groups, by `keys_of`."""

    path: Path
    sides: Mapping[str, Split]

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
    for example in (*data.train, *data.test):
        hashes = (hashlib.sha256(image.data).hexdigest() for image in example.images)
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
    return OldSplit(path, {key: example.split for key, example in firsts.items()})


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


def told_sides(old: OldSplit, kept: Sequence[Split | None]) -> str:
    """A sentence on how many rows keep their side."""
    counts = Counter(kept)
    old_rows = ", ".join(f"{counts[split]:,} {split}" for split in SPLITS)
    return f"split as {old.path}: {old_rows} keep their side; new and dealt: {counts[None]:,}"


def _named(key: str) -> str:
    kind, _, name = key.partition(" ")
    return "an image" if kind == "image" else f"the group {shortened(name)!r}"
