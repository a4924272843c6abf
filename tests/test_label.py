"""The labelling page: what is on it, and in a real browser what annotators do with it."""

import csv
import io
import json
import shlex
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from blpo.data.errors import DataError
from blpo.data.tasks import Task, load_task
from blpo.pipeline.labelling.images import shown_images
from blpo.pipeline.labelling.page import label_choices, write_label_page
from browser import chromium, opened
from command_line import Blpo
from PIL import Image
from playwright.sync_api import Browser, Download, Page
from public_sources import picture, write_csv, write_files

MAX_PIXELS = 64 * 64
TASK = """\
name: photos
description: Is the photo </script> fit?
kind: binary
labels: [reject, accept]
judge_prompt: Is it <b>good</b>?
i2t_prompt: Describe it.
answer_instruction: reject or accept.
primary_metric: macro_f1
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five images, one of them in a subfolder, and task.yaml."""
    names = ["shots/1.png", "shots/2.png", "shots/3.png", "shots/4.png", 'shots/more/a, "b".png']
    write_files(tmp_path, {name: picture(i) for i, name in enumerate(names)})
    (tmp_path / "task.yaml").write_text(TASK)
    return tmp_path


def pairs_table(folder: Path) -> Path:
    """Four pairs with texts; image A of pair i is picture 2i, image B picture 2i + 1."""
    rows = [(f"fox {i}", f"{i}a.png", f"{i}b.png") for i in range(4)]
    for i, (_, *names) in enumerate(rows):
        write_files(folder, {name: picture(2 * i + k) for k, name in enumerate(names)})
    write_csv(folder / "pairs.csv", ("prompt", "image", "image_b"), rows)
    return folder / "pairs.csv"


def make_page(source: Path, task: Path | str) -> Path:
    out = source.parent / "label.html"
    return write_label_page(source, load_task(task), str(task), out, MAX_PIXELS).path


def start(page: Page, name: str) -> None:
    page.fill("#name", name)
    page.keyboard.press("Enter")


def exported(page: Page, button: str = ".export:visible") -> list[dict[str, str]]:
    with page.expect_download() as saved:
        page.click(button)
    text = saved.value.path().read_text("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text)))


# ---------------------------------------------------------------------------------- in the browser


def test_a_folder_is_labelled_by_keys_and_resumed_and_imported(
    folder: Path, browser: Browser, blpo: Blpo
) -> None:
    made = make_page(folder / "shots", folder / "task.yaml")
    with opened(browser, made) as page:
        assert page.inner_text("h1") == "Is the photo </script> fit?"
        start(page, "Ann")
        for key in "21u2":
            page.keyboard.press(key)
        assert page.inner_text("#place") == "Image 3 of 5, 2 labelled"
        page.keyboard.press("c")
        page.keyboard.type('2 u "soft", blurred')
        page.keyboard.press("Enter")
        page.keyboard.press("1")
        page.reload()
        start(page, "Ann")
        assert page.inner_text("#place") == "Image 4 of 5, 3 labelled"
        page.keyboard.press("2")
        page.click("#labels button:has-text('reject')")
        assert page.inner_text("#counts").split() == ["reject", "2", "accept", "3"]
        rows = exported(page)
        command = page.inner_text("#said pre")
        page.click("#copy")
        assert page.inner_text("#copy") in {"Copied", "Selected: copy it"}
        assert page.evaluate("String(getSelection())") == command
    assert command.startswith("blpo import table labels-")
    assert [row["image"] for row in rows][4] == 'more/a, "b".png'
    assert {row["rater"] for row in rows} == {"Ann"}
    assert sorted(row["label"] for row in rows) == ["accept"] * 3 + ["reject"] * 2
    [commented] = [row for row in rows if row["comment"]]
    assert (commented["label"], commented["comment"]) == ("reject", '2 u "soft", blurred')
    pl.DataFrame(rows).write_csv(folder / "labels.csv")
    given = ("--task", str(folder / "task.yaml"), "--image-root", str(folder / "shots"))
    done = blpo("import", "table", str(folder / "labels.csv"), *given, "--out", "d.parquet")
    assert done.code == 0, done.err
    assert len(pl.read_parquet("d.parquet")) == 5


def test_an_export_of_nothing_and_a_key_that_is_no_label_say_what_is_wrong(
    folder: Path, browser: Browser
) -> None:
    made = make_page(folder / "shots", folder / "task.yaml")
    with opened(browser, made) as page:
        saved: list[Download] = []
        page.on("download", lambda download: saved.append(download))  # noqa: PLW0108
        start(page, "ann")
        assert page.get_attribute("#comment", "placeholder") == "Comment (c)"
        page.keyboard.press("x")
        assert page.inner_text("#said").startswith(
            "x is no label. Keys: 1 reject, 2 accept; u undo"
        )
        assert page.inner_text("#place") == "Image 1 of 5, 0 labelled"
        page.click(".export:visible")
        assert page.inner_text("#said") == "Nothing is labelled yet, so nothing was saved."
        for key in "1u":
            page.keyboard.press(key)
        page.click(".export:visible")
        assert page.inner_text("#said") == "Nothing is labelled yet, so nothing was saved."
        assert saved == []
        page.set_viewport_size({"width": 390, "height": 740})
        page.wait_for_selector("#comment[placeholder='Comment']")


def test_two_annotators_have_orders_of_their_own_and_one_csv(
    folder: Path, browser: Browser
) -> None:
    made = make_page(folder / "shots", folder / "task.yaml")
    orders: list[list[str | None]] = []
    with opened(browser, made) as page:
        for name in ("ann", "bob"):
            start(page, name)
            orders.append([])
            while page.is_visible("#work"):
                orders[-1].append(page.get_attribute("#images img", "src"))
                page.keyboard.press("1")
            page.click("#leave")
        start(page, "eve")
        page.keyboard.press("2")
        rows = exported(page, "#export-all")
    assert sorted(map(str, orders[0])) == sorted(map(str, orders[1]))
    assert orders[0] != orders[1]
    assert [row["rater"] for row in rows] == ["ann"] * 5 + ["bob"] * 5 + ["eve"]


def test_a_side_means_the_image_that_is_shown_there(tmp_path: Path, browser: Browser) -> None:
    task = "imagereward-pairs"
    table = pairs_table(tmp_path)
    addresses = [s.sources for s in shown_images(table, load_task(task), MAX_PIXELS)]
    chosen: dict[str, str] = {}
    with opened(browser, make_page(table, task)) as page:
        start(page, "ann")
        for _ in range(4):
            left = page.get_attribute("#images img >> nth=0", "src")
            [(number, side)] = [
                (i, "AB"[both.index(str(left))]) for i, both in enumerate(addresses) if left in both
            ]
            assert page.inner_text("#text") == f"fox {number}"
            chosen[f"fox {number}"] = side
            page.keyboard.press("1")
        rows = exported(page)
    assert {row["text"]: row["label"] for row in rows} == chosen
    assert set(chosen.values()) == {"A", "B"}
    assert list(rows[0]) == ["image", "image_b", "text", "rater", "label", "comment"]


def test_images_with_roles_stand_side_by_side_under_their_roles(
    tmp_path: Path, browser: Browser
) -> None:
    table = pairs_table(tmp_path)
    table.write_text(table.read_text().replace("image,image_b", "source,style_ref"))
    (tmp_path / "task.yaml").write_text(f"{TASK}images: [source, style_ref]\ncarries_text: true\n")
    with opened(browser, make_page(table, tmp_path / "task.yaml")) as page:
        start(page, "ann")
        assert page.inner_text("#place").startswith("Example 1 of 4")
        assert page.locator("figcaption").all_inner_texts() == ["source", "style ref"]
        assert page.get_attribute("#images img >> nth=1", "alt") == "Style ref image"
        top = "images => new Set(images.map((i) => i.getBoundingClientRect().top)).size"
        assert page.eval_on_selector_all("#images img", top) == 1
        page.keyboard.press("1")
        rows = exported(page)
    assert list(rows[0]) == ["source", "style_ref", "text", "rater", "label", "comment"]


@pytest.mark.parametrize("width", [360, 1280])
def test_nothing_is_cut_off_at_phone_and_desktop_width(
    folder: Path, browser: Browser, width: int
) -> None:
    with opened(
        browser, make_page(folder / "shots", folder / "task.yaml"), width=width, height=740
    ) as page:
        start(page, "ann")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate("document.documentElement.scrollHeight") <= 740
        for button in page.locator("#work button").all():
            box = button.bounding_box()
            assert box is not None
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert box["height"] >= 40


# ------------------------------------------------------------------------------------ what is on it


def test_labels_have_keys_and_digits_are_their_own() -> None:
    binary = Task.model_validate({**load_task("agin").model_dump(), "labels": ["no", "yes"]})
    assert [c["key"] for c in label_choices(load_task("agin"))] == ["1", "2", "3", "4", "5"]
    assert [c["key"] for c in label_choices(binary)] == ["1", "2"]
    many = binary.model_copy(update={"labels": tuple(f"label {i}" for i in range(12))})
    assert [c["key"] for c in label_choices(many)] == [*"123456789", "a", "b", "d"]
    sides = [c["shown"] for c in label_choices(load_task("imagereward-pairs"))]
    assert sides == ["Left", "No difference", "Right"]


def test_large_images_and_those_no_browser_shows_are_made_fit(tmp_path: Path) -> None:
    for name in ("large.png", "scan.tif"):
        Image.new("RGB", (100, 100)).save(tmp_path / name)
    Image.new("RGB", (20, 20)).save(tmp_path / "small.webp")
    shown = {s.key: s.sources[0][:16] for s in shown_images(tmp_path, load_task("agin"), 4096)}
    assert shown == {
        "large.png": "data:image/jpeg;",
        "scan.tif": "data:image/jpeg;",
        "small.webp": "data:image/webp;",
    }


def test_a_source_that_cannot_be_labelled_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no images"):
        shown_images(tmp_path, load_task("agin"), MAX_PIXELS)
    with pytest.raises(DataError, match=r"give a table .* columns image, image_b, text"):
        shown_images(tmp_path, load_task("imagereward-pairs"), MAX_PIXELS)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n but no more")
    with pytest.raises(DataError, match=r"broken\.png: cannot be decoded"):
        shown_images(tmp_path, load_task("agin"), MAX_PIXELS)
    write_csv(tmp_path / "t.csv", ("picture",), [("a.png",)])
    with pytest.raises(DataError, match="column for the image: none of image"):
        shown_images(tmp_path / "t.csv", load_task("agin"), MAX_PIXELS)
    write_csv(tmp_path / "t.csv", ("image",), [("../../etc/passwd",), ("",)])
    with pytest.raises(DataError, match=r"(?s)line 2.*outside.*line 3.*has no image"):
        shown_images(tmp_path / "t.csv", load_task("agin"), MAX_PIXELS)


def test_the_command_says_how_to_go_on(folder: Path, blpo: Blpo) -> None:
    arguments = ("label", str(folder / "shots"), "--task", str(folder / "task.yaml"))
    done = blpo(*arguments, "--json")
    told = json.loads(done.out)
    assert (done.code, told["num_images"]) == (0, 5)
    assert told["next_command"].startswith("blpo import table LABELS.csv --task")
    assert told["next_command"].endswith(f"--out {folder / 'task.parquet'}")
    assert "label.html: already there" in blpo(*arguments).err
    assert "keys: 1 reject, 2 accept" in blpo(*arguments, "--overwrite").out


def test_in_a_second_round_the_command_writes_another_dataset(folder: Path, blpo: Blpo) -> None:
    (folder / "task.parquet").touch()
    (folder / "task-2.parquet").touch()
    out = blpo("label", str(folder / "shots"), "--task", str(folder / "task.yaml")).out
    assert f"--out {folder / 'task-3.parquet'}" in out
    assert f"{folder / 'task.parquet'} is there already: EARLIER.csv are the labels" in out
    alone = f"  blpo import table LABELS.csv --task {folder / 'task.yaml'} --image-root"
    assert f"{alone} {folder / 'shots'} --out {folder / 'task-3.parquet'}" in out
    assert "Options of the first import, such as --label, are needed again" in out
    assert "blpo import table EARLIER.csv LABELS.csv --task" in out
    assert f"--image-root EARLIER-IMAGES --image-root {folder / 'shots'} --split-as" in out


def test_labels_from_several_folders_are_imported_by_the_line_that_is_printed(
    blpo: Blpo, tmp_path: Path
) -> None:
    (tmp_path / "task.yaml").write_text(TASK)
    names = [f"{s}/{i}.png" for s in ("spring shoot", "in/autumn") for i in range(4)]
    write_files(tmp_path, {name: picture(i) for i, name in enumerate(names)})
    given = ("label", "spring shoot", "in/autumn", "--task", "task.yaml", "--json")
    told = json.loads(blpo(*given).out)
    assert told["num_images"] == 8
    assert "--image-root . --image-root in --out" in told["next_command"]
    cells = [f"{s}/{i}.png" for s in ("spring shoot", "autumn") for i in range(4)]
    assert all(cell in (tmp_path / "label.html").read_text() for cell in cells)
    rows = [(cell, "anna", ("reject", "accept")[i % 2]) for i, cell in enumerate(cells)]
    write_csv(tmp_path / "LABELS.csv", ("image", "rater", "label"), rows)
    done = blpo(*shlex.split(told["next_command"])[1:])
    assert "8 examples" in done.out, done.err
    write_files(tmp_path, {"autumn/0.png": picture(20)})
    twice = blpo(*shlex.split(told["next_command"])[1:], "--overwrite")
    assert "image autumn/0.png: is in . and in in: rename one of them" in twice.err
    (tmp_path / "autumn/0.png").unlink()
    (tmp_path / "in/autumn/0.png").unlink()
    gone = blpo(*shlex.split(told["next_command"])[1:], "--overwrite")
    assert "image autumn/0.png: in none of ., in: no such file; correct the path" in gone.err


def test_columns_with_names_of_their_own_are_named(folder: Path, blpo: Blpo) -> None:
    table = folder / "pairs.csv"
    rows = [(f"{i}", f"shots/{i}.png", f"shots/{i + 1}.png") for i in (1, 2, 3)]
    write_csv(table, ("words", "ours", "theirs"), rows)
    out = folder / "p.html"
    arguments = ("label", str(table), "--task", "imagereward-pairs", "--out", str(out))
    refused = blpo(*arguments)
    assert "name it with --column image_b=COLUMN" in refused.err
    columns = ("text=words", "image=ours", "image_b=theirs")
    done = blpo(*arguments, *(part for c in columns for part in ("--column", c)), "--json")
    assert (done.code, json.loads(done.out)["num_images"]) == (0, 3), done.err
    assert '"columns": ["image", "image_b", "text", "rater"' in out.read_text()
    wrong = blpo(*arguments, "--column", "image=mine", "--overwrite")
    assert "--column image=mine: no such column" in wrong.err
    of_folder = ("label", str(folder / "shots"), "--task", str(folder / "task.yaml"))
    other = ("--column", "image=x", "--out", str(folder / "f.html"))
    assert "--column names columns of a table" in blpo(*of_folder, *other).err


@pytest.mark.parametrize(("question", "count"), [("is the photo fit", 1), ("Is it sharp?", 2)])
def test_the_question_is_shown_once_on_every_screen(
    folder: Path, browser: Browser, question: str, count: int
) -> None:
    task = TASK.replace("</script> ", "").replace("Is it <b>good</b>?", question)
    (folder / "task.yaml").write_text(task)
    made = make_page(folder / "shots", folder / "task.yaml")
    for width, shown in ((1280, count), (390, 1)):
        with opened(browser, made, width=width) as page:
            page.fill("#name", "Ann")
            page.click("#start .primary")
            asked = page.locator("h1, #question").filter(visible=True)
            assert asked.count() == shown
            if width == 390 and count == 1:
                boxes = (page.locator(f"#{x}").bounding_box() for x in ("question", "progress"))
                question_box, bar = boxes
                assert question_box is not None
                assert bar is not None
                assert question_box["y"] < bar["y"]
