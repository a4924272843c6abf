"""Layouts of tools and collections made after their public descriptions: imported, or a remedy."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from blpo.data.arrow import pa, pq
from blpo.data.tasks import load_task
from user_files import SAFETY, Row, imported, png, put, refused, write_csv, write_jsonl

LABEL = SAFETY.labels.__getitem__
Builder = Callable[[Path], Path]


def imagenet(folder: Path) -> Path:
    """train and val, upper-case suffixes, class by folder."""
    names = [f"{s}/{label}/ILSVRC_{n}.JPEG" for s in ("train", "val") for label in SAFETY.labels
             for n in range(2)]  # fmt: skip
    return put(folder / "imagenet", *names)


def roboflow(folder: Path) -> Path:
    """train, valid, test and a readme beside them."""
    names = [f"{split}/{label}/a_{n}_jpg.rf.{n}.jpg" for split in ("train", "valid", "test")
             for label in SAFETY.labels for n in range(2)]  # fmt: skip
    put(folder / "roboflow", *names)
    (folder / "roboflow" / "README.roboflow.txt").write_text("exported")
    return folder / "roboflow"


def fastai(folder: Path) -> Path:
    """labels.csv with `fname` beside the images."""
    rows = [{"fname": f"train/{n}.jpg", "label": LABEL(n % 2)} for n in range(8)]
    put(folder / "fastai", *(row["fname"] for row in rows))
    write_csv(folder / "fastai" / "labels.csv", rows)
    return folder / "fastai"


def datasets_server(folder: Path) -> Path:
    """The Parquet branch of the Hub: CONFIG/SPLIT/0000.parquet."""
    for number, split in enumerate(("train", "test")):
        path = folder / "hub" / "default" / split / "0000.parquet"
        path.parent.mkdir(parents=True)
        rows = [{"image": png(10 * number + n), "label": LABEL(n % 2)} for n in range(4)]
        pq.write_table(pa.Table.from_pylist(rows), path)
    return folder / "hub"


def prodigy(folder: Path) -> Path:
    """`accept` holds the choice of one annotator, the image is a data URI."""
    rows = [
        {"image": f"data:image/png;base64,{base64.b64encode(png(n)).decode()}",
         "accept": [LABEL(n % 2)], "answer": "accept", "_annotator_id": "anna"}
        for n in range(8)
    ]  # fmt: skip
    return write_jsonl(folder / "prodigy.jsonl", rows)


def mturk(folder: Path) -> Path:
    """A row per assignment, images by the URL under which workers saw them."""
    put(folder / "here", *(f"im/{n}.png" for n in range(8)))
    rows = [
        {"HITId": f"H{n}", "AssignmentId": f"A{n}{who}", "WorkerId": f"W{who}",
         "Input.image_url": f"https://b.s3.amazonaws.com/im/{n}.png",
         "Answer.category.label": LABEL(n % 2)}
        for n in range(8) for who in range(3)
    ]  # fmt: skip
    return write_csv(folder / "Batch_results.csv", rows)


def kaggle(folder: Path) -> Path:
    """Images named by an id without their suffix."""
    put(folder / "here", *(f"{n:04}.png" for n in range(8)))
    rows = [{"id_code": f"{n:04}", "diagnosis": LABEL(n % 2)} for n in range(8)]
    return write_csv(folder / "train.csv", rows)


def one_folder(folder: Path) -> Path:
    """An archive unpacked into a folder of its own, with a licence in it."""
    put(folder / "flowers", *(f"flower_photos/{LABEL(n % 2)}/{n}.jpg" for n in range(8)))
    (folder / "flowers" / "flower_photos" / "LICENSE.txt").write_text("CC-BY")
    return folder / "flowers"


IN_HERE = {"image_root": "here"}
READ: list[tuple[Builder, dict[str, Any], int]] = [
    (imagenet, {}, 8),
    (roboflow, {}, 8),
    (fastai, {}, 8),
    (datasets_server, {}, 8),
    (prodigy, {"columns": {"label": "accept"}}, 8),
    (mturk, IN_HERE, 8),
    (kaggle, IN_HERE | {"columns": {"image": "id_code", "label": "diagnosis"}}, 8),
    (one_folder, {}, 8),
]


@pytest.mark.parametrize(("build", "options", "num_rows"), READ)
def test_a_layout_is_read(
    tmp_path: Path, build: Builder, options: dict[str, Any], num_rows: int
) -> None:
    source = build(tmp_path)
    if "image_root" in options:
        options = options | {"image_root": tmp_path / options["image_root"]}
    report, dataset = imported(source, **options)
    assert report.num_rows == len(dataset.train) + len(dataset.test) == num_rows
    assert {e.label for e in dataset.test} == set(SAFETY.labels)


def labelbox(folder: Path) -> Path:
    row: Row = {"data_row": {"external_id": "0.png"}, "projects": {"p": {"labels": []}}}
    return write_jsonl(folder / "labelbox.ndjson", [row])


def via(folder: Path) -> Path:
    row = {"filename": "0.png", "file_attributes": json.dumps({"label": "Safe"})}
    return write_csv(folder / "via.csv", [row])


@pytest.mark.parametrize(("build", "role"), [(labelbox, "image"), (via, "label")])
def test_a_layout_that_is_not_known_is_refused_with_the_remedy(
    tmp_path: Path, build: Builder, role: str
) -> None:
    told = refused(build(tmp_path))
    assert f"column for the {role}: none of {role}" in told
    assert f"name it with --column {role}=COLUMN" in told


def test_pairs_under_other_names_are_refused_with_the_remedy(tmp_path: Path) -> None:
    rows = [{"caption": "a fox", "jpg_0": png(0), "jpg_1": png(1), "label_0": 1.0}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    told = refused(tmp_path / "t.parquet", load_task("hpdv2"))
    assert "name it with --column image_b=COLUMN (the table has: caption, jpg_0, jpg_1" in told
