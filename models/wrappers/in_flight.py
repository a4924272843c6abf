"""Requests being answered at this moment, so that two runs that need one reply ask once."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...data.store.store import StoredReply


@dataclass(slots=True)
class Claim:
    """Requests that one thread asks. error: why it has given up those without a row."""

    rows: dict[str, StoredReply] = field(default_factory=dict[str, StoredReply])
    error: BaseException | None = None


class InFlight:
    """Requests being answered at this moment, shared by the runs of a process.

    num_settled: requests answered so far, all of whose replies are stored.
    """

    def __init__(self) -> None:
        self.num_settled = 0
        self._claims: dict[str, Claim] = {}
        self._changed = threading.Condition()

    def claim(self, keys: Sequence[str]) -> tuple[list[str], dict[str, Claim]]:
        """Split keys into those now claimed by the caller and those that another thread asks."""
        own = Claim()
        with self._changed:
            owners = {key: self._claims.setdefault(key, own) for key in keys}
        claimed = [key for key, owner in owners.items() if owner is own]
        return claimed, {key: owner for key, owner in owners.items() if owner is not own}

    def settle(self, rows: Mapping[str, StoredReply]) -> None:
        """Hand rows that are stored to whoever waits for them."""
        with self._changed:
            for key, row in rows.items():
                self._claims.pop(key).rows[key] = row
            self.num_settled += len(rows)
            self._changed.notify_all()

    def abandon(self, keys: Sequence[str], error: BaseException) -> None:
        """Fail whatever of `keys` has not been settled."""
        with self._changed:
            for key in keys:
                if claim := self._claims.pop(key, None):
                    claim.error = error
            self._changed.notify_all()

    def wait(self, awaited: Mapping[str, Claim]) -> dict[str, StoredReply]:
        """The rows of keys that others have claimed; raises what made them give up."""
        with self._changed:
            for key, claim in awaited.items():
                while key not in claim.rows:
                    if claim.error is not None:
                        raise claim.error
                    self._changed.wait()
        return {key: claim.rows[key] for key, claim in awaited.items()}
