"""Exports of annotation tools and spreadsheets."""

import json
from pathlib import Path
from typing import Any

import pytest
from blpo.data.tasks import load_task
from user_files import (
    SAFETY,
    examples_of,
    imported,
    labels_of,
    put,
    refused,
    rows_with_images,
    xlsx,
)

LABEL = SAFETY.labels.__getitem__
Object = dict[str, Any]


def dump(path: Path, value: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def uploads(folder: Path, count: int = 8) -> list[str]:
    """Paths as Label Studio exports those of uploaded files, which lie below `folder/media`."""
    names = [f"upload/4/ab{number:02}-shot {number}.png" for number in range(count)]
    put(folder / "media", *names)
    return [f"/data/{name.replace(' ', '%20')}" for name in names]


def annotation(choice: str, who: object = 1, **more: Any) -> Object:
    result = {"type": "choices", "value": {"choices": [choice]}, "from_name": "choice"}
    return {"completed_by": who, "result": [result]} | more


def test_every_export_of_label_studio_is_read_with_one_option(tmp_path: Path) -> None:
    paths = uploads(tmp_path)
    header = "annotation_id,annotator,choice,created_at,id,image,lead_time"
    lines = [f"{n + 100},1,{LABEL(n % 2)},2025,{n + 1},{p},3.2" for n, p in enumerate(paths)]
    (tmp_path / "ls.csv").write_text("\n".join([header, *lines]))
    small = [
        {"image": path, "id": n + 1, "choice": LABEL(n % 2), "annotator": 1}
        for n, path in enumerate(paths)
    ]
    full = [
        {"id": n + 1, "data": {"image": path}, "annotations": [annotation(LABEL(n % 2))]}
        for n, path in enumerate(paths)
    ]
    sources = [
        tmp_path / "ls.csv",
        dump(tmp_path / "m.json", small),
        dump(tmp_path / "f.json", full),
    ]
    for source in sources:
        report, dataset = imported(source, image_root=tmp_path / "media", overwrite=True)
        assert labels_of(dataset) == {str(n + 1): LABEL(n % 2) for n in range(8)}
        assert f"image paths: {tmp_path / 'media'} stands for /data/" in report.notes


def test_tasks_of_label_studio_tell_who_answered_and_what_does_not_count(tmp_path: Path) -> None:
    tasks: list[Object] = [
        {"id": n, "data": {"image": path}, "annotations": [
            annotation(LABEL(n % 2), {"id": 7, "email": "b@example.org"}),
            annotation(LABEL(n % 2), {"id": 3, "email": "a@example.org"}),
            annotation(LABEL(1 - n % 2), {"id": 5, "email": "c@example.org"}),
        ]}
        for n, path in enumerate(uploads(tmp_path))
    ]  # fmt: skip
    tasks[0]["annotations"][1]["was_cancelled"] = True
    tasks[0]["annotations"].append(annotation("Safe", 9) | {"result": []})
    box = {"type": "rectanglelabels", "value": {"rectanglelabels": ["Logo"]}, "from_name": "box"}
    tasks[1]["annotations"][0]["result"].append(box)
    tasks.append({"id": 99, "data": {"image": "/data/upload/none.png"}, "annotations": []})
    report, dataset = imported(dump(tmp_path / "t.json", tasks), image_root=tmp_path / "media")
    found = {e.example_id: e.ratings for e in examples_of(dataset)}
    assert found["2"] == ("Safe", "Safe", "Unsafe")
    assert "0" not in found
    assert report.left_out.skipped == {
        "cancelled annotation": 1,
        "annotation without an answer": 1,
        "answer of type 'rectanglelabels', which is about no whole image": 1,
        "task without an annotation": 1,
        "no majority among its annotators": 1,
    }


def coco() -> Object:
    return {
        "images": [{"id": n, "file_name": f"{n}.png"} for n in range(9)],
        "annotations": [{"image_id": n, "category_id": n % 2} for n in range(8)],
        "categories": [{"id": 0, "name": "Safe"}, {"id": 1, "name": "Unsafe"}],
    }


def test_a_coco_file_gives_each_image_its_category(tmp_path: Path) -> None:
    put(tmp_path, *(f"{n}.png" for n in range(9)))
    report, dataset = imported(dump(tmp_path / "coco.json", coco()))
    assert labels_of(dataset)["3"] == "Unsafe"
    assert report.left_out.skipped == {"image without an annotation": 1}
    value = coco()
    value["annotations"].append({"image_id": 0, "category_id": 1})
    told = refused(dump(tmp_path / "boxes.json", value))
    assert "image 0: has the categories Safe, Unsafe: boxes and masks name objects" in told


def test_nothing_of_a_coco_file_is_passed_over_in_silence(tmp_path: Path) -> None:
    put(tmp_path, *(f"{n}.png" for n in range(9)))
    value = coco()
    value["annotations"] += [{"image_id": 11, "category_id": 0}, {"image_id": 8, "category_id": 0}]
    report, _ = imported(dump(tmp_path / "coco.json", value))
    assert report.left_out.skipped == {"annotation of an image that is not listed": 1}
    assert report.left_out.lines()[0].endswith("(first: image 11)")
    for name in ("images", "annotations", "categories"):
        told = refused(dump(tmp_path / "damaged.json", coco() | {name: [*coco()[name], None]}))
        assert "looks like the export of an annotation tool and is not whole" in told


def test_a_coco_file_whose_ids_do_not_fit_is_refused(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.png"} for n in range(4)]
    value: dict[str, Any] = {
        "images": images,
        "annotations": [{"image_id": str(n), "category_id": 0} for n in range(4)],
        "categories": [{"id": 0, "name": "Safe"}],
    }
    (tmp_path / "t.json").write_text(json.dumps(value))
    assert "none of its 4 images has an annotation, of which there are 4" in refused(
        tmp_path / "t.json"
    )
    value["categories"] += [{"id": 0, "name": "Unsafe"}]
    (tmp_path / "t.json").write_text(json.dumps(value))
    assert "category 0 is Safe and Unsafe: give each its own id" in refused(tmp_path / "t.json")


def test_exports_of_cvat_are_read(tmp_path: Path) -> None:
    put(tmp_path, *(f"{n}.png" for n in range(8)))
    images = "".join(
        f'<image id="{n}" name="{n}.png"><tag label="{LABEL(n % 2)}"/></image>' for n in range(8)
    )
    more = '<image id="8" name="8.png"><box label="Logo"/></image>'
    (tmp_path / "cvat.xml").write_text(f"<annotations>{images}{more}</annotations>")
    report, dataset = imported(tmp_path / "cvat.xml")
    assert labels_of(dataset)["5.png"] == "Unsafe"
    assert report.left_out.skipped["image without a tag"] == 1
    value = {
        "categories": {"label": {"labels": [{"name": "Safe"}, {"name": "Unsafe"}]}},
        "items": [
            {"id": str(n), "image": {"path": f"{n}.png"},
             "annotations": [{"type": "label", "label_id": n % 2}]}
            for n in range(8)
        ],
    }  # fmt: skip
    _, dataset = imported(dump(tmp_path / "datumaro.json", value), overwrite=True)
    assert labels_of(dataset)["5"] == "Unsafe"


def test_a_log_of_an_arena_names_the_preferred_side(tmp_path: Path) -> None:
    winners = ["model_a", "model_b", "tie", "tie (bothbad)", "flux", "sd"] * 2
    rows = [
        {"id": f"q{n}", "prompt": f"a fox {n}", "model_a": "sd", "model_b": "flux",
         "image_a": f"a{n}.png", "image_b": f"b{n}.png", "winner": winner}
        for n, winner in enumerate(winners)
    ]  # fmt: skip
    put(tmp_path, *(f"{side}{n}.png" for side in "ab" for n in range(12)))
    source = tmp_path / "arena.jsonl"
    source.write_text("\n".join(map(json.dumps, rows)))
    _, dataset = imported(source, load_task("pickapic"))
    wanted = ["A", "B", "tie", "tie", "B", "A"]
    assert [labels_of(dataset)[f"q{n}"] for n in range(6)] == wanted


def shaped(shape: str, rows: list[Object]) -> object:
    """The rows as other programs write them into one JSON value."""
    shapes: dict[str, object] = {
        "viewer of the Hub": {"rows": [{"row_idx": n, "row": r} for n, r in enumerate(rows)]},
        "one array": {"data": rows},
        "columns": {k: {str(n): row[k] for n, row in enumerate(rows)} for k in rows[0]},
        "columns of lists": {name: [row[name] for row in rows] for name in rows[0]},
        "nested": [{"meta": {"image": r["image"], "by": {"label": r["label"]}}} for r in rows],
    }
    return shapes[shape]


@pytest.mark.parametrize(
    "shape", ["viewer of the Hub", "one array", "columns", "columns of lists", "nested"]
)
def test_json_of_other_shapes_is_read(tmp_path: Path, shape: str) -> None:
    source = dump(tmp_path / "t.json", shaped(shape, rows_with_images(tmp_path, 8)))
    _, dataset = imported(source)
    assert labels_of(dataset)["images/5.png"] == "Unsafe"


NOT_TABLES: list[tuple[Any, str]] = [
    ({"a": 1}, "must be a JSON array of objects, one per row (found an object with a)"),
    ({"images": [{}], "annotations": [], "categories": [{"id": 1}]}, "is not whole (KeyError"),
    ([{"data": {}, "annotations": [3]}], "is not whole (AttributeError"),
]


@pytest.mark.parametrize(("value", "message"), NOT_TABLES)
def test_json_that_is_no_table_says_so(tmp_path: Path, value: object, message: str) -> None:
    assert message in refused(dump(tmp_path / "t.json", value))


# ------------------------------------------------------------------------------ spreadsheets


def csv_of(folder: Path, text: str, encoding: str = "utf-8", count: int = 8) -> Path:
    """A table whose lines end in `\\r\\n`; a line `*` stands for the rows."""
    delimiter = ";" if ";" in text else ","
    rows_with_images(folder, count)
    rows = "\n".join(f"images/{n}.png{delimiter}{LABEL(n % 2)}" for n in range(count))
    path = folder / "t.csv"
    path.write_text(text.replace("*", rows).replace("\n", "\r\n"), encoding, newline="")
    return path


@pytest.mark.parametrize(
    ("text", "encoding", "left_out"),
    [
        ("sep=;\nimage;label\n*\n", "utf-8", {}),
        ("image,label\n*\n,\n,\n", "utf-8", {"empty row": 2}),
        (
            "image,label,done\n*\n,,FALSE\n",
            "utf-8",
            {"empty row": 1, "cell of 'done', read as empty as the line ends before it": 8},
        ),
        ("\nimage,label\n*\n\n\n", "utf-8", {}),
        ("image,label,,\n*,,\n", "utf-8", {"column without a name": 2}),
        ('"image"; "label"\n*\n', "utf-8", {}),
        ("image,label\n*,,\n", "utf-8", {}),
        ("image,label\n*\n", "utf-16", {}),
        ("image,label\n*\n", "utf-16-le", {}),
        ("image\tlabel\n*\n", "utf-8-sig", None),
    ],
)
def test_csv_as_spreadsheets_write_it(
    tmp_path: Path, text: str, encoding: str, left_out: dict[str, int] | None
) -> None:
    source = csv_of(tmp_path, text, encoding)
    if left_out is None:
        source.write_bytes(source.read_bytes().replace(b",", b"\t"))
    report, dataset = imported(source)
    assert labels_of(dataset) == {f"images/{n}.png": LABEL(n % 2) for n in range(8)}
    assert report.left_out.skipped == (left_out or {})


def test_the_numbers_of_rows_that_pandas_writes_are_no_column(tmp_path: Path) -> None:
    rows_with_images(tmp_path, 8)
    lines = [f"{n},images/{n}.png,{LABEL(n % 2)}" for n in range(8)]
    (tmp_path / "t.csv").write_text("\n".join([",image,label", *lines]))
    report, dataset = imported(tmp_path / "t.csv")
    assert labels_of(dataset) == {f"images/{n}.png": LABEL(n % 2) for n in range(8)}
    assert report.left_out.skipped == {"column without a name": 1}
    (tmp_path / "t.csv").write_text("\n".join([",image,label", *lines, "x,images/0.png,Safe"]))
    assert "line 10: column 1 has values and no name" in refused(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("text", "encoding", "message"),
    [
        ("image,label,label\n*\n", "utf-8", "several annotators, name them label_1, label_2"),
        ("image,label,\n*,x\n", "utf-8", "line 9: column 3 has values and no name: name it"),
        ("image,label\n*\nséance.png,Safe\n", "cp1252", "save the table as UTF-8 (in Excel: CSV"),
    ],
)
def test_csv_that_could_be_read_wrong_is_refused(
    tmp_path: Path, text: str, encoding: str, message: str
) -> None:
    assert message in refused(csv_of(tmp_path, text, encoding))


def test_a_column_of_one_annotator_each_may_not_share_a_name(tmp_path: Path) -> None:
    told = refused(csv_of(tmp_path, "image,label,label\n*,Unsafe\n"))
    assert "column 'label' stands in the header 2 times" in told


def test_a_workbook_is_read_from_its_only_sheet_or_the_one_that_is_named(tmp_path: Path) -> None:
    ratings = SAFETY.model_copy(update={"name": "n", "kind": "ordinal", "labels": ("1", "2")})
    rows_with_images(tmp_path, 8)
    table: list[list[object]] = [["image", "label"]]
    table.extend([f"images/{n}.png", n % 2 + 1] for n in range(8))
    report, dataset = imported(xlsx(tmp_path / "t.xlsx", ("Tabelle1", table), ("x", [])), ratings)
    assert labels_of(dataset)["images/1.png"] == "2"
    assert report.layout == "sheet 'Tabelle1' of a spreadsheet"
    two = xlsx(tmp_path / "two.xlsx", ("A", table), ("B", table))
    assert "has several sheets (A, B): choose one with --sheet NAME" in refused(two, ratings)
    assert imported(two, ratings, sheet="B", overwrite=True)[0].num_rows == 8
    assert "has no sheet 'C': it has A, B" in refused(two, ratings, sheet="C")


def test_a_workbook_in_which_nothing_stands_is_refused(tmp_path: Path) -> None:
    empty = xlsx(tmp_path / "t.xlsx", ("A", []), ("B", []))
    assert "t.xlsx: nothing stands in any of its sheets: export it again" in refused(empty)
    assert "nothing stands in sheet 'B'" in refused(empty, sheet="B")


def test_a_workbook_in_a_folder_is_read_from_the_sheet_that_is_named(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path / "d", 8)
    table: list[list[object]] = [["image", "label"], *([r["image"], r["label"]] for r in rows)]
    xlsx(tmp_path / "d" / "labels.xlsx", ("A", table), ("B", table[:7]))
    assert "has several sheets (A, B): choose one with --sheet NAME" in refused(tmp_path / "d")
    assert imported(tmp_path / "d", sheet="B")[0].num_rows == 6
    put(tmp_path / "classes", *(f"{label}/{n}.png" for label in SAFETY.labels for n in range(4)))
    told = refused(tmp_path / "classes", sheet="B")
    assert told.endswith("classes: --sheet B: no spreadsheet is read there: leave it out")
