"""What engines around another engine have in common."""

from collections.abc import Sequence

from ..engine import Engine, EngineIdentity, Reply, Request


class AroundEngine:
    """An engine around another, which says and does what is not said anew. Contract: `Engine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def identity(self) -> EngineIdentity:
        return self._engine.identity

    @property
    def version(self) -> str:
        return self._engine.version

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return self._engine.ask(requests)

    def close(self) -> None:
        self._engine.close()
