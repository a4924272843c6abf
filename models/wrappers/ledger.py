"""What a run's requests cost, by role."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from ...data.store.key_index import KeyIndex, key_prefixes
from ...data.store.store import StoredReply
from ..cost import Cost

Role = Literal["judge", "verbalizer", "optimizer"]
ROLES: tuple[Role, ...] = get_args(Role)


@dataclass(slots=True)
class RoleLedger:
    """What one role cost one run.

    asked: requests made. errors: error replies among them. paid: the distinct requests that a
    model answered for this run, in this or an earlier session; all others came from the store.
    session: what models answered in this session; session_seconds: time spent waiting in it.
    answered: runs ahead of `asked` while a batch is under way. departures: in which points engines
    were asked otherwise than they were to be, and for how many requests.
    """

    asked: int = 0
    errors: int = 0
    paid: Cost = field(default_factory=Cost)
    session: Cost = field(default_factory=Cost)
    session_seconds: float = 0.0
    answered: int = 0
    departures: Counter[str] = field(default_factory=Counter[str])
    _paid_keys: KeyIndex = field(default_factory=KeyIndex)

    def count(self, rows: Sequence[StoredReply], run_id: str) -> None:
        """Count the replies to one batch of requests."""
        self.asked += len(rows)
        self.errors += sum(row.finish_reason == "error" for row in rows)
        for row in rows:
            self.departures.update(row.each_departure)
        own = {row.key: row for row in rows if row.run_id == run_id}
        prefixes = key_prefixes(list(own))
        for row, place in zip(own.values(), self._paid_keys.find(prefixes).tolist(), strict=True):
            if place < 0:
                self.paid += Cost.of(row)
        self._paid_keys.add(prefixes, np.zeros(len(prefixes), np.int64))
        self.answered = self.asked
