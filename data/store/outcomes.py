"""What a row of the store is to a look-up: a reply, or an error of some kind.

Replies come back. Without one, so does an error that lies in the request, until it is forgotten.
Any other error is a record of what happened, and its request is asked again by the next run.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .key_index import Prefixes, key_prefixes
from .replies import StoredReply

Outcomes = npt.NDArray[np.uint8]
"""Of each row its place in OUTCOMES, or UNKNOWN."""

OUTCOMES = ("reply", "request", "refused", "transient", "forgotten")
"""A reply, and the kinds of errors that a row may name; new ones go to the end, parts list places.

forgotten: no error, but that the one in the request that came before counts no more.
"""

REPLY, REQUEST, FORGOTTEN = map(OUTCOMES.index, ("reply", "request", "forgotten"))
UNKNOWN = 255
"""An error whose kind was not stored, or is none of those."""

_ERROR = "error"
"""The finish_reason of errors."""

KEY_COLUMNS = ("key", "finish_reason", "error_kind")


class PartKeys(NamedTuple):
    """The prefixes of a part's keys, and the outcomes of its rows, in row order."""

    prefixes: Prefixes
    outcomes: Outcomes


def keys_of(table: Any) -> PartKeys:
    """The keys of a table that has KEY_COLUMNS."""
    keys, finishes = table["key"].to_pylist(), table["finish_reason"].to_pylist()
    kinds: list[str | None] = table["error_kind"].to_pylist() if _ERROR in finishes else []
    return _keys(keys, finishes, kinds)


def keys_of_rows(rows: Sequence[StoredReply]) -> PartKeys:
    finishes = [row.finish_reason for row in rows]
    return _keys([row.key for row in rows], finishes, [row.error_kind for row in rows])


def _keys(keys: list[str], finishes: list[str], kinds: list[str | None]) -> PartKeys:
    outcomes = np.zeros(len(keys), np.uint8)
    if _ERROR in finishes:
        for row, (finish, kind) in enumerate(zip(finishes, kinds, strict=True)):
            if finish == _ERROR:
                outcomes[row] = OUTCOMES.index(kind) if kind in OUTCOMES[REQUEST:] else UNKNOWN
    return PartKeys(key_prefixes(keys), outcomes)


def outcome_name(outcome: int) -> str:
    return OUTCOMES[outcome] if outcome < len(OUTCOMES) else "unknown"


def together(parts: Sequence[PartKeys]) -> PartKeys:
    """The keys of parts one after another."""
    return PartKeys(
        np.concatenate([np.empty(0, np.uint64), *(part.prefixes for part in parts)]),
        np.concatenate([np.empty(0, np.uint8), *(part.outcomes for part in parts)]),
    )


def errors_by_kind(keys: PartKeys) -> dict[str, int]:
    """How many keys have an error and no reply, by the kind of the last, but for forgotten ones."""
    is_error = keys.outcomes != REPLY
    is_error &= ~np.isin(keys.prefixes, keys.prefixes[~is_error])
    prefixes, outcomes = keys.prefixes[is_error].tolist(), keys.outcomes[is_error].tolist()
    last = dict(zip(prefixes, outcomes, strict=True))
    names = [outcome_name(outcome) for outcome in last.values() if outcome != FORGOTTEN]
    return {name: names.count(name) for name in sorted(set(names))}
