"""Which row holds for a key: of replies the first, and without one an error in the request."""

from collections.abc import Sequence

import numpy as np

from .key_index import KeyIndex, Places, Prefixes, places_of
from .outcomes import FORGOTTEN, REPLY, REQUEST, PartKeys, together


class ReplyIndex:
    """Maps the first 64 bits of keys to the places of the rows that hold."""

    def __init__(self) -> None:
        self._replies = KeyIndex()
        self._errors: dict[int, int] = {}

    def add(self, first: int, parts: Sequence[PartKeys]) -> None:
        """Adds the rows of parts numbered from `first`, in their order."""
        prefixes, outcomes = together(parts)
        places = places_of(first, [len(part.prefixes) for part in parts])
        is_reply = outcomes == REPLY
        self._replies.add(prefixes[is_reply], places[is_reply])
        for row in np.flatnonzero(~is_reply).tolist():
            if outcomes[row] == REQUEST:
                self._errors.setdefault(int(prefixes[row]), int(places[row]))
            elif outcomes[row] == FORGOTTEN:
                self._errors.pop(int(prefixes[row]), None)

    def find(self, prefixes: Prefixes) -> Places:
        """The place of each prefix, -1 where no row holds."""
        places = self._replies.find(prefixes)
        for position in np.flatnonzero(places < 0).tolist() if self._errors else ():
            places[position] = self._errors.get(int(prefixes[position]), -1)
        return places

    def errors(self) -> Places:
        """The places of the errors that hold."""
        prefixes = np.fromiter(self._errors, np.uint64, len(self._errors))
        return self.find(prefixes)[self._replies.find(prefixes) < 0]
