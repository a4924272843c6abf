"""Stopping on request: SIGUSR2 or SIGTERM, as a batch system sends them before it ends a job.

No batch of requests is begun any more. One under way ends soon, and what of it is answered is
stored: servers finish the requests that they are at, which are paid for; another engine that
streams gets STOP_GRACE_S, and any other finishes its chunks. Every run then ends with StoppedError.
Started again, it goes on with what is in the store.
"""

import os
import signal
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager, suppress
from types import FrameType
from typing import Any, overload

from ...data.errors import EngineError, StoppedError
from ..engine import Arrival, Engine, KeepsImages, Reply, Request, Streaming, Windowed
from ..engines.streaming import chunks
from .around import AroundEngine

STOP_SIGNALS = (signal.SIGUSR2, signal.SIGTERM)
STOP_GRACE_S = 15.0
"""Slurm kills a cancelled job 30 s after SIGTERM: the rest is for the engine to end."""


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
        with suppress(OSError):
            # Not through stderr's buffer, which the signal may have interrupted.
            os.write(2, f"{signal.Signals(number).name}: asking no more\n".encode())


class StoppableEngine(AroundEngine):
    """An engine that begins no batch once a stop is requested. Contract: `Engine`, `Streaming`.

    Both raise StoppedError, beside what engines raise.
    """

    def __init__(self, engine: Engine, stop: StopRequest) -> None:
        super().__init__(engine)
        self._stop = stop

    @property
    def num_resident(self) -> int | None:
        """See `KeepsImages`."""
        return self._engine.num_resident if isinstance(self._engine, KeepsImages) else None

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        """A batch that has been begun is answered whole."""
        with self._stopping():
            return super().ask(requests)

    def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]:
        if isinstance(self._engine, Windowed):
            unless_stopped = _UnlessStopped(requests, self._stop)
            with self._stopping(), closing(self._engine.stream(unless_stopped)) as arrivals:
                yield from arrivals
        elif isinstance(self._engine, Streaming):
            with self._stopping(), closing(self._engine.stream(requests)) as arrivals:
                yield from self._until_given_up(arrivals)
        else:
            # Each chunk is a batch of ours, so that a stop leaves out those not yet begun.
            yield from chunks(self, requests)

    def _until_given_up(self, arrivals: Generator[list[Arrival]]) -> Generator[list[Arrival]]:
        give_up_at: float | None = None
        for replies in arrivals:
            yield replies
            if self._stop.is_made:
                give_up_at = give_up_at or time.monotonic() + STOP_GRACE_S
                if time.monotonic() >= give_up_at:
                    raise _stopped()

    @contextmanager
    def _stopping(self) -> Generator[None]:
        if self._stop.is_made:
            raise _stopped()
        try:
            yield
        except EngineError as error:
            # The signal may have ended processes of the engine, too.
            if self._stop.is_made:
                raise _stopped() from error
            raise


class _UnlessStopped(Sequence[Request]):
    """Requests that cannot be read once a stop is made, by an engine that has not begun them."""

    def __init__(self, requests: Sequence[Request], stop: StopRequest) -> None:
        self._requests = requests
        self._stop = stop

    def __len__(self) -> int:
        return len(self._requests)

    @overload
    def __getitem__(self, place: int) -> Request: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[Request]: ...
    def __getitem__(self, place: int | slice) -> Request | Sequence[Request]:
        if self._stop.is_made:
            raise _stopped()
        return self._requests[place]


def _stopped() -> StoppedError:
    return StoppedError("stopped as asked")
