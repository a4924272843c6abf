"""Dataset files and their splits."""

import io
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from blpo.data.arrow import pa, pq
from blpo.data.errors import DataError
from blpo.data.examples import (
    COMMENT,
    PAIR_SCHEMA,
    SCHEMA,
    Example,
    fingerprint,
    iter_dataset,
    read_dataset,
    write_dataset,
)
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.problems import Problems
from blpo.data.splits import assign_splits
from blpo.data.tasks import load_task
from PIL import Image

SAFETY = load_task("unsafebench")
ALIGNMENT = load_task("seetrue")


def png(number: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 12), (number % 256, 90, 30)).save(buffer, "PNG")
    return buffer.getvalue()


def examples(count: int = 8) -> list[Example]:
    return [
        Example(
            example_id=f"ex-{number}",
            image=ImageRef(png(number), ImageBounds()),
            text=f"text {number}",
            label=("Safe", "Unsafe")[number % 2],
            group=f"group {number}",
            category=None if number % 3 else "Hate",
            split="train" if number < count // 2 else "test",
        )
        for number in range(count)
    ]


def write(folder: Path, rows: Sequence[Example]) -> Path:
    path = folder / "dataset.parquet"
    write_dataset(path, rows)
    return path


def write_changed(folder: Path, **columns: Any) -> Path:
    """A dataset file with columns set to other values, or left out where given None."""
    table = pq.read_table(write(folder, examples()))
    for name, values in columns.items():
        if values is None:
            table = table.drop_columns([name])
        else:
            position = table.schema.get_field_index(name)
            table = table.set_column(position, name, pa.array(values, table.field(name).type))
    path = folder / "changed.parquet"
    pq.write_table(table, path)
    return path


def test_examples_come_back_as_written(tmp_path: Path) -> None:
    rows = [replace(row, label=str(index % 2)) for index, row in enumerate(examples())]
    bounds = ImageBounds(100, 200)
    dataset = read_dataset(write(tmp_path, rows), ALIGNMENT, bounds)
    assert [replace(row, image=ImageRef(row.image.data, bounds)) for row in rows] == [
        *dataset.train,
        *dataset.test,
    ]


def test_a_task_without_texts_does_not_see_them(tmp_path: Path) -> None:
    dataset = read_dataset(write(tmp_path, examples()), SAFETY)
    assert {example.text for example in dataset.train} == {None}


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    first = write(tmp_path, examples(600)).read_bytes()
    assert write(tmp_path, examples(600)).read_bytes() == first


def test_the_fingerprint_ignores_row_order_and_file_layout_and_sees_every_field(
    tmp_path: Path,
) -> None:
    rows = examples()
    path = write(tmp_path, rows[::-1])
    expected = read_dataset(path, SAFETY).fingerprint
    pq.write_table(pq.read_table(path), path, row_group_size=3, compression="gzip")
    assert read_dataset(path, SAFETY).fingerprint == expected
    assert read_dataset(write(tmp_path, rows), SAFETY).fingerprint == expected
    changes: list[dict[str, Any]] = [
        {"example_id": "other"},
        {"image": ImageRef(png(99), ImageBounds())},
        {"text": None},
        {"label": "Unsafe"},
        {"group": "other"},
        {"category": "Spam"},
        {"split": "test"},
        {"score": 3.5},
        {"ratings": ("Safe", "Unsafe")},
        {"score_sd": 0.5},
    ]
    changed = {fingerprint([replace(rows[0], **change), *rows[1:]]) for change in changes}
    assert len(changed | {fingerprint(rows)}) == 11


def test_scores_and_ratings_come_back_and_a_file_may_lack_them(tmp_path: Path) -> None:
    rows = [
        replace(row, score=index / 3, ratings=("Safe",)) for index, row in enumerate(examples())
    ]
    path = write(tmp_path, rows)
    dataset = read_dataset(path, SAFETY)
    assert [e.score for e in (*dataset.train, *dataset.test)] == [row.score for row in rows]
    assert {e.ratings for e in dataset.train} == {("Safe",)}
    older = tmp_path / "older.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["score", "ratings"]), older)
    assert read_dataset(older, SAFETY).fingerprint == fingerprint(examples_without_text())


def examples_without_text() -> list[Example]:
    return [replace(row, text=None) for row in examples()]


def test_labels_that_contradict_the_task_are_counted_before_the_rows(tmp_path: Path) -> None:
    rows = [replace(row, label=str(index % 5 + 1)) for index, row in enumerate(examples(20))]
    with pytest.raises(DataError) as caught:
        read_dataset(write(tmp_path, rows), load_task("imagereward"))
    lines = str(caught.value).splitlines()
    found = ": The labels contradict task imagereward. Found: 1: 4, 2: 4, 3: 4, 4: 4, 5: 4. "
    assert found in lines[0]
    assert lines[0].endswith("never found: 6, 7. Ways to resolve it:")
    assert [line[:4] for line in lines[1:3]] == ["  1.", "  2."]
    assert lines[3] == "2 problems:"
    assert lines[4].startswith("  class '6': has no train example")


def test_huggingface_datasets_shows_the_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets: Any = pytest.importorskip("datasets")
    rows = [replace(row, score=2.5, ratings=("1", "0"), score_sd=0.5) for row in examples()]
    path = write(tmp_path, rows)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded[3]["image"].size == (16, 12)
    assert loaded[3]["example_id"] == "ex-3"
    assert (loaded[3]["score"], loaded[3]["ratings"]) == (2.5, ["1", "0"])
    assert loaded[3]["score_sd"] == 0.5


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    def rows_that_fail() -> Any:
        yield from examples(300)
        raise DataError("row 301 is wrong")

    with pytest.raises(DataError, match="row 301"):
        write_dataset(tmp_path / "new" / "dataset.parquet", rows_that_fail())
    assert list((tmp_path / "new").iterdir()) == []


def test_items_come_in_batches_with_and_without_labels(tmp_path: Path) -> None:
    path = write(tmp_path, examples(20))
    batches = list(iter_dataset(path, SAFETY, batch_rows=6))
    assert [len(batch) for batch in batches] == [6, 6, 6, 2]
    assert batches[0][1].label == "Unsafe"
    assert [item.example_id for batch in batches for item in batch] == [
        f"ex-{number}" for number in range(20)
    ]
    bare = write_changed(tmp_path, text=None, label=None, group=None, category=None, split=None)
    (batch,) = iter_dataset(bare, SAFETY)
    assert [(item.label, item.text) for item in batch] == [(None, None)] * 8


def test_the_text_of_an_item_is_what_its_task_carries(tmp_path: Path) -> None:
    texts = [*(f"text {number}" for number in range(7)), ""]
    path = write_changed(tmp_path, text=texts)
    assert {item.text for batch in iter_dataset(path, SAFETY) for item in batch} == {None}
    carrying = SAFETY.model_copy(update={"carries_text": True})
    with pytest.raises(DataError, match=r"row 8 \(example 'ex-7'\): has no text; fill it in"):
        list(iter_dataset(path, carrying))
    path = write_changed(tmp_path, text=["text"] * 8)
    assert {item.text for batch in iter_dataset(path, carrying) for item in batch} == {"text"}
    with pytest.raises(DataError, match="column `text`: is missing"):
        list(iter_dataset(write_changed(tmp_path, text=None), carrying))


def test_an_item_without_an_image_is_named_by_its_row(tmp_path: Path) -> None:
    images = [{"bytes": png(number), "path": None} for number in range(8)]
    path = write_changed(tmp_path, image=[*images[:6], None, images[7]])
    with pytest.raises(DataError, match=r"row 7 \(example 'ex-6'\): has no image bytes"):
        list(iter_dataset(path, SAFETY, batch_rows=4))


IDS = [f"ex-{number}" for number in range(8)]
LABELS = ["Safe", "Unsafe"] * 4


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"group": None}, "column `group`: is missing; make the file with `blpo import table`"),
        (
            {"label": [*LABELS[:5], "unsafe", *LABELS[6:]]},
            r"row 6 \(example 'ex-5'\): label 'unsafe' is not one of Safe, Unsafe",
        ),
        (
            {"example_id": [*IDS[:7], "ex-2"]},
            r"row 8 \(example 'ex-2'\): repeats the example_id of row 3",
        ),
        ({"example_id": [None, *IDS[1:]]}, r"row 1 \(example None\): has no example_id"),
        ({"label": [None, *LABELS[1:]]}, r"row 1 \(example 'ex-0'\): has no label"),
        ({"image": [None] * 8}, r"8 problems:\n.*row 1 \(example 'ex-0'\): has no image bytes"),
        ({"split": ["train"] * 7 + ["dev"]}, r"row 8.*split 'dev' is not one of train, test"),
        ({"split": ["train"] * 8}, "split test: has no examples"),
        ({"label": ["Safe"] * 8}, "class 'Unsafe': has no train example"),
        ({"label": ["Safe"] * 4 + LABELS[4:]}, "class 'Unsafe': has no train example"),
    ],
)
def test_a_wrong_dataset_names_file_row_value_and_remedy(
    tmp_path: Path, columns: dict[str, Any], message: str
) -> None:
    path = write_changed(tmp_path, **columns)
    with pytest.raises(DataError, match=message) as caught:
        read_dataset(path, SAFETY)
    assert str(caught.value).startswith(str(path))


def test_a_missing_text_matters_to_a_task_that_carries_one(tmp_path: Path) -> None:
    path = write_changed(tmp_path, label=["0", "1"] * 4, text=[*IDS[:3], " ", *IDS[4:]])
    with pytest.raises(DataError, match=r"row 4 \(example 'ex-3'\): has no text"):
        read_dataset(path, ALIGNMENT)


def test_the_first_of_each_kind_of_many_problems_are_shown(tmp_path: Path) -> None:
    rows = [replace(row, label="?", ratings=("?", "!", "?")) for row in examples(50)]
    rows[40] = replace(rows[40], label="Safe", ratings=("Safe", "!", "?"))
    with pytest.raises(DataError, match="50 problems:") as caught:
        read_dataset(write(tmp_path, rows), SAFETY)
    shown = str(caught.value).partition("50 problems:\n")[2].splitlines()
    assert [line.split(" (")[0] for line in shown] == [
        *(f"  row {row}" for row in (1, 2, 3)),
        "  ... and 46 more like it",
        "  row 41",
    ]
    assert ": rating: label '!' is not one of Safe, Unsafe" in shown[-1]


def test_problems_of_many_kinds_are_shown_as_far_as_there_is_room() -> None:
    problems = Problems("t.csv")
    for number in range(900):
        problems.add(f"line {number}", f"image photos/{'x' * number}.png: no such file", "go")
    for number in range(30):
        problems.add("", f"trouble {'x' * number}")
    with pytest.raises(DataError) as caught:
        problems.raise_if_any()
    lines = str(caught.value).splitlines()
    assert lines[0] == "t.csv: 930 problems:"
    assert lines[4] == "  ... and 897 more like it"
    assert lines[5:7] == ["  trouble ", "  trouble x"]
    assert lines[-2:] == ["  ... and 13 more of other kinds", "no such file: go"]


def test_files_that_are_no_dataset_are_errors(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such dataset file"):
        read_dataset(tmp_path / "none.parquet", SAFETY)
    table = tmp_path / "t.csv"
    table.write_text("image,label\n")
    with pytest.raises(DataError) as caught:
        list(iter_dataset(table, SAFETY))
    assert str(caught.value) == (
        f"{table}: not a Parquet file, as dataset files are: `blpo import table` makes one; for "
        "images without labels see `blpo docs results`"
    )
    path = write(tmp_path, examples())
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="not a whole Parquet file"):
        read_dataset(path, SAFETY)
    write_dataset(path, [])
    with pytest.raises(DataError, match="has no rows"):
        read_dataset(path, SAFETY)
    pl.DataFrame({"image": ["a.png"], "example_id": [1]}).write_parquet(path)
    with pytest.raises(DataError, match=r"column `example_id`: is int64, must be string"):
        list(iter_dataset(path, SAFETY))


def test_the_schema_names_every_field_of_an_example() -> None:
    of_several = {"further_images", "swapped", "criteria"}
    assert set(SCHEMA.names) | {COMMENT.name} == set(Example.__slots__) - of_several
    assert set(PAIR_SCHEMA.names) - set(SCHEMA.names) == {"image_b", "swapped"}


def random_table(seed: int) -> tuple[list[str], list[str]]:
    """Labels and groups of 30 to 300 rows, groups of one to eight rows."""
    draw = random.Random(seed)
    size = draw.randint(30, 300)
    labels = [draw.choice("aaabbc") for _ in range(size)]
    groups = [f"g{draw.randrange(size // draw.choice((1, 2, 4)))}" for _ in range(size)]
    return labels, groups


@pytest.mark.parametrize(("seed", "fraction"), list(product(range(15), (0.2, 0.5, 0.7))))
def test_splits_are_disjoint_by_group_and_near_the_target_for_every_label(
    seed: int, fraction: float
) -> None:
    labels, groups = random_table(seed)
    splits = assign_splits(labels, groups, seed=seed, test_fraction=fraction)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))
    totals = Counter(labels)
    largest = max(Counter(zip(groups, labels, strict=True)).values())
    test = Counter(label for label, split in zip(labels, splits, strict=True) if split == "test")
    for label, total in totals.items():
        assert abs(test[label] - total * fraction) <= largest
        assert test[label] < total


def test_splits_do_not_depend_on_row_order_and_do_on_the_seed() -> None:
    labels, groups = random_table(4)
    rows = list(zip(groups, labels, strict=True))
    sides = dict(zip(groups, assign_splits(labels, groups, seed=1), strict=True))
    random.Random(0).shuffle(rows)
    groups, labels = ([row[i] for row in rows] for i in (0, 1))
    assert dict(zip(groups, assign_splits(labels, groups, seed=1), strict=True)) == sides
    assert dict(zip(groups, assign_splits(labels, groups, seed=2), strict=True)) != sides


def test_single_rows_meet_the_target_exactly() -> None:
    labels = ["a"] * 40 + ["b"] * 10 + ["c"]
    splits = assign_splits(labels, [str(row) for row in range(51)], test_fraction=0.25)
    assert Counter(zip(labels, splits, strict=True)) == {
        ("a", "train"): 30,
        ("a", "test"): 10,
        ("b", "train"): 7,
        ("b", "test"): 3,
        ("c", "train"): 1,
    }


def test_a_number_per_class_may_be_given_for_train() -> None:
    labels = ["a"] * 40 + ["b"] * 10
    groups = [str(row) for row in range(50)]
    splits = assign_splits(labels, groups, train_per_class=6)
    assert Counter(zip(labels, splits, strict=True))["a", "train"] == 6
    assert Counter(zip(labels, splits, strict=True))["b", "train"] == 6
    with pytest.raises(DataError, match=r"--train-per-class 10: .*b: 10"):
        assign_splits(labels, groups, train_per_class=10)


def test_a_fraction_outside_zero_and_one_is_refused() -> None:
    with pytest.raises(DataError, match=r"--test-fraction 1\.5"):
        assign_splits(["a"], ["g"], test_fraction=1.5)
