"""What every tracker does, and how one is kept from a run's way."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ...data.redaction import redacted

_log = logging.getLogger("blpo.tracking")

_PATIENCE_S = 60.0
"""With a tracker that has taken something: since it last did, or the end of the run."""
_PATIENCE_WITH_THE_SILENT_S = 15.0
"""With one that has taken nothing, since it was first asked."""


class Tracker(Protocol):
    """One tracker for one run. All of it may raise whatever the tracker's library raises."""

    def start(self, name: str, run_id: str, params: Mapping[str, str]) -> str:
        """Open the run, or the one of this id again; where it is to be seen."""
        ...

    def log(self, metrics: Mapping[str, float], step: int) -> None: ...

    def finish(
        self, metrics: Mapping[str, float], files: Sequence[Path], texts: Mapping[str, str]
    ) -> None:
        """Final figures and artefacts: files as they are, texts by file name."""
        ...


class Background:
    """Calls of one tracker, in order, in a thread of their own.

    A call that fails is the last one and is told once: no tracker ends a run or makes it wait.
    """

    def __init__(self, name: str, start: Callable[[], str]) -> None:
        self._name = name
        self._start = start
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._where = ""
        self._problem = ""
        self._moved = time.monotonic()
        self._thread = threading.Thread(target=self._work, name=f"log-{name}", daemon=True)
        self._thread.start()

    def put(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def close(self) -> str:
        """Wait for what is left while it moves; where the run is logged, or why it is not."""
        self._calls.put(None)
        closed = time.monotonic()
        while self._thread.is_alive() and (wait_s := self._patience_left(closed)) > 0:
            self._thread.join(wait_s)
        if self._thread.is_alive() and not self._problem:
            self._fail("no answer: what it had not taken by the end of the run is missing there")
        return f"{self._name}: {self._problem or self._where}"

    def _patience_left(self, closed: float) -> float:
        if self._where:
            return max(self._moved, closed) + _PATIENCE_S - time.monotonic()
        return self._moved + _PATIENCE_WITH_THE_SILENT_S - time.monotonic()

    def _work(self) -> None:
        try:
            self._where = self._start()
            self._moved = time.monotonic()
            while (call := self._calls.get()) is not None:
                call()
                self._moved = time.monotonic()
        except Exception as error:  # Of any library, and of any kind.
            self._fail(_first_line(error))

    def _fail(self, why: str) -> None:
        self._problem = f"not logged from here on: {why}" if self._where else f"not logged: {why}"
        _log.warning("%s: %s", self._name, self._problem)


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return redacted(lines[0]) if lines else type(error).__name__
