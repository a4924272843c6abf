"""Image cells: paths in many spellings, URLs, base64, and images to be judged without labels."""

import base64
import json
import unicodedata
from pathlib import Path
from typing import Any, Literal

import pytest
from answering import AnsweringServer, Asked, Response
from blpo.data.arrow import pa, pq
from blpo.data.errors import DataError
from blpo.data.images import ImageBounds
from blpo.data.table.downloads import Downloads
from blpo.data.table.items import ItemOptions, is_dataset, iter_items
from user_files import (
    ALIGNMENT,
    SAFETY,
    examples_of,
    imported,
    labels_of,
    png,
    put,
    refused,
    rows_with_images,
    write_csv,
    write_jsonl,
)


def table_of(folder: Path, cells: list[Any]) -> Path:
    rows = [{"image": cell, "label": SAFETY.labels[n % 2]} for n, cell in enumerate(cells)]
    return write_jsonl(folder / "t.jsonl", rows)


def base64_of(number: int) -> str:
    return base64.b64encode(png(number)).decode()


def embedded(kind: str, number: int) -> object:
    """An image as a cell of a table in JSON."""
    text = base64_of(number)
    cells: dict[str, object] = {
        "base64": text,
        "base64 of URLs": text.translate(str.maketrans("+/", "-_")).rstrip("="),
        "data URI": f"data:image/png;base64,{text}",
        "object": {"bytes": text, "path": None},
        "list": [text],
    }
    return cells[kind]


@pytest.mark.parametrize("kind", ["base64", "base64 of URLs", "data URI", "object", "list"])
def test_images_in_the_table_itself_are_decoded(tmp_path: Path, kind: str) -> None:
    _, dataset = imported(table_of(tmp_path, [embedded(kind, n) for n in range(8)]))
    assert {e.image.data for e in examples_of(dataset)} == {png(n) for n in range(8)}
    assert all(len(example.example_id) == 16 for example in examples_of(dataset))


def test_no_message_shows_more_than_a_little_of_a_cell(tmp_path: Path) -> None:
    cells = [
        base64_of(0)[:-200],
        "data:image/png;base64,@@" + base64_of(1),
        "https://img.example.org/" + "a" * 5000,
        "s3://bucket/" + "b" * 5000,
        "missing/" + "c" * 5000,
    ]
    told = refused(table_of(tmp_path, cells))
    lines = told.splitlines()[1:]
    assert len(lines) == 5
    assert max(map(len, lines)) < 420
    assert "https://img.example.org/aaa" in told
    assert "is a URL: download the images first, or pass --download" in lines[2]
    assert "is an address of s3: copy the images to this machine first" in lines[3]
    long = table_of(tmp_path, [f"images/{n}.png" for n in range(2)])
    rows_with_images(tmp_path, 2)
    long.write_text(long.read_text().replace('"Safe"', json.dumps("x" * 5000)))
    assert len(refused(long)) < 1500


@pytest.mark.parametrize(
    ("written", "way"),
    [
        ("images\\\\{}.png", "backslashes read as slashes"),
        ("images/shot%20{}.png", "percent-encoding undone"),
        ("file://{root}/images/{}.png", ""),
        ("./images/{}.png", ""),
        ("images/{}", "suffix added"),
    ],
)
def test_paths_in_other_spellings_are_found(tmp_path: Path, written: str, way: str) -> None:
    put(tmp_path, *(f"images/{'shot ' if '%20' in written else ''}{n}.png" for n in range(8)))
    cells = [
        written.replace("{root}", str(tmp_path)).replace("\\\\", "\\").format(n) for n in range(8)
    ]
    report, _ = imported(table_of(tmp_path, cells))
    told = [note for note in report.notes if note.startswith("images read otherwise")]
    assert told == ([f"images read otherwise than as plain files: {way} (8)"] if way else [])


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_in_the_other_unicode_form_are_found_and_told(
    tmp_path: Path, form: Literal["NFC", "NFD"]
) -> None:
    other = "NFD" if form == "NFC" else "NFC"
    names = [f"Übersicht {n}/grün.png" for n in range(8)]
    put(tmp_path / "here", *(unicodedata.normalize(other, name) for name in names))
    written = [unicodedata.normalize(form, f"here\\{name}") for name in names]
    report, dataset = imported(table_of(tmp_path, written))
    told = "backslashes read as slashes, another Unicode form of the name"
    assert f"images read otherwise than as plain files: {told} (8)" in report.notes
    assert set(labels_of(dataset)) == {unicodedata.normalize(other, f"here/{n}") for n in names}
    rooted = [f"/Users/anna/{unicodedata.normalize(form, name)}" for name in names]
    report, _ = imported(table_of(tmp_path, rooted), image_root=tmp_path / "here", overwrite=True)
    assert f"image paths: {tmp_path / 'here'} stands for /Users/anna/" in report.notes


def test_names_in_another_case_are_found_where_one_file_is_called_so(tmp_path: Path) -> None:
    put(tmp_path, *(f"Images/IMG_{n}.JPG" for n in range(8)), "Images/A.png", "Images/a.png")
    cells = [f"images/img_{n}.jpg" for n in range(8)]
    report, dataset = imported(table_of(tmp_path, cells))
    assert "images read otherwise than as plain files: another case of the name (8)" in report.notes
    assert "Images/IMG_0.JPG" in labels_of(dataset)
    report, dataset = imported(
        table_of(tmp_path, [*cells, "Images/A.png", "Images/a.png"]), overwrite=True
    )
    assert {"Images/A.png", "Images/a.png"} <= set(labels_of(dataset))
    told = refused(table_of(tmp_path, [*cells, "images/A.PNG"]))
    assert told.endswith(
        "line 9: image images/A.PNG: no such file, and 2 whose names differ in case alone "
        "(Images/A.png, Images/a.png): write the name of the one that is meant"
    )


def test_a_plain_name_goes_before_one_in_another_case_in_several_roots(tmp_path: Path) -> None:
    put(tmp_path / "a", *(f"{n}.png" for n in range(8)))
    put(tmp_path / "b", *(f"x{n}.PNG" for n in range(8)), "0.PNG")
    cells = [*(f"{n}.png" for n in range(8)), *(f"X{n}.png" for n in range(8))]
    report, _ = imported(
        table_of(tmp_path, cells), image_root=tmp_path / "a", more_roots=(tmp_path / "b",)
    )
    assert "images read otherwise than as plain files: another case of the name (8)" in report.notes


def test_nothing_outside_the_folder_is_looked_through_for_a_name(tmp_path: Path) -> None:
    put(tmp_path, "SECRET.png")
    put(tmp_path / "here", "images/0.png")
    told = refused(table_of(tmp_path / "here", ["images/0.png", "../secret.png"]))
    assert "line 2: image ../secret.png: outside" in told
    assert "SECRET" not in told


def test_a_missing_path_of_windows_is_told_as_it_is_looked_for(tmp_path: Path) -> None:
    put(tmp_path, "images/0.png")
    told = refused(table_of(tmp_path, ["images\\0.png", "images\\gone.png"]))
    assert "line 2: image images/gone.png: no such file; looked for in" in told


@pytest.mark.parametrize(
    ("prefix", "written"),
    [
        ("/home/anna/project/", "/home/anna/project/images/{}.png"),
        ("C:\\Users\\anna\\", "C:\\Users\\anna\\images\\{}.png"),
        ("/data/local-files/?d=", "/data/local-files/?d=images/{}.png"),
        ("s3://bucket/", "s3://bucket/images/{}.png"),
    ],
)
def test_an_image_root_stands_for_what_paths_of_another_machine_begin_with(
    tmp_path: Path, prefix: str, written: str
) -> None:
    put(tmp_path / "here", *(f"images/{n}.png" for n in range(8)))
    source = table_of(tmp_path, [written.format(n) for n in range(8)])
    report, dataset = imported(source, image_root=tmp_path / "here")
    assert f"image paths: {tmp_path / 'here'} stands for {prefix}" in report.notes
    assert set(labels_of(dataset)) == {f"images/{n}.png" for n in range(8)}
    # One prefix for all: another one is no file, not another guess.
    cells = [*(written.format(n) for n in range(7)), "/elsewhere/images/7.png"]
    assert "line 8: " in refused(table_of(tmp_path, cells), image_root=tmp_path / "here")


def test_what_percent_encoding_hides_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    put(tmp_path, "secret.png")
    put(tmp_path / "here", "images/0.png")
    source = table_of(tmp_path / "here", ["images%2F0.png", "images/%2E%2E/%2E%2E/secret.png"])
    assert "line 2: image " in (told := refused(source))
    assert "outside" in told


# ------------------------------------------------------------------------------------ downloads


class Pictures:
    """`/N.png` is an image, the first request for `/3.png` meets a busy server."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answer(self, asked: Asked) -> Response:
        self.asked.append(asked.path)
        number = asked.path.strip("/").removesuffix(".png")
        if not number.isdecimal():
            return Response(404)
        if number == "3" and self.asked.count(asked.path) == 1:
            return Response(503)
        return Response(200, png(int(number)))


def no_wait(_seconds: float) -> None:
    pass


def test_urls_are_fetched_once_when_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenacity.nap.time.sleep", no_wait)
    pictures = Pictures()
    with AnsweringServer(pictures.answer) as server:
        address = server.address
        source = table_of(tmp_path, [f"{address}/{n}.png" for n in range(8)])
        report, dataset = imported(source, downloads=tmp_path / "kept")
        assert {e.image.data for e in examples_of(dataset)} == {png(n) for n in range(8)}
        assert f"{address}/1.png" in labels_of(dataset)
        assert "images read otherwise than as plain files: URL (8)" in report.notes
        assert sorted(pictures.asked) == sorted([f"/{n}.png" for n in range(8)] + ["/3.png"])
        imported(source, downloads=tmp_path / "kept", overwrite=True)
        assert len(pictures.asked) == 9
        told = refused(table_of(tmp_path, [f"{address}/none.gif"]), downloads=tmp_path / "kept")
        assert "cannot be downloaded (the server says 404): correct it, or drop the row" in told
        with pytest.raises(DataError, match=r"more than the 20 bytes that are downloaded"):
            Downloads(tmp_path / "other", max_bytes=20).read(f"{address}/1.png")


# --------------------------------------------------------------------- images without labels


def items(path: Path, task: Any = SAFETY, **options: Any) -> dict[str, bytes]:
    batches = iter_items(path, task, ImageBounds(), 3, ItemOptions(**options))
    return {item.example_id: item.image.data for batch in batches for item in batch}


def test_a_folder_a_table_and_parquet_are_judged_as_they_are(tmp_path: Path) -> None:
    names = [f"new/{n}.png" for n in range(5)] + ["new/deeper/6.webp.png"]
    put(tmp_path, *names, "new/.cache/0.png", "new/__MACOSX/._0.png")
    pictures = {name: (tmp_path / name).read_bytes() for name in names}
    assert items(tmp_path / "new") == {n.removeprefix("new/"): p for n, p in pictures.items()}
    write_csv(tmp_path / "new.csv", [{"photo": name} for name in names])
    assert items(tmp_path / "new.csv", columns={"image": "photo"}) == pictures
    rows = [{"image": {"bytes": data, "path": None}} for data in pictures.values()]
    for name in ("one.parquet", "parts/train-00000-of-00002.parquet", "parts/test-0.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / name)
    by_hash = items(tmp_path / "one.parquet")
    assert list(by_hash.values()) == list(pictures.values())
    assert items(tmp_path / "parts") == by_hash
    assert not is_dataset(tmp_path / "one.parquet")


def test_a_labelled_folder_may_be_judged_too_and_texts_are_needed_where_the_task_has_them(
    tmp_path: Path,
) -> None:
    put(tmp_path / "d", "Safe/0.png", "Unsafe/1.png")
    assert list(items(tmp_path / "d")) == ["Safe/0.png", "Unsafe/1.png"]
    rows = [{"image": f"d/Safe/{n}.png", "prompt": text} for n, text in enumerate(["a fox", ""])]
    source = write_csv(tmp_path / "t.csv", rows)
    with pytest.raises(DataError, match="line 3: has no text: fill it in"):
        items(source, ALIGNMENT)
    with pytest.raises(DataError, match="column for the text"):
        items(write_csv(tmp_path / "u.csv", [{"image": "d/Safe/0.png"}]), ALIGNMENT)
    with pytest.raises(DataError, match=r"line 2: image .*no such file"):
        items(write_csv(tmp_path / "v.csv", [{"image": "none.png"}]))
