"""Tables with the answers of several annotators, and labels in many spellings."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from blpo.data.arrow import pa, pq
from blpo.data.left_out import LeftOut
from blpo.data.table.labels import LabelReader
from blpo.data.table.raters import consensus
from blpo.data.table.ratings import Rating, ratings_in, single
from blpo.data.tasks import Criterion, Task, load_task
from blpo.pipeline.metrics.human_ceiling import human_ceiling
from PIL import Image
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
)

HALVES = SAFETY.model_copy(
    update={"name": "half", "kind": "ordinal", "labels": ("1", "1.5", "2", "2.5", "3")}
)


def votes(folder: Path, answers: dict[str, str], rater: str = "WorkerId") -> list[dict[str, Any]]:
    """A row per answer: "SUS" is three annotators, of whom the second says Unsafe."""
    names = {"S": "Safe", "U": "Unsafe"}
    rows_with_images(folder, len(answers))
    return [
        {"image": f"images/{number}.png", rater: f"W{who}", "task": f"{number}-{who}",
         "label": names[letter]}
        for number, given in answers.items()
        for who, letter in enumerate(given)
    ]  # fmt: skip


THREE = {"0": "SSU", "1": "UUU", "2": "SUS", "3": "USU", "4": "SSS", "5": "UUS"}


def test_a_row_per_answer_becomes_an_example_per_image_with_ratings(tmp_path: Path) -> None:
    rows = votes(tmp_path, THREE)
    # In another order of rows, ratings still stand in the order of raters.
    report, dataset = imported(write_csv(tmp_path / "v.csv", rows[::-1]))
    found = {e.example_id: (e.label, e.ratings) for e in examples_of(dataset)}
    assert found["images/0.png"] == ("Safe", ("Safe", "Safe", "Unsafe"))
    assert found["images/3.png"] == ("Unsafe", ("Unsafe", "Safe", "Unsafe"))
    assert len(found) == 6
    assert report.columns["rater"] == "WorkerId"
    assert "18 answers on 6 images: a row is the answer of one annotator" in report.notes
    told = next(note for note in report.notes if note.startswith("label: "))
    assert told.startswith("label: majority of its annotators; no majority: none")
    ceiling = human_ceiling([e.ratings for e in examples_of(dataset)], SAFETY)
    assert ceiling is not None
    assert ceiling.num_raters == 3


def test_an_id_per_answer_names_no_image(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "v.csv", votes(tmp_path, THREE))
    _, dataset = imported(source, columns={"id": "task"})
    assert {e.example_id for e in examples_of(dataset)} == {f"images/{n}.png" for n in range(6)}


def test_images_without_a_majority_are_left_out_and_counted(tmp_path: Path) -> None:
    answers = {"0": "SS", "1": "UU", "2": "SU", "3": "US", "4": "SS", "5": "UU"}
    report, dataset = imported(write_csv(tmp_path / "v.csv", votes(tmp_path, answers)))
    assert len(examples_of(dataset)) == 4
    assert report.left_out.skipped == {"no majority among its annotators": 2}
    assert any("no majority: 2;" in note for note in report.notes)


def test_one_annotator_answers_once(tmp_path: Path) -> None:
    rows = votes(tmp_path, THREE)
    report, _ = imported(write_csv(tmp_path / "v.csv", [*rows, rows[0]]))
    assert report.left_out.skipped == {"repeated answer of one annotator": 1}
    told = refused(
        write_csv(tmp_path / "w.csv", [*rows, rows[0] | {"label": "Unsafe"}]),
    )
    assert "line 20: annotator W0 says Unsafe here and Safe in line 2: keep one of them" in told


def test_repeated_images_without_a_rater_are_asked_about(tmp_path: Path) -> None:
    rows = votes(tmp_path, THREE, rater="who")
    source = write_csv(tmp_path / "v.csv", rows)
    told = refused(source)
    assert "image images/0.png is that of line 2 too; keep one row with one label" in told
    assert "--column rater=COLUMN, or pass --several-raters" in told
    ways: list[dict[str, Any]] = [{"several_raters": True}, {"columns": {"rater": "who"}}]
    for options in ways:
        _, dataset = imported(source, overwrite=True, **options)
        assert {e.ratings for e in examples_of(dataset)} >= {("Safe", "Safe", "Unsafe")}


def test_a_faulty_answer_is_told_alone(tmp_path: Path) -> None:
    rows = votes(tmp_path, THREE)
    rows[4]["label"], rows[7]["label"] = "Odd", ""
    rows[10]["image"] = rows[11]["image"] = "images/none.png"
    told = refused(write_csv(tmp_path / "v.csv", rows))
    assert [line.split(": ")[0] for line in told.partition("3 problems:\n")[2].splitlines()] == [
        "  line 6",
        "  line 9",
        "  line 12",
        "no such file",
    ]
    rows = votes(tmp_path, THREE)
    rows[0]["label"], rows[4]["label"] = "Odd", "Safe"
    other = write_csv(tmp_path / "w.csv", [*rows, rows[5] | {"label": "Safe"}])
    told = refused(other)
    assert "2 problems" in told
    assert "line 20: annotator W2 says Safe here and Unsafe in line 7: keep one of them" in told


def test_a_wrong_answer_to_a_criterion_is_told_alone(tmp_path: Path) -> None:
    blade = Criterion(name="blade", question="Is a blade in sight?", labels=("no", "yes"))
    task = SAFETY.model_copy(update={"criteria": (blade,)})
    rows = [{**row, "criterion_blade": "yes"} for row in votes(tmp_path, THREE)]
    rows[4]["criterion_blade"] = "perhaps"
    told = refused(write_csv(tmp_path / "v.csv", rows), task)
    assert "v.csv: line 6: criterion blade: column criterion_blade says 'perhaps'" in told
    assert "problems" not in told


@pytest.mark.parametrize(
    ("names", "options"),
    [
        (("label_1", "label_2", "label_3"), {}),
        (("Rater 1", "Rater 2", "Rater 3"), {}),
        (("anna", "ben", "cleo"), {"ratings": ("anna", "ben", "cleo")}),
    ],
)
def test_a_column_per_annotator_is_a_row_of_ratings(
    tmp_path: Path, names: Sequence[str], options: dict[str, Any]
) -> None:
    cells = {"S": "Safe", "U": "Unsafe", " ": ""}
    rows = rows_with_images(tmp_path, 6)
    for row, given in zip(rows, ["SSU", "UU ", "SUS", "UUU", "SSS", "USU"], strict=True):
        del row["label"]
        row |= {name: cells[letter] for name, letter in zip(names, given, strict=True)}
    report, dataset = imported(write_csv(tmp_path / "w.csv", rows), **options)
    found = {e.example_id: (e.label, e.ratings) for e in examples_of(dataset)}
    assert found["images/0.png"] == ("Safe", ("Safe", "Safe", "Unsafe"))
    assert found["images/1.png"] == ("Unsafe", ("Unsafe", "Unsafe"))
    assert report.ratings == list(names)


@pytest.mark.parametrize("as_text", [str, json.dumps, None])
def test_a_list_is_several_annotators_and_a_list_of_one_its_element(
    tmp_path: Path, as_text: Any
) -> None:
    rows = rows_with_images(tmp_path, 8)
    lists = [
        [row["label"]] if n > 1 else ["Safe", "Unsafe", row["label"]] for n, row in enumerate(rows)
    ]
    for row, cell in zip(rows, lists, strict=True):
        row["label"] = as_text(cell) if as_text else cell
    write = write_csv if as_text else write_jsonl
    _, dataset = imported(write(tmp_path / ("t.csv" if as_text else "t.jsonl"), rows))
    found = {e.example_id: (e.label, e.ratings) for e in examples_of(dataset)}
    assert found["images/0.png"] == ("Safe", ("Safe", "Unsafe", "Safe"))
    assert found["images/3.png"] == ("Unsafe", ())


def test_an_export_of_argilla_counts_submitted_answers(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = []
    for n, label in enumerate(["Safe", "Unsafe"] * 4):
        other = "Unsafe" if label == "Safe" else "Safe"
        rows.append(
            {
                "id": f"r{n}",
                "image": {"bytes": png(n), "path": None},
                "safety.responses": [other, label, label, other],
                "safety.responses.users": ["u1", "u2", "u3", "u4"],
                "safety.responses.status": ["submitted", "submitted", "submitted", "discarded"],
                "safety.suggestion": other,
            }
        )
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "argilla.parquet")
    report, dataset = imported(tmp_path / "argilla.parquet")
    assert report.columns["label"] == "safety.responses"
    found = {e.example_id: (e.label, e.ratings) for e in examples_of(dataset)}
    assert found["r0"] == ("Safe", ("Unsafe", "Safe", "Safe"))
    assert found["r1"] == ("Unsafe", ("Safe", "Unsafe", "Unsafe"))


def test_cells_of_several_answers_are_told_from_labels() -> None:
    assert ratings_in("Safe") is None
    assert ratings_in("[not a list") is None
    assert ratings_in({"Safe": 2, "Unsafe": 10**15}) is None
    assert ratings_in({"Safe": 2, "Unsafe": 1}) == [Rating(x) for x in ("Safe", "Safe", "Unsafe")]
    responses = [
        {"user_id": "a", "value": "Safe", "status": "submitted"},
        {"user_id": "b", "value": "Unsafe", "status": "draft"},
    ]
    assert ratings_in(responses) == [Rating("Safe", "a")]
    assert single({"choices": ["Safe"]}) == "Safe"
    assert single(["red", "blue"]) == "red, blue"


RATING = load_task("imagereward")


@pytest.mark.parametrize(
    ("ratings", "task", "expected"),
    [
        (("Safe", "Unsafe", "Unsafe"), SAFETY, ("Unsafe", None)),
        (("Safe", "Unsafe"), SAFETY, (None, None)),
        (("1", "2"), HALVES, ("1.5", 1.5)),
        (("1", "1.5"), HALVES, ("1.5", 1.25)),
        (("A", "B"), load_task("pickapic"), ("tie", None)),
        (("A", "B"), load_task("hpdv2"), (None, None)),
    ],
)
def test_the_label_of_several_ratings(
    ratings: tuple[str, ...], task: Task, expected: tuple[str | None, float | None]
) -> None:
    found = consensus(ratings, task)
    assert (found.label, found.score) == expected


# ------------------------------------------------------------------------------- spellings


@pytest.mark.parametrize(
    ("task", "cells", "label"),
    [
        (SAFETY, ["SAFE", " safe ", "Safe", "sAfE"], "Safe"),
        (HALVES, ["1.50", "1,5", 1.5, "1.5", " 1,50"], "1.5"),
        (HALVES, ["2.00", 2, 2.0, "2,0", "2"], "2"),
        (ALIGNMENT, [True, "TRUE", "true", "Yes", 1, 1.0, "1"], "1"),
        (ALIGNMENT, [False, "False", "no", 0, "0.0"], "0"),
        (load_task("pickapic"), ["model_a", "a", "left", "image A"], "A"),
        (load_task("pickapic"), ["tie (bothbad)", "TIE", "both", "neither"], "tie"),
        (SAFETY, [None, "", float("nan"), "NaN", " null ", "N/A"], None),
        (SAFETY, ["dangerous", "Safe!"], "itself"),
        (HALVES, ["1,000", "1.25", "true"], "itself"),
    ],
)
def test_every_spelling_of_a_label_is_read_by_one_rule(
    task: Task, cells: Sequence[object], label: str | None
) -> None:
    read = LabelReader(task).read
    wanted = [str(cell) if label == "itself" else label for cell in cells]
    assert [read(cell) for cell in cells] == wanted


def test_labels_that_differ_in_case_alone_are_not_confused() -> None:
    task = SAFETY.model_copy(update={"labels": ("us", "US")})
    assert [LabelReader(task).read(cell) for cell in ("us", "US", "Us")] == ["us", "US", "Us"]


def test_spellings_are_told_and_nothing_stands_for_a_number_that_is_missing(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path, 20)
    for number, row in enumerate(rows):
        row["label"] = ["1,00", "1,50", "2,00", "2,50", "3,00"][number % 5]
    report, dataset = imported(write_csv(tmp_path / "t.csv", rows, ";"), HALVES)
    assert {e.label for e in examples_of(dataset)} == set(HALVES.labels)
    assert "'1,50' as 1.5 (4)" in report.notes[0]
    rows[3]["label"] = float("nan")
    told = refused(write_jsonl(tmp_path / "nan.jsonl", rows), HALVES)
    assert told.endswith("nan.jsonl: line 4: has no label: fill it in or drop the row")


def test_a_label_is_renamed_in_every_spelling(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path)
    for number, row in enumerate(rows):
        row["label"] = ["ok", "OK ", "not_ok", "Not OK"][number % 4]
    report, dataset = imported(
        write_csv(tmp_path / "t.csv", rows), label_map={"ok": "Safe", "not ok": "Unsafe"}
    )
    assert [e.label for e in examples_of(dataset)].count("Safe") == 6
    assert report.notes[0] == (
        "labels renamed: 'ok' to Safe (3), 'OK' to Safe (3), 'not_ok' to Unsafe (3), "
        "'Not OK' to Unsafe (3)"
    )


def test_rows_with_problems_are_left_out_when_told_and_counted(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path)
    (tmp_path / "images" / "3.png").write_bytes(png(3)[:300])
    rows[4]["label"], rows[5]["label"] = "", "Odd"
    report, dataset = imported(write_csv(tmp_path / "t.csv", rows), skip_faulty=True)
    assert len(examples_of(dataset)) == 9
    assert report.left_out.skipped == {
        "row with an image that is cut off or damaged": 1,
        "row with no label": 1,
        "row with a label that the task does not declare": 1,
    }


def test_faulty_images_are_counted_by_what_is_wrong_with_them(tmp_path: Path) -> None:
    rows = rows_with_images(tmp_path, 16)
    images = tmp_path / "images"
    (images / "0.png").write_bytes(b"")
    (images / "1.png").write_bytes(png(1)[:300])
    (images / "2.png").write_text("<html>log in</html>")
    Image.new("F", (4, 4)).save(images / "3.png", "TIFF")
    Image.new("1", (20_000, 10_000)).save(images / "4.png")
    (images / "5.png").unlink()
    rows[6]["image"] = ""
    rows[7]["image"] = "https://example.org/7.png"
    table = write_csv(tmp_path / "t.csv", rows)
    report, dataset = imported(table, skip_faulty=True)
    assert len(examples_of(dataset)) == 8
    assert report.left_out.lines() == [
        "left out 1: row with an empty image file (first: line 2)",
        "left out 1: row with an image that is cut off or damaged (first: line 3)",
        "left out 1: row with a file that is no image (first: line 4)",
        "left out 1: row with an image of a pixel mode without a fixed brightness range "
        "(first: line 5)",
        "left out 1: row with an image larger than is decoded (first: line 6)",
        "left out 1: row with a path without a file (first: line 7)",
        "left out 1: row with no image (first: line 8)",
        "left out 1: row with an image behind a URL (first: line 9)",
    ]
    assert (
        "image images/4.png: has 200,000,000 pixels, more than the 89,478,485 that are decoded: "
        "shrink the image or drop its row"
    ) in refused(table)


def test_all_places_are_told_up_to_twenty_and_the_first_of_more() -> None:
    left_out = LeftOut()
    for number in range(20):
        left_out.skip("empty row", f"line {number}")
    assert left_out.lines()[0].endswith("line 18, line 19)")
    left_out.skip("empty row", "line 20")
    assert left_out.lines() == [
        "left out 21: empty row (first: line 0, line 1, line 2, line 3, line 4)"
    ]
