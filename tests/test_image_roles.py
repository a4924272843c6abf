"""Images with roles, layer by layer: task, tables, datasets, requests, optimizer, pages."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from blpo.data.errors import DataError, LayoutError
from blpo.data.examples import Example, iter_dataset, read_dataset, write_dataset
from blpo.data.frames import pl
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.table.items import ItemOptions, iter_items
from blpo.data.table.options import TableOptions
from blpo.data.table.table import import_table
from blpo.data.tasks import Task, load_task, task_yaml
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.engines.group.wire import Packer, Unpacker
from blpo.models.requests.layout import make_layout
from blpo.models.roles.judges import make_judge
from blpo.models.roles.optimizer import Case, load_template
from blpo.models.roles.verbalizer import Verbalization, Verbalizer
from blpo.models.wrappers.request_keys import request_key
from blpo.pipeline.api.frames import examples as frame_examples
from blpo.pipeline.labelling.images import shown_images
from blpo.pipeline.labelling.page import write_label_page
from public_sources import picture, write_csv, write_files
from test_layout import ONE_IMAGE, processor, text_of

FIELDS: Mapping[str, Any] = {
    "name": "edits",
    "description": "Was the edit done?",
    "kind": "binary",
    "labels": ["missed", "followed"],
    "images": ["source", "style_ref", "result"],
    "judge_prompt": "Was it?",
    "i2t_prompt": "Describe it.",
    "answer_instruction": "Missed or followed?",
    "primary_metric": "accuracy",
    "carries_text": True,
}
HEADER = ("before", "style_ref_image", "result", "text", "label")


def edits(**changes: Any) -> Task:
    return Task.model_validate({**FIELDS, **changes})


def example(number: int = 0) -> Example:
    first, *further = (
        ImageRef(picture(10 * number + k), ImageBounds()) for k in range(len(FIELDS["images"]))
    )
    return Example(
        example_id=f"edit-{number}",
        image=first,
        further_images=tuple(further),
        text=f"Make it {number}.",
        label=("missed", "followed")[number % 2],
        group=f"g{number}",
        category=None,
        split=("train", "test")[number // 2 % 2],
    )


class Engine:
    """Says of an image which one it is."""

    version = "fake"
    identity = EngineIdentity("fake", "fake", "0", "none")

    def __init__(self, names: Mapping[bytes, str] | None = None) -> None:
        self.names = names or {}
        self.asked: list[Request] = []

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked += requests
        return [
            Reply("missed", "label", {"missed": -0.1, "followed": -3.0})
            if request.labels
            else Reply(self.names[request.images[0].data], "stop")
            for request in requests
        ]

    def close(self) -> None:
        pass


# -------------------------------------------------------------------------------------------- task


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"images": ["source"]}, "roles of 2 to 10 images"),
        ({"images": ["a", "a"]}, "'a' more than once"),
        ({"images": ["source", "text"]}, "text is a column of another meaning"),
        ({"images": ["source", "The result"]}, "lower-case letters"),
        ({"kind": "pairwise", "labels": ["A", "B"], "compare": "joint"}, "has image A and image B"),
    ],
)
def test_roles_that_make_no_task_are_refused(
    tmp_path: Path, changes: dict[str, Any], told: str
) -> None:
    (tmp_path / "edits.yaml").write_text(yaml.safe_dump({**FIELDS, **changes}))
    with pytest.raises(DataError, match=told):
        load_task(tmp_path / "edits.yaml")


def test_a_task_file_keeps_its_roles_and_one_without_has_no_key_for_them(tmp_path: Path) -> None:
    (tmp_path / "edits.yaml").write_text(task_yaml(edits()))
    assert load_task(tmp_path / "edits.yaml") == edits()
    assert "images:" not in task_yaml(load_task("imagereward-pairs"))


# ------------------------------------------------------------------------------ tables and datasets


def write_edits(folder: Path, num_rows: int = 8) -> Path:
    rows: list[tuple[str, ...]] = []
    for i in range(num_rows):
        names = [f"{side}/{i}.png" for side in ("in", "ref", "out")]
        write_files(folder, {name: picture(10 * i + k) for k, name in enumerate(names)})
        rows.append((*names, f"Make it {i}.", ("missed", "followed")[i % 2]))
    write_csv(folder / "edits.csv", HEADER, rows)
    return folder / "edits.csv"


def test_a_table_becomes_a_dataset_with_a_column_for_each_role(tmp_path: Path) -> None:
    options = TableOptions(columns={"source": "before"})
    out = tmp_path / "edits.parquet"
    report = import_table(write_edits(tmp_path), out, edits(), options)
    assert list(report.columns)[:3] == ["source", "style_ref", "result"]
    data = read_dataset(out, edits())
    by_text = {e.text: [image.data for image in e.images] for e in (*data.train, *data.test)}
    assert by_text["Make it 3."] == [picture(30), picture(31), picture(32)]
    assert {e.example_id for e in data.train} <= {item.example_id for item in all_items(out)}
    with pytest.raises(DataError, match="column `image`: is missing"):
        read_dataset(out, edits(images=()))


def all_items(path: Path) -> list[Any]:
    return [item for batch in iter_dataset(path, edits()) for item in batch]


def test_images_of_rows_without_labels_are_found_by_the_same_names(tmp_path: Path) -> None:
    options = ItemOptions({"source": "before"})
    [batch] = iter_items(write_edits(tmp_path), edits(), ImageBounds(), options=options)
    assert [image.data for image in batch[2].images] == [picture(20), picture(21), picture(22)]


def test_a_path_is_put_together_from_the_cells_of_a_row(tmp_path: Path) -> None:
    write_edits(tmp_path)
    rows = [(f"{i}.png", f"Make it {i}.", ("missed", "followed")[i % 2]) for i in range(8)]
    write_csv(tmp_path / "named.csv", ("name", "text", "label"), rows)
    paths = {"source": "in/{name}", "style_ref": "ref/{name}", "result": "out/{name}"}
    out = tmp_path / "named.parquet"
    report = import_table(tmp_path / "named.csv", out, edits(), TableOptions(columns=paths))
    assert report.unused_columns == []
    data = read_dataset(out, edits())
    [found] = [e for e in (*data.train, *data.test) if e.text == "Make it 5."]
    assert [image.data for image in found.images] == [picture(50), picture(51), picture(52)]
    wrong = TableOptions(columns=paths | {"result": "out/{nam}"})
    with pytest.raises(DataError, match=r"result=out/\{nam\}: no such column"):
        import_table(tmp_path / "named.csv", out, edits(), wrong, overwrite=True)


def test_a_column_of_a_role_has_no_other_meaning(tmp_path: Path) -> None:
    names = ("annotator", "label_1", "label_2")
    table = write_edits(tmp_path)
    table.write_text(table.read_text().replace("before,style_ref_image,result", ",".join(names)))
    task = edits(images=list(names))
    report = import_table(table, tmp_path / "out.parquet", task)
    assert [report.columns[name] for name in names] == list(names)
    assert "rater" not in report.columns
    assert report.ratings == []


def test_a_missing_image_is_told_with_its_row_and_role(tmp_path: Path) -> None:
    table = write_edits(tmp_path)
    options = TableOptions(columns={"source": "before"})
    with pytest.raises(DataError, match=r"column for the source: none of source, source_image"):
        import_table(table, tmp_path / "out.parquet", edits())
    with pytest.raises(DataError, match=r"image=before: no such role; roles: source, style_ref"):
        import_table(
            table, tmp_path / "out.parquet", edits(), TableOptions(columns={"image": "before"})
        )
    twice = TableOptions(columns={"source": "before", "result": "before"})
    with pytest.raises(DataError, match=r"=before: is named for several images"):
        import_table(table, tmp_path / "out.parquet", edits(), twice)
    (tmp_path / "out/3.png").unlink()
    table.write_text(table.read_text().replace("ref/4.png", ""))
    with pytest.raises(DataError) as caught:
        import_table(table, tmp_path / "out.parquet", edits(), options)
    assert "line 5: result out/3.png: no such file" in str(caught.value)
    assert "line 6: has no style_ref" in str(caught.value)


def test_an_example_without_one_of_its_images_is_told_with_its_role(tmp_path: Path) -> None:
    rows = [example(i) for i in range(4)]
    empty = ImageRef(b"", ImageBounds())
    rows[1] = replace(rows[1], further_images=(rows[1].images[1], empty))
    write_dataset(tmp_path / "d.parquet", rows, images=edits().images)
    with pytest.raises(DataError, match=r"row 2 \(example 'edit-1'\): has no result bytes"):
        read_dataset(tmp_path / "d.parquet", edits())


def test_the_order_of_images_is_part_of_a_datasets_fingerprint(tmp_path: Path) -> None:
    prints: set[str] = set()
    for number, roles in enumerate([("source", "result"), ("result", "source")]):
        task = edits(images=roles)
        path = tmp_path / f"{number}.parquet"
        rows = [replace(e, further_images=e.further_images[:1]) for e in map(example, range(4))]
        write_dataset(path, rows, images=("source", "result"))
        prints.add(read_dataset(path, task).fingerprint)
    assert len(prints) == 2


def test_a_frame_has_a_column_for_each_role() -> None:
    task = edits(images=["source", "result"])
    row = {"source": picture(1), "result": picture(2), "text": "Make it 1.", "label": "missed"}
    [found] = frame_examples(pl.DataFrame([row]), task, ImageBounds())
    assert [image.data for image in found.images] == [picture(1), picture(2)]
    with pytest.raises(DataError, match="column `result`: is missing"):
        frame_examples(pl.DataFrame([row]).drop("result"), task, ImageBounds())


# ---------------------------------------------------------------------------------------- requests


def test_the_judge_sees_all_images_at_once_and_is_told_their_roles() -> None:
    engine, shown = Engine(), example()
    [verdict] = make_judge(engine, edits())("Was it?", [shown])
    [request] = engine.asked
    assert verdict.label == "missed"
    assert (request.images, request.image_roles) == (shown.images, edits().images)
    nameless = replace(request, image_roles=())
    assert len({request_key(r, engine.identity) for r in (request, nameless)}) == 2


def test_each_image_is_named_behind_all_of_them_in_order() -> None:
    layout = make_layout(processor(), 8, num_images=3)
    ids = layout.token_ids("Was it?", num_images=3, text="a", image_roles=edits().images)
    assert text_of(ids).startswith(
        "<s>[user]<i><i><i>Text: a\nThe first image above is the source image. The second image "
        "above is the style ref image. The third image above is the result image."
    )
    plain = text_of(layout.token_ids("Which?", num_images=3, text=None))
    assert "The third image above is image C." in plain
    other = layout.token_ids("Is it?", num_images=3, text="a", image_roles=edits().images)
    num_shared = len(layout.shared_ids(3, "a", edits().images))
    assert ids[:num_shared] == other[:num_shared]


@pytest.mark.parametrize("num_images", [2, 3])
def test_a_template_for_fewer_images_is_refused_for_more(num_images: int) -> None:
    template = ONE_IMAGE.replace("> 2", f"> {num_images}")
    layout = make_layout(processor(template), 8, num_images=3)
    assert len(layout.prefixes) == num_images
    with pytest.raises(
        LayoutError, match=f"3 images, and the chat template takes {num_images - 1}"
    ):
        layout.prefix(3)


def test_images_with_roles_travel_once_to_an_engine_of_a_group() -> None:
    packer, unpacker = Packer(), Unpacker()
    request = Request("a", example().image, further_images=example().further_images)
    first = packer.pack(0, [request])
    assert unpacker.unpack(first) == [request]
    again = packer.pack(1, [request])
    assert (len(first.new_images), len(again.new_images)) == (3, 0)
    assert again.requests[0].images == ()
    assert unpacker.unpack(again) == [request]


# --------------------------------------------------------------------------------------- optimizer


def test_each_image_is_described_alone_and_they_are_read_under_their_roles() -> None:
    shown = example()
    engine = Engine(dict(zip((i.data for i in shown.images), ("cat", "", "dog"), strict=True)))
    [told] = Verbalizer(engine, 64, image_roles=edits().images)("Describe it.", [shown])
    assert [request.images for request in engine.asked] == [(image,) for image in shown.images]
    assert told == Verbalization(
        "Source image: cat\nStyle ref image: (no description)\nResult image: dog",
        "style ref image: empty reply",
        has_failed=True,
    )


def test_the_optimizer_is_told_which_image_is_which() -> None:
    cases = [
        Case(Verbalization(""), None, "missed", "followed", example(i).images) for i in range(2)
    ]
    template = load_template("update_judge_prompt")
    prompt = template.render(task=edits(), judge_prompt="Was it?", cases=cases)
    assert (
        "Each case is about 3 images, which the model sees all at once and knows by these names: "
        "source, style ref, result. The descriptions are written of one image at a time."
    ) in " ".join(prompt.split())
    assert "source: <image>4</image>\nstyle ref: <image>5</image>\nresult: <image>6</image>" in (
        prompt
    )
    assert "\n\n\n" not in prompt


# ------------------------------------------------------------------------------------------- pages


def test_the_label_page_shows_every_image_under_its_role(tmp_path: Path) -> None:
    table = write_edits(tmp_path)
    table.write_text(table.read_text().replace("before", "source", 1))
    [first, *_] = shown_images(table, edits(), 10_000)
    assert list(first.cells) == ["source", "style_ref", "result", "text"]
    page = write_label_page(table, edits(), "edits.yaml", tmp_path / "label.html", 10_000)
    html = page.path.read_text()
    assert '"names": ["source", "style ref", "result"]' in html
    assert '"columns": ["source", "style_ref", "result", "text", "rater"' in html
    with pytest.raises(DataError, match="is about 3 images"):
        shown_images(tmp_path / "in", edits(), 10_000)


def test_a_folder_of_images_without_roles_is_refused_with_what_helps(tmp_path: Path) -> None:
    write_files(
        tmp_path / "photos", {f"{n}/{label}.png": picture(n) for n in range(2) for label in "ab"}
    )
    with pytest.raises(DataError) as caught:
        import_table(tmp_path / "photos", tmp_path / "d.parquet", Task.model_validate(FIELDS))
    told = str(caught.value)
    assert (
        "put a metadata.csv into the folder, with the columns source, style_ref, result, text"
        in told
    )
    assert "--column" not in told
    table = tmp_path / "t.csv"
    write_csv(table, ("name", "label", "text"), [("a.png", "missed", "x")])
    with pytest.raises(
        DataError, match=r"--column 'source=FOLDER/\{COLUMN\}' \(the table has: name"
    ):
        import_table(table, tmp_path / "d.parquet", Task.model_validate(FIELDS))
