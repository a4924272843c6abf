"""Several engines that answer as one, each in a process of its own, each with its own GPUs.

An image is assigned to an engine by rendezvous hash, so that it meets the same caches under every
prompt; a request without an image, by its prompt. When an engine dies, its requests and its images
go to the others.
"""

import atexit
import logging
import os
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence

from ....data.errors import EngineError
from ...engine import Arrival, Engine, EngineIdentity, Reply, Request
from ..devices import CUDA_VARIABLE, visible_gpus
from ..gpu_fit import refuse_misfit
from ..rendezvous import assigned, key_of
from ..settings import EngineSettings
from ..streaming import PULSE_S, in_order
from .process import EngineProcess, Inbox, Share
from .wire import Start

_log = logging.getLogger("blpo.engine")


class EngineGroup:
    """Contract: `Engine` and `Streaming`. Starts all its engines on the first request.

    start_s: seconds until the last of them was ready; 0 before that.
    """

    def __init__(
        self, settings: EngineSettings, make_engine: Callable[[EngineSettings], Engine]
    ) -> None:
        """make_engine: as in `factory`; each process makes its engine by that one."""
        self.start_s = 0.0
        self._num_engines = settings.num_engines
        self._settings = settings.model_copy(update={"engines": 1})
        self._one_of_them = make_engine(self._settings)  # never started: it says who they are
        self._lock = threading.Lock()
        self._engines: dict[str, EngineProcess] = {}
        self._num_started = 0
        self._started_at = 0.0
        self._closed = False

    @property
    def identity(self) -> EngineIdentity:
        return self._one_of_them.identity

    @property
    def version(self) -> str:
        return self._one_of_them.version

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return in_order(self.stream(requests), len(requests))

    def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]:
        if not requests:
            return
        self._start()
        inbox: Inbox = queue.SimpleQueue()
        num_open = len(requests)
        shares = self._distribute(dict(enumerate(requests)), inbox)
        try:
            while num_open:
                news = _next(inbox)
                if isinstance(news, Share):
                    shares |= self._distribute(news.open, inbox)
                    continue
                num_open -= len(news)
                yield news
        finally:
            if num_open:  # nobody waits for the rest: an interrupt, or an error of the caller
                for share, engine in shares.items():
                    engine.give_up(share)

    def close(self) -> None:
        with self._lock:
            self._closed = True
        for engine in self._engines.values():
            engine.close()

    def _start(self) -> None:
        with self._lock:
            if self._closed:
                raise EngineError("the group of engines is closed")
            if self._engines:
                return
            _ = self.identity  # refuses a model path without a checkpoint, before any process
            refuse_misfit(self._settings)
            places = engine_places(self._settings, self._num_engines)
            _log.info("starting %d engines with model %s", len(places), self._settings.model)
            self._started_at = time.monotonic()
            atexit.register(self.close)
            for number, (environment, cores) in enumerate(places):
                name = f"engine {number}"
                start = Start(self._settings, name, cores, _log_level(number))
                self._engines[name] = EngineProcess(start, environment, self._note_start)

    def _note_start(self) -> None:
        with self._lock:
            self._num_started += 1
            if self._num_started == self._num_engines:
                self.start_s = time.monotonic() - self._started_at
                _log.info("%d engines started in %.1f s", self._num_engines, self.start_s)

    def _distribute(
        self, requests: Mapping[int, Request], inbox: Inbox
    ) -> dict[Share, EngineProcess]:
        """Ask the engines that these requests, by their places, are assigned to.

        Raises EngineError if no engine is left.
        """
        if self._closed:
            raise EngineError("the group of engines was closed while requests waited")
        alive = [name for name, engine in self._engines.items() if engine.failure is None]
        if not alive:
            reasons = dict.fromkeys(str(engine.failure) for engine in self._engines.values())
            raise EngineError(f"all {self._num_engines} engines are gone: {'; '.join(reasons)}")
        open_of: defaultdict[str, dict[int, Request]] = defaultdict(dict)
        for place, request in requests.items():
            open_of[assigned(alive, key_of(request))][place] = request
        shares: dict[Share, EngineProcess] = {}
        for name, open_requests in open_of.items():
            share, engine = Share(open_requests, inbox), self._engines[name]
            if engine.ask(share):
                shares[share] = engine
            else:
                shares |= self._distribute(open_requests, inbox)
        return shares


def engine_places(
    settings: EngineSettings, num_engines: int
) -> list[tuple[dict[str, str], frozenset[int] | None]]:
    """Environment and cores of each engine: its own GPUs, or on CPU its own cores.

    Raises EngineError if there are too few GPUs.
    """
    if settings.device == "cpu":
        return [({}, cores) for cores in _core_slices(num_engines)]
    each = settings.tensor_parallel_size
    gpus = visible_gpus()
    if num_engines * each > len(gpus):
        raise EngineError(
            f"engines: {num_engines} of {each} GPU{'s' if each > 1 else ''} each "
            f"(tensor_parallel_size), but this process sees {len(gpus)}: lower engines, set it to "
            "auto, or give the job more GPUs"
        )
    slices = [gpus[number * each : (number + 1) * each] for number in range(num_engines)]
    return [({CUDA_VARIABLE: ",".join(slice_)}, None) for slice_ in slices]


def _core_slices(num_engines: int) -> list[frozenset[int] | None]:
    cores = sorted(os.sched_getaffinity(0))
    if num_engines > len(cores):
        return [None] * num_engines
    return [frozenset(cores[number::num_engines]) for number in range(num_engines)]


def _next(inbox: Inbox) -> list[Arrival] | Share:
    try:
        return inbox.get(timeout=PULSE_S)
    except queue.Empty:
        return []


def _log_level(number: int) -> int:
    """The first engine speaks for all; the others only warn."""
    level = _log.getEffectiveLevel()
    return level if number == 0 else max(level, logging.WARNING)
