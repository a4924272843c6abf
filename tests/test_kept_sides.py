"""`import table --split-as`: when labels are added, what was on a side of the split stays there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from blpo.data.arrow import pa, pq
from blpo.data.errors import DataError
from blpo.data.examples import Dataset, read_dataset, write_dataset
from blpo.data.table.options import TableOptions
from blpo.data.table.table import import_table
from user_files import SAFETY, examples_of, imported, refused, rows_with_images, write_csv

TWO_SIDES = ("train", "test")


def old_and_more(tmp_path: Path, groups: Sequence[str] = ()) -> tuple[Path, Path]:
    """A dataset of 12 rows, and a table of them and 12 more; groups: of all 24."""
    rows = rows_with_images(tmp_path, 24)
    if groups:
        rows = [row | {"group": group} for row, group in zip(rows, groups, strict=True)]
    old = tmp_path / "old.parquet"
    import_table(write_csv(tmp_path / "first.csv", rows[:12]), old, SAFETY)
    return old, write_csv(tmp_path / "all.csv", rows)


def sides(dataset: Dataset) -> Mapping[bytes, str]:
    return {example.image.data: example.split for example in examples_of(dataset)}


def test_images_of_an_older_dataset_keep_their_side_and_only_new_ones_are_dealt(
    tmp_path: Path,
) -> None:
    old, more = old_and_more(tmp_path)
    before = sides(read_dataset(old, SAFETY))
    drawn = sides(imported(more, seed=3)[1])
    assert any(drawn[image] != side for image, side in before.items())
    report, dataset = imported(more, overwrite=True, seed=3, test_fraction=0.2, split_as=old)
    after = sides(dataset)
    assert {image: after[image] for image in before} == before
    told = f"split as {old}: 6 train, 6 test keep their side; new: 0 follow their group or image "
    assert f"{told}(0 train, 0 test), 12 dealt" in report.notes
    new = [side for image, side in after.items() if image not in before]
    assert (new.count("train"), new.count("test")) == (10, 2)
    same = imported(tmp_path / "first.csv", overwrite=True, seed=3, split_as=old)[1]
    assert sides(same) == before


def test_new_rows_follow_their_group_and_a_group_on_both_sides_is_named(tmp_path: Path) -> None:
    old, more = old_and_more(tmp_path, [f"g{n // 2}" for n in range(12)] * 2)
    before = {e.group: e.split for e in examples_of(read_dataset(old, SAFETY))}
    report, dataset = imported(more, split_as=old, train_per_class=1)
    assert {example.group: example.split for example in examples_of(dataset)} == before
    told = "6 train, 6 test keep their side; new: 12 follow their group or image (6 train, 6 test)"
    assert f"split as {old}: {told}, 0 dealt" in report.notes
    assert "no row is dealt: --train-per-class changes nothing" in report.notes
    joined = [row | {"group": "one"} for row in rows_with_images(tmp_path, 14)]
    told = refused(write_csv(tmp_path / "joined.csv", joined), split_as=old)
    assert f"group 'one' is in test of {old} here and in train of it at line" in told
    assert "finer groups with --column group=COLUMN" in told


def test_a_table_with_a_split_of_its_own_is_refused(tmp_path: Path) -> None:
    old, _ = old_and_more(tmp_path)
    rows = rows_with_images(tmp_path)
    own = [row | {"split": TWO_SIDES[n > 3]} for n, row in enumerate(rows)]
    told = refused(write_csv(tmp_path / "own.csv", own), split_as=old)
    assert "has a split of its own: ignore it with --column split=" in told


def test_an_older_dataset_whose_groups_are_on_both_sides_is_refused(tmp_path: Path) -> None:
    old, more = old_and_more(tmp_path)
    torn = [replace(e, group="g") for e in examples_of(read_dataset(old, SAFETY))]
    write_dataset(tmp_path / "torn.parquet", torn)
    told = refused(more, split_as=tmp_path / "torn.parquet")
    assert "is in test and has the group 'g' in common with example 'images/" in told
    assert "leave out --split-as" in told


def test_what_old_examples_have_become_of_is_told(tmp_path: Path) -> None:
    old, _ = old_and_more(tmp_path)
    rows = rows_with_images(tmp_path, 14)[2:]
    rows[0]["label"], rows[1]["label"] = rows[1]["label"], rows[0]["label"]
    notes = imported(write_csv(tmp_path / "now.csv", rows), split_as=old)[0].notes
    assert f"examples of {old} that are not here: 2 (first: images/0.png, images/1.png)" in notes
    first, second = SAFETY.labels
    told = f"images/2.png {first}, now {second}, images/3.png {second}, now {first}"
    assert f"labels that are others than in {old}: 2 (first: {told})" in notes
    same = imported(tmp_path / "first.csv", overwrite=True, split_as=old)[0].notes
    assert not any("are not here" in note or "are others" in note for note in same)


def test_train_rows_per_class_count_new_rows_alone(tmp_path: Path) -> None:
    old, more = old_and_more(tmp_path)
    told = refused(more, split_as=old, train_per_class=6)
    assert f"with --split-as only new rows count, 12 of 24 here: those of {old}" in told


def test_verdicts_in_place_of_the_older_dataset_are_called_verdicts(tmp_path: Path) -> None:
    _, more = old_and_more(tmp_path)
    verdicts = tmp_path / "verdicts.parquet"
    pq.write_table(pa.table({"example_id": ["a"], "verdict": ["Safe"]}), verdicts)
    told = refused(more, split_as=verdicts)
    assert f"{verdicts}: holds verdicts, as `blpo judge` writes them, and is no dataset" in told


def test_the_older_dataset_is_not_written_over(tmp_path: Path) -> None:
    old, more = old_and_more(tmp_path)
    before = old.read_bytes()
    with pytest.raises(DataError, match="is the file that is read"):
        import_table(more, old, SAFETY, TableOptions(split_as=old), overwrite=True)
    assert old.read_bytes() == before
