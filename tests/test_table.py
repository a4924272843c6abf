"""Importing tables: what users have becomes a dataset, or a list of what is wrong with it."""

import os
import unicodedata
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pytest
from blpo.data.arrow import pa, pq
from blpo.data.errors import DataError
from blpo.data.tasks import Task
from user_files import (
    ALIGNMENT,
    SAFETY,
    examples_of,
    imported,
    png,
    refused,
    rows_with_images,
    write_csv,
    write_jsonl,
    xlsx,
)


def test_a_csv_becomes_a_dataset(tmp_path: Path) -> None:
    rows = [row | {"category": "Hate", "note": "x"} for row in rows_with_images(tmp_path)]
    checked: list[int] = []
    summary, dataset = imported(
        write_csv(tmp_path / "t.csv", rows), test_fraction=1 / 3, on_row=lambda: checked.append(1)
    )
    assert summary.num_rows == len(checked) == 12
    assert summary.counts == {
        "train": {"Safe": 4, "Unsafe": 4},
        "test": {"Safe": 2, "Unsafe": 2},
    }
    assert summary.columns == {"image": "image", "label": "label", "category": "category"}
    assert summary.unused_columns == ["note"]
    by_id = {example.example_id: example for example in (*dataset.train, *dataset.test)}
    assert by_id["images/3.png"].label == "Unsafe"
    assert by_id["images/3.png"].image.data == png(3)
    assert by_id["images/3.png"].category == "Hate"


def test_jsonl_tsv_and_semicolon_tables_give_the_same_dataset_as_csv(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path)
    sources = [
        write_csv(tmp_path / "t.csv", rows),
        write_csv(tmp_path / "s.csv", rows, ";"),
        write_csv(tmp_path / "t.tsv", rows, "\t"),
        write_jsonl(tmp_path / "t.jsonl", rows),
        write_jsonl(tmp_path / "t.ndjson", rows),
    ]
    found = {imported(source, overwrite=True)[1].fingerprint for source in sources}
    assert len(found) == 1


def test_the_same_table_gives_the_same_bytes_and_other_row_order_the_same_splits(
    tmp_path: Path,
) -> None:
    rows = rows_with_images(tmp_path)
    out = tmp_path / "out" / "dataset.parquet"
    contents = [
        (imported(write_csv(tmp_path / "t.csv", some), overwrite=True)[1], out.read_bytes())
        for some in (rows, rows, rows[::-1])
    ]
    assert contents[0][1] == contents[1][1]
    assert contents[0][0].fingerprint == contents[2][0].fingerprint


def test_texts_group_examples_and_name_them(tmp_path: Path) -> None:
    rows = [
        row | {"label": number % 2, "caption": f"a fox, number {number // 3}"}
        for number, row in enumerate(rows_with_images(tmp_path, 30))
    ]
    summary, dataset = imported(write_csv(tmp_path / "t.csv", rows), ALIGNMENT)
    assert summary.columns["text"] == "caption"
    assert summary.num_groups == 10
    assert {e.text for e in dataset.train}.isdisjoint({e.text for e in dataset.test})
    assert dataset.train[0].example_id.startswith("images/")


def test_one_image_may_come_with_several_texts(tmp_path: Path) -> None:
    rows = [
        {"image": row["image"], "text": f"{number} {claim}", "label": float(claim)}
        for number, row in enumerate(rows_with_images(tmp_path, 6))
        for claim in (0, 1)
    ]
    summary, _ = imported(write_jsonl(tmp_path / "t.jsonl", rows), ALIGNMENT)
    assert summary.num_rows == 12


@pytest.mark.parametrize("embed", ["struct", "binary", "path"])
def test_parquet_images_may_be_embedded_or_paths(tmp_path: Path, embed: str) -> None:
    rows = rows_with_images(tmp_path)
    for number, row in enumerate(rows):
        content: dict[str, Any] = {
            "struct": {"bytes": png(number), "path": None},
            "binary": png(number),
            "path": {"bytes": None, "path": row["image"]},
        }
        row["image"] = content[embed]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    summary, dataset = imported(tmp_path / "t.parquet")
    assert summary.num_rows == 12
    assert dataset.train[0].image.data in {png(number) for number in range(12)}


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_an_image_folder_with_metadata(tmp_path: Path, suffix: str) -> None:
    folder = tmp_path / "folder"
    rows = [{"file_name": row["image"], "rating": row["label"]} for row in rows_with_images(folder)]
    write = {"csv": write_csv, "jsonl": write_jsonl}[suffix]
    write(folder / f"metadata.{suffix}", rows)
    summary, dataset = imported(folder)
    assert summary.columns == {"image": "file_name", "label": "rating"}
    assert dataset.train[0].example_id.startswith("images/")


def test_an_image_folder_with_a_subfolder_per_label_and_split(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    for number in range(16):
        split, label = ("train", "test")[number % 2], ("safe", "Unsafe")[number // 2 % 2]
        (folder / split / label).mkdir(parents=True, exist_ok=True)
        (folder / split / label / f"{number // 4}.png").write_bytes(png(number))
    for name in (".cache/Safe/0.png", "train/safe/._0.png", "train/safe/notes.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"not ours")
    summary, dataset = imported(folder, label_map={"safe": "Safe"})
    assert summary.counts["test"] == {"Safe": 4, "Unsafe": 4}
    assert summary.num_rows == 16
    assert {example.example_id.split("/")[0] for example in dataset.test} == {"test"}


def test_given_splits_groups_and_ids_are_kept(tmp_path: Path) -> None:
    rows = [
        row
        | {"ID": 100 + number, "Split": ("Training", "test")[number % 4 // 2], "prompt_id": number}
        for number, row in enumerate(rows_with_images(tmp_path))
    ]
    source = write_csv(tmp_path / "t.csv", rows)
    _, dataset = imported(source)
    assert [e.example_id for e in dataset.test] == ["102", "103", "106", "107", "110", "111"]
    assert dataset.test[0].group == "2"
    summary, _ = imported(source, columns={"split": ""}, test_fraction=0.25, overwrite=True)
    assert summary.counts["test"] == {"Safe": 2, "Unsafe": 2}


def test_columns_image_root_and_label_map_are_the_users_word(tmp_path: Path) -> None:
    rows = [
        {"picture": row["image"], "verdict": ("good", "bad")[number % 2], "label": "?"}
        for number, row in enumerate(rows_with_images(tmp_path / "pictures"))
    ]
    summary, _ = imported(
        write_csv(tmp_path / "t.csv", rows),
        columns={"image": "picture", "label": "verdict"},
        label_map={"good": "Safe", "bad": "Unsafe"},
        image_root=tmp_path / "pictures",
    )
    assert summary.unused_columns == ["label"]


def test_comments_are_kept_and_belong_to_the_fingerprint(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path)
    _, plain = imported(write_csv(tmp_path / "plain.csv", rows))
    assert "comment" not in pq.read_schema(tmp_path / "out" / "dataset.parquet").names
    said = [{**row, "Comment": "a knife" if i == 0 else ""} for i, row in enumerate(rows)]
    summary, data = imported(write_csv(tmp_path / "said.csv", said), overwrite=True)
    assert summary.columns["comment"] == "Comment"
    comments = [e.comment for e in (*data.train, *data.test)]
    assert sorted(filter(None, comments)) == ["a knife"]
    assert data.fingerprint != plain.fingerprint
    _, silent = imported(tmp_path / "said.csv", columns={"comment": ""}, overwrite=True)
    assert silent.fingerprint == plain.fingerprint


def test_an_existing_dataset_is_overwritten_only_when_told(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "t.csv", rows_with_images(tmp_path))
    imported(source)
    with pytest.raises(DataError, match=r"dataset\.parquet: already there: .* pass --overwrite"):
        imported(source)
    imported(source, overwrite=True)


def test_all_problems_are_listed_with_line_value_and_remedy(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path)
    rows[1]["label"] = "Dangerous"
    rows[2]["image"] = "images/none.png"
    (tmp_path / "images" / "3.png").write_bytes(png(3)[:300])
    (tmp_path / "images" / "4.png").write_bytes(b"")
    rows[5]["label"] = " "
    rows[6]["image"] = ""
    rows[8]["image"] = rows[7]["image"]
    message = refused(write_csv(tmp_path / "t.csv", rows))
    summary, _, problems = message.partition("\n7 problems:\n")
    assert summary.startswith(f"{tmp_path / 't.csv'}: The labels contradict task unsafebench. ")
    *lines, remedy = ["", *problems.splitlines()]
    assert lines[1] == (
        "  line 3: label 'Dangerous' is not one of Safe, Unsafe (task unsafebench); correct it, or "
        "rename it with --label FOUND=TASK"
    )
    assert "line 4: image " in lines[2]
    assert lines[2].endswith("line 4: image images/none.png: no such file")
    assert remedy == (
        f"no such file: looked for in {tmp_path}: correct the path, name the folder that paths "
        "start from with --image-root FOLDER, or drop the row"
    )
    assert "line 5: image images/3.png: cannot be decoded" in lines[3]
    assert "line 6: image images/4.png: the file is empty" in lines[4]
    assert "line 7: has no label: fill it in or drop the row" in lines[5]
    assert "line 8: has no image" in lines[6]
    assert "line 10: image images/7.png is that of line 9 too; keep one row" in lines[7]


@pytest.mark.parametrize("name", ["images", "a\0b.png", "x" * 5000, "images/0.png/0.png"])
def test_an_image_that_is_no_readable_file_is_a_problem_of_its_row(
    tmp_path: Path, name: str
) -> None:
    rows = rows_with_images(tmp_path)
    rows[3]["image"] = name
    message = refused(write_jsonl(tmp_path / "t.jsonl", rows))
    assert message.startswith(f"{tmp_path / 't.jsonl'}: line 4: image ")


def test_lines_are_counted_through_quoted_line_breaks_and_blank_lines(tmp_path: Path) -> None:
    rows_with_images(tmp_path)
    text = 'image,label,note\nimages/0.png,Safe,"two\nlines"\nimages/1.png,Odd,x\n'
    (tmp_path / "t.csv").write_text(text)
    assert "line 4: label 'Odd'" in refused(tmp_path / "t.csv")
    (tmp_path / "t.jsonl").write_text('\n{"image": "images/0.png", "label": "Odd"}\n')
    assert "line 2: label 'Odd'" in refused(tmp_path / "t.jsonl")


def test_a_parquet_problem_names_the_row(tmp_path: Path) -> None:
    rows = [
        row | {"image": png(n)[: 300 if n == 2 else None]}
        for n, row in enumerate(rows_with_images(tmp_path))
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "t.parquet")
    assert "row 3: image: cannot be decoded" in refused(tmp_path / "t.parquet")


def test_duplicate_ids_name_both_lines(tmp_path: Path) -> None:
    rows = [row | {"id": number % 11} for number, row in enumerate(rows_with_images(tmp_path))]
    message = refused(write_csv(tmp_path / "t.csv", rows))
    assert "line 13: id '0' is that of line 2 too; give every row its own id" in message


def test_a_class_missing_from_train_is_refused(tmp_path: Path) -> None:
    rows = [row | {"label": "Safe"} for row in rows_with_images(tmp_path)]
    assert "class 'Unsafe': has no train example" in refused(write_csv(tmp_path / "t.csv", rows))


def test_a_group_on_both_sides_of_a_given_split_is_refused(tmp_path: Path) -> None:
    rows = [
        row | {"group": number // 4, "split": ("train", "test")[number % 4 // 2]}
        for number, row in enumerate(rows_with_images(tmp_path))
    ]
    message = refused(write_csv(tmp_path / "t.csv", rows))
    assert "line 4: group '0' is in test here and in train at line 2" in message


def test_an_unknown_split_and_a_missing_text_are_refused(tmp_path: Path) -> None:
    rows = [
        row | {"label": 1, "text": "", "split": "holdout"} for row in rows_with_images(tmp_path, 1)
    ]
    message = refused(write_csv(tmp_path / "t.csv", rows), ALIGNMENT)
    assert "line 2: has no text" in message
    assert (
        "line 2: split 'holdout' is not one of train, test, validation: correct it, drop the row, "
        "or ignore the column with --column split="
    ) in message


@pytest.mark.parametrize(
    ("header", "options", "message"),
    [
        ("picture,label", {}, "column for the image: none of image, file_name"),
        ("pic,text,label", {}, "images; name it with --column image=COLUMN (the table has: pic,"),
        (
            "image,caption,prompt",
            {},
            "column for the text: could be prompt, caption; choose with --column text=COLUMN",
        ),
        ("image,text,score,rating", {}, "column for the label: could be rating, score"),
        ("image,text,label,Label", {}, "column for the label: could be label, Label; choose with"),
        ("image,text,label, label", {}, "column 'label' stands in the header 2 times"),
        ("Image,image,text,label", {}, "column for the image: could be Image, image; choose with"),
        ("image,text,Rating_1,rating_1,rating_2", {}, "Rating_1 and rating_1 read alike"),
        (
            "File Name,file_name,text,label",
            {},
            "column for the image: could be File Name, file_name",
        ),
        ("File Name,text,human label,Human-Label", {}, "could be human label, Human-Label; choose"),
        ("image,text,Score,score", {}, "column for the label: could be Score, score; choose with"),
        (
            "image,text,label",
            {"columns": {"label": "x"}},
            "--column label=x: no such column; the table has: image, text, label",
        ),
        (
            "image,text,label",
            {"columns": {"lable": "x"}},
            "--column lable=x: no such role; roles: image",
        ),
        ("image,text,label", {}, "has no rows"),
        ("", {}, "the table has no columns"),
    ],
)
def test_columns_that_cannot_be_found_are_told_with_those_that_are_there(
    tmp_path: Path, header: str, options: dict[str, Any], message: str
) -> None:
    (tmp_path / "t.csv").write_text(header + "\n")
    assert message in refused(tmp_path / "t.csv", ALIGNMENT, **options)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"image,label\na.png,Safe,more\n", "line 2: has more fields than the header"),
        ("t.csv", b'image,label\na.png,"Safe\n', "line 2: not valid csv"),
        ("t.csv", b"", "the file is empty (0 bytes)"),
        ("t.jsonl", b"", "the file is empty (0 bytes)"),
        ("t.csv", b"\xef\xbb\xbf \n\n", "the table has no columns, as nothing stands in it"),
        ("t.json", b"[]", "the table has no columns, as nothing stands in it"),
        (
            "t.csv",
            b"PK\3\4\x14",
            "is a spreadsheet (.xlsx, .ods) or a .zip by its first bytes",
        ),
        ("t.csv", b"PAR1 and more", "is a .parquet by its first bytes, and no .csv: rename it"),
        (
            "t.tsv",
            b"\x1f\x8b\x08",
            "is an archive (.gz) by its first bytes, and no .tsv",
        ),
        ("t.csv", png(0), "is an image by its first bytes, and no .csv: rename it"),
        ("t.csv", b"BMI,image\n", "column for the label"),
        ("t.jsonl", b'[{"image": "a.png"}]', "name the file .json if it is one array"),
        ("t.csv", b"image,label\na.png,Safe\0\n", "line 2, column 2: holds a NUL byte"),
        ("t.csv", b"image,la\0bel\na.png,Safe\n", "line 1, column 2: holds a NUL byte"),
        ("t.jsonl", b'{"image": "a.png", "label": "Safe\\u0000"}', "it holds a NUL byte, which is"),
        ("t.csv", b"My labels,\n\nimage,label\na.png,Safe\n", "header seems to be in line 3"),
        ("t.csv", b"My labels\nimage;label\na.png;Safe\n", "header seems to be in line 2: delete"),
        ("t.csv", b"im\\a.png,Safe\n", "has no header: its first line has an image (im\\a.png)"),
        ("t.csv", b"im\\a.png,Safe\n", "names the columns, such as image,label"),
        ("t.csv", b"image,kind\na.png,image\n", "column for the label: none of"),
        ("t.txt", b"image,label\na.png,Safe\n", "name the file .csv or .tsv if it is a table"),
        ("t.txt", b"a.png\n", "column for the label: none of"),
        ("t.csv", b"image,label\n\xff.png,Safe\n", "not UTF-8"),
        ("t.jsonl", b'{"image": "a.png"\n', "line 1: not valid JSON"),
        ("t.jsonl", b"[1]\n", "line 1: must be a JSON object"),
        ("t.jsonl", b'{"label": 1, "label": 2}\n', "line 1: not valid JSON: an object has the key"),
        ("t.json", b'[{"label": 1}, {"label": 1, "label": 2}]', "the key 'label' twice: drop one"),
        ("t.jsonl", rb'{"text": "\ud83d"}' + b"\n", "line 1: holds half of a character"),
        ("t.json", b"[" * 100_000, "not valid JSON"),
        ("t.json", b'[{"a": ' + b"1" * 5000 + b"}]", "not valid JSON"),
        ("t.json", b"\xff", "line 1: not UTF-8"),
        ("t.parquet", b"PAR1 and no more", "not a whole Parquet file"),
        ("t.xlsx", b"PK", "not a whole spreadsheet"),
        ("t.docx", b"", "cannot read .docx as a table"),
        ("t.csv.gz", b"", "an archive: unpack it"),
        ("t.jsonl", b'{"image": ["a.png", "b.png"], "label": "Safe"}\n', "holds 2 images in one"),
        ("t.xml", b"<a>", "not whole XML"),
    ],
)
def test_tables_that_cannot_be_read_are_errors(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    assert message in refused(tmp_path / name)


@pytest.mark.parametrize(
    "encoding", ["utf-32", "utf-32-le", "utf-32-be", "utf-16", "utf-16-le", "utf-16-be"]
)
def test_tables_are_read_in_every_encoding_of_unicode(tmp_path: Path, encoding: str) -> None:
    text = write_csv(tmp_path / "t.csv", rows_with_images(tmp_path)).read_text("utf-8-sig")
    (tmp_path / "t.csv").write_text(text, encoding)
    assert imported(tmp_path / "t.csv")[0].num_rows == 12


def test_cells_that_lines_end_before_are_counted_by_column(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path)
    lines = [f"{row['image']},{row['label']}" for row in rows]
    lines[3] += ",outdoors,blurred"
    lines[5] += ",outdoors"
    table = tmp_path / "t.csv"
    table.write_text("\n".join(["image,label,category,comment", *lines, "  ", ""]))
    report, _ = imported(table)
    assert report.left_out.skipped == {
        "cell of 'category', read as empty as the line ends before it": 10,
        "cell of 'comment', read as empty as the line ends before it": 11,
        "empty row": 1,
    }
    table.write_text(
        "\n".join(["image,label,note", *(f"{line},x" for line in lines[:3] + lines[6:])])
    )
    assert not imported(table, overwrite=True)[0].left_out.skipped


def test_a_spreadsheet_with_a_title_is_told_where_its_header_is(tmp_path: Path) -> None:
    table = xlsx(tmp_path / "t.xlsx", ("a", [["My labels", ""], ["image", "label"], ["a.png", 1]]))
    assert "the header seems to be in row 2: delete what stands above it" in refused(table)


def test_text_of_parquet_and_names_of_files_that_are_not_utf8_are_errors(tmp_path: Path) -> None:
    offsets, text = pa.py_buffer(b"\0\0\0\0\2\0\0\0"), pa.py_buffer(b"\xff\xfe")
    column = pa.StringArray.from_buffers(1, offsets, text)
    table = pa.table({"image": ["a.png"], "label": column})
    pq.write_table(table, tmp_path / "t.parquet")
    assert "not a whole Parquet file (holds text that is not UTF-8)" in refused(
        tmp_path / "t.parquet"
    )
    folder = tmp_path / "images"
    (folder / "Safe").mkdir(parents=True)
    Path(os.fsdecode(os.fsencode(folder / "Safe") + b"/\xff.png")).write_bytes(b"")
    assert "its name is not UTF-8: rename it" in refused(folder)


def test_sources_that_are_not_there_or_empty_are_errors(tmp_path: Path) -> None:
    assert "no such file or folder" in refused(tmp_path / "none.csv")
    (tmp_path / "folder").mkdir()
    assert "holds no metadata.csv" in refused(tmp_path / "folder")
    told = refused(Path("https://example.org/labels.csv"))
    assert "https://example.org/labels.csv: is not on this machine: copy it here" in told


# ------------------------------------------------------------------- what must not pass silently


def test_a_column_that_the_header_has_twice_is_refused(tmp_path: Path) -> None:
    rows_with_images(tmp_path, 2)
    (tmp_path / "t.csv").write_text("image,label,label\nimages/0.png,Safe,Unsafe\n")
    told = refused(tmp_path / "t.csv")
    assert "t.csv: line 1: column 'label' stands in the header 2 times: rename or drop" in told


def test_an_image_is_on_one_side_of_the_split_whatever_its_texts(tmp_path: Path) -> None:
    rows = [
        {
            **row,
            "image": f"images/{number % 3}.png",
            "text": f"caption {number}",
            "label": number % 2,
        }
        for number, row in enumerate(rows_with_images(tmp_path))
    ]
    _, dataset = imported(write_csv(tmp_path / "t.csv", rows), ALIGNMENT)
    sides = [{e.image.digest for e in split} for split in (dataset.train, dataset.test)]
    assert sides[0]
    assert sides[1]
    assert not sides[0] & sides[1]


def test_rows_that_are_one_group_are_told_with_what_joins_them(tmp_path: Path) -> None:
    rows = [
        {**row, "text": f"caption {number // 2}", "label": number % 2}
        for number, row in enumerate(rows_with_images(tmp_path, 6))
    ]
    rows[2]["image"], rows[4]["image"] = rows[1]["image"], rows[3]["image"]
    told = refused(write_csv(tmp_path / "t.csv", rows), ALIGNMENT)
    assert "all 6 rows are one group" in told
    assert "line 2 and line 3 (text 'caption 0'); line 3 and line 4 (an image): group" in told
    assert "--column group=image" in told
    same = [{**row, "image": "images/0.png", "text": f"{n}"} for n, row in enumerate(rows)]
    told = refused(write_csv(tmp_path / "same.csv", same), ALIGNMENT)
    assert "as do line 2 and line 3 (an image): no column of groups can part them" in told


def test_a_group_column_cannot_put_an_image_on_both_sides(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path, 4)
    rows = [{**row, "id": n, "group": n, "split": "train"} for n, row in enumerate(rows)]
    rows += [{**row, "id": n + 4, "group": n + 4, "split": "test"} for n, row in enumerate(rows)]
    told = refused(write_csv(tmp_path / "t.csv", rows))
    assert "is in test here and in train at line 2" in told


def test_labels_that_contradict_each_other_are_counted_and_named(tmp_path: Path) -> None:
    rows = [{**row, "id": number} for number, row in enumerate(rows_with_images(tmp_path))]
    rows += [{**rows[0], "id": 12, "label": SAFETY.labels[1]}]
    summary, _ = imported(write_csv(tmp_path / "t.csv", rows))
    assert summary.contradictions == ["line 14: Unsafe, but Safe in line 2"]


@pytest.mark.parametrize("as_struct", [False, True])
def test_images_outside_the_tables_folder_need_permission(tmp_path: Path, as_struct: bool) -> None:
    rows = rows_with_images(tmp_path / "elsewhere")
    (tmp_path / "here").mkdir()
    paths = [str(tmp_path / "elsewhere" / row["image"]) for row in rows]
    cells = [{"bytes": None, "path": path} for path in paths] if as_struct else paths
    table = pa.table({"image": cells, "label": [row["label"] for row in rows]})
    source = tmp_path / "here" / "t.parquet"
    pq.write_table(table, source)
    assert "12 problems" in (told := refused(source))
    assert "0.png: outside" in told
    assert imported(source, allow_outside=True)[0].num_rows == 12
    root = tmp_path / "elsewhere"
    assert imported(source, image_root=root, overwrite=True)[0].num_rows == 12


def test_links_out_of_an_image_folder_need_permission(tmp_path: Path) -> None:
    rows_with_images(tmp_path / "elsewhere")
    pictures = sorted((tmp_path / "elsewhere").rglob("*.png"))
    for number, picture in enumerate(pictures):
        folder = tmp_path / "here" / SAFETY.labels[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / picture.name).symlink_to(picture)
    told = refused(tmp_path / "here")
    assert "0.png: a link that leads out of" in told
    assert "--allow-outside" in told
    summary, _ = imported(tmp_path / "here", allow_outside=True)
    assert summary.num_rows == len(pictures)


def test_a_metadata_file_that_is_a_link_out_of_its_folder_needs_permission(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path / "here")
    write_csv(tmp_path / "secret.csv", rows)
    (tmp_path / "here" / "metadata.csv").symlink_to("../secret.csv")
    assert "metadata.csv: a link that leads out of" in refused(tmp_path / "here")
    assert imported(tmp_path / "here", allow_outside=True)[0].num_rows == len(rows)


def test_several_tables_are_read_as_one_and_have_what_is_needed(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path)
    whole = imported(write_csv(tmp_path / "t.csv", rows))[1]
    first, second = (
        write_csv(tmp_path / f"{name}.csv", part)
        for name, part in (("one", rows[:7]), ("two", rows[7:]))
    )
    summary, dataset = imported(first, overwrite=True, more=(second,))
    assert dataset.fingerprint == whole.fingerprint
    assert summary.layout == "each a table, delimiter comma"
    assert summary.name == f"2 tables ({first}, {second})"
    wrong = write_csv(tmp_path / "wrong.csv", [rows[7] | {"label": "fine"}])
    told = refused(first, more=(wrong,))
    assert told.startswith(f"2 tables ({first}, {wrong}): ")
    assert f"{wrong}, line 2: label 'fine'" in told
    split = [row | {"split": "train", "note": "x"} for row in rows]
    other = write_csv(tmp_path / "other.csv", split)
    assert f"{first} has no column split, which others have for the split" in refused(
        first, more=(other,)
    )


def test_a_table_may_lack_raters_and_comments(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path)
    named = [{**row, "rater": "ann", "comment": "a blade"} for row in rows[:6]]
    first = write_csv(tmp_path / "ann.csv", named)
    plain = write_csv(tmp_path / "next.csv", rows[4:])
    summary, dataset = imported(first, more=(plain,))
    assert f"{plain} has no rater, comment: read as empty there" in summary.notes
    found = {e.example_id: (e.comment, e.ratings) for e in (*dataset.train, *dataset.test)}
    assert len(found) == 12
    assert found["images/1.png"] == ("a blade", ())
    assert found["images/5.png"] == ("a blade", ("Unsafe", "Unsafe"))
    assert found["images/9.png"] == (None, ())
    told = refused(first, more=(plain, write_csv(tmp_path / "again.csv", rows[11:])))
    assert "again.csv, line 2: an answer on the image of" in told
    assert "neither says whose it is" in told


def test_columns_that_hold_nothing_are_told(tmp_path: Path) -> None:
    criteria = [
        {"name": name, "question": "?", "labels": list(SAFETY.labels)} for name in ("arms", "smoke")
    ]
    task = Task.model_validate(SAFETY.model_dump() | {"criteria": criteria, "rule": "any"})
    rows = [
        row | {"criterion_arms": "Safe" if n == 3 else "", "criterion_smoke": " ", "comment": ""}
        for n, row in enumerate(rows_with_images(tmp_path))
    ]
    notes = imported(write_csv(tmp_path / "t.csv", rows), task)[0].notes
    assert "annotators' answers to criterion arms: column criterion_arms, 1 of 12 rows" in notes
    assert (
        "annotators' answers to criterion smoke: column criterion_smoke, none, every cell is empty"
        in notes
    )
    assert "comment from 'comment': every cell is empty" in notes


def test_comments_that_are_objects_are_counted(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path)
    for number, row in enumerate(rows):
        row["comment"] = {"why": f"dull {number}", "n": 1} if number % 3 == 0 else "sharp"
    table = write_jsonl(tmp_path / "t.jsonl", rows)
    report, dataset = imported(table)
    assert {example.comment for example in examples_of(dataset)} == {None, "sharp"}
    assert (
        "comment from 'comment': 4 are objects, which are not read (first: line 1, line 4, line 7):"
        " write them as text, or name a field with --column comment=comment.FIELD"
    ) in report.notes
    _, dataset = imported(table, columns={"comment": "comment.why"}, overwrite=True)
    assert "dull 3" in {example.comment for example in examples_of(dataset)}


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_columns_and_labels_are_named_in_either_unicode_form(
    tmp_path: Path, form: Literal["NFC", "NFD"]
) -> None:
    def same(text: str) -> str:
        return unicodedata.normalize(form, text)

    def other(text: str) -> str:
        return unicodedata.normalize("NFD" if form == "NFC" else "NFC", text)

    names = {"Safe": same("grün"), "Unsafe": same("Übel")}
    rows = [
        {same("Fläche"): row["image"].removeprefix("images/"), same("Güte"): names[row["label"]]}
        for row in rows_with_images(tmp_path)
    ]
    report, dataset = imported(
        write_csv(tmp_path / "t.csv", rows),
        columns={"image": f"images/{{{other('Fläche')}}}", "label": other("Güte")},
        label_map={other("grün"): "Safe", other("übel"): "Unsafe"},
    )
    assert report.columns["label"] == same("Güte")
    assert {example.label for example in examples_of(dataset)} == {"Safe", "Unsafe"}
    assert any("(6)" in note for note in report.notes if note.startswith("labels renamed"))


def test_renamed_labels_are_told_once_as_cells_spell_them(tmp_path: Path) -> None:
    names = {"Safe": "Accept", "Unsafe": "Reject"}
    rows = [row | {"label": names[row["label"]]} for row in rows_with_images(tmp_path)]
    renames = {"accept": "Safe", "reject": "Unsafe"}
    report, _ = imported(write_csv(tmp_path / "t.csv", rows), label_map=renames)
    [told] = [note for note in report.notes if note.startswith("labels ")]
    assert told.startswith("labels renamed: 'Accept' to Safe (")
    assert "'Reject' to Unsafe (" in told
