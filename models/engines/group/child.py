"""The process of one engine of a group, on its end of the wire (`wire.py`).

It ends when it is told to, or when the process of the group dies, however it dies.
"""

import logging
import os
import signal
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from ....data.shown import ShownFormatter
from ...engine import Engine, Request, Sampling
from ..settings import EngineSettings
from ..streaming import stream
from .wire import CLOSE_S, Ask, Failed, GiveUp, Replies, Start, Started, Unpacker


class EngineChild:
    """Answers what comes in over the wire; every `Ask` in a thread of its own."""

    def __init__(self, wire: "Connection[Any, Any]", engine: Engine) -> None:
        self._wire = wire
        self._engine = engine
        self._lock = threading.Lock()
        self._given_up: dict[int, threading.Event] = {}
        self._unpacker = Unpacker()

    def serve(self) -> None:
        """Return on the order to stop, or when the other end is gone."""
        self._in_thread(self._start)
        with suppress(EOFError, ConnectionError):
            while True:
                match self._wire.recv():
                    case Ask() as ask:
                        given_up = self._given_up[ask.number] = threading.Event()
                        requests = self._unpacker.unpack(ask)
                        self._in_thread(self._answer, ask.number, requests, given_up)
                    case GiveUp(number):
                        if given_up := self._given_up.get(number):
                            given_up.set()
                    case _:
                        return

    def _start(self) -> None:
        self._engine.ask([Request("start", sampling=Sampling(max_tokens=1))])
        self._send(Started())

    def _answer(self, number: int, requests: list[Request], given_up: threading.Event) -> None:
        with closing(stream(self._engine, requests)) as arrivals:
            for replies in arrivals:
                if given_up.is_set():
                    break
                if replies:
                    self._send(Replies(number, replies))
        del self._given_up[number]

    def _in_thread(self, work: Callable[..., None], *arguments: Any) -> None:
        threading.Thread(target=self._report, args=(work, *arguments), daemon=True).start()

    def _report(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do a thread's work. Whatever it raises, those who wait must hear of it."""
        try:
            work(*arguments)
        except ConnectionError:
            pass  # the other end has gone: `serve` sees it, too
        except BaseException as error:
            with suppress(ConnectionError):
                self._send(Failed(str(error) or type(error).__name__))

    def _send(self, message: Replies | Started | Failed) -> None:
        with self._lock:
            self._wire.send(message)


def run(wire: "Connection[Any, Any]", make_engine: Callable[[EngineSettings], Engine]) -> None:
    """Start the engine that the first message describes, and serve it."""
    # These are for the process of the group, which tells this one to stop.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR2):
        signal.signal(number, _ignore)
    start: Start = wire.recv()
    handler = logging.StreamHandler()
    handler.setFormatter(ShownFormatter(f"{start.name}: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("blpo").setLevel(start.log_level)
    if start.cores is not None:
        os.sched_setaffinity(0, start.cores)
    engine = make_engine(start.settings)
    EngineChild(wire, engine).serve()
    # An engine that is still starting, or that hangs, does not close.
    limit = threading.Timer(CLOSE_S, _end)
    limit.start()
    engine.close()
    _end()


def _ignore(number: int, frame: FrameType | None) -> None:
    """Not SIG_IGN, which the processes of the engine would inherit."""


def _end() -> None:
    """End this process and those that the engine has started, which would hold on to the GPU."""
    os.killpg(0, signal.SIGKILL)
