"""An example project to try the commands on: rendered photos, and what three annotators say of
them. Synthetic: nothing in it says anything about real judges.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from ...data.arrow import atomic_path
from ...data.errors import DataError
from ...data.micro.graded import DrawConfig, GradedWorld, JudgeConfig, PeopleConfig
from ...data.micro.graded_data import graded_rows
from ...data.micro.rubrics import Row
from ...data.sources.opening import open_source

_TASK = "micro-unsafebench"
RATERS = ("anna", "ben", "cleo")
_WORLD = GradedWorld(
    draw=DrawConfig(num_train=240, num_test=80),
    people=PeopleConfig(disagreement=0.02, raters=len(RATERS), share_rated=1.0),
    judge=JudgeConfig(leniency=0.3),
)
_PHOTOS, _NEW_PHOTOS, _WORLD_FILE = "photos", "new-photos", "world.yaml"


@dataclass(frozen=True, slots=True)
class ExampleFiles:
    """What was written. tables: of answers, one for each annotator."""

    folder: Path
    world: Path
    photos: Path
    new_photos: Path
    tables: tuple[Path, ...]
    num_photos: int
    num_new: int


def write_example(folder: Path) -> ExampleFiles:
    """Write the example into a folder. Raises DataError if it is there already."""
    world, photos, new = (folder / name for name in (_WORLD_FILE, _PHOTOS, _NEW_PHOTOS))
    for path in (world, photos, new):
        if path.exists():
            raise DataError(f"{path}: already there: name another folder")
    answers: dict[str, tuple[str, ...]] = {}
    for row, name in _named_rows():
        is_new = row["split"] == "test"
        _write(new / name if is_new else photos / name, row["image"])
        if not is_new:
            answers[name] = row.get("ratings", ())
    given = _WORLD.model_dump(mode="json", exclude_defaults=True)
    _write(world, yaml.safe_dump(given, sort_keys=False).encode())
    tables = _write_answers(folder, "labels", answers)
    num_new = _WORLD.draw.num_test
    return ExampleFiles(folder, world, photos, new, tables, len(answers), num_new)


def answer(folder: Path, asked: Path) -> tuple[Path, ...]:
    """What the annotators of an example say of the images that a table names in its column
    `image`: a table for each, beside theirs.

    Raises DataError for a table without that column, or with other images.
    """
    known = {name: row.get("ratings", ()) for row, name in _named_rows()}
    names = [str(row.values.get("image")) for row in open_source(asked).rows(["image"])]
    unknown = next((name for name in names if name not in known), None)
    if unknown is not None:
        raise DataError(f"{asked}: image {unknown}: is none of the example's")
    return _write_answers(folder, "more", {name: known[name] for name in names})


def _named_rows() -> Iterable[tuple[Row, str]]:
    rows = graded_rows(_TASK, _WORLD)
    return ((row, f"{number:03}.png") for number, row in enumerate(rows, 1))


def _write_answers(
    folder: Path, name: str, answers: Mapping[str, tuple[str, ...]]
) -> tuple[Path, ...]:
    """As the labelling page exports them."""
    tables = tuple(folder / f"{name}-{rater}.csv" for rater in RATERS)
    for place, (rater, path) in enumerate(zip(RATERS, tables, strict=True)):
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("image", "rater", "label", "comment"))
        writer.writerows((image, rater, labels[place], "") for image, labels in answers.items())
        _write(path, text.getvalue().encode())
    return tables


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)
