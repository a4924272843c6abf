"""Replies are permanent; errors are kept as a record, and hold only if they lie in the request."""

import json
from pathlib import Path

import pytest
from blpo.data.store.outcomes import UNKNOWN, keys_of_rows
from blpo.data.store.replies import ReplyRow
from blpo.data.store.store import PartitionStats, ReplyStore
from blpo.pipeline.doctor.storage import store_check
from command_line import Blpo
from msgspec.structs import replace
from test_store import PARTITION, get, key, put, reply, row
from test_store_formats import without_list_of_keys

ROWS_OF_EVERY_KIND = ("request", "refused", "transient", None, "of a later blpo")


def failed(number: int, kind: str | None, error: str = "HTTP 400: no") -> ReplyRow:
    return replace(row(number, ""), finish_reason="error", error=error, error_kind=kind)


def stats(root: Path) -> PartitionStats:
    (found,) = ReplyStore(root).stats()
    return found


def compacted(root: Path) -> ReplyStore:
    store = ReplyStore(root)
    assert store.compact()
    return store


def test_of_errors_only_those_that_lie_in_the_request_are_given(tmp_path: Path) -> None:
    rows = [failed(number, kind) for number, kind in enumerate(ROWS_OF_EVERY_KIND)]
    put(ReplyStore(tmp_path), *rows, row(9))
    expected = {key(0): reply(rows[0]), key(9): reply(row(9))}
    assert get(ReplyStore(tmp_path), *range(10)) == expected
    assert stats(tmp_path).errors == {"refused": 1, "request": 1, "transient": 1, "unknown": 2}
    assert (stats(tmp_path).num_rows, stats(tmp_path).num_keys) == (6, 1)


def test_who_puts_an_error_gets_it_back_and_the_reply_where_there_is_one(tmp_path: Path) -> None:
    put(ReplyStore(tmp_path), row(1))
    rows = [failed(1, "transient"), failed(2, "transient"), failed(3, "request"), row(4)]
    found = ReplyStore(tmp_path).put("verbalizations", PARTITION, rows)
    assert found == {key(1): reply(row(1)), **{row.key: row for row in rows[1:]}}


@pytest.mark.parametrize("kind", ROWS_OF_EVERY_KIND)
@pytest.mark.parametrize("is_listed", [True, False])
def test_a_reply_wins_over_an_error_wherever_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str | None, *, is_listed: bool
) -> None:
    warm = ReplyStore(tmp_path)
    for rows in ([failed(1, kind)], [row(1), row(2)], [failed(2, kind), failed(1, kind)]):
        if is_listed:
            put(ReplyStore(tmp_path), *rows)
        else:
            without_list_of_keys(tmp_path, monkeypatch, *rows)
        get(warm, 1, 2, 3)
    expected = {key(number): reply(row(number)) for number in (1, 2)}
    for store in (warm, ReplyStore(tmp_path)):
        assert get(store, 1, 2) == expected
    assert (stats(tmp_path).num_keys, stats(tmp_path).errors) == (2, {})
    assert get(compacted(tmp_path), 1, 2) == expected
    assert get(warm, 1, 2) == expected
    assert (stats(tmp_path).num_rows, stats(tmp_path).num_keys) == (2, 2)
    assert ReplyStore(tmp_path).verify().damaged == []


def test_compaction_keeps_what_is_known_of_errors_without_a_reply(tmp_path: Path) -> None:
    put(ReplyStore(tmp_path), failed(1, "request"), failed(2, "transient"))
    put(ReplyStore(tmp_path), failed(2, "refused"), row(3))
    before = (get(ReplyStore(tmp_path), 1, 2, 3), stats(tmp_path).errors)
    assert before[1] == {"refused": 1, "request": 1}
    assert (get(compacted(tmp_path), 1, 2, 3), stats(tmp_path).errors) == before


def test_a_part_of_nothing_but_errors_of_answered_requests_is_merged_away(tmp_path: Path) -> None:
    put(ReplyStore(tmp_path), failed(1, "transient"))
    put(ReplyStore(tmp_path), row(1))
    put(ReplyStore(tmp_path), failed(1, "transient"))
    assert get(compacted(tmp_path), 1) == {key(1): reply(row(1))}
    assert stats(tmp_path).num_rows == 1


def test_what_is_forgotten_is_missing_until_it_is_answered_or_refused_again(
    tmp_path: Path,
) -> None:
    rows = [failed(1, "request", "too long"), failed(2, "request"), failed(3, "transient"), row(4)]
    put(ReplyStore(tmp_path), *rows)
    assert ReplyStore(tmp_path).forget_errors() == 2
    assert ReplyStore(tmp_path).forget_errors() == 0
    assert get(ReplyStore(tmp_path), 1, 2, 3, 4) == {key(4): reply(row(4))}
    assert stats(tmp_path).errors == {"transient": 1}
    again = failed(1, "request", "still too long")
    put(ReplyStore(tmp_path), again, row(2))
    expected = {key(1): reply(again), key(2): reply(row(2)), key(4): reply(row(4))}
    for store in (ReplyStore(tmp_path), compacted(tmp_path)):
        assert get(store, 1, 2, 3, 4) == expected
    assert ReplyStore(tmp_path).forget_errors() == 1
    assert key(1) not in get(ReplyStore(tmp_path), 1)


def test_a_forgotten_error_does_not_come_back_when_only_a_part_of_it_is_merged(
    tmp_path: Path,
) -> None:
    put(ReplyStore(tmp_path), failed(1, "request"))
    put(ReplyStore(tmp_path), row(2))
    compacted(tmp_path)
    assert ReplyStore(tmp_path).forget_errors() == 1
    put(ReplyStore(tmp_path), failed(1, "transient"))
    assert get(ReplyStore(tmp_path), 1) == {}
    assert get(compacted(tmp_path), 1) == {}


def test_kinds_of_a_later_blpo_are_listed_as_unknown() -> None:
    assert keys_of_rows([failed(1, "of a later blpo"), failed(2, None)]).outcomes.tolist() == [
        UNKNOWN,
        UNKNOWN,
    ]


def test_an_error_kind_on_a_reply_means_nothing(tmp_path: Path) -> None:
    odd = replace(row(1), error="", error_kind="transient")
    put(ReplyStore(tmp_path), odd)
    assert get(ReplyStore(tmp_path), 1) == {key(1): reply(odd)}


def test_the_command_tells_how_many_errors_it_forgets(tmp_path: Path, blpo: Blpo) -> None:
    put(ReplyStore(tmp_path / "store"), failed(1, "request"), failed(2, "refused"), row(3))
    told = blpo("store", "stats").out
    assert "requests that have an error and no reply: 1 of kind refused, 1 of kind request" in told
    assert "1 of kind refused, 1 of kind request" in store_check(tmp_path / "store").found
    assert blpo("store", "forget").code == 2
    assert "1 errors forgotten" in blpo("store", "forget", "--errors").out
    assert json.loads(blpo("store", "forget", "--errors", "--json").out) == {"forgotten": 0}
    assert "no reply: 1 of kind refused\n" in blpo("store", "stats").out
