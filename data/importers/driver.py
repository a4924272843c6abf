"""The one way from a source to a dataset file: check, bin, split, draw, dedupe, write, account.

Every importer only says where rows are; what happens to them is the same for all and written
into a manifest beside the dataset.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from operator import attrgetter
from pathlib import Path

from ..arrow import refuse_output
from ..errors import DataError
from ..examples import Example, check_coverage, write_dataset
from ..images import ImageBounds, ImageRef
from ..label_sets import check_label_map
from ..problems import Problems
from ..tasks import TIE, Task, load_task
from .duplicates import near_duplicates
from .inspection import Inspector
from .labelling import check_renames, label_rows
from .manifest import (
    Drawn,
    DrawnPair,
    Manifest,
    Skipped,
    manifest_path,
    snapshot_revision,
    write_manifest,
)
from .options import ImportOptions
from .places import ImagePlace, read_images
from .protocol import Card, Importer, Intake, RawRow
from .sampling import LabelledRow, SamplePlan, draw


def import_source(
    importer: Importer,
    source: Path,
    out: Path | None,
    options: ImportOptions,
    *,
    revision: str | None = None,
    on_row: Callable[[], None] = lambda: None,
) -> Manifest:
    """Makes a dataset file and its manifest from a source as it was downloaded.

    out: None to look and write nothing.
    revision: the commit that `source` is a snapshot of, for the manifest. on_row: called after
    each row is read and after each image is looked at.

    Rows of one group stay on one side of the split; rows that cannot be used are skipped and
    counted by reason. Images are read twice. The same source gives the same split under any
    order of its rows. Raises DataError, and writes nothing, for a source that is not in the
    format, labels that contradict the task, renames to what is no label of it or of what no row
    has, and strata that are short of rows.
    """
    if out is not None:
        refuse_output(out, source, ".parquet", overwrite=options.overwrite)
    card, name = importer.card, str(source)
    target = _target(card, options.target)
    task = load_task(options.task or _default_task(card, target))
    check_label_map(options.label_map or {}, task)
    plan = _plan(card, options)
    intake = Intake()
    rows = _read(importer, source, target, intake, on_row)
    check_renames(rows, options.label_map or {}, name)
    rows = _usable(rows, task, intake, name)
    labelling = label_rows(rows, task, options, intake, name)
    inspector = Inspector(intake, on_row)
    drawn = draw(labelling.rows, task.labels, plan, options.seed, inspector.accept, name)
    _check_coverage(drawn, task, name)
    manifest = Manifest(
        importer=card.name,
        source=name,
        home=card.home,
        hub_id=card.hub_id,
        revision=revision or snapshot_revision(source),
        licence=card.licence,
        gate=card.gate,
        notice=card.notice,
        task=task.name,
        target=target,
        seed=options.seed,
        own_splits=labelling.own_splits,
        plan=plan,
        label_map=labelling.label_map,
        files=intake.files,
        skipped={r: Skipped(n, intake.places[r]) for r, n in sorted(intake.skipped.items())},
        binning=labelling.binning,
        near_duplicates=_near_duplicates(drawn, inspector),
        examples=sorted((_drawn(c, inspector) for c in drawn), key=attrgetter("example_id")),
    )
    if out is not None:
        if options.overwrite:
            # Never the manifest of an earlier import beside a new dataset.
            manifest_path(out).unlink(missing_ok=True)
        write_dataset(out, _examples(drawn, inspector), overwrite=options.overwrite)
        write_manifest(out, manifest)
    return manifest


def _target(card: Card, target: str | None) -> str:
    chosen = target or next(iter(card.targets))
    if chosen not in card.targets:
        raise DataError(f"{card.name}: no target {chosen!r}: choose from {', '.join(card.targets)}")
    return chosen


def _default_task(card: Card, target: str) -> str:
    task = card.targets[target]
    if task is None:
        raise DataError(
            f"{card.name}: no packaged task judges {target}: name a task file with --task"
        )
    return task


def _plan(card: Card, options: ImportOptions) -> SamplePlan:
    if not options.use_paper_split:
        return options.plan
    paper = card.paper_split
    if paper is None:
        raise DataError(f"{card.name}: is not in the paper: give numbers per class")
    return SamplePlan(
        paper.strata, paper.per_stratum, paper.per_stratum, paper.max_per_group, paper.num_strata
    )


def _read(
    importer: Importer, source: Path, target: str, intake: Intake, on_row: Callable[[], None]
) -> list[RawRow]:
    rows: dict[str, RawRow] = {}
    for row in importer.rows(source, target, intake):
        on_row()
        if row.row_id in rows:
            intake.skip("repeats the id of another row", row.row_id)
        else:
            rows[row.row_id] = row
    return list(rows.values())


def _usable(rows: Sequence[RawRow], task: Task, intake: Intake, source: str) -> list[RawRow]:
    """Rows that have what the task needs."""
    usable: list[RawRow] = []
    for row in rows:
        if task.images or (row.image_b is not None) != task.is_pairwise:
            images = "pairs" if row.image_b is not None else "single images"
            wanted = f"about {', '.join(task.images)}" if task.images else task.kind
            raise DataError(f"{source}: holds {images}, and task {task.name} is {wanted}")
        if task.carries_text and not row.text:
            intake.skip("no text", row.row_id)
        elif row.value == TIE and TIE not in task.labels:
            intake.skip("a tie, which the task does not have", row.row_id)
        else:
            usable.append(row if task.carries_text else replace(row, text=None))
    if not usable:
        reasons = ", ".join(f"{reason}: {n:,}" for reason, n in intake.skipped.items())
        raise DataError(f"{source}: has no row that can be used ({reasons or 'it is empty'})")
    return usable


def _check_coverage(drawn: Sequence[LabelledRow], task: Task, source: str) -> None:
    problems = Problems(source)
    check_coverage(problems, [(c.split, c.label) for c in drawn], task)
    problems.raise_if_any()


def _examples(drawn: Sequence[LabelledRow], inspector: Inspector) -> Iterator[Example]:
    """Examples in the order of their images in the source.

    An image is held from when it is read until the last pair that it stands in is complete.
    """
    by_place: defaultdict[ImagePlace, list[LabelledRow]] = defaultdict(list)
    for candidate in sorted(drawn, key=lambda candidate: candidate.row.row_id):
        for place in candidate.row.images:
            by_place[place].append(candidate)
    num_open = {place: len(candidates) for place, candidates in by_place.items()}
    held: dict[ImagePlace, ImageRef] = {}
    bounds = ImageBounds()
    for place, data in read_images(by_place):
        held[place] = ImageRef(data or b"", bounds)
        if hashlib.sha256(held[place].data).hexdigest() != inspector.images[place].sha256:
            raise DataError(
                f"{place.container}: {place.name}: changed during the import: repeat it"
            )
        for candidate in by_place[place]:
            places = candidate.row.images
            if all(other in held for other in places):
                yield _example(candidate, [held[other] for other in places])
                for other in places:
                    num_open[other] -= 1
                    if not num_open[other]:
                        del held[other]


def _example(candidate: LabelledRow, images: Sequence[ImageRef]) -> Example:
    row = candidate.row
    return Example(
        example_id=row.row_id,
        image=images[0],
        text=row.text,
        label=candidate.label,
        group=candidate.group,
        category=row.category,
        split=candidate.split,
        score=row.value if isinstance(row.value, float) else None,
        ratings=candidate.ratings,
        score_sd=row.score_sd,
        further_images=tuple(images[1:]),
        swapped=row.swapped,
    )


def _near_duplicates(
    drawn: Sequence[LabelledRow], inspector: Inspector
) -> list[tuple[str, str, int]]:
    test, train = (
        {
            f"{c.row.row_id}{name}": inspector.images[place].phash
            for c in sorted(drawn, key=lambda c: c.row.row_id)
            for name, place in zip(("", " (B)"), c.row.images, strict=False)
            if c.split == split
        }
        for split in ("test", "train")
    )
    return near_duplicates(test, train)


def _drawn(candidate: LabelledRow, inspector: Inspector) -> Drawn:
    row = candidate.row
    of_row = row.row_id, candidate.split, candidate.label, row.category, candidate.group
    sha256, *other = [inspector.images[place].sha256 for place in row.images]
    return DrawnPair(*of_row, sha256, other[0], row.swapped) if other else Drawn(*of_row, sha256)
