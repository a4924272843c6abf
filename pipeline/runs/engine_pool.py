"""What the runs of one process share: engines, stores, and what is in flight."""

import threading
from pathlib import Path

from ...data.store.store import ReplyStore
from ...models.engine import Engine
from ...models.engines.factory import make_engine
from ...models.engines.settings import EngineSettings
from ...models.wrappers.in_flight import InFlight
from ...models.wrappers.ledger import Role
from ...models.wrappers.stopping import StoppableEngine, StopRequest


class EnginePool:
    """One engine for each distinct settings, one store for each folder, and what is in flight.

    A stop signal from construction on, and `close`, make its engines take no request any more.
    """

    def __init__(self) -> None:
        self.stop = StopRequest()
        self.stop.listen()
        self._lock = threading.Lock()
        self._engines: dict[EngineSettings, Engine] = {}
        self._stores: dict[Path, ReplyStore] = {}
        self._in_flight: dict[tuple[Role, Path], InFlight] = {}

    def engine(self, settings: EngineSettings) -> Engine:
        with self._lock:
            if settings not in self._engines:
                self._engines[settings] = StoppableEngine(make_engine(settings), self.stop)
            return self._engines[settings]

    def store(self, root: Path) -> ReplyStore:
        """Shared by the runs over one folder: what one has written, no other need read."""
        with self._lock:
            return self._stores.setdefault(root.resolve(), ReplyStore(root))

    def forget_store(self, root: Path) -> None:
        """Let go of what a store holds in memory; one that is asked for again is opened anew."""
        with self._lock:
            self._stores.pop(root.resolve(), None)

    def in_flight(self, role: Role, store: Path) -> InFlight:
        """Shared by the runs over one store: what one of them asks is not stored in another's."""
        with self._lock:
            return self._in_flight.setdefault((role, store.resolve()), InFlight())

    def close(self) -> None:
        # An engine may have nothing to close, and threads that go on asking it.
        self.stop.make()
        for engine in self._engines.values():
            engine.close()
        self.stop.stop_listening()
