"""`blpo next`: which images to have labelled next, for the judge of a finished run.

First those on which judge and reading disagree, then those that a decision abstains from, then
the rest, each by how little is between the two likeliest labels. One image of every group comes
before a second of any.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...data.arrow import atomic_path
from ...data.dataset_files import dataset_files, opened_dataset_file
from ...data.errors import DataError
from ...data.table.items import is_dataset, iter_items
from ...models.engine import Engine
from ...models.roles.judge import Verdict
from ..runs.directory import PREDICTIONS_FILE, TRAIN_PREDICTIONS_FILE
from ..runs.engine_pool import EnginePool
from ..runs.predictions import read_predictions
from .judge_source import JudgeSource, open_judge
from .judging import BATCH_ROWS

_COLUMNS = ("example_id", "group", "verdict", "margin", "why", "label")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image to be labelled. why: what speaks for it. margin: between its two likeliest labels,
    as they are read; 0 without a verdict."""

    example_id: str
    group: str
    verdict: str | None
    margin: float
    why: str

    @property
    def doubt(self) -> tuple[str, float]:
        """What speaks for it, the margin as it is written."""
        return self.why, round(self.margin, 4)

    @property
    def rank(self) -> tuple[int, float, str]:
        return _REASONS.index(self.why), self.margin, self.example_id


@dataclass(frozen=True, slots=True)
class Picked:
    """The images that were picked. num_left_out: of the dataset's, how many have a label already
    or are of the run's splits. are_equal: whether nothing but their order tells those that were
    picked from others."""

    images: Sequence[Candidate]
    num_left_out: int
    are_equal: bool


_DISAGREE, _ABSTAIN, _UNSURE = "judge and reading disagree", "abstained", "unsure"
_REASONS = (_DISAGREE, _ABSTAIN, _UNSURE)


def next_images(
    source: JudgeSource, dataset: Path, run: Path, number: int, pool: EnginePool | None = None
) -> Picked:
    """At most so many images, the most useful first. Left out are those that have a label, and
    those of the run's own splits. Raises DataError if none is left."""
    known = _labelled(run)
    groups = _groups(dataset) if is_dataset(dataset) else {}
    with open_judge(source, source.store, pool) as engine:
        looked_at = list(_candidates(source, engine, dataset, known, groups))
    found = [one for one in looked_at if one is not None]
    if not found:
        raise DataError(f"{dataset}: every image has a label already, or is of {run}")
    return picked_of(found, number, len(looked_at) - len(found))


def picked_of(found: Sequence[Candidate], number: int, num_left_out: int) -> Picked:
    """At most so many of the candidates, the most useful first."""
    placed = _spread(found)
    picked, others = placed[:number], placed[number:]
    doubts = {one.doubt for one in picked}
    are_equal = len(doubts) == 1 and any(one.doubt in doubts for one in others)
    return Picked(picked, num_left_out, are_equal)


def write_next(
    out: Path, chosen: Sequence[Candidate], images: Path, *, overwrite: bool = False
) -> None:
    """A table whose column `label` is empty, for annotators to fill in.

    images: what was looked at. Of a folder the table has the column `image`, too, the path in it.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    are_paths = ids_are_paths(chosen, images)
    writer.writerow(("image", *_COLUMNS) if are_paths else _COLUMNS)
    for one in chosen:
        row = (one.example_id, one.group, one.verdict or "", f"{one.margin:.4f}", one.why, "")
        writer.writerow((one.example_id, *row) if are_paths else row)
    with atomic_path(out, overwrite=overwrite) as temporary:
        temporary.write_text(text.getvalue(), "utf-8")


def ids_are_paths(chosen: Sequence[Candidate], images: Path) -> bool:
    """Whether what was looked at is a folder, in which the ids are paths."""
    return all((images / one.example_id).is_file() for one in chosen)


def _candidates(
    source: JudgeSource,
    engine: Engine,
    dataset: Path,
    known: Collection[str],
    groups: Mapping[str, str],
) -> Iterator[Candidate | None]:
    """None for an image that is left out."""
    bounds = source.config.images.bounds
    for items in iter_items(dataset, source.task, bounds, BATCH_ROWS):
        asked = [item for item in items if item.label is None and item.example_id not in known]
        yield from [None] * (len(items) - len(asked))
        raw = source.ask(engine, asked)
        for item, before, after in zip(asked, raw, source.read(raw), strict=True):
            group = groups.get(item.example_id, item.example_id)
            yield Candidate(
                item.example_id, group, after.label, _margin(after), _why(source, before, after)
            )


def _why(source: JudgeSource, before: Verdict, after: Verdict) -> str:
    if before.label != after.label:
        return _DISAGREE
    if source.decision is not None and source.decision.decide(after)[0] == "abstain":
        return _ABSTAIN
    return _UNSURE


def _margin(verdict: Verdict) -> float:
    if verdict.probabilities is None:
        return 0.0 if verdict.label is None else 1.0
    second, first = sorted(verdict.probabilities.values())[-2:]
    return first - second


def _spread(found: Sequence[Candidate]) -> list[Candidate]:
    """By rank; the first of every group, then the second, and so on."""
    turns: defaultdict[str, int] = defaultdict(int)
    placed: list[tuple[int, Candidate]] = []
    for one in sorted(found, key=lambda one: one.rank):
        placed.append((turns[one.group], one))
        turns[one.group] += 1
    return [one for _, one in sorted(placed, key=lambda pair: (pair[0], pair[1].rank))]


def _labelled(run: Path) -> set[str]:
    """The images of the run's splits, as far as it has kept them."""
    files = [run / PREDICTIONS_FILE, run / TRAIN_PREDICTIONS_FILE]
    kept = [read_predictions(file).examples for file in files if file.exists()]
    return {example.example_id for examples in kept for example in examples}


def _groups(dataset: Path) -> dict[str, str]:
    """By example_id, where the dataset has groups."""
    found: dict[str, str] = {}
    for part in dataset_files(dataset):
        with opened_dataset_file(part) as file:
            if "group" not in file.schema_arrow.names:
                continue
            table = file.read(columns=["example_id", "group"])
        pairs = zip(table["example_id"].to_pylist(), table["group"].to_pylist(), strict=True)
        found.update((example_id, group) for example_id, group in pairs if group is not None)
    return found
