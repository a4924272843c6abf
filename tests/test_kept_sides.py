"""`import table --split-as`: when labels are added, what was on a side of the split stays there."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from blpo.data.examples import Dataset, read_dataset, write_dataset
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
    told = f"split as {old}: 6 train, 6 test keep their side; new and dealt: 12"
    assert told in report.notes
    new = [side for image, side in after.items() if image not in before]
    assert (new.count("train"), new.count("test")) == (10, 2)
    same = imported(tmp_path / "first.csv", overwrite=True, seed=3, split_as=old)[1]
    assert sides(same) == before


def test_new_rows_follow_their_group_and_a_group_on_both_sides_is_named(tmp_path: Path) -> None:
    old, more = old_and_more(tmp_path, [f"g{n // 2}" for n in range(12)] * 2)
    before = {e.group: e.split for e in examples_of(read_dataset(old, SAFETY))}
    dataset = imported(more, split_as=old)[1]
    assert {example.group: example.split for example in examples_of(dataset)} == before
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
