"""An engine that is asked for nothing twice."""

from collections.abc import Sequence

from ..engine import Engine, Reply, Request
from .around import AroundEngine


class RememberingEngine(AroundEngine):
    """Keeps every reply but failures for as long as it lives. Contract: `Engine`.

    What it remembers counts as asked nowhere, neither in a ledger nor against a budget.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._replies: dict[Request, Reply] = {}

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        new = list(dict.fromkeys(one for one in requests if one not in self._replies))
        found = dict(zip(new, self._engine.ask(new), strict=True))
        self._replies |= {one: r for one, r in found.items() if r.finish_reason != "error"}
        return [found[one] if one in found else self._replies[one] for one in requests]
