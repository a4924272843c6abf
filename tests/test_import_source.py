"""From a source to a dataset: labels checked, splits disjoint, samples exact, all accounted for."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import public_sources as public
import pytest
from blpo.data.arrow import pq
from blpo.data.errors import DataError
from blpo.data.importers import hub
from blpo.data.importers.driver import import_source
from blpo.data.importers.manifest import manifest_path
from blpo.data.importers.options import ImportOptions
from blpo.data.importers.registry import IMPORTERS
from blpo.data.importers.sampling import SamplePlan
from command_line import Blpo
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError
from importing import by_id, imported, output, refused, skipped

SEVEN_POINTS = """
name: agin-7
description: Naturalness as the paper prompts for it.
kind: ordinal
labels: [1, 2, 3, 4, 5, 6, 7]
judge_prompt: Rate how natural the image is from 1 to 7.
i2t_prompt: Describe the image.
answer_instruction: "Answer with a number from 1 to 7."
primary_metric: macro_f1
"""


# ------------------------------------------------------------------------------ the paper's splits


def test_the_paper_samples_ten_of_each_unsafebench_category(tmp_path: Path) -> None:
    source = public.unsafebench(tmp_path / "source", {"train": 12, "test": 12})
    manifest, dataset = imported("unsafebench", source, use_paper_split=True)
    for side in (dataset.train, dataset.test):
        assert Counter(e.category for e in side) == dict.fromkeys(public.CATEGORIES, 10)
    assert manifest.plan == SamplePlan("category", 10, 10, None, 11)


def test_the_paper_samples_a_hundred_of_each_seetrue_label(tmp_path: Path) -> None:
    manifest, _ = imported("seetrue", public.seetrue(tmp_path / "s", 420), use_paper_split=True)
    assert manifest.counts() == {split: {"0": 100, "1": 100} for split in ("train", "test")}


def test_the_paper_samples_twenty_of_seven_ratings_one_per_prompt(tmp_path: Path) -> None:
    source = public.imagereward(tmp_path / "source", 220)
    manifest, dataset = imported("imagereward", source, use_paper_split=True)
    twenty = {str(label): 20 for label in range(1, 8)}
    assert manifest.counts() == {"train": twenty, "test": twenty}
    assert len({e.group for e in (*dataset.train, *dataset.test)}) == 280


def test_the_paper_samples_twenty_of_five_scores(tmp_path: Path) -> None:
    manifest, _ = imported("agin", public.agin(tmp_path / "s", 360), use_paper_split=True)
    twenty = {str(label): 20 for label in range(1, 6)}
    assert manifest.counts() == {"train": twenty, "test": twenty}


def test_a_source_outside_the_paper_has_no_paper_split(tmp_path: Path) -> None:
    message = refused("koniq-10k", public.koniq(tmp_path / "source"), use_paper_split=True)
    assert message == "koniq-10k: is not in the paper: give numbers per class"


def test_a_short_stratum_is_refused_with_how_short_it_is(tmp_path: Path) -> None:
    source = public.unsafebench(tmp_path / "source", {"train": 12, "test": 8})
    table = pq.read_table(source / "data" / "train-00000-of-00001.parquet")
    pq.write_table(table.slice(5), source / "data" / "train-00000-of-00001.parquet")
    message = refused("unsafebench", source, use_paper_split=True)
    assert "12 problems" in message
    assert "train, Hate: 7 of 10 examples, 3 short (rows in the source: 7)" in message
    assert "test, Spam: 8 of 10 examples, 2 short (rows in the source: 8)" in message


def test_a_category_that_is_missing_altogether_is_told(tmp_path: Path) -> None:
    source = public.unsafebench(tmp_path / "source", {"train": 12, "test": 12})
    for path in (source / "data").iterdir():
        table = pq.read_table(path)
        keep = [name != "Spam" for name in table["category"].to_pylist()]
        pq.write_table(table.filter(keep), path)
    message = refused("unsafebench", source, use_paper_split=True)
    assert "the split needs 11 strata by category, found 10" in message


# ------------------------------------------------------------------------------------- sampling


def test_any_number_per_class_can_be_drawn_from_categories_by_label(tmp_path: Path) -> None:
    source = public.unsafebench(tmp_path / "source", {"train": 8, "test": 6})
    plan = SamplePlan("category-label", 4, 2)
    _, dataset = imported("unsafebench", source, plan=plan)
    mix = Counter((e.category, e.label) for e in dataset.train)
    assert set(mix.values()) == {4}
    assert len(mix) == 22


def test_the_sample_does_not_depend_on_the_order_of_rows_but_on_the_seed(tmp_path: Path) -> None:
    source = public.seetrue(tmp_path / "source", 120)
    plan = SamplePlan(train=10, test=10)
    first, dataset = imported("seetrue", source, plan=plan)
    lines = (source / "SeeTRUE.csv").read_text().splitlines()
    (source / "SeeTRUE.csv").write_text("\n".join([lines[0], *lines[:0:-1]]) + "\n")
    again, turned = imported("seetrue", source, plan=plan, overwrite=True)
    assert turned.fingerprint == dataset.fingerprint
    assert again.examples == first.examples
    _, other = imported("seetrue", source, plan=plan, seed=1, overwrite=True)
    assert other.fingerprint != dataset.fingerprint


def test_the_same_import_gives_the_same_bytes(tmp_path: Path) -> None:
    source = public.agin(tmp_path / "source")
    files = (output(source), manifest_path(output(source)))
    imported("agin", source)
    first = [file.read_bytes() for file in files]
    imported("agin", source, overwrite=True)
    assert [file.read_bytes() for file in files] == first


def test_a_dry_run_gives_the_manifest_and_writes_nothing(tmp_path: Path) -> None:
    source = public.agin(tmp_path / "source")
    told = import_source(IMPORTERS["agin"], source, None, ImportOptions())
    assert not output(source).parent.exists()
    assert told == imported("agin", source)[0]


def test_what_cannot_be_used_is_replaced_from_the_same_stratum(tmp_path: Path) -> None:
    source = public.unsafebench(tmp_path / "source", {"train": 12, "test": 12})
    path = source / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path).to_pylist()
    for row in table[:2]:
        row["image"]["bytes"] = row["image"]["bytes"][:90]
    columns = {name: [row[name] for row in table] for name in table[0]}
    public.write_table(path, columns, image=public.IMAGE)
    manifest, dataset = imported("unsafebench", source, use_paper_split=True)
    assert skipped(manifest) == {"image cannot be decoded": 2}
    assert Counter(e.category for e in dataset.train)["Hate"] == 10


def test_scarce_labels_are_drawn_before_frequent_ones_take_their_groups(tmp_path: Path) -> None:
    source = tmp_path / "source"
    # One prompt in ten has a single image labelled 0 among its ten.
    rows = [(f"{i}.png", f"text {i // 10}", int(i % 10 != 0)) for i in range(200)]
    public.write_csv(source / "SeeTRUE.csv", ("image", "text", "label"), rows)
    public.write_zip(source / "images.zip", {f"{i}.png": public.picture(i) for i in range(200)})
    plan = SamplePlan(train=5, test=5, max_per_group=1)
    manifest, _ = imported("seetrue", source, plan=plan)
    assert manifest.counts() == {split: {"0": 5, "1": 5} for split in ("train", "test")}


def test_train_rows_of_a_group_in_test_are_left_out(tmp_path: Path) -> None:
    source = public.imagereward(tmp_path / "source", 14)
    table = pq.read_table(source / "metadata-train.parquet").to_pylist()
    for row in table[:4]:
        row["prompt_id"] = "000003-test"
    columns = {name: [row[name] for row in table] for name in table[0]}
    kinds = {n: public.pa.int64() for n, v in table[0].items() if isinstance(v, int)}
    public.write_table(source / "metadata-train.parquet", columns, **kinds)
    manifest, _ = imported("imagereward", source)
    assert skipped(manifest)["train row of a group that is in test"] == 4


# ----------------------------------------------------------------------------------- duplicates


def test_exact_duplicates_are_dropped_and_never_on_both_sides(tmp_path: Path) -> None:
    source = public.unsafebench(tmp_path / "source")
    path = source / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path).to_pylist()
    table[10]["image"], table[12]["image"] = table[11]["image"], public.cell(public.picture(50))
    columns = {name: [row[name] for row in table] for name in table[0]}
    public.write_table(path, columns, image=public.IMAGE)
    manifest, dataset = imported("unsafebench", source)
    assert skipped(manifest) == {
        "exact duplicate": 1,
        "exact duplicate of an image on the other side of the split": 1,
    }
    assert "train/12" not in by_id(dataset)


def test_near_duplicates_across_the_split_are_reported(tmp_path: Path) -> None:
    source = public.unsafebench(tmp_path / "source")
    path = source / "data" / "train-00000-of-00001.parquet"
    table = pq.read_table(path).to_pylist()
    table[5]["image"] = public.cell(public.picture(44 + 6, "WEBP"))
    columns = {name: [row[name] for row in table] for name in table[0]}
    public.write_table(path, columns, image=public.IMAGE)
    manifest, _ = imported("unsafebench", source)
    assert [pair[:2] for pair in manifest.near_duplicates] == [("test/6", "train/5")]


# ----------------------------------------------------------------------------------- label sets


def test_labels_that_contradict_the_task_are_refused_with_counts_and_ways_out(
    tmp_path: Path,
) -> None:
    task = tmp_path / "agin-7.yaml"
    task.write_text(SEVEN_POINTS)
    source = public.agin(tmp_path / "source")
    message = refused("agin", source, task=str(task))
    assert (
        "The labels contradict task agin-7. Found: 1: 8, 2: 15, 3: 14, 4: 15, 5: 8. "
        "Declared: 1, 2, 3, 4, 5, 6, 7; never found: 6, 7. Ways to resolve it:"
    ) in message
    assert "1. judge on the data's labels: a task file that declares labels: [1, 2, 3, 4, 5]" in (
        message
    )
    assert "2. bring the data onto the task's scale: import it with --rescale 1-5" in message
    assert "3. bin the raw scores anew: import them with --bins equal-width or --bins" in message


def test_each_of_these_ways_out_works(tmp_path: Path) -> None:
    source = public.agin(tmp_path / "source")
    task = tmp_path / "agin-7.yaml"
    task.write_text(SEVEN_POINTS)
    five, seven = set("12345"), set("1234567")
    assert imported("agin", source)[0].counts()["test"].keys() == five
    common: dict[str, Any] = {"task": str(task), "overwrite": True}
    assert imported("agin", source, scale=(1.0, 5.0), **common)[0].counts()["test"].keys() == seven
    assert imported("agin", source, bins="quantile", **common)[0].counts()["test"].keys() == seven


def test_seven_ratings_go_onto_five_labels_as_the_formula_says(tmp_path: Path) -> None:
    # 1 + (x - 1) * 4 / 6, rounded.
    source = public.imagereward(tmp_path / "source", 14)
    task = tmp_path / "five.yaml"
    task.write_text(
        SEVEN_POINTS.replace("agin-7", "five").replace(", 6, 7", "") + "carries_text: true\n"
    )
    manifest, _ = imported("imagereward", source, task=str(task), scale=(1.0, 7.0))
    expected = {"1": "1", "2": "2", "3": "2", "4": "3", "5": "4", "6": "4", "7": "5"}
    assert manifest.label_map == expected


# ------------------------------------------------------------------------------------------ hub


def test_the_hub_is_asked_for_the_pinned_commit_and_the_files_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def fake_download(repo_id: str, **options: Any) -> str:
        asked.update(options, repo_id=repo_id)
        return str(public.seetrue(tmp_path / "snapshots" / options["revision"]))

    monkeypatch.setattr("huggingface_hub.snapshot_download", fake_download)
    card = IMPORTERS["seetrue"].card
    manifest, _ = imported("seetrue", hub.download(card))
    assert asked == {
        "repo_id": "yonatanbitton/SeeTRUE",
        "repo_type": "dataset",
        "revision": card.revision,
        "allow_patterns": ["SeeTRUE.csv", "images.zip", "README.md"],
    }
    assert manifest.revision == card.revision


def test_what_the_hub_refuses_is_told_with_the_way_to_get_access(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refusing(error: Exception) -> Any:
        def fake_download(*_: Any, **__: Any) -> str:
            raise error

        return fake_download

    card = replace(IMPORTERS["unsafebench"].card, revision="0" * 40)
    response: Any = type("Response", (), {"headers": {}, "request": None, "status_code": 403})()
    gated = GatedRepoError("gated", response=response)
    monkeypatch.setattr("huggingface_hub.snapshot_download", refusing(gated))
    with pytest.raises(DataError, match=r"gated \(data-use agreement.* then set HF_TOKEN"):
        hub.download(card)
    offline = LocalEntryNotFoundError("no network")
    monkeypatch.setattr("huggingface_hub.snapshot_download", refusing(offline))
    with pytest.raises(DataError, match=r"cannot be downloaded .*give its folder"):
        hub.download(card)


def test_a_source_without_a_pinned_commit_or_off_the_hub_is_not_downloaded() -> None:
    with pytest.raises(DataError, match="no commit of yiting/UnsafeBench is pinned"):
        hub.download(IMPORTERS["unsafebench"].card)
    with pytest.raises(DataError, match=r"not on the Hugging Face Hub; download it from github"):
        hub.download(IMPORTERS["agin"].card)


@pytest.mark.parametrize("name", ["unsafebench", "evalmuse"])
def test_a_source_without_a_checked_commit_needs_a_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blpo: Blpo, name: str
) -> None:
    def fake_download(repo_id: str, *, revision: str, **_: Any) -> str:
        assert (repo_id, revision) == (IMPORTERS[name].card.hub_id, "main")
        return str(getattr(public, name)(tmp_path / "snapshots" / ("f" * 40)))

    monkeypatch.setattr("huggingface_hub.snapshot_download", fake_download)
    common = ("import", name, "--from-hub", "--out", "data.parquet")
    outcome = blpo(*common)
    assert outcome.code == 1
    assert "no commit of" in outcome.err
    assert "name one from the history of its files with --revision" in outcome.err
    assert not Path("data.parquet").exists()
    assert blpo(*common, "--revision", "main").code == 0
    # A branch moves: what it stood for is kept.
    assert json.loads(Path("data.manifest.json").read_text())["revision"] == "f" * 40


# -------------------------------------------------------------------------------- command line


def test_the_command_prints_licence_columns_skips_bins_and_writes_a_manifest(
    tmp_path: Path, blpo: Blpo
) -> None:
    public.agin(tmp_path / "agin")
    (tmp_path / "agin" / "images" / "SD2_1.png").unlink()
    outcome = blpo("import", "agin", "agin", "--out", "agin.parquet", "--train-per-class", "3")
    assert outcome.code == 0, outcome
    assert "licence: none given: ask the authors" in outcome.err
    for part in (
        "read AGIN.csv: filename, MOS_nat, MOS_tech, MOS_rat",
        "skipped 1: no such image file (first: line 3: SD2_1.png)",
        "scores from 1 to 5; binned by round, cuts at 1.5, 2.5, 3.5, 4.5",
        "split: new, disjoint by group; by label: 3 train, all test; seed 0",
        "test examples with a near-duplicate in train",
    ):
        assert part in outcome.out
    manifest = json.loads(Path("agin.manifest.json").read_text())
    assert manifest["counts"]["train"] == dict.fromkeys("12345", 3)
    assert manifest["skipped"]["no such image file"]["count"] == 1
    assert manifest["binning"]["edges"] == [1.5, 2.5, 3.5, 4.5]


def test_the_command_says_what_is_wrong_with_its_options(tmp_path: Path, blpo: Blpo) -> None:
    public.agin(tmp_path / "agin")
    common = ("import", "agin", "--out", "a.parquet")
    for arguments, message in (
        ((), "give the path of the download, or --from-hub, not both"),
        (("agin", "--from-hub"), "give the path of the download, or --from-hub, not both"),
        (("--from-hub",), "not on the Hugging Face Hub"),
        (("agin", "--rescale", "seven"), "expected the ends of a scale, as in 1-7"),
        (("agin", "--rescale", "7-1"), "the lowest value goes first"),
        (("agin", "--paper-split", "--train-per-class", "3"), "leave those out"),
        (("nowhere",), "nowhere: no such file or folder"),
        (("agin", "--task", "unsafebench"), "scores cannot be rounded to Safe, Unsafe"),
    ):
        outcome = blpo(*common, *arguments)
        assert outcome.code == 1, outcome
        assert message in outcome.err
    assert not Path("a.parquet").exists()


def test_a_table_of_another_scale_can_be_imported_too(tmp_path: Path, blpo: Blpo) -> None:
    public.write_files(tmp_path, {f"{i}.png": public.picture(i) for i in range(28)})
    rows = [(f"{i}.png", 1 + i % 7) for i in range(28)]
    public.write_csv(tmp_path / "t.csv", ("image", "label"), rows)
    common = ("import", "table", "t.csv", "--task", "agin", "--out", "t.parquet")
    outcome = blpo(*common)
    assert outcome.code == 1
    assert "Found: 1: 4, 2: 4, 3: 4, 4: 4, 5: 4, 6: 4, 7: 4" in outcome.err
    outcome = blpo(*common, "--rescale", "1-7", "--json")
    assert json.loads(outcome.out)["counts"]["train"] == {"1": 2, "2": 4, "3": 2, "4": 4, "5": 2}


def test_renames_are_counted_and_one_of_a_label_that_no_row_has_is_refused(
    blpo: Blpo, tmp_path: Path
) -> None:
    names = [f"{i}.png" for i in range(8)]
    public.write_files(tmp_path, {name: public.picture(i) for i, name in enumerate(names)})
    rows = list(zip(names, ["Ok", "ko"] * 4, strict=True))
    public.write_csv(tmp_path / "t.csv", ("image", "label"), rows)
    given = ("import", "table", "t.csv", "--task", "unsafebench", "--dry-run", "--label", "ok=Safe")
    done = blpo(*given, "--label", "ko=Unsafe")
    assert "labels renamed: 'Ok' to Safe (4), 'ko' to Unsafe (4)" in done.out, done.err
    wrong = blpo(*given, "--label", "koo=Unsafe")
    told = "--label koo=Unsafe: no row has the label 'koo'; did you mean 'ko'?"
    assert (wrong.code, told in wrong.err) == (1, True), wrong


@pytest.mark.parametrize(
    ("name", "found", "told"),
    [
        ("unsafebench", "unsave", "no row has the label 'unsave'; did you mean 'Unsafe'?"),
        ("unsafebench", "bad", "no row has the label 'bad' (there are Safe, Unsafe); leave the "),
        ("agin", "3", "no row has the label '3'; leave the option out"),
    ],
)
def test_a_public_dataset_has_no_row_with_the_label_to_rename_and_is_refused(
    tmp_path: Path, name: str, found: str, told: str
) -> None:
    source = getattr(public, name)(tmp_path / "source")
    label = {"unsafebench": "Unsafe", "agin": "2"}[name]
    message = refused(name, source, label_map={found: label})
    assert f"--label {found}={label}: {told}" in message
