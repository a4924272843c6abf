"""Stores outlive the code that wrote them: older parts are read, newer ones refused by number."""

import json
import shutil
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from blpo.data.store.replies import ReplyRow, StoredReply
from blpo.data.store.store import Collection, ReplyStore
from test_store import reply

FORMAT_1 = Path(__file__).parent / "fixtures" / "store-format-1"


def puts() -> list[tuple[Collection, str, list[ReplyRow]]]:
    """What was put into the store of format 1, in this order."""
    found: list[dict[str, Any]] = json.loads((FORMAT_1 / "puts.json").read_text())
    return [
        (put["collection"], put["partition"], msgspec.convert(put["rows"], list[ReplyRow]))
        for put in found
    ]


def first_rows() -> dict[tuple[Collection, str], dict[str, ReplyRow]]:
    """The rows that count, by partition and key: of several with one key the first."""
    found: dict[tuple[Collection, str], dict[str, ReplyRow]] = {}
    for collection, partition, rows in puts():
        for row in rows:
            found.setdefault((collection, partition), {}).setdefault(row.key, row)
    return found


def replies_of(store: ReplyStore) -> dict[tuple[Collection, str], dict[str, StoredReply]]:
    """What the store gives for every key that was put, and for one that was not."""
    return {
        partition: store.get(*partition, ["0" * 64, *rows])
        for partition, rows in first_rows().items()
    }


def expected() -> dict[tuple[Collection, str], dict[str, StoredReply]]:
    return {
        partition: {key: reply(row) for key, row in rows.items()}
        for partition, rows in first_rows().items()
    }


@pytest.fixture
def old_store(tmp_path: Path) -> ReplyStore:
    """A copy of the store of format 1."""
    shutil.copytree(FORMAT_1 / "store", tmp_path / "old")
    return ReplyStore(tmp_path / "old")


def columns_of(store: ReplyStore) -> list[dict[str, Any]]:
    """Every row of the store's files, all columns, as any Parquet reader sees them."""
    parts = sorted(store.root.glob("*/*/part-*.parquet"))
    names = ReplyRow.__struct_fields__
    return [row for part in parts for row in pl.read_parquet(part).select(names).to_dicts()]


def by_key(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in reversed(rows)}


def test_every_reply_of_a_store_of_format_1_is_read(old_store: ReplyStore) -> None:
    assert replies_of(old_store) == expected()


def test_a_store_of_format_1_is_counted_and_verified(old_store: ReplyStore) -> None:
    stats = [(p.collection, p.num_rows, p.num_keys, p.num_parts) for p in old_store.stats()]
    assert stats == [
        ("verbalizations", 7, 7, 2),
        ("verdicts", 9, 8, 2),
        ("verdicts", 1, 1, 1),
        ("proposals", 2, 2, 1),
    ]
    verification = old_store.verify()
    assert (verification.num_parts, verification.damaged) == (6, [])


def test_a_store_of_format_1_is_compacted_with_all_its_columns(old_store: ReplyStore) -> None:
    before = by_key(columns_of(old_store))
    compacted = [(c.collection, c.parts_before, c.parts_after) for c in old_store.compact()]
    assert compacted == [("verbalizations", 2, 1), ("verdicts", 2, 1)]
    rows = columns_of(old_store)
    assert len(rows) == 18
    assert by_key(rows) == before
    assert by_key(rows) == {
        row.key: dict(msgspec.structs.asdict(row), labels=list(row.labels))
        for rows in first_rows().values()
        for row in rows.values()
    }
    for store in (old_store, ReplyStore(old_store.root)):
        assert replies_of(store) == expected()
