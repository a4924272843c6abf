"""Stopping on request: SIGUSR2 or SIGTERM, as a batch system sends them before it ends a job.

No request is given to an engine any more, what it has been given is answered and stored, and every
run then ends with StoppedError. Started again, it goes on with what is in the store.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Sequence
from types import FrameType
from typing import Any

from ..data.errors import EngineError
from .engine import Engine, EngineIdentity, Reply, Request

STOP_SIGNALS = (signal.SIGUSR2, signal.SIGTERM)


class StoppedError(Exception):
    """The process was asked to stop. Not a failure of the run: the same command goes on with it."""


class StopRequest:
    """Whether this process has been asked to stop."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self._previous: dict[signal.Signals, Any] = {}

    @property
    def is_made(self) -> bool:
        return self._requested.is_set()

    def make(self) -> None:
        self._requested.set()

    def listen(self) -> None:
        """Take the stop signals from now on; in any thread but the main one, do nothing."""
        if threading.current_thread() is threading.main_thread():
            for number in STOP_SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)

    def stop_listening(self) -> None:
        """Give the signals back to whom they belonged."""
        while self._previous:
            signal.signal(*self._previous.popitem())

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._requested.set()
        with contextlib.suppress(OSError):
            # Not through stderr's buffer, which the signal may have interrupted.
            os.write(2, f"{signal.Signals(number).name}: asking no more\n".encode())


class StoppableEngine:
    """An engine that takes no request any more once a stop is requested. Contract: `Engine`."""

    def __init__(self, engine: Engine, stop: StopRequest) -> None:
        self._engine = engine
        self._stop = stop

    @property
    def identity(self) -> EngineIdentity:
        return self._engine.identity

    @property
    def version(self) -> str:
        return self._engine.version

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """Raises StoppedError, beside what engines raise."""
        if self._stop.is_made:
            raise StoppedError("stopped as asked")
        try:
            return self._engine.ask(requests)
        except EngineError as error:
            # The signal may have ended processes of the engine, too.
            if self._stop.is_made:
                raise StoppedError("stopped as asked") from error
            raise

    def close(self) -> None:
        self._engine.close()
