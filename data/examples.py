"""Datasets: one Parquet file of labelled examples, written whole and checked when read."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from .arrow import atomic_path, pa, pq
from .dataset_files import batches_within, dataset_files, opened_dataset_file
from .errors import DataError
from .images import ImageBounds, ImageRef, check_image
from .label_sets import explain_contradiction, unknown_label
from .problems import Problems
from .tasks import Task, label_text

Split = Literal["train", "test"]
SPLITS: tuple[Split, Split] = ("train", "test")

_STRINGS = ("example_id", "text", "label", "group", "category", "split")
_FEATURES = {
    "example_id": {"dtype": "string", "_type": "Value"},
    "image": {"_type": "Image"},
    **{name: {"dtype": "string", "_type": "Value"} for name in _STRINGS[1:]},
    "score": {"dtype": "float64", "_type": "Value"},
    "ratings": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "Sequence"},
    "score_sd": {"dtype": "float64", "_type": "Value"},
}
_IMAGE: Any = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
SCHEMA: Any = pa.schema(
    [
        pa.field("example_id", pa.string()),
        pa.field("image", _IMAGE),
        *(pa.field(name, pa.string()) for name in _STRINGS[1:]),
        pa.field("score", pa.float64()),
        pa.field("ratings", pa.list_(pa.string())),
        pa.field("score_sd", pa.float64()),
    ],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES}})},
)
"""Columns of a dataset file, one row per example.

example_id  string                      unique within the file
image       struct{bytes, path}         the encoded image as it came; path is null
text        string, null without text   the example's own text
label       string                      the human label, one of the task's
group       string                      examples of a group are on one side of the split
category    string or null              for tables by category; never shown to a model
split       string                      "train" or "test"
score       double or null              the raw score that the label was binned from
ratings     list<string> or null        labels of the individual annotators, in rater order
score_sd    double or null              standard deviation of the annotators' scores around `score`

A file may lack the last three columns. The metadata key `huggingface` makes
`datasets.load_dataset("parquet", ...)` show pictures.
"""

_PAIR_COLUMNS = ("image", "image_b")
_PAIR_FEATURES = {
    "image_b": {"_type": "Image"},
    "swapped": {"dtype": "bool", "_type": "Value"},
}
PAIR_SCHEMA: Any = pa.schema(
    [*SCHEMA, pa.field("image_b", _IMAGE), pa.field("swapped", pa.bool_())],
    metadata={"huggingface": json.dumps({"info": {"features": _FEATURES | _PAIR_FEATURES}})},
)
"""Columns of a dataset file of pairs: those of SCHEMA, where `image` is image A, and two more.

image_b  struct{bytes, path}  image B
swapped  bool or null         whether the source has A and B the other way round; may be missing

Where the images of an example have roles, a column for each, of the role's name, is in place of
`image`.
"""

COMMENT: Any = pa.field("comment", pa.string())
"""A column of both, where annotators have said why: what they wrote, null without. For the
optimizer; judge and verbalizer are never shown it."""

CRITERION = "criterion_"
"""Begins the name of a column of both with annotators' answers to one criterion of the task, by its
name behind that: one of its labels, or a number from 0 to 1; null without an answer."""

_OPTIONAL = ("score", "ratings", "score_sd", "comment")
_GROUP_ROWS = 1024
_GROUP_BYTES = 64 * 2**20
_BATCH_ROWS = 256
_REMEDY = "make the file with `blpo import table`"
_LAYOUT: dict[str, Any] = {
    "compression": dict.fromkeys(_STRINGS, "zstd"),
    "use_dictionary": ["label", "group", "category", "split", "ratings.list.element"],
    "write_statistics": ["example_id", "label", "split"],
}


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled example. group, category, split, score, ratings and score_sd are as in SCHEMA.

    image, further_images: all images in the order of the task's `image_columns`; of a pair, image A
    and image B. swapped: of a pair, as in PAIR_SCHEMA. comment: as in COMMENT. criteria:
    annotators' answers by the name of the criterion, as in CRITERION.
    """

    example_id: str
    image: ImageRef
    text: str | None
    label: str
    group: str
    category: str | None
    split: Split
    score: float | None = None
    ratings: tuple[str, ...] = ()
    score_sd: float | None = None
    further_images: tuple[ImageRef, ...] = ()
    swapped: bool = False
    comment: str | None = None
    criteria: Mapping[str, str] = field(default_factory=dict[str, str], hash=False)

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """All images, in order."""
        return (self.image, *self.further_images)


@dataclass(frozen=True, slots=True)
class Item:
    """What a judge is shown, and the human label where it is known. Images: as of `Example`."""

    example_id: str
    image: ImageRef
    text: str | None
    label: str | None
    further_images: tuple[ImageRef, ...] = ()

    @property
    def images(self) -> tuple[ImageRef, ...]:
        """All images, in order."""
        return (self.image, *self.further_images)


@dataclass(frozen=True, slots=True)
class Dataset:
    """The examples of a file in file order.

    fingerprint: sha256 over all fields of all examples and their image bytes; independent of
        row order, file layout and compression.
    """

    train: tuple[Example, ...]
    test: tuple[Example, ...]
    fingerprint: str


def write_dataset(
    path: Path,
    rows: Iterable[Example],
    *,
    comments: bool = False,
    images: Sequence[str] = (),
    criteria: Sequence[str] = (),
    overwrite: bool = True,
) -> None:
    """Writes a dataset file that is complete when it appears; holds one row group in memory.

    The same rows in the same order give the same bytes. Rows are not checked here. All have as
    many images. comments: whether the file has that column. images: their roles, if they have any.
    criteria: those that have a column. overwrite: as of `atomic_path`.
    """
    rows = iter(rows)
    first = next(rows, None)
    given = () if first is None else (first,)
    columns = images or _PAIR_COLUMNS[: 1 if first is None else len(first.images)]
    schema = _schema(columns)
    schema = schema.append(COMMENT) if comments else schema
    for name in criteria:
        schema = schema.append(pa.field(f"{CRITERION}{name}", pa.string()))
    with (
        atomic_path(path, overwrite=overwrite) as temporary,
        pq.ParquetWriter(temporary, schema, **_LAYOUT) as writer,
    ):
        for group in _row_groups(chain(given, rows)):
            records = [_record(row, columns) for row in group]
            writer.write_table(pa.Table.from_pylist(records, schema))


def read_dataset(path: Path, task: Task, bounds: ImageBounds | None = None) -> Dataset:
    """All examples of a dataset file, or of a folder of them, checked against the task.

    Raises DataError for a file that is missing, not Parquet or without one of the columns, and
    for rows that the task cannot use, all of them in one message: an unknown label or split, a
    repeated example_id, no image, no text where the task carries one, an empty split, a class
    without a train example. Labels that contradict the task are told with their counts.
    """
    records = list(_records(path, task))
    _check(records, task, str(path))
    examples = [_example(record, task, bounds or ImageBounds()) for record in records]
    return Dataset(
        train=tuple(example for example in examples if example.split == "train"),
        test=tuple(example for example in examples if example.split == "test"),
        fingerprint=fingerprint(examples),
    )


def check_images(dataset: Dataset, task: Task, source: str) -> None:
    """Decodes every image once. Raises DataError that names the examples whose image is broken."""
    problems = Problems(source)
    check = partial(_image_problem, task.image_columns)
    with ThreadPoolExecutor() as pool:
        for problem in pool.map(check, (*dataset.train, *dataset.test)):
            if problem is not None:
                problems.add(*problem)
    problems.raise_if_any()


def _image_problem(columns: Sequence[str], example: Example) -> tuple[str, str] | None:
    try:
        for name, image in zip(columns, example.images, strict=True):
            check_image(image.data, name)
    except DataError as error:
        return f"example {example.example_id!r}", str(error)
    return None


def iter_dataset(
    path: Path,
    task: Task,
    bounds: ImageBounds | None = None,
    batch_rows: int = 256,
    rows: range | None = None,
) -> Iterator[list[Item]]:
    """Items of a dataset of any size in its order, at most `batch_rows` in memory at once.

    Only `example_id`, the task's image columns, and `text` where the task carries one, are needed;
    `label` is read where present. rows: of one file only these, from 0; row groups without
    one of them are not read. Raises DataError as `read_dataset` does for the file, and for a row
    without one of what is needed.
    """
    texts = ("example_id", "text") if task.carries_text else ("example_id",)
    needed = (*texts, *task.image_columns)
    for file in dataset_files(path):
        for start, batch in _batches(file, needed, ("label",), batch_rows, rows):
            problems = Problems(str(file))
            for row, record in enumerate(batch, start):
                _check_presence(problems, row, record, task.image_columns, texts)
            problems.raise_if_any()
            yield [_item(record, task, bounds or ImageBounds()) for record in batch]


def fingerprint(examples: Iterable[Example]) -> str:
    """See Dataset."""
    digests = sorted((example.example_id, _digest(example)) for example in examples)
    return hashlib.sha256("".join(digest for _, digest in digests).encode()).hexdigest()


def _row_groups(rows: Iterable[Example]) -> Iterator[list[Example]]:
    group: list[Example] = []
    num_bytes = 0
    for row in rows:
        group.append(row)
        num_bytes += sum(len(image.data) for image in row.images)
        if len(group) == _GROUP_ROWS or num_bytes >= _GROUP_BYTES:
            yield group
            group, num_bytes = [], 0
    if group:
        yield group


def _digest(example: Example) -> str:
    image_digest = hashlib.sha256(example.image.data).hexdigest()
    values: list[Any] = [getattr(example, name) for name in _STRINGS]
    if example.score is not None or example.ratings:
        values += [example.score, example.ratings]
    if example.score_sd is not None:
        values.append(example.score_sd)
    values += [hashlib.sha256(image.data).hexdigest() for image in example.further_images]
    if example.comment is not None:
        values.append({"comment": example.comment})
    if example.criteria:
        values.append({"criteria": dict(sorted(example.criteria.items()))})
    return hashlib.sha256(json.dumps([image_digest, *values]).encode()).hexdigest()


def _schema(columns: Sequence[str]) -> Any:
    """Columns of a file whose images are in these."""
    if columns == _PAIR_COLUMNS[:1]:
        return SCHEMA
    if columns == _PAIR_COLUMNS:
        return PAIR_SCHEMA
    first, *others = SCHEMA
    others = [field for field in others if field.name != "image"]
    features = {"example_id": _FEATURES["example_id"]} | dict.fromkeys(columns, _FEATURES["image"])
    features |= {field.name: _FEATURES[field.name] for field in others}
    return pa.schema(
        [first, *(pa.field(name, _IMAGE) for name in columns), *others],
        metadata={"huggingface": json.dumps({"info": {"features": features}})},
    )


def _record(example: Example, columns: Sequence[str]) -> dict[str, Any]:
    images = zip(columns, example.images, strict=True)
    return {
        **{name: {"bytes": image.data, "path": None} for name, image in images},
        **{name: getattr(example, name) for name in _STRINGS},
        "score": example.score,
        "ratings": example.ratings or None,
        "score_sd": example.score_sd,
        "swapped": example.swapped,
        "comment": example.comment,
        **{f"{CRITERION}{name}": answer for name, answer in example.criteria.items()},
    }


def _example(record: dict[str, Any], task: Task, bounds: ImageBounds) -> Example:
    image, *further = _images(record, task, bounds)
    return Example(
        example_id=record["example_id"],
        image=image,
        text=record["text"] if task.carries_text else None,
        label=label_text(record["label"]),
        group=record["group"],
        category=record["category"],
        split=record["split"],
        score=record.get("score"),
        ratings=tuple(map(label_text, record.get("ratings") or ())),
        score_sd=record.get("score_sd"),
        further_images=tuple(further),
        swapped=bool(record.get("swapped")),
        comment=record.get("comment"),
        criteria=_criteria(record, task),
    )


def _criteria(record: dict[str, Any], task: Task) -> dict[str, str]:
    """Annotators' answers by criterion; a cell without any text is no answer."""
    cells = {c.name: record.get(f"{CRITERION}{c.name}") for c in task.criteria}
    return {name: label_text(cell) for name, cell in cells.items() if cell and cell.strip()}


def _item(record: dict[str, Any], task: Task, bounds: ImageBounds) -> Item:
    label = record.get("label")
    image, *further = _images(record, task, bounds)
    return Item(
        example_id=record["example_id"],
        image=image,
        text=record.get("text"),
        label=None if label is None else label_text(label),
        further_images=tuple(further),
    )


def _images(record: dict[str, Any], task: Task, bounds: ImageBounds) -> list[ImageRef]:
    return [ImageRef(record[column]["bytes"], bounds) for column in task.image_columns]


def _records(path: Path, task: Task) -> Iterator[dict[str, Any]]:
    needed = ("example_id", *task.image_columns, *_STRINGS[1:])
    own = [f"{CRITERION}{criterion.name}" for criterion in task.criteria]
    optional = (*_OPTIONAL, *(("swapped",) if task.is_pairwise else ()), *own)
    for file in dataset_files(path):
        for _, batch in _batches(file, needed, optional, _BATCH_ROWS):
            yield from batch


def _batches(
    path: Path,
    needed: tuple[str, ...],
    optional: tuple[str, ...],
    batch_rows: int,
    rows: range | None = None,
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Batches of rows, each with the number of its first row (the file's first row is row 1)."""
    with opened_dataset_file(path) as file:
        _check_columns(path, file.schema_arrow, needed, optional)
        columns = [name for name in (*needed, *optional) if name in file.schema_arrow.names]
        rows = range(file.metadata.num_rows) if rows is None else rows
        row = 1 + rows.start
        for batch in batches_within(file, rows, batch_rows, columns):
            yield row, batch.to_pylist()
            row += batch.num_rows


def _check_columns(
    path: Path, schema: Any, needed: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    missing = [name for name in needed if name not in schema.names]
    if missing and "verdict" in schema.names:
        raise DataError(
            f"{path}: holds verdicts, as `blpo judge` writes them, and is no dataset: name the "
            "file that `blpo import table` wrote"
        )
    problems = Problems(str(path))
    for name in (*needed, *optional):
        if name in schema.names:
            found, wanted = schema.field(name).type, _type_of(name)
            if not _is_usable(name, found, wanted):
                problems.add(f"column `{name}`", f"is {found}, must be {wanted}; {_REMEDY}")
        elif name in missing:
            problems.add(f"column `{name}`", f"is missing; {_REMEDY}")
    problems.raise_if_any()


def _type_of(column: str) -> Any:
    """Of a column of a dataset; one of no other name is of the images of a role."""
    known = PAIR_SCHEMA.append(COMMENT)
    if column in known.names:
        return known.field(column).type
    return pa.string() if column.startswith(CRITERION) else _IMAGE


def _is_usable(name: str, found: Any, wanted: Any) -> bool:
    if wanted == _IMAGE:
        return bool(pa.types.is_struct(found) and found.get_field_index("bytes") >= 0)
    if name in {"score", "score_sd"}:
        return bool(pa.types.is_floating(found) or pa.types.is_null(found))
    if name == "swapped":
        return bool(pa.types.is_boolean(found) or pa.types.is_null(found))
    if name == "ratings":
        return bool(pa.types.is_null(found)) or (
            bool(pa.types.is_list(found)) and _is_text(found.value_type)
        )
    return _is_text(found)


def _is_text(found: Any) -> bool:
    return bool(
        pa.types.is_string(found) or pa.types.is_large_string(found) or pa.types.is_null(found)
    )


def _check(records: list[dict[str, Any]], task: Task, source: str) -> None:
    if not records:
        raise DataError(f"{source}: has no rows: import a table that has some")
    problems = Problems(source)
    labels = [label_text(record["label"]) for record in records if record["label"] is not None]
    has_scores = any(record.get("score") is not None for record in records)
    problems.explain(explain_contradiction(labels, task, has_scores=has_scores))
    needed = ("example_id", "label", "group", "split", *(("text",) if task.carries_text else ()))
    for row, record in enumerate(records, 1):
        _check_presence(problems, row, record, task.image_columns, needed)
        _check_values(problems, row, record, task)
    _check_repeats(problems, [record["example_id"] for record in records])
    problems.raise_if_any()
    check_coverage(
        problems, [(record["split"], label_text(record["label"])) for record in records], task
    )
    problems.raise_if_any()


def _where(row: int, record: dict[str, Any]) -> str:
    return f"row {row} (example {record['example_id']!r})"


def _check_presence(
    problems: Problems,
    row: int,
    record: dict[str, Any],
    images: Iterable[str],
    needed: Iterable[str],
) -> None:
    for column in images:
        image: dict[str, Any] | None = record[column]
        if image is None or not image["bytes"]:
            problems.add(
                _where(row, record), f"has no {column} bytes; drop the row or repeat the import"
            )
    for name in needed:
        if record[name] is None or not record[name].strip():
            problems.add(_where(row, record), f"has no {name}; fill it in or drop the row")


def _check_values(problems: Problems, row: int, record: dict[str, Any], task: Task) -> None:
    """Label and ratings outside the task's set are one problem of their row."""
    label, split = record["label"], record["split"]
    ratings = map(label_text, record.get("ratings") or ())
    strange = next((rating for rating in ratings if rating not in task.labels), None)
    if label is not None and label_text(label) not in task.labels:
        problems.add(_where(row, record), unknown_label(label, task))
    elif strange is not None:
        problems.add(_where(row, record), f"rating: {unknown_label(strange, task)}")
    answers = _criteria(record, task)
    for criterion in task.criteria:
        answer = answers.get(criterion.name)
        if answer is not None and (fault := criterion.fault(answer)):
            told = f"criterion {criterion.name}: {answer!r} {fault}; correct it, or leave it empty"
            problems.add(_where(row, record), told)
    if split is not None and split not in SPLITS:
        problems.add(_where(row, record), f"split {split!r} is not one of {', '.join(SPLITS)}")


def _check_repeats(problems: Problems, example_ids: list[str | None]) -> None:
    first_rows: dict[str, int] = {}
    for row, example_id in enumerate(example_ids, 1):
        if example_id is None:
            continue
        first = first_rows.setdefault(example_id, row)
        if first != row:
            problems.add(
                f"row {row} (example {example_id!r})",
                f"repeats the example_id of row {first}; give every row its own",
            )


def check_coverage(problems: Problems, placed: Iterable[tuple[Split, str]], task: Task) -> None:
    """Adds a problem for an empty split and for each class without a train example."""
    counts = Counter(placed)
    hint = ""
    if task.is_pairwise:
        hint = "; where a table has the preferred image always first, pass --shuffle-pairs"
    for split in SPLITS:
        if not any(counts[split, label] for label in task.labels):
            problems.add(f"split {split}", "has no examples; change the split or add rows")
    for label in task.labels:
        if not counts["train", label]:
            problems.add(
                f"class {label!r}",
                f"has no train example; add some, or use a task that does not declare it{hint}",
            )
