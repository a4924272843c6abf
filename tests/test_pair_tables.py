"""Tables of pairs, as users have them, become datasets."""

from pathlib import Path
from typing import Any

import pytest
from blpo.data.errors import DataError
from blpo.data.examples import Dataset, iter_dataset, read_dataset
from blpo.data.table.options import TableOptions
from blpo.data.table.table import import_table
from blpo.data.tasks import load_task
from public_sources import picture, write_csv, write_files

TASK = load_task("hpdv2")
TIES = load_task("pickapic")
HEADER = ("prompt", "image_a", "image_b", "label")


def pair_table(folder: Path, labels: str = "AB" * 12, header: tuple[str, ...] = HEADER) -> Path:
    rows: list[list[Any]] = []
    for number, label in enumerate(labels):
        names = [f"images/{number}{side}.png" for side in "ab"]
        members = {name: picture(2 * number + i) for i, name in enumerate(names)}
        write_files(folder, members)
        rows.append([f"prompt {number}", *names, {"t": "tie"}.get(label, label)])
    write_csv(folder / "pairs.csv", header, rows)
    return folder / "pairs.csv"


def examples_of(dataset: Dataset) -> dict[str, Any]:
    return {str(e.text): e for e in (*dataset.train, *dataset.test)}


def test_a_table_of_pairs_keeps_its_order_and_labels(tmp_path: Path) -> None:
    out = tmp_path / "out.parquet"
    summary = import_table(pair_table(tmp_path), out, TASK)
    assert summary.columns == {
        "image": "image_a", "image_b": "image_b", "text": "prompt", "label": "label",
    }  # fmt: skip
    examples = examples_of(read_dataset(out, TASK))
    assert len(examples) == 24
    for number in range(24):
        example = examples[f"prompt {number}"]
        assert [image.data for image in example.images] == [picture(2 * number + i) for i in (0, 1)]
        assert (example.label, example.swapped) == ("AB"[number % 2], False)
        assert example.example_id.startswith(f"images/{number}a.png|images/{number}b.png#")


def test_a_table_with_the_preferred_image_first_is_refused_and_shuffled_on_request(
    tmp_path: Path,
) -> None:
    source, out = pair_table(tmp_path, "A" * 24), tmp_path / "out.parquet"
    with pytest.raises(DataError, match=r"class 'B'.*pass --shuffle-pairs"):
        import_table(source, out, TASK)
    assert not out.exists()
    import_table(source, out, TASK, TableOptions(shuffle_pairs=True))
    examples = examples_of(read_dataset(out, TASK))
    for number in range(24):
        example = examples[f"prompt {number}"]
        preferred = example.images["AB".index(example.label)]
        assert preferred.data == picture(2 * number)
        assert example.swapped == (example.label == "B")
    assert 4 < sum(example.swapped for example in examples.values()) < 20


def test_ties_are_labels_of_a_task_that_has_them_and_no_other(tmp_path: Path) -> None:
    source, out = pair_table(tmp_path, "ABt" * 8), tmp_path / "out.parquet"
    import_table(source, out, TIES)
    labels = [e.label for e in examples_of(read_dataset(out, TIES)).values()]
    assert labels.count("tie") == 8
    with pytest.raises(DataError, match="'tie'"):
        import_table(source, tmp_path / "other.parquet", TASK)


def test_pairs_that_share_an_image_are_on_one_side(tmp_path: Path) -> None:
    source = pair_table(tmp_path, "AB" * 20)
    for number in range(0, 40, 2):
        shared = {f"images/{number}b.png": picture(2 * number + 2)}
        (tmp_path / next(iter(shared))).unlink()
        write_files(tmp_path, shared)
    out = tmp_path / "out.parquet"
    import_table(source, out, TASK)
    dataset = read_dataset(out, TASK)
    sides = [{i.data for e in part for i in e.images} for part in (dataset.train, dataset.test)]
    assert not sides[0] & sides[1]


def test_what_is_wrong_with_a_pair_is_told_by_row_and_column(tmp_path: Path) -> None:
    source = pair_table(tmp_path)
    (tmp_path / "images" / "3b.png").write_bytes(picture(7)[:60])
    with pytest.raises(DataError, match=r"line 5: image_b images/3b.png: cannot be decoded"):
        import_table(source, tmp_path / "out.parquet", TASK)
    (tmp_path / "one.csv").write_text(source.read_text().replace("image_b", "picture"))
    with pytest.raises(DataError, match="column for the image_b"):
        import_table(tmp_path / "one.csv", tmp_path / "out.parquet", TASK)


def test_a_dataset_without_a_second_image_does_not_serve_a_task_of_pairs(tmp_path: Path) -> None:
    seetrue = load_task("seetrue")
    write_files(tmp_path, {f"{i}.png": picture(i) for i in range(8)})
    rows = [[f"{i}.png", f"text {i}", i % 2] for i in range(8)]
    write_csv(tmp_path / "single.csv", ("image", "text", "label"), rows)
    out = tmp_path / "out.parquet"
    import_table(tmp_path / "single.csv", out, seetrue)
    with pytest.raises(DataError, match="column `image_b`: is missing"):
        read_dataset(out, TASK)
    with pytest.raises(DataError, match="column `image_b`: is missing"):
        next(iter_dataset(out, TASK))


def test_the_second_image_is_part_of_a_datasets_fingerprint(tmp_path: Path) -> None:
    source = pair_table(tmp_path)
    import_table(source, tmp_path / "one.parquet", TASK)
    (tmp_path / "images" / "3b.png").write_bytes(picture(999))
    import_table(source, tmp_path / "two.parquet", TASK)
    prints = {read_dataset(tmp_path / f"{n}.parquet", TASK).fingerprint for n in ("one", "two")}
    assert len(prints) == 2


def test_hugging_face_datasets_shows_both_pictures(tmp_path: Path) -> None:
    datasets: Any = pytest.importorskip("datasets")
    out = tmp_path / "out.parquet"
    import_table(pair_table(tmp_path), out, TASK)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(out), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert all(loaded[0][name].size == loaded[0]["image"].size for name in ("image", "image_b"))
