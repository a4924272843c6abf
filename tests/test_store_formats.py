"""Stores outlive the code that wrote them: older parts are read, newer ones refused by number."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from blpo.data.arrow import pq
from blpo.data.errors import NewerStoreError
from blpo.data.store import part_reader, parts
from blpo.data.store.outcomes import keys_of_rows
from blpo.data.store.part_keys import packed
from blpo.data.store.replies import ReplyRow, StoredReply
from blpo.data.store.store import Collection, ReplyStore
from command_line import Blpo
from test_store import get, key, parts_of, put, reply, row

ROOT = Path(__file__).parents[1]

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
        for one in rows:
            found.setdefault((collection, partition), {}).setdefault(one.key, one)
    return found


def replies_of(store: ReplyStore) -> dict[tuple[Collection, str], dict[str, StoredReply]]:
    """What the store gives for every key that was put, and for one that was not."""
    return {
        partition: store.get(*partition, ["0" * 64, *rows])
        for partition, rows in first_rows().items()
    }


def expected() -> dict[tuple[Collection, str], dict[str, StoredReply]]:
    """Errors of format 1 do not say what they lie in, and are asked again."""
    return {
        partition: {key: reply(row) for key, row in rows.items() if row.finish_reason != "error"}
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
    nothing = dict.fromkeys(ReplyRow.__struct_fields__)
    rows = [row for part in parts for row in pl.read_parquet(part).to_dicts()]
    return [nothing | {name: row[name] for name in row if name in nothing} for row in rows]


def by_key(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["key"]: row for row in reversed(rows)}


def test_every_reply_of_a_store_of_format_1_is_read(old_store: ReplyStore) -> None:
    assert replies_of(old_store) == expected()


def test_a_store_of_format_1_is_counted_and_verified(old_store: ReplyStore) -> None:
    stats = [
        (p.collection, p.num_rows, p.num_keys, p.errors, p.num_parts) for p in old_store.stats()
    ]
    assert stats == [
        ("verbalizations", 7, 7, {}, 2),
        ("verdicts", 9, 7, {"unknown": 1}, 2),
        ("verdicts", 1, 1, {}, 1),
        ("proposals", 2, 1, {"unknown": 1}, 1),
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


def test_a_part_has_its_format_in_its_metadata(tmp_path: Path) -> None:
    put(ReplyStore(tmp_path), row(1))
    put(ReplyStore(tmp_path), row(2))
    for store in (ReplyStore(tmp_path), compacted(tmp_path)):
        for part in parts_of(store):
            assert pq.read_metadata(part).metadata[b"blpo.format"] == b"2"


def compacted(root: Path) -> ReplyStore:
    store = ReplyStore(root)
    assert store.compact()
    return store


def test_a_part_of_a_newer_format_is_refused_by_its_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blpo: Blpo
) -> None:
    root = tmp_path / "store"
    put(ReplyStore(root), row(1))
    with monkeypatch.context() as newer:
        newer.setattr(parts, "FORMAT", 3)
        put(ReplyStore(root), row(2))
    store = ReplyStore(root)
    refused = r"part-00000002\.parquet: format 3 .* reads formats up to 2: upgrade blpo"
    for use in (lambda: get(store, 2), store.stats, store.verify, store.compact):
        with pytest.raises(NewerStoreError, match=refused):
            use()
    for command in ("stats", "verify", "compact"):
        said = blpo("store", command)
        assert said.code == 1
        assert "upgrade blpo" in said.err
        assert "damaged" not in said.err + said.out


def no_keys(*_: object) -> bytes:
    return b""


def without_list_of_keys(root: Path, monkeypatch: pytest.MonkeyPatch, *rows: ReplyRow) -> None:
    """Puts rows as a part that says nothing of its keys beside its rows."""
    with monkeypatch.context() as earlier:
        earlier.setattr(parts, "packed", no_keys)
        put(ReplyStore(root), *rows)


def test_parts_with_and_without_a_list_of_their_keys_are_read_and_merged_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_list_of_keys(tmp_path, monkeypatch, row(1), row(2))
    put(ReplyStore(tmp_path), row(2, "too late"), row(3))
    expected = {key(number): reply(row(number)) for number in (1, 2, 3)}
    assert get(ReplyStore(tmp_path), 1, 2, 3, 4) == expected
    for store in (ReplyStore(tmp_path), compacted(tmp_path)):
        assert get(store, 1, 2, 3, 4) == expected
        assert store.verify().damaged == []


def test_opening_a_part_that_lists_its_keys_parses_no_footer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_list_of_keys(tmp_path, monkeypatch, row(1))
    put(ReplyStore(tmp_path), row(2))
    opened: list[Path] = []
    original = part_reader._source  # pyright: ignore[reportPrivateUsage]

    def source(part: Path) -> Any:
        opened.append(part)
        return original(part)

    monkeypatch.setattr(part_reader, "_source", source)
    assert get(ReplyStore(tmp_path), 3) == {}
    assert opened == parts_of(ReplyStore(tmp_path))[:1]


def test_a_list_of_keys_that_is_not_that_of_the_rows_is_found_by_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong_keys(version: int, _: Any) -> bytes:
        return packed(version, keys_of_rows([row(1), row(9)]))

    with monkeypatch.context() as faulty:
        faulty.setattr(parts, "packed", wrong_keys)
        put(ReplyStore(tmp_path), row(1), row(2))
    (damaged,) = ReplyStore(tmp_path).verify().damaged
    assert "its list of keys is not that of its rows" in damaged.reason


# Run with a copy of the package in which replies have one field more.
WITH_A_NEW_COLUMN = """
import sys
from pathlib import Path
sys.path.append({tests!r})
from blpo.data.store import replies
from blpo.data.store.store import ReplyStore
from msgspec.structs import replace
from test_store import get, key, put, row

assert Path(replies.__file__).is_relative_to(sys.argv[1])
root, what = Path(sys.argv[2]), sys.argv[3]
if what == "put":
    put(ReplyStore(root), replace(row(2), error_class="timeout"), row(3))
elif what == "compact":
    ReplyStore(root).compact()
found = get(ReplyStore(root), 1, 2, 3)
print([found[key(number)].error_class for number in (1, 2, 3) if key(number) in found])
assert ReplyStore(root).verify().damaged == []
"""


def test_a_new_column_is_one_line_and_breaks_no_store(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "pipeline" / "package", tmp_path / "new" / "blpo")
    shutil.copytree(ROOT / "data", tmp_path / "new" / "blpo" / "data")
    replies = tmp_path / "new" / "blpo" / "data" / "store" / "replies.py"
    last = "    cached_tokens: int\n"
    added = last + "    error_class: str | None = None\n"
    replies.write_text(replies.read_text().replace(last, added))

    def new_code(what: str) -> str:
        code = WITH_A_NEW_COLUMN.format(tests=str(ROOT / "tests"))
        command = [sys.executable, "-c", code, tmp_path / "new", store.root, what]
        # Before anything else: the environment imports a module of ours when Python starts.
        first = os.environ | {"PYTHONPATH": str(tmp_path / "new")}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=first)
        return done.stdout.strip()

    store = ReplyStore(tmp_path / "store")
    put(store, row(1))
    assert new_code("read") == "[None]"
    assert new_code("put") == "[None, 'timeout', None]"
    # Code that does not know the column reads its parts, and loses nothing when it merges them.
    expected = {key(number): reply(row(number)) for number in (1, 2, 3)}
    assert get(ReplyStore(store.root), 1, 2, 3) == expected
    assert get(compacted(store.root), 1, 2, 3) == expected
    assert new_code("read") == "[None, 'timeout', None]"
    put(store, row(4))
    assert new_code("compact") == "[None, 'timeout', None]"
    assert [path.name for path in parts_of(store)] == ["part-00000001-00000003.parquet"]
    assert get(ReplyStore(store.root), 1, 2, 3) == expected


def test_parts_of_both_formats_are_read_and_merged_together(old_store: ReplyStore) -> None:
    put(ReplyStore(old_store.root), row(1))
    old = puts()[5][1]
    old_store.put("verbalizations", old, [row(2)])
    before = old_store.get("verbalizations", old, [key(2), *first_rows()["verbalizations", old]])
    assert len(before) == 8
    merged = compacted(old_store.root)
    assert merged.get("verbalizations", old, list(before)) == before
    assert replies_of(merged) == expected()
    (part,) = (old_store.root / "verbalizations" / f"i2t={old}").iterdir()
    assert pl.read_parquet_schema(part).keys() == set(ReplyRow.__struct_fields__)
    assert len(get(merged, 1)) == 1


def test_no_flipped_bit_gives_other_rows_or_an_error_without_a_name() -> None:
    command = [sys.executable, ROOT / "scripts" / "flip_bits.py", "--every", "499"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    outcomes: dict[str, dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
    assert outcomes["format 1"].keys() <= {"named", "same rows"}
    for name in ("today's format", "two blocks", "journal"):
        assert outcomes[name].keys() == {"named"}


def test_the_commands_and_programs_in_the_documentation_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blpo: Blpo
) -> None:
    text = (ROOT / "docs" / "store.md").read_text()
    commands = re.findall(r"^blpo (.*)", text, re.MULTILINE)
    programs = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert (len(commands), len(programs)) == (5, 2)
    shutil.copytree(FORMAT_1 / "store", tmp_path / "store", dirs_exist_ok=True)
    ReplyStore(tmp_path / "store").put(*puts()[3])
    monkeypatch.chdir(tmp_path)
    for command in commands:
        assert blpo(*command.split()).code == 0
    for program in programs:
        subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_the_documentation_names_every_column() -> None:
    text = (ROOT / "docs" / "store.md").read_text()
    assert [name for name in ReplyRow.__struct_fields__ if f"`{name}`" not in text] == []
