"""An engine in a process of its own, seen from the group that it belongs to."""

import logging
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from socket import socketpair
from typing import Any

from ...engine import Arrival, Request
from .wire import CLOSE_S, Failed, GiveUp, Packer, Replies, Start, Started

_log = logging.getLogger("blpo.engine")

_CLOSE_S = CLOSE_S + 5.0
_CLOSED = "it is closed"


@dataclass(eq=False, slots=True)
class Share:
    """The requests of a batch that one engine was asked.

    open: those unanswered, by their places in the batch. inbox: of who waits for them.
    """

    open: dict[int, Request]
    inbox: "Inbox"
    places: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.places = list(self.open)

    def settle(self, replies: list[Arrival]) -> None:
        """Hand out replies that come by their places in this share."""
        placed = [(self.places[i], reply) for i, reply in replies]
        for place, _ in placed:
            del self.open[place]
        self.inbox.put(placed)


Inbox = queue.SimpleQueue[list[Arrival] | Share]
"""Of who waits for a batch: replies, and shares that come back to be asked elsewhere."""


class EngineProcess:
    """One engine of a group. Hands out replies to the inboxes of the shares it was given.

    A share that it can answer no more comes back whole to its inbox. failure: why the engine is
    gone; None as long as it is not. on_start: called once when the engine answers.
    """

    def __init__(
        self, start: Start, environment: Mapping[str, str], on_start: Callable[[], None]
    ) -> None:
        self.name = start.name
        self.failure: str | None = None
        self._on_start = on_start
        self._lock = threading.Lock()
        self._shares: dict[int, Share] = {}
        self._num_shares = 0
        self._packer = Packer()
        own_end, child_end = socketpair()
        self._wire: Connection[Any, Any] = Connection(own_end.detach())
        with child_end:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "blpo.models.engines.group_child",
                    str(child_end.fileno()),
                ],
                # With -P no file of the working directory passes for a module.
                env={**os.environ, **environment, "PYTHONSAFEPATH": "1"},
                pass_fds=[child_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what a library prints has no place among our own output
                process_group=0,
            )
        self._threads = [
            threading.Thread(target=work, name=self.name, daemon=True)
            for work in (self._receive, self._bury)
        ]
        with suppress(ConnectionError):
            self._wire.send(start)
        for thread in self._threads:
            thread.start()

    def ask(self, share: Share) -> bool:
        """Whether the engine has taken a share; False if it is gone."""
        with self._lock:
            if self.failure is not None:
                return False
            self._shares[self._num_shares] = share
            message = self._packer.pack(self._num_shares, list(share.open.values()))
            self._num_shares += 1
            with suppress(ConnectionError):  # `_receive` finds out, too, and returns the share
                self._wire.send(message)
            return True

    def give_up(self, share: Share) -> None:
        """Tell the engine that nobody waits for the rest of a share."""
        with self._lock:
            numbers = [number for number, other in self._shares.items() if other is share]
            for number in numbers:
                del self._shares[number]
                with suppress(ConnectionError):
                    self._wire.send(GiveUp(number))

    def close(self) -> None:
        """End the process and what it has started. Its shares come back to their inboxes."""
        self._fail(_CLOSED)
        self._threads[0].join(_CLOSE_S)
        self._kill()
        for thread in self._threads:
            thread.join()

    def _receive(self) -> None:
        """Hand out what comes over the wire, until it ends."""
        with suppress(EOFError, ConnectionError):
            while True:
                match self._wire.recv():
                    case Replies(number, replies):
                        self._settle(number, replies)
                    case Started():
                        self._on_start()
                    case Failed(reason):
                        self._fail(reason)
                    case message:
                        raise AssertionError(message)
        self._fail("its process ended")

    def _settle(self, number: int, replies: list[Arrival]) -> None:
        with self._lock:
            share = self._shares.get(number)
            if share is None:
                return  # given up
            share.settle(replies)
            if not share.open:
                del self._shares[number]

    def _fail(self, reason: str) -> None:
        """Take no share any more, return those under way, tell the process to end."""
        with self._lock:
            if self.failure is not None:
                return
            self.failure = reason
            if reason != _CLOSED:
                _log.warning("%s is gone, its images go to the others: %s", self.name, reason)
            for share in self._shares.values():
                share.inbox.put(share)
            self._shares.clear()
            with suppress(ConnectionError):
                self._wire.send(None)

    def _bury(self) -> None:
        """When the process has ended, end what it has left behind.

        That would hold on to the GPU, and to the wire, which then does not end.
        """
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
        self._kill()
        self._process.wait()

    def _kill(self) -> None:
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
