"""What `blpo import` and `blpo judge` say of sources, on the console and as JSON."""

import json
from pathlib import Path

import pytest
from command_line import Blpo
from user_files import put, rows_with_images, write_csv

IMPORT = ("import", "table")
TASK = ("--task", "unsafebench")


def test_a_dry_run_tells_everything_and_writes_nothing(tmp_path: Path, blpo: Blpo) -> None:
    rows = [row | {"note": "x"} for row in rows_with_images(tmp_path)]
    rows[3]["label"] = "UNSAFE"
    write_csv(tmp_path / "t.csv", [*rows, dict.fromkeys(rows[0], "")])
    told = blpo(*IMPORT, "t.csv", *TASK, "--dry-run")
    assert told.code == 0
    for line in (
        "t.csv: a table, delimiter comma",
        "columns: image from 'image', label from 'label'",
        "not used: note",
        "left out 1: empty row (first: line 14)",
        "labels read: 'UNSAFE' as Unsafe (1)",
        "fewer than 10 rows: Safe in train (3), Unsafe in train (3)",
        "a dry run: nothing was written: 12 examples, 12 groups",
    ):
        assert line in told.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "t.csv"]
    report = json.loads(blpo(*IMPORT, "t.csv", *TASK, "--dry-run", "--json").out)
    assert report["left_out"] == {"empty row": {"count": 1, "first": ["line 14"]}}
    assert report["counts"]["train"] == {"Safe": 3, "Unsafe": 3}
    assert (report["path"], report["num_rows"]) == (None, 12)


def test_a_refusal_tells_what_was_recognised_before_what_is_wrong(
    tmp_path: Path, blpo: Blpo
) -> None:
    put(tmp_path / "d", "Safe/0.png", "Odd/1.png", "Odd/notes.txt")
    told = blpo(*IMPORT, "d", *TASK, "--out", "o.parquet")
    assert told.code == 1
    assert told.out == ""
    assert told.err.startswith("d: an image folder, a subfolder for each label")
    assert "left out 1: file with suffix .txt (first: Odd/notes.txt)" in told.err
    assert "label 'Odd' is not one of Safe, Unsafe" in told.err
    assert not (tmp_path / "o.parquet").exists()


@pytest.mark.parametrize("command", [(*IMPORT, "t.csv", *TASK), ("import", "agin", "t.csv")])
def test_an_import_needs_an_output_or_a_dry_run(blpo: Blpo, command: tuple[str, ...]) -> None:
    told = blpo(*command)
    assert told.code == 1
    assert "name a dataset file with --out, or pass --dry-run" in told.err


def test_a_dry_run_with_an_output_writes_nothing(tmp_path: Path, blpo: Blpo) -> None:
    write_csv(tmp_path / "t.csv", rows_with_images(tmp_path))
    told = blpo(*IMPORT, "t.csv", *TASK, "--dry-run", "--out", "o.parquet")
    assert (told.code, "a dry run: nothing was written" in told.out) == (0, True), told
    assert not (tmp_path / "o.parquet").exists()


@pytest.mark.parametrize("command", [(*IMPORT, "t.csv", *TASK), ("import", "agin", "t.csv")])
def test_a_rename_to_no_label_of_the_task_is_refused_before_anything_is_read(
    blpo: Blpo, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "t.csv").write_text("no table of images\n")
    given = (*command, "--task", "unsafebench") if "agin" in command else command
    for name, way in (("Unsfe", "did you mean unfit=Unsafe?"), ("bad", "name one of them")):
        told = blpo(*given, "--dry-run", "--label", f"unfit={name}")
        message = f"--label unfit={name}: '{name}' is no label of the task (Safe, Unsafe); {way}"
        assert (told.code, message in told.err) == (1, True), told


def test_a_rename_of_no_row_is_the_first_problem(blpo: Blpo, tmp_path: Path) -> None:
    labels = ["fine", "unfit"] * 15
    rows = [{"image": f"{i}.png", "label": label} for i, label in enumerate(labels)]
    write_csv(tmp_path / "t.csv", rows)
    given = ("--dry-run", "--label", "fin=Safe", "--label", "unfit=Unsafe")
    told = blpo(*IMPORT, "t.csv", *TASK, *given)
    first = told.err.partition("problems")[2].splitlines()[1]
    assert first == "  --label fin=Safe: no row has the label 'fin'; did you mean 'fine'?"
    other = blpo(*IMPORT, "t.csv", *TASK, *given[:2], "good=Safe")
    assert "'good' (there are fine, unfit); leave the option out" in other.err


def test_folders_of_images_without_labels_are_sent_to_the_labelling_page(
    blpo: Blpo, tmp_path: Path
) -> None:
    for name in "ab":
        put(tmp_path / name, f"{name}.png")
    told = blpo(*IMPORT, "a", "b", *TASK, "--dry-run")
    assert (told.code, "`blpo label`" in told.err) == (1, True), told
