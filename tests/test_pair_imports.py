"""Imports of preference pairs from the public format to a dataset and its manifest."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import public_sources as public
import pytest
from blpo.data.arrow import pa, pq
from blpo.data.examples import iter_dataset
from blpo.data.importers.manifest import DrawnPair, manifest_path
from blpo.data.tasks import load_task
from importing import by_id, imported, output, refused, skipped

SOURCES: dict[str, Callable[[Path], Path]] = {
    "hpdv3": public.hpdv3,
    "mj-bench": lambda folder: public.mj_bench(folder, newer=True),
    "genai-bench-pairs": public.genai_bench_pairs,
    "imagereward-pairs": public.imagereward,
}


@pytest.mark.parametrize("name", SOURCES)
def test_both_images_land_in_the_order_that_the_label_and_the_manifest_tell(
    tmp_path: Path, name: str
) -> None:
    manifest, dataset = imported(name, SOURCES[name](tmp_path / "source"))
    examples = by_id(dataset)
    drawn = {d.example_id: d for d in manifest.examples if isinstance(d, DrawnPair)}
    assert examples.keys() == drawn.keys()
    for example_id, example in examples.items():
        [other] = example.further_images
        assert example.image.data != other.data
        assert example.swapped == drawn[example_id].swapped
    swapped = Counter(example.swapped for example in examples.values())
    assert min(swapped[True], swapped[False]) > len(examples) / 5
    assert not {e.group for e in dataset.train} & {e.group for e in dataset.test}


def test_preferred_first_sources_lose_nothing_but_their_order(tmp_path: Path) -> None:
    source = public.mj_bench(tmp_path / "source", newer=True)
    _, dataset = imported("mj-bench", source)
    for example in by_id(dataset).values():
        number = int(example.example_id.rpartition("/")[2])
        preferred = example.images["AB".index(example.label)]
        assert preferred.data == public.picture(number)
        assert example.swapped == (example.label == "B")


def test_the_four_votes_of_genai_bench_are_preferences_and_two_kinds_of_tie(
    tmp_path: Path,
) -> None:
    manifest, dataset = imported("genai-bench-pairs", public.genai_bench_pairs(tmp_path / "s"))
    kinds = Counter((e.label == "tie", e.category) for e in by_id(dataset).values())
    assert kinds == {(False, "one preferred"): 12, (True, "both good"): 6, (True, "both bad"): 6}
    assert len(manifest.files) == 2
    (tmp_path / "s" / "image_generation" / "train-00000-of-00001.parquet").unlink()
    assert "image_generation/*.parquet" in refused_after(tmp_path)


def refused_after(tmp_path: Path) -> str:
    for path in output(tmp_path / "s").parent.iterdir():
        path.unlink()
    output(tmp_path / "s").parent.rmdir()
    return refused("genai-bench-pairs", tmp_path / "s")


def test_a_task_without_ties_leaves_them_out_and_counts_them(tmp_path: Path) -> None:
    manifest, dataset = imported(
        "imagereward-pairs", public.imagereward(tmp_path / "source"), task="hpdv2"
    )
    assert {example.label for example in by_id(dataset).values()} == {"A", "B"}
    assert skipped(manifest)["a tie, which the task does not have"] > 0


def test_votes_become_ratings_that_the_human_ceiling_is_taken_from(tmp_path: Path) -> None:
    _, dataset = imported("hpdv3", public.hpdv3(tmp_path / "source"))
    rated = [example for example in by_id(dataset).values() if example.ratings]
    assert rated
    for example in rated:
        counts = Counter(example.ratings)
        other = "B" if example.label == "A" else "A"
        assert (counts[example.label], counts[other]) == (12, 7)
    assert len({example.ratings[0] for example in rated}) == 2


def test_pairs_and_single_images_are_not_taken_for_one_another(tmp_path: Path) -> None:
    source = public.mj_bench(tmp_path / "pairs", newer=True)
    assert "holds pairs, and task seetrue is binary" in refused("mj-bench", source, task="seetrue")
    single = public.seetrue(tmp_path / "single")
    message = refused("seetrue", single, task="mj-bench")
    assert "holds single images, and task mj-bench is pairwise" in message


def test_a_pair_of_one_image_with_itself_and_a_pair_seen_before_are_left_out(
    tmp_path: Path,
) -> None:
    source = public.mj_bench(tmp_path / "source", newer=False, count=24)
    path = source / "data" / "safety.parquet"
    table: dict[str, list[Any]] = pq.read_table(path).to_pydict()
    table["image1"][3] = table["image0"][3]
    for column, other in (("image0", "image1"), ("image1", "image0")):
        table[column][5] = table[other][4]
    table["caption"][5] = table["caption"][4]
    kinds: dict[str, Any] = {"image0": public.IMAGE, "image1": public.IMAGE, "label": pa.int64()}
    public.write_table(path, table, **kinds)
    manifest, _ = imported("mj-bench", source)
    assert skipped(manifest) == {
        "both images of the pair are the same": 1,
        "exact duplicate": 1,
    }


def test_the_same_import_writes_the_same_bytes_and_a_manifest_of_both_images(
    tmp_path: Path,
) -> None:
    source = public.hpdv3(tmp_path / "source")
    imported("hpdv3", source)
    out = output(source)
    before, manifest = out.read_bytes(), json.loads(manifest_path(out).read_text())
    imported("hpdv3", source, overwrite=True)
    assert out.read_bytes() == before
    assert {"sha256", "sha256_b", "swapped"} <= manifest["examples"][0].keys()
    items = [item for batch in iter_dataset(out, load_task("hpdv3")) for item in batch]
    assert all(len(item.images) == 2 for item in items)
