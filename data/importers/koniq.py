"""KonIQ-10k (Hosu et al., arXiv 1910.06180): quality of photographs, about 105 raters each.

Two public csv files use the same column names for different things: in
`koniq10k_scores_and_distributions.csv` c1..c5 are counts and MOS runs from 1 to 5, in
`koniq10k_distributions_sets.csv` they are fractions and MOS runs from 1 to 100. The score here is
the mean rating, 1 to 5, computed from c1..c5 in either; MOS is not read. The second file also
says which images are for training, validation and test.
"""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..examples import Split
from .files import Table, find_files, folder_of, number_of, text_of
from .places import Files
from .protocol import Card, Intake, RawRow

_COUNTS = ("c1", "c2", "c3", "c4", "c5")
_SPLITS: dict[str, Split] = {"training": "train", "test": "test"}
_ROUNDING = 0.01


class Koniq:
    card = Card(
        name="koniq-10k",
        home="database.mmsp-kn.de and github.com/subpic/koniq",
        licence="see its page",
        targets={"mean_rating": "koniq-10k"},
    )

    def rows(self, source: Path, target: str, intake: Intake) -> Iterator[RawRow]:  # noqa: ARG002
        intake.scale = (1, 5)
        table, sets = _tables(source, intake)
        images = Files(folder_of(source))
        for _, row in table.rows(["image_name", *_COUNTS, "c_total"]):
            name = text_of(row.values["image_name"])
            place = images.find(name) if name else None
            counts = _counts(row.values)
            if name is None or counts is None:
                intake.skip("no image name or no rating counts", row.where)
            elif place is None:
                intake.skip("no such image file", f"{row.where}: {name}")
            elif sets.get(name) == "validation":
                intake.skip("validation image", name)
            else:
                yield RawRow(
                    name,
                    place,
                    sum(value * count for value, count in enumerate(counts, 1)) / sum(counts),
                    split=_SPLITS.get(sets.get(name, "")),
                    ratings=_ratings(name, counts),
                )


def _tables(source: Path, intake: Intake) -> tuple[Table, dict[str, str]]:
    """The table of ratings, and the set of each image where a table says so."""
    paths = find_files(source, "koniq10k_*.csv")
    tables = [Table(path, intake) for path in paths]
    ratings = next((table for table in tables if table.has("image_name", *_COUNTS)), None)
    if ratings is None:
        names = ", ".join(path.name for path in paths)
        raise DataError(f"{source}: no table with image_name and c1..c5 ({names}): give KonIQ's")
    sets = {
        str(row.values["image_name"]): str(row.values["set"])
        for table in tables
        if table.has("set")
        for _, row in table.rows(["image_name", "set"])
    }
    return ratings, sets


def _counts(values: dict[str, Any]) -> list[int] | None:
    """How many raters gave 1..5, from counts or from fractions of c_total; None if unclear."""
    numbers = [number_of(values[name]) for name in _COUNTS]
    total = number_of(values["c_total"])
    found = [number for number in numbers if number is not None]
    if len(found) != len(_COUNTS) or not total:
        return None
    if abs(sum(found) - 1) < _ROUNDING:
        found = [fraction * total for fraction in found]
    counts = [round(number) for number in found]
    return counts if sum(counts) == round(total) else None


def _ratings(name: str, counts: list[int]) -> tuple[float, ...]:
    """Single ratings in an order that says nothing: counts do not tell who gave which."""
    ratings = [float(value) for value, count in enumerate(counts, 1) for _ in range(count)]
    random.Random(hashlib.sha256(name.encode()).digest()).shuffle(ratings)
    return tuple(ratings)
