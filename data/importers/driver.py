"""The one way from a source to a dataset file: check, bin, split, draw, dedupe, write, account.

Every importer only says where rows are; what happens to them is the same for all and written
into a manifest beside the dataset.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from pathlib import Path

from ..errors import DataError
from ..examples import SPLITS, Example, Split, check_coverage, write_dataset
from ..images import ImageBounds, ImageRef
from ..label_sets import explain_contradiction, rescaled_labels
from ..problems import Problems
from ..splits import assign_splits
from ..tasks import Task, label_text, load_task
from .binning import Binning, Bins, Scale, fit_binning
from .duplicates import near_duplicates
from .groups import connected_groups
from .inspection import Inspector
from .manifest import Drawn, Manifest, Skipped, snapshot_revision, write_manifest
from .places import ImagePlace, read_images
from .protocol import Card, Importer, Intake, RawRow
from .sampling import Candidate, Sampling, draw

_EVERYTHING = Sampling()


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How a source becomes a dataset; the defaults take every row that can be used.

    target: the column that is the label, the card's first if None.
    bins, scale: how raw scores become labels, see `fit_binning`.
    label_map: the task's label for labels that the source spells otherwise.
    sampling: how much to draw; `paper_split` of the card if `use_paper_split`.
    resplit: whether the source's own train and test are ignored.
    test_fraction: share of the test split where the source has none of its own.
    """

    task: str | None = None
    target: str | None = None
    bins: Bins | None = None
    scale: Scale | None = None
    label_map: Mapping[str, str] | None = None
    sampling: Sampling = _EVERYTHING
    use_paper_split: bool = False
    resplit: bool = False
    test_fraction: float = 0.5
    seed: int = 0
    overwrite: bool = False


def import_source(
    importer: Importer,
    source: Path,
    out: Path,
    options: ImportOptions,
    *,
    revision: str | None = None,
    on_row: Callable[[], None] = lambda: None,
) -> Manifest:
    """Makes a dataset file and its manifest from a source as it was downloaded.

    revision: the commit that `source` is a snapshot of, for the manifest. on_row: called after
    each row is read and after each image is looked at.

    Rows of one group stay on one side of the split; rows that cannot be used are skipped and
    counted by reason. Images are read twice. The same source gives the same split under any
    order of its rows. Raises DataError, and writes nothing, for a source that is not in the
    format, labels that contradict the task, and strata that are short of rows.
    """
    if out.exists() and not options.overwrite:
        raise DataError(f"{out}: already there: choose another name or allow overwriting")
    card, name = importer.card, str(source)
    target = _target(card, options.target)
    task = load_task(options.task or _default_task(card, target))
    sampling = _sampling(card, options)
    intake = Intake()
    rows = _read(importer, source, target, intake, on_row)
    rows = _usable(rows, task, intake, name)
    binning = _binning(rows, task, options, intake, name)
    label_map = _label_map(task, options, binning)
    candidates = _candidates(rows, task, binning, label_map, options, name)
    candidates = _disjoint(candidates, intake)
    inspector = Inspector(intake, on_row)
    drawn = draw(candidates, task.labels, sampling, options.seed, inspector.accept, name)
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
        own_splits=_has_own_splits(rows, options),
        sampling=sampling,
        label_map=label_map,
        files=intake.files,
        skipped={r: Skipped(n, intake.places[r]) for r, n in sorted(intake.skipped.items())},
        binning=binning,
        near_duplicates=_near_duplicates(drawn, inspector),
        examples=sorted((_drawn(c, inspector) for c in drawn), key=attrgetter("example_id")),
    )
    write_dataset(out, _examples(drawn, inspector))
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


def _sampling(card: Card, options: ImportOptions) -> Sampling:
    if not options.use_paper_split:
        return options.sampling
    paper = card.paper_split
    if paper is None:
        raise DataError(f"{card.name}: is not in the paper: give numbers per class")
    return Sampling(
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
        if task.carries_text and not row.text:
            intake.skip("no text", row.row_id)
        else:
            usable.append(row if task.carries_text else replace(row, text=None))
    if not usable:
        reasons = ", ".join(f"{reason}: {n:,}" for reason, n in intake.skipped.items())
        raise DataError(f"{source}: has no row that can be used ({reasons or 'it is empty'})")
    return usable


def _binning(
    rows: Sequence[RawRow], task: Task, options: ImportOptions, intake: Intake, source: str
) -> Binning | None:
    """The binning of a source of raw scores; None for one of labels."""
    scores = [row.value for row in rows if isinstance(row.value, float)]
    if not scores:
        if options.bins:
            raise DataError(f"{source}: has labels, not raw scores: leave --bins out")
        return None
    return fit_binning(scores, task, options.bins, options.scale or intake.scale, source)


def _label_map(task: Task, options: ImportOptions, binning: Binning | None) -> dict[str, str]:
    """The label for labels that the source spells otherwise or has on another scale."""
    given = dict(options.label_map or {})
    if binning is not None or options.scale is None:
        return given
    low, high = options.scale
    return rescaled_labels(int(low), int(high), task) | given


def _candidates(
    rows: Sequence[RawRow],
    task: Task,
    binning: Binning | None,
    label_map: Mapping[str, str],
    options: ImportOptions,
    source: str,
) -> list[Candidate]:
    def label(value: str | float) -> str:
        if binning is not None and isinstance(value, float):
            return binning.label(value)
        text = label_text(value)
        return label_map.get(text, text)

    labels = [label(row.value) for row in rows]
    _check_labels(rows, labels, task, source)
    groups = connected_groups([row.groups or (row.row_id,) for row in rows])
    splits = _splits(rows, labels, groups, options)
    return [
        Candidate(row, chosen, tuple(map(label, row.ratings)), split, group)
        for row, chosen, split, group in zip(rows, labels, splits, groups, strict=True)
    ]


def _check_labels(rows: Sequence[RawRow], labels: Sequence[str], task: Task, source: str) -> None:
    """Raises DataError where the labels of the whole source and of the task are not the same."""
    problems = Problems(source)
    problems.explain(explain_contradiction(labels, task))
    for row, label in zip(rows, labels, strict=True):
        if label not in task.labels:
            problems.add(row.row_id, f"label {label!r} is not one of {task.label_set()}")
    for label in sorted(set(task.labels) - set(labels), key=task.labels.index):
        problems.add(f"label {label!r}", "never occurs")
    problems.raise_if_any()


def _splits(
    rows: Sequence[RawRow], labels: Sequence[str], groups: Sequence[str], options: ImportOptions
) -> list[Split]:
    if _has_own_splits(rows, options):
        return [row.split for row in rows if row.split is not None]
    return assign_splits(labels, groups, seed=options.seed, test_fraction=options.test_fraction)


def _has_own_splits(rows: Sequence[RawRow], options: ImportOptions) -> bool:
    """Whether train and test are the source's: every row has a split, and both occur."""
    return not options.resplit and {row.split for row in rows} == set(SPLITS)


def _disjoint(candidates: Sequence[Candidate], intake: Intake) -> list[Candidate]:
    """Without the train rows of groups that are in test, too."""
    in_test = {candidate.group for candidate in candidates if candidate.split == "test"}
    kept: list[Candidate] = []
    for candidate in candidates:
        if candidate.split == "train" and candidate.group in in_test:
            intake.skip("train row of a group that is in test", candidate.row.row_id)
        else:
            kept.append(candidate)
    return kept


def _check_coverage(drawn: Sequence[Candidate], task: Task, source: str) -> None:
    problems = Problems(source)
    check_coverage(problems, [(c.split, c.label) for c in drawn], task)
    problems.raise_if_any()


def _examples(drawn: Sequence[Candidate], inspector: Inspector) -> Iterator[Example]:
    """Examples in the order of their images in the source."""
    by_place: defaultdict[ImagePlace, list[Candidate]] = defaultdict(list)
    for candidate in sorted(drawn, key=lambda candidate: candidate.row.row_id):
        by_place[candidate.row.image].append(candidate)
    bounds = ImageBounds()
    for place, data in read_images(by_place):
        image = ImageRef(data or b"", bounds)
        if hashlib.sha256(image.data).hexdigest() != inspector.images[place].sha256:
            raise DataError(
                f"{place.container}: {place.name}: changed during the import: repeat it"
            )
        yield from (_example(candidate, image) for candidate in by_place[place])


def _example(candidate: Candidate, image: ImageRef) -> Example:
    row = candidate.row
    return Example(
        example_id=row.row_id,
        image=image,
        text=row.text,
        label=candidate.label,
        group=candidate.group,
        category=row.category,
        split=candidate.split,
        score=row.value if isinstance(row.value, float) else None,
        ratings=candidate.ratings,
    )


def _near_duplicates(
    drawn: Sequence[Candidate], inspector: Inspector
) -> list[tuple[str, str, int]]:
    test, train = (
        {
            c.row.row_id: inspector.images[c.row.image].phash
            for c in sorted(drawn, key=lambda c: c.row.row_id)
            if c.split == split
        }
        for split in ("test", "train")
    )
    return near_duplicates(test, train)


def _drawn(candidate: Candidate, inspector: Inspector) -> Drawn:
    row = candidate.row
    sha256 = inspector.images[row.image].sha256
    return Drawn(
        row.row_id, candidate.split, candidate.label, row.category, candidate.group, sha256
    )
