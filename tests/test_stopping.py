"""A stop request ends a batch soon, and what was answered of it is in the store."""

import threading
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from blpo.data.errors import EngineError, StoppedError
from blpo.data.store.store import ReplyStore
from blpo.models.engine import Arrival, EngineIdentity, Reply, Request
from blpo.models.engines.window import windowed
from blpo.models.wrappers import stopping
from blpo.models.wrappers.stopping import StoppableEngine, StopRequest
from blpo.models.wrappers.stored import StoredEngine


class Echo:
    """Answers with the prompt."""

    identity = EngineIdentity("echo", "m", "r1", "layout-1")
    version = "echo 1"

    def __init__(self) -> None:
        self.asked: list[Request] = []

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self.asked += requests
        return [Reply(request.prompt, "stop") for request in requests]

    def close(self) -> None:
        pass


class StreamingEcho(Echo):
    """Asked to stop after its first 10 answers it gives 10 more, then none, and none for ever."""

    def __init__(self, stop: StopRequest) -> None:
        super().__init__()
        self.stop = stop
        self.was_closed_early = False

    def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]:
        answers = list(enumerate(self.ask(requests)))
        yield answers[:10]
        self.stop.make()
        yield answers[10:20]
        try:
            for _ in range(1000):
                time.sleep(0.01)
                yield []
        except GeneratorExit:
            self.was_closed_early = True
            raise


def requests(number: int) -> list[Request]:
    return [Request(f"{i}") for i in range(number)]


def stored(tmp_path: Path, engine: Echo, stop: StopRequest) -> StoredEngine:
    """Through the wrappers of a run."""
    store = ReplyStore(tmp_path / "store")
    return StoredEngine(StoppableEngine(engine, stop), store, "optimizer", "run")


def num_stored(tmp_path: Path) -> int:
    return sum(partition.num_rows for partition in ReplyStore(tmp_path / "store").stats())


def test_a_stop_gives_a_streaming_batch_some_time_and_stores_what_is_answered_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "STOP_GRACE_S", 0.2)
    stop = StopRequest()
    engine = StreamingEcho(stop)
    with pytest.raises(StoppedError):
        stored(tmp_path, engine, stop).ask(requests(700))
    assert engine.was_closed_early
    assert len(engine.asked) == 700
    assert num_stored(tmp_path) == 20


def test_a_stop_begins_no_further_chunk_and_stores_those_under_way(tmp_path: Path) -> None:
    stop = StopRequest()
    are_under_way = threading.Barrier(4, action=stop.make)

    class Slow(Echo):
        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            are_under_way.wait(20)
            return super().ask(requests)

    engine = Slow()
    with pytest.raises(StoppedError):
        stored(tmp_path, engine, stop).ask(requests(1000))
    assert len(engine.asked) == num_stored(tmp_path) == 4 * 128


def test_nothing_is_asked_after_a_stop() -> None:
    stop = StopRequest()
    engine = StreamingEcho(stop)
    stop.make()
    with pytest.raises(StoppedError):
        StoppableEngine(engine, stop).ask(requests(1))
    with pytest.raises(StoppedError):
        next(StoppableEngine(engine, stop).stream(requests(1)))
    assert not engine.asked


@pytest.mark.parametrize(("is_stopped", "error"), [(False, EngineError), (True, StoppedError)])
def test_an_engine_that_a_stop_has_ended_has_not_failed(
    tmp_path: Path, *, is_stopped: bool, error: type[Exception]
) -> None:
    class Dying(StreamingEcho):
        def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]:
            yield list(enumerate(self.ask(requests)))[:10]
            if is_stopped:
                self.stop.make()
            raise EngineError("the engine died")

    stop = StopRequest()
    with pytest.raises(error):
        stored(tmp_path, Dying(stop), stop).ask(requests(700))
    assert num_stored(tmp_path) == 10


def test_a_stop_begins_no_further_request_at_a_server_and_waits_for_those_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "STOP_GRACE_S", 0.0)
    stop = StopRequest()
    are_under_way = threading.Barrier(4, action=stop.make)

    class Server(Echo):
        window = 8

        def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]:
            with ThreadPoolExecutor(4) as threads:
                yield from windowed(threads, self.answer, requests, self.window)

        def answer(self, request: Request) -> Reply:
            if not stop.is_made:
                are_under_way.wait(20)
            return self.ask([request])[0]

    engine = Server()
    with pytest.raises(StoppedError):
        stored(tmp_path, engine, stop).ask(requests(1000))
    assert 4 <= len(engine.asked) == num_stored(tmp_path) <= 8
