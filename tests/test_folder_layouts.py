"""Image folders as the Hub, desktops, notebooks and archives leave them."""

import gzip
import io
import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from blpo.data.arrow import pa, pq
from blpo.data.errors import DataError
from blpo.data.sources.base import split_of
from blpo.data.sources.opening import open_source
from blpo.data.sources.parquet_files import ParquetSource, PartsSource
from blpo.data.table.cells import distinct_names
from PIL import Image
from user_files import (
    HEIC,
    SAFETY,
    examples_of,
    imported,
    labels_of,
    png,
    put,
    refused,
    rows_with_images,
    tar_of,
    write_csv,
    write_jsonl,
)


def classes(*splits: str, each: int = 4, labels: tuple[str, ...] = SAFETY.labels) -> list[str]:
    """Names such as train/Safe/0.png."""
    tops = [f"{split}/" for split in splits] or [""]
    return [f"{top}{label}/{n}.png" for top in tops for label in labels for n in range(each)]


def test_what_the_hub_desktops_and_notebooks_leave_behind_is_no_label_and_no_image(
    tmp_path: Path,
) -> None:
    folder = put(tmp_path / "d", *classes("train", "test"))
    junk = (
        ".cache/huggingface/download/train/Safe/0.png",
        "__MACOSX/train/Safe/._0.png",
        "train/Safe/._0.png",
        "train/Safe/.ipynb_checkpoints/0-checkpoint.png",
        "train/.DS_Store",
        "test/Unsafe/@eaDir/0.png",
        "test/Thumbs.db",
    )
    put(folder, *junk)
    report, dataset = imported(folder)
    assert (len(dataset.train), len(dataset.test)) == (8, 8)
    assert report.left_out.skipped == {"hidden or system file": len(junk)}
    assert report.layout == "an image folder, a subfolder for each label, in the splits test, train"


@pytest.mark.parametrize("name", ["validation", "valid", "val", "dev", "Validation"])
def test_a_validation_folder_is_left_out_and_counted_or_goes_where_it_is_told(
    tmp_path: Path, name: str
) -> None:
    folder = put(tmp_path / "d", *classes("train", name, "test"))
    report, dataset = imported(folder)
    assert (len(dataset.train), len(dataset.test)) == (8, 8)
    assert list(report.left_out.skipped.items()) == [
        ("row of the validation split, which --validation test or train takes", 8)
    ]
    _, dataset = imported(folder, validation="test", overwrite=True)
    assert (len(dataset.train), len(dataset.test)) == (8, 16)
    _, dataset = imported(folder, validation="train", overwrite=True)
    assert (len(dataset.train), len(dataset.test)) == (16, 8)


@pytest.mark.parametrize(
    "names", [("train_set", "test_set"), ("Training Data", "test-split"), ("train2017", "test2017")]
)
def test_splits_are_known_in_other_spellings(tmp_path: Path, names: tuple[str, str]) -> None:
    _, dataset = imported(put(tmp_path / "d", *classes(*names)))
    assert (len(dataset.train), len(dataset.test)) == (8, 8)
    assert {e.example_id.split("/")[0] for e in dataset.test} == {names[1]}
    assert split_of("trainer") is split_of("test1") is split_of("set") is None


def coco(numbers: Iterable[int]) -> str:
    """A file of whole images in which those with odd numbers are of the second label."""
    images = [{"id": n, "file_name": f"{n}.png"} for n in numbers]
    return json.dumps(
        {
            "images": images[::-1],
            "annotations": [{"image_id": i["id"], "category_id": i["id"] % 2} for i in images],
            "categories": [{"id": k, "name": label} for k, label in enumerate(SAFETY.labels)],
        }
    )


def test_annotations_in_a_folder_beside_the_images_are_read(tmp_path: Path) -> None:
    folder = put(tmp_path / "d", *(f"images/deeper/{n}.png" for n in range(8)))
    (folder / "annotations").mkdir()
    (folder / "annotations/instances_default.json").write_text(coco(range(8)))
    report, dataset = imported(folder)
    expected = {str(n): SAFETY.labels[n % 2] for n in range(8)}
    assert labels_of(dataset) == expected
    assert report.layout == "a COCO file, in a folder of annotations beside the images"
    pictures = {e.example_id: e.image.data for e in examples_of(dataset)}
    assert pictures["3"] == (folder / "images/deeper/3.png").read_bytes()


def test_annotations_of_splits_are_of_the_images_in_their_folders(tmp_path: Path) -> None:
    splits = {"train2017": range(4), "val2017": range(4, 8)}
    folder = put(tmp_path / "d", *(f"{s}/{n}.png" for s in splits for n in range(8)))
    (folder / "annotations").mkdir()
    for split, numbers in splits.items():
        (folder / f"annotations/instances_{split}.json").write_text(coco(numbers))
    _, dataset = imported(folder)
    assert {e.example_id for e in dataset.test} == {"4", "5", "6", "7"}
    pictures = {e.example_id: e.image.data for e in examples_of(dataset)}
    assert pictures["5"] == (folder / "val2017/5.png").read_bytes()
    (folder / "annotations/other.json").write_text(coco(range(8)))
    assert "other.json: keep one of them" in refused(folder)


def test_validation_is_the_test_where_there_is_no_other(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        folder = tmp_path / "d" / split
        put(folder, *(f"{split}-{n}.png" for n in range(6)))
        rows = [{"file_name": f"{split}-{n}.png", "label": SAFETY.labels[n % 2]} for n in range(6)]
        write_csv(folder / "metadata.csv", rows)
    report, dataset = imported(tmp_path / "d")
    assert {e.example_id for e in dataset.test} == {
        f"validation/validation-{n}.png" for n in range(6)
    }
    assert any("is in test as there is no test split" in note for note in report.notes)


@pytest.mark.parametrize("write", [write_csv, write_jsonl])
def test_one_metadata_file_on_top_gives_the_split_by_the_folders_it_names(
    tmp_path: Path, write: Any
) -> None:
    names = [f"{split}/{n}.png" for split in ("train", "test") for n in range(6)]
    folder = put(tmp_path / "d", *names, "test/forgotten.png")
    rows = [{"file_name": name, "label": SAFETY.labels[n % 2]} for n, name in enumerate(names)]
    write(folder / ("metadata.csv" if write is write_csv else "metadata.jsonl"), rows)
    report, dataset = imported(folder)
    assert {e.example_id for e in dataset.test} == set(names[6:])
    assert report.left_out.places == {"image that no row names": ["test/forgotten.png"]}


def test_splits_within_the_folders_of_labels_are_splits(tmp_path: Path) -> None:
    names = [
        f"{label}/{s}/{n}.png" for label in SAFETY.labels for s in ("train", "test") for n in "12"
    ]
    _, dataset = imported(put(tmp_path / "d", *names))
    assert {e.example_id for e in dataset.test} == {name for name in names if "/test/" in name}


def test_a_folder_around_the_dataset_makes_no_difference(tmp_path: Path) -> None:
    folder = put(tmp_path / "e", *(f"data/{name}" for name in classes("train", each=6)))
    assert imported(folder)[0].num_rows == 12
    folder = put(tmp_path / "d", *(f"shots-v2/{name}" for name in classes()))
    report, dataset = imported(folder, overwrite=True)
    assert set(labels_of(dataset).values()) == set(SAFETY.labels)
    assert report.num_rows == 8
    assert "shots-v2/Safe/0.png" in labels_of(dataset)


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_a_table_per_split_beside_the_images_gives_the_split(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "d"
    rows = rows_with_images(folder)
    write = {"csv": write_csv, "jsonl": write_jsonl}[suffix]
    for split, some in (("train", rows[:6]), ("validation", rows[6:8]), ("test", rows[8:])):
        write(folder / f"{split}.{suffix}", some)
    _, dataset = imported(folder)
    assert {e.example_id for e in dataset.test} == {row["image"] for row in rows[8:]}
    assert len(dataset.train) == 6


def test_folders_that_could_be_splits_or_labels_are_asked_about(tmp_path: Path) -> None:
    told = refused(put(tmp_path / "d", "train/Safe/0.png", "test/Safe/1.png", "Unsafe/2.png"))
    assert "its folders test, train look like splits and Unsafe like labels" in told
    told = refused(put(tmp_path / "e", "train/0.png", "test/1.png"))
    assert "holds no metadata.csv, metadata.jsonl, metadata.parquet and no subfolders" in told


def test_a_source_of_train_rows_alone_is_divided_anew(tmp_path: Path) -> None:
    report, dataset = imported(put(tmp_path / "d", *classes("train")))
    assert (len(dataset.train), len(dataset.test)) == (4, 4)
    assert "every row is in train: test is drawn anew" in report.notes
    assert "split test: has no examples" not in str(report)


def test_files_of_other_kinds_are_counted_by_suffix(tmp_path: Path) -> None:
    folder = put(tmp_path / "d", *classes(), "loose.png")
    for name in ("Safe/notes.txt", "README.md", "Safe/noext", "classes.csv"):
        (folder / name).write_bytes(b"x")
    report, _ = imported(folder)
    assert report.left_out.skipped == {
        "file with suffix .txt": 1,
        "file with suffix .md": 1,
        "file with suffix .csv": 1,
        "file without a suffix": 1,
        "image outside the folders of labels": 1,
    }
    assert report.left_out.places["file without a suffix"] == ["Safe/noext"]


def test_images_of_every_format_that_cameras_and_the_web_make(tmp_path: Path) -> None:
    folder = put(tmp_path / "d", *classes())
    picture = Image.open(io.BytesIO(png(77)))
    for name, kind in (("web.jfif", "JPEG"), ("web.avif", "AVIF")):
        picture.save(folder / "Safe" / name, kind)
    (folder / "Safe" / "phone.HEIC").write_bytes(HEIC)
    # An AVIF image under the name of a JPEG, which browsers save.
    Image.open(io.BytesIO(png(78))).save(folder / "Safe" / "saved.jpg", "AVIF")
    report, dataset = imported(folder)
    assert report.num_rows == 12
    assert {"Safe/web.jfif", "Safe/web.avif", "Safe/phone.HEIC", "Safe/saved.jpg"} <= set(
        labels_of(dataset)
    )


def test_what_is_unusual_about_images_is_told(tmp_path: Path) -> None:
    folder = put(tmp_path / "d", *classes())
    frames = [Image.new("L", (8, 8), n) for n in (1, 200)]
    frames[0].save(folder / "Safe" / "a.gif", save_all=True, append_images=frames[1:])
    frames[0].save(folder / "Safe" / "pages.tiff", save_all=True, append_images=frames[1:])
    Image.new("I;16", (9, 8), 40_000).save(folder / "Safe" / "deep.png")
    Image.new("L", (200, 8), 9).save(folder / "Safe" / "long.png")
    (folder / "Unsafe" / "copy.png").write_bytes((folder / "Unsafe" / "0.png").read_bytes())
    report, _ = imported(folder)
    told = "\n".join(report.notes)
    assert "images with several frames or pages, of which the first is judged: 2" in told
    assert "with 16 bits, of which the upper 8 are judged: 1 (first: Safe/deep.png)" in told
    assert "more than 10 times as long as wide or high: 1 (first: Safe/long.png)" in told
    assert "byte for byte those of earlier rows, on the same side: 1" in told


# --------------------------------------------------------------- snapshots, shards and archives


def struct(number: int) -> dict[str, Any]:
    return {"bytes": png(number), "path": f"{number}.png"}


CLASS_LABEL = {
    b"huggingface": b'{"info": {"features": {"photo": {"_type": "Image"}, '
    b'"label": {"names": ["Unsafe", "Safe"], "_type": "ClassLabel"}}}}'
}


def test_a_snapshot_of_the_hub_has_its_splits_label_names_and_image_column(tmp_path: Path) -> None:
    folder = tmp_path / "snapshot"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    (folder / ".gitattributes").write_text("*.parquet filter=lfs\n")
    parts = ["train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"]
    for part, name in enumerate(parts):
        rows = [{"photo": struct(10 * part + n), "label": n % 2} for n in range(4)]
        table = pa.Table.from_pylist(rows).replace_schema_metadata(CLASS_LABEL)
        pq.write_table(table, folder / "data" / f"{name}.parquet")
    report, dataset = imported(folder)
    assert report.columns == {"image": "photo", "label": "label", "split": "split"}
    assert (len(dataset.train), len(dataset.test)) == (8, 4)
    found = {e.image.data: e.label for e in examples_of(dataset)}
    assert [found[png(20)], found[png(21)]] == ["Unsafe", "Safe"]
    assert report.left_out.skipped == {"file with suffix .md": 1, "hidden or system file": 1}


def test_a_dataset_saved_to_disk_is_read(tmp_path: Path) -> None:
    datasets: Any = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=["Safe", "Unsafe"])}
    )
    rows = {"image": [struct(n) for n in range(8)], "label": [n % 2 for n in range(8)]}
    datasets.Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "saved")
    report, dataset = imported(tmp_path / "saved")
    assert report.num_rows == 8
    found = {e.image.data: e.label for e in examples_of(dataset)}
    assert [found[png(0)], found[png(1)]] == ["Safe", "Unsafe"]
    assert report.left_out.skipped == {"file with suffix .json": 2}


def test_shards_of_webdataset_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "shards"
    for shard in range(2):
        members: dict[str, bytes] = {}
        for n in range(4):
            key = f"s{shard}/{n:04}"
            members[f"{key}.jpg"] = png(10 * shard + n)
            members[f"{key}.cls"] = SAFETY.labels[n % 2].encode()
            members[f"{key}.json"] = b'{"meta": {"category": "shop"}}'
        tar_of(folder / f"train-{shard:06}.tar", members)
    report, dataset = imported(folder)
    assert report.layout == "WebDataset, 2 tar files"
    assert labels_of(dataset)["s1/0003"] == "Unsafe"
    assert {e.category for e in examples_of(dataset)} == {"shop"}
    report, _ = imported(folder / "train-000000.tar", overwrite=True)
    assert report.num_rows == 4


def test_what_is_no_part_of_a_sample_in_a_tar_is_left_out_and_counted(tmp_path: Path) -> None:
    members = {f"{n}.{end}": text for n in range(8) for end, text in (
        ("__key__", b"x"), ("CLS", SAFETY.labels[n % 2].encode()), ("png", png(n)),
    )} | {"README": b"x", "._0.png": b"x"}  # fmt: skip
    report, dataset = imported(tar_of(tmp_path / "t.tar", members))
    assert labels_of(dataset)["3"] == SAFETY.labels[1]
    assert report.left_out.skipped == {
        "file with suffix .__key__": 8,
        "file without a suffix": 1,
        "hidden or system file": 1,
    }


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_a_tar_that_ends_too_early_is_refused(tmp_path: Path, mode: str) -> None:
    members = {f"{n}.{end}": text for n in range(8) for end, text in (
        ("cls", SAFETY.labels[n % 2].encode()), ("png", png(n)),
    )}  # fmt: skip
    whole = tar_of(tmp_path / "t.tar", members).read_bytes()
    size = len(whole.rstrip(b"\0")) // 512 * 512

    def packed(content: bytes) -> Path:
        (tmp_path / "t.tar").write_bytes(gzip.compress(content) if "gz" in mode else content)
        return tmp_path / "t.tar"

    assert imported(packed(whole))[0].num_rows == 8
    for end in (size // 2, size + 512, whole.rindex(b"7.cls") + 100, whole.rindex(b"7.cls")):
        told = refused(packed(whole[:end]))
        assert told.endswith("copy it again"), end
    at = whole.index(b"5.cls")
    assert "behind 10 members" in refused(packed(whole[:at] + b"?" * 100 + whole[at + 100 :]))
    assert "holds more behind its end" in refused(packed(whole + whole))


def test_samples_whose_members_are_apart_are_refused(tmp_path: Path) -> None:
    members = {f"{n}.png": png(n) for n in range(4)} | {f"{n}.cls": b"Safe" for n in range(4)}
    told = refused(tar_of(tmp_path / "t.tar", members))
    assert "t.tar: 0.cls: other members of its sample do not stand beside it: pack" in told


def test_two_members_of_a_sample_may_not_hold_one_column(tmp_path: Path) -> None:
    def shard(more: dict[str, bytes]) -> Path:
        members = {"0.json": b'{"label": 1, "image": "0.png"}', "0.cls": b"1", "0.png": png(0)}
        return tar_of(tmp_path / "t.tar", members | more)

    [row] = open_source(shard({})).rows(())
    assert row.values == {"id": "0", "label": 1, "image": png(0)}
    told = r"0\.{}: another member of its sample holds another {}: keep one of them$"
    for name, content, column in (("jpg", png(1), "image"), ("label", b"Safe", "label")):
        with pytest.raises(DataError, match=told.format(name, column)):
            list(open_source(shard({f"0.{name}": content})).rows(()))


def test_folders_in_a_tar_may_be_the_labels_if_told(tmp_path: Path) -> None:
    members = {f"shots/{name}": png(n) for n, name in enumerate(classes())}
    tar_of(tmp_path / "t.tar", members)
    assert "(the table has: id, folder, image)" in refused(tmp_path / "t.tar")
    _, dataset = imported(tmp_path / "t.tar", columns={"label": "folder"})
    assert {e.label: e.example_id.split("/")[1] for e in examples_of(dataset)} == {
        label: label for label in SAFETY.labels
    }


def test_a_table_beside_its_images_is_read_as_a_folder(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path / "d", 8)
    write_csv(tmp_path / "d" / "labels.csv", rows)
    report, dataset = imported(tmp_path / "d")
    assert report.layout == "an image folder with labels.csv"
    assert labels_of(dataset)["images/1.png"] == "Unsafe"


def photos(folder: Path, shift: int) -> Path:
    """Images of the names of `classes`, with a content that is the shift's own."""
    for n, name in enumerate(classes()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(png(100 * shift + n))
    return folder


def test_several_folders_are_one_dataset_whose_ids_begin_with_their_names(tmp_path: Path) -> None:
    first, second = (photos(tmp_path / f, n) for n, f in enumerate("ab"))
    report, dataset = imported(first, more=(second,))
    assert report.num_rows == 16
    ids = {example.example_id for example in examples_of(dataset)}
    assert ids == {f"{folder}/{name}" for folder in "ab" for name in classes()}
    turned = imported(second, overwrite=True, more=(first,))[1]
    assert {e.example_id: e.image.data for e in examples_of(turned)} == {
        e.example_id: e.image.data for e in examples_of(dataset)
    }
    namesake = photos(tmp_path / "old" / "a", 2)
    found = imported(first, overwrite=True, more=(namesake,))[1]
    tops = {example.example_id.rsplit("/", 2)[0] for example in examples_of(found)}
    assert tops == {"old/a", "a"}
    told = f"is named twice, the first time as {first}: leave one of them out"
    assert told in refused(first, more=(first,))
    (first / "b").mkdir()
    told = f"{first / 'b'}: lies within {first}, which is read with all that is in it: name one"
    assert told in refused(first, more=(first / "b",))
    assert told in refused(first / "b", more=(first,))


def test_names_of_folders_do_not_depend_on_what_holds_all_of_them() -> None:
    def names(*folders: str) -> list[str]:
        return [str(distinct_names(folders)[folder]) for folder in folders]

    assert names("/w/a", "/w/b") == names("/v/u/a", "/v/u/b") == ["a", "b"]
    assert names("/w/a/s", "/w/S", "/w/b/s") == ["a/s", "S", "b/s"]
    assert names("/w/x/a", "/w/y/a") == ["x/a", "y/a"]
    assert names("/w/a", "/w/x/a/b", "/w/y/c/b") == ["a", "x/a/b", "y/c/b"]
    assert names("/w", "/w/a") == ["w", "a"]
    assert distinct_names(["/w/a", "/w/a"]) == {}


def test_a_folder_of_several_may_name_no_image_of_another(tmp_path: Path) -> None:
    first = photos(tmp_path / "a", 0)
    second = photos(tmp_path / "b", 1)
    rows = [{"image": f"../a/{name}", "label": name.split("/")[0]} for name in classes()]
    write_csv(second / "metadata.csv", rows)
    assert "outside" in refused(first, more=(second,))


def test_tables_in_several_folders_that_call_two_images_alike_are_refused(tmp_path: Path) -> None:
    tables = [
        write_csv(
            photos(tmp_path / folder, n) / "labels.csv",
            [{"image": name, "label": name.split("/")[0]} for name in classes()],
        )
        for n, folder in enumerate("ab")
    ]
    told = refused(tables[0], more=(tables[1],))
    where = f"{tables[1]}, line 2: image Safe/0.png is that of {tables[0]}, line 2 too"
    assert f"{where}, which is another image of that name: give the folders" in told
    dataset = imported(tables[0].parent, more=(tables[1],))[1]
    ids = {example.example_id for example in examples_of(dataset)}
    assert ids == {f"{folder}/{name}" for folder in "ab" for name in classes()}


def test_suffixes_of_arrow_files_are_read_in_any_case(tmp_path: Path) -> None:
    table = pa.Table.from_pylist([{"image": struct(0), "label": "Safe"}])
    path = str(tmp_path / "DATA.ARROW")
    with pa.OSFile(path, "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
        writer.write_table(table)
    source = open_source(tmp_path / "DATA.ARROW")
    assert source.layout == "an Arrow file of datasets"
    assert [row.values["label"] for row in source.rows(["label"])] == ["Safe"]


def test_parts_of_a_folder_are_named_once_however_many_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        pq.write_table(pa.table({"label": ["Safe"]}), tmp_path / f"{number}.parquet")
    parts = [("", ParquetSource(path)) for path in sorted(tmp_path.iterdir())]
    source, named = PartsSource(tmp_path, parts), list[Path]()
    relative_to = Path.relative_to

    def counted(path: Path, *others: Any, **how: Any) -> Path:
        named.append(path)
        return relative_to(path, *others, **how)

    monkeypatch.setattr(Path, "relative_to", counted)
    assert len(list(source.rows(["label"]))) == 20
    assert len(list(source.rows_within("7.parquet", ["label"], range(9)))) == 1
    assert len(named) == 20


def test_an_image_that_a_row_names_in_another_spelling_is_named(tmp_path: Path) -> None:
    names = [*(f"grün {n}.png" for n in range(8)), "Spare.PNG"]
    put(tmp_path / "shots", *(unicodedata.normalize("NFD", name) for name in names))
    rows = [
        {"file_name": name.upper() if n else quote(name), "label": SAFETY.labels[n % 2]}
        for n, name in enumerate(names[:-1])
    ]
    write_csv(tmp_path / "shots/metadata.csv", rows)
    report, _ = imported(tmp_path / "shots")
    assert report.left_out.places == {"image that no row names": ["Spare.PNG"]}


def test_annotations_name_images_in_either_unicode_form(tmp_path: Path) -> None:
    put(tmp_path / "set", *(f"images/{unicodedata.normalize('NFD', 'ä')}{n}.png" for n in range(8)))
    (tmp_path / "set/annotations").mkdir()
    annotations = coco(range(8)).replace('"file_name": "', '"file_name": "ä')
    (tmp_path / "set/annotations/a.json").write_text(annotations)
    report, _ = imported(tmp_path / "set")
    assert report.num_rows == 8
