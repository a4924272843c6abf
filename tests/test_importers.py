"""Every importer on files in the public format, with the quirks that those files have."""

import json
import zipfile
from pathlib import Path

import public_sources as public
import pytest
from blpo.data.arrow import pa, pq
from blpo.data.importers.names import IMPORTER_NAMES
from blpo.data.importers.registry import IMPORTERS
from blpo.data.importers.tfrecord import read_examples
from blpo.data.tasks import load_task, task_names
from blpo.pipeline.metrics.human_ceiling import simulated_ceiling
from importing import by_id, imported, refused, skipped


def test_every_importer_has_a_line_of_help_and_a_packaged_task() -> None:
    assert list(IMPORTER_NAMES) == list(IMPORTERS)
    for importer in IMPORTERS.values():
        tasks = [task for task in importer.card.targets.values() if task]
        assert set(tasks) <= set(task_names())
        assert importer.card.targets[next(iter(importer.card.targets))] is not None


# --------------------------------------------------------------------------------- UnsafeBench


def test_unsafebench_keeps_its_labels_categories_splits_and_palette_images(tmp_path: Path) -> None:
    manifest, dataset = imported("unsafebench", public.unsafebench(tmp_path / "source"))
    assert manifest.own_splits
    assert manifest.counts()["train"] == {"Safe": 22, "Unsafe": 22}
    example = by_id(dataset)["train/3"]
    assert (example.label, example.category, example.text) == ("Unsafe", "Hate", None)
    assert example.image.data == public.picture(3, "PNG", "P")
    assert {e.category for e in dataset.test} == set(public.CATEGORIES)


def test_the_older_unsafebench_without_texts_gives_the_same_dataset(tmp_path: Path) -> None:
    _, newer = imported("unsafebench", public.unsafebench(tmp_path / "newer" / "source"))
    older = public.unsafebench(tmp_path / "older" / "source", text=False)
    assert imported("unsafebench", older)[1].fingerprint == newer.fingerprint


def test_unsafebench_rows_are_counted_through_the_files_of_a_split(tmp_path: Path) -> None:
    source = public.unsafebench(tmp_path / "source")
    whole = source / "data" / "train-00000-of-00001.parquet"
    _, expected = imported("unsafebench", source, seed=1)
    table = pq.read_table(whole)
    pq.write_table(table.slice(0, 20), source / "data" / "train-00000-of-00002.parquet")
    pq.write_table(table.slice(20), source / "data" / "train-00001-of-00002.parquet")
    whole.unlink()
    assert imported("unsafebench", source, overwrite=True)[1].fingerprint == expected.fingerprint


def test_unsafebench_in_another_format_is_refused_with_what_is_there(tmp_path: Path) -> None:
    source = tmp_path / "source"
    public.write_table(source / "data" / "train-0.parquet", {"image": ["x"], "label": ["Safe"]})
    message = refused("unsafebench", source)
    assert "has no column safety_label: it has image, label" in message


# ------------------------------------------------------------------------------------- SeeTRUE


@pytest.mark.parametrize("zipped", [True, False])
def test_seetrue_reads_quoted_texts_and_counts_missing_images(tmp_path: Path, zipped: bool) -> None:
    manifest, dataset = imported("seetrue", public.seetrue(tmp_path / "source", zipped=zipped))
    examples = by_id(dataset)
    name = next(name for name in examples if name.startswith("1_a=few_o=cat_s=indoor.png#"))
    assert examples[name].text == 'A black apple, "shiny", and backpack 0'
    assert (examples[name].label, examples[name].category) == ("1", "editbench")
    assert examples[name].image.data == public.picture(1)
    assert skipped(manifest) == {"image is not in the archive": 1}
    assert manifest.skipped["image is not in the archive"].first == ["line 25: 23_coco_val_0.png"]
    assert not manifest.own_splits
    assert "test set" in (manifest.notice or "")


def test_seetrue_columns_may_come_in_any_order_and_bad_rows_are_counted(tmp_path: Path) -> None:
    source = tmp_path / "source"
    rows = [(i % 2, f"text {i}", "drawbench", f"images/{i}.png") for i in range(8)]
    rows += [(2, "text", "drawbench", "images/0.png"), (1, " ", "drawbench", "images/0.png")]
    header = ("label", "text", "dataset_source", "image")
    public.write_csv(source / "SeeTRUE.csv", header, rows)
    public.write_zip(source / "images.zip", {f"{i}.png": public.picture(i) for i in range(8)})
    manifest, _ = imported("seetrue", source)
    assert skipped(manifest) == {"label is not 0 or 1": 1, "no image name or no text": 1}
    assert len(manifest.examples) == 8


def test_seetrue_keeps_on_one_side_what_texts_and_images_connect(tmp_path: Path) -> None:
    source = tmp_path / "source"
    # Text i comes with the images i and i + 1 of its block of four: each block is one chain.
    rows = [
        (f"{block}-{i + k}.png", f"text {block}-{i}", (i + k) % 2)
        for block in range(6)
        for i in range(3)
        for k in range(2)
    ]
    public.write_csv(source / "SeeTRUE.csv", ("image", "text", "label"), rows)
    images = sorted({name for name, _, _ in rows})
    public.write_zip(
        source / "images.zip", {name: public.picture(i) for i, name in enumerate(images)}
    )
    manifest, dataset = imported("seetrue", source)
    assert manifest.num_groups == 6
    blocks = [{e.example_id.split("-")[0] for e in side} for side in (dataset.train, dataset.test)]
    assert blocks[0].isdisjoint(blocks[1])


# --------------------------------------------------------------------------------- ImageReward


@pytest.mark.parametrize("integers", [pa.int8(), pa.int64()])
def test_imagereward_takes_the_alignment_rating_by_prompt(tmp_path: Path, integers: object) -> None:
    source = public.imagereward(tmp_path / "source", integers=integers)
    manifest, dataset = imported("imagereward", source)
    example = by_id(dataset)["test/test-2-3"]
    assert (example.label, example.text) == ("6", "a painting of fox 2 test ")
    assert (example.group, example.category) == ("000002-test", "People")
    assert skipped(manifest) == {"image is empty (0 bytes)": 2}
    assert manifest.own_splits
    assert {e.group for e in dataset.train}.isdisjoint({e.group for e in dataset.test})


def test_imagereward_skips_rows_whose_archive_was_not_downloaded(tmp_path: Path) -> None:
    source = public.imagereward(tmp_path / "source", 14)
    table = pq.read_table(source / "metadata-train.parquet")
    paths = [
        path.replace("train_1/", "train_7/") if number < 8 else path
        for number, path in enumerate(table["image_path"].to_pylist())
    ]
    column = table.schema.get_field_index("image_path")
    pq.write_table(
        table.set_column(column, "image_path", pa.array(paths)), source / "metadata-train.parquet"
    )
    manifest, _ = imported("imagereward", source)
    assert skipped(manifest)["archive images/train/train_7.zip was not downloaded"] == 8


def test_another_rating_of_imagereward_needs_a_task_of_its_own(tmp_path: Path) -> None:
    source = public.imagereward(tmp_path / "source")
    message = refused("imagereward", source, target="fidelity_rating")
    assert "no packaged task judges fidelity_rating: name a task file with --task" in message
    assert "choose from image_text_alignment_rating" in refused("imagereward", source, target="x")
    message = refused("imagereward", source, target="fidelity_rating", task="imagereward")
    assert "Found: 1: 16, 2: 16, 3: 16, 4: 16. Declared: 1, 2, 3, 4, 5, 6, 7" in message


# ---------------------------------------------------------------------------------------- AGIN


def test_agin_rounds_scores_of_one_to_five_and_keeps_them(tmp_path: Path) -> None:
    manifest, dataset = imported("agin", public.agin(tmp_path / "source"))
    examples = by_id(dataset)
    assert examples["Dreaml_coco_17.png"].category == "Dreaml_coco"
    assert examples["Dreaml_coco_17.png"].label == "2"
    assert examples["Dreaml_coco_17.png"].score == pytest.approx(1 + 4 * 17 / 59, abs=1e-6)
    assert examples["Dreaml_coco_17.png"].image.data == public.picture(17)
    assert manifest.binning is not None
    assert (manifest.binning.low, manifest.binning.high) == (1.0, 5.0)
    assert manifest.binning.edges == (1.5, 2.5, 3.5, 4.5)


def test_agin_scores_on_an_unknown_scale_are_never_guessed(tmp_path: Path) -> None:
    source = public.agin(tmp_path / "source", low=1.2, high=6.9)
    message = refused("agin", source)
    assert "scores run from 1.2 to 6.9, outside 1-5: say what they mean" in message
    for option in ("--rescale LOW-HIGH", "--bins equal-width", "--bins quantile"):
        assert option in message
    rescaled, _ = imported("agin", source, scale=(1.0, 7.0))
    assert rescaled.binning is not None
    assert rescaled.binning.edges == pytest.approx((1.75, 3.25, 4.75, 6.25))
    equal, _ = imported("agin", source, bins="equal-width", overwrite=True)
    assert equal.binning is not None
    assert equal.binning.edges == pytest.approx((2.34, 3.48, 4.62, 5.76))
    quantile, dataset = imported("agin", source, bins="quantile", overwrite=True)
    assert quantile.binning is not None
    assert len([e for e in (*dataset.train, *dataset.test) if e.label == "1"]) == 12


def test_agin_is_found_by_its_headers(tmp_path: Path) -> None:
    source = public.agin(tmp_path / "source")
    (source / "AGIN.csv").rename(source / "labels.csv")
    assert len(imported("agin", source)[0].examples) == 60
    (source / "labels.csv").unlink()
    message = refused_after_output_is_gone(source)
    assert "one csv with the columns filename, MOS_nat, MOS_tech, MOS_rat, found 0" in message


def refused_after_output_is_gone(source: Path) -> str:
    for file in (source.parent / "out").iterdir():
        file.unlink()
    (source.parent / "out").rmdir()
    return refused("agin", source)


# ---------------------------------------------------------------------------------- other scores


def test_genai_bench_makes_an_item_of_every_model_with_three_ratings(tmp_path: Path) -> None:
    manifest, dataset = imported("genai-bench", public.genai_bench(tmp_path / "source"))
    assert len(manifest.examples) == 60
    example = by_id(dataset)["3/Midjourney_6"]
    assert example.ratings == ("1", "1", "2")
    assert example.score == pytest.approx(4 / 3)
    assert (example.label, example.group, example.text) == ("1", "3", "prompt 3")
    assert example.image.data == public.picture(3 * 6 + 2, "JPEG")


@pytest.mark.parametrize(
    ("official", "sets"), [(True, False), (False, True), (True, True)], ids=["1-5", "1-100", "both"]
)
def test_koniq_means_the_same_in_both_files(tmp_path: Path, official: bool, sets: bool) -> None:
    source = public.koniq(tmp_path / "source", official=official, sets=sets)
    manifest, dataset = imported("koniq-10k", source)
    example = by_id(dataset)["10004473379.jpg"]
    assert example.score == pytest.approx(402 / 105)
    assert example.label == "4"
    assert sorted(example.ratings) == ["3"] * 25 + ["4"] * 73 + ["5"] * 7
    assert list(example.ratings) != sorted(example.ratings)
    assert example.image.data == public.picture(3, "JPEG")
    assert manifest.own_splits == sets
    assert skipped(manifest) == ({"validation image": 5} if sets else {})


def test_agiqa_scores_are_no_one_to_five_scale(tmp_path: Path) -> None:
    source = public.agiqa(tmp_path / "source")
    assert "scores run from 0 to 4.5, outside 1-5" in refused("agiqa-3k", source)
    _, dataset = imported("agiqa-3k", source, target="mos_align", bins="quantile")
    example = by_id(dataset)["sd1.5_high_006.jpg"]
    assert (example.category, example.text) == ("sd1.5", "statue of a man 1")
    assert {e.score_sd for e in (*dataset.train, *dataset.test)} == {0.6}
    ceiling = simulated_ceiling(dataset.test, load_task("agiqa-3k-align"))
    assert ceiling is not None
    assert 0.2 < ceiling.scores.accuracy < 1
    assert {e.group for e in dataset.train}.isdisjoint({e.group for e in dataset.test})


@pytest.mark.parametrize("key", ["img_path", "image_path", "image"])
def test_evalmuse_finds_images_by_path_and_skips_meaningless_prompts(
    tmp_path: Path, key: str
) -> None:
    manifest, dataset = imported("evalmuse", public.evalmuse(tmp_path / "source", key=key))
    assert skipped(manifest) == {"prompt that raters found meaningless": 1}
    examples = by_id(dataset)
    assert examples["SDXL/00003.png"].ratings == ("4", "4", "5")
    assert examples["SDXL/00003.png"].image.data == public.picture(7)
    assert examples["SDv1.2/00003.png"].image.data == public.picture(6)


def test_evalmuse_elements_are_a_literal_that_is_never_executed(tmp_path: Path) -> None:
    source = public.evalmuse(tmp_path / "source", 42)
    path = source / "train_list.json"
    rows = json.loads(path.read_text())
    rows[4]["element_score"] = "__import__('pathlib').Path('executed').touch()"
    path.write_text(json.dumps(rows))
    message = refused("evalmuse", source, target="element_score", task="evalmuse")
    assert "label '5': never occurs" in message
    assert not Path("executed").exists()


def test_richhf_joins_records_with_images_by_name(tmp_path: Path) -> None:
    manifest, dataset = imported("richhf", public.richhf(tmp_path / "source"))
    assert skipped(manifest) == {
        "file of the dev split": 1,
        "image is not here (join with Pick-a-Pic v1)": 2,
    }
    example = by_id(dataset)["test-0008"]
    assert example.score == pytest.approx(8 / 12)
    # Three raters of 1-5 whose mean is 1 + 4 * 8 / 12.
    assert example.label == "4"


def test_a_parquet_mirror_of_richhf_brings_its_own_images_and_leaves_its_validation_out(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source"
    for start, split in enumerate(("train", "validation", "test")):
        numbers = range(13)
        columns = {
            "filename": [f"{split}/{split}-{i:04d}.png" for i in numbers],
            "image": [public.cell(public.picture(13 * start + i)) for i in numbers],
            "caption": [f"caption {i}" for i in numbers],
            "overall_score": [i / 12 for i in numbers],
        }
        path = source / "data" / f"{split}-00000-of-00001.parquet"
        public.write_table(path, columns, image=public.IMAGE, overall_score=pa.float64())
    manifest, dataset = imported("richhf", source)
    assert skipped(manifest) == {"file of the dev split": 1}
    example = by_id(dataset)["test-0008"]
    assert (example.label, example.score) == ("4", pytest.approx(8 / 12))
    assert example.image.data == public.picture(2 * 13 + 8)


def test_genai_bench_of_another_revision_is_refused_with_what_it_has(tmp_path: Path) -> None:
    columns = {"id": ["0"], "prompt": ["p"], "DALLE_3_HumanRating": ["[3, 4, 4]"]}
    public.write_table(tmp_path / "source" / "GenAI-Bench.parquet", columns)
    assert "train-*.parquet" in refused("genai-bench", tmp_path / "source")
    older = tmp_path / "older"
    public.write_table(older / "data" / "train-00000-of-00001.parquet", columns)
    message = refused("genai-bench", older)
    assert "has no column Index" in message
    assert "it has id, prompt, DALLE_3_HumanRating" in message


def test_numbers_that_are_text_are_the_same_ratings(tmp_path: Path) -> None:
    source = public.evalmuse(tmp_path / "source")
    path = source / "train_list.json"
    _, expected = imported("evalmuse", source)
    rows = json.loads(path.read_text())
    for row in rows:
        row["total_score"] = [str(score) for score in row["total_score"]]
    path.write_text(json.dumps(rows))
    assert imported("evalmuse", source, overwrite=True)[1].fingerprint == expected.fingerprint


def test_a_broken_image_of_imagereward_is_skipped_and_counted(tmp_path: Path) -> None:
    source = public.imagereward(tmp_path / "source", 14)
    archive = source / "images" / "test" / "test_1.zip"
    with zipfile.ZipFile(archive) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["test-3-2.webp"] = members["test-3-2.webp"][:60]
    public.write_zip(archive, members)
    manifest, dataset = imported("imagereward", source)
    assert skipped(manifest)["image cannot be decoded"] == 1
    assert "test/test-3-2" not in by_id(dataset)


def test_a_tfrecord_that_is_cut_off_or_a_pointer_is_refused(tmp_path: Path) -> None:
    source = public.richhf(tmp_path / "source", 2)
    path = source / "train.tfrecord"
    assert [features["filename"] for features in read_examples(path)] == [
        [b"train/train-0000.png"],
        [b"train/train-0001.png"],
    ]
    path.write_bytes(path.read_bytes()[:-9])
    assert "train.tfrecord: not a whole TFRecord file" in refused("richhf", source)
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "without Git LFS has only pointers" in refused("richhf", source)
