"""Preference pairs in the public formats become A, B or tie, in an order that tells nothing."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import public_sources as public
import pytest
from blpo.data.importers import hpdv2, hpdv3, imagereward_pairs, mj_bench, pickapic
from blpo.data.importers.pairs import PairRow, by_rank, by_weight, presented
from blpo.data.importers.places import ImagePlace, read_images
from blpo.data.importers.protocol import Intake


def as_in_source(rows: Iterable[PairRow]) -> dict[str, PairRow]:
    """Pairs by id, turned back to the source's order."""
    return {row.row_id: turned_back(row) for row in rows}


def turned_back(row: PairRow) -> PairRow:
    return replace(presented(row), swapped=False) if row.swapped else row


def test_the_order_comes_from_the_id_alone_and_labels_and_votes_go_with_it() -> None:
    first, second = ImagePlace(Path("a"), 0, "1"), ImagePlace(Path("a"), 0, "2")
    rows = [presented(PairRow(f"{i}", first, second, "", "A", (3, 1))) for i in range(200)]
    for row in rows:
        expected = ("B", (1, 3), second) if row.swapped else ("A", (3, 1), first)
        assert (row.label, row.votes, row.first) == expected
    assert 70 < sum(row.swapped for row in rows) < 130
    assert presented(replace(rows[0], label="tie")).label == "tie"


def test_weights_and_ranks_point_opposite_ways() -> None:
    assert [by_weight(1, 0), by_weight(0, 1), by_weight(0.5, 0.5)] == ["A", "B", "tie"]
    assert [by_rank(1, 3), by_rank(3, 1), by_rank(2, 2)] == ["A", "B", "tie"]


@pytest.mark.parametrize("card_spelling", [True, False])
def test_hpdv2_counts_votes_and_reads_both_spellings(tmp_path: Path, card_spelling: bool) -> None:
    source, intake = public.hpdv2(tmp_path, card_spelling=card_spelling), Intake()
    rows = as_in_source(hpdv2.pair_rows(source, intake))
    assert (rows["train/a.jpg/b.jpg"].label, rows["train/a.jpg/b.jpg"].votes) == ("A", (2, 1))
    assert rows["train/c.jpg/d.jpg"].label == "B"
    assert intake.skipped == {
        "preference is not 1 for one image and 0 for the other": 1,
        "image is not in the archive": 1,
    }
    test = [row for row in rows.values() if row.split == "test"]
    assert len(test) == 36
    assert {(row.label, row.votes) for row in test} == {("A", (2, 1))}
    place = rows["test/t0.jpg/t3.jpg"].second
    assert dict(read_images([place])) == {place: public.picture(3, "JPEG")}


def test_hpdv3_always_has_the_preferred_image_first_and_is_shuffled(tmp_path: Path) -> None:
    intake = Intake()
    rows = list(hpdv3.pair_rows(public.hpdv3(tmp_path), intake))
    assert intake.skipped == {"image was not unpacked": 2}
    assert {row.label for row in as_in_source(rows).values()} == {"A"}
    assert {row.votes for row in as_in_source(rows).values()} == {None, (12, 7)}
    assert min(Counter(row.label for row in rows).values()) > 10


def test_pickapic_keeps_ties_and_skips_rows_without_a_label(tmp_path: Path) -> None:
    intake = Intake()
    rows = as_in_source(pickapic.pair_rows(public.pickapic(tmp_path), intake))
    assert [rows[f"train/{i}"].label for i in range(3)] == ["A", "B", "tie"]
    assert intake.skipped == {"no label": 2}
    assert {row.split for row in rows.values()} == {"train", "test"}
    place = rows["test/1"].second
    assert dict(read_images([place])) == {place: public.picture(6, "JPEG")}


@pytest.mark.parametrize("newer", [True, False])
def test_mj_bench_is_read_in_both_schemas(tmp_path: Path, newer: bool) -> None:
    rows = list(mj_bench.pair_rows(public.mj_bench(tmp_path, newer=newer), Intake()))
    plain = as_in_source(rows)
    labels = [plain[f"safety/{i}"].label for i in range(4)]
    assert labels == (["A"] * 4 if newer else ["A", "B", "A", "B"])
    assert {row.category for row in rows} == {"some category" if newer else "safety"}
    assert {row.label for row in rows} == {"A", "B"}


def test_imagereward_pairs_come_from_ranks_within_a_prompt(tmp_path: Path) -> None:
    rows = as_in_source(imagereward_pairs.pair_rows(public.imagereward(tmp_path), Intake()))
    assert len(rows) == 2 * 8 * 6
    assert rows["test/test-2-0/test-2-1"].label == "tie"
    assert rows["test/test-2-0/test-2-2"].label == "A"
    assert {row.groups[0] for row in rows.values() if row.split == "test"} == {
        f"{number:06d}-test" for number in range(8)
    }
