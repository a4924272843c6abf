"""Replies of any engine as they come."""

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import closing
from typing import cast

from ..engine import Arrival, Engine, Reply, Request, Streaming

PULSE_S = 1.0
"""Longest time without a sign of life from a stream."""

_CHUNK_REQUESTS = 128
_CHUNKS_IN_FLIGHT = 4


def stream(engine: Engine, requests: Sequence[Request]) -> Generator[list[Arrival]]:
    """What the engine streams; from an engine that does not, its replies in chunks."""
    return engine.stream(requests) if isinstance(engine, Streaming) else chunks(engine, requests)


def chunks(engine: Engine, requests: Sequence[Request]) -> Generator[list[Arrival]]:
    """Replies of an engine that gives them by the batch: several smaller batches that overlap.

    When one fails, no further one is begun, those under way are still handed out, and its error is
    raised.
    """
    if len(requests) <= _CHUNK_REQUESTS:
        yield list(enumerate(engine.ask(requests)))
        return
    failure: BaseException | None = None
    with ThreadPoolExecutor(_CHUNKS_IN_FLIGHT) as pool:
        starts = {
            pool.submit(engine.ask, requests[start : start + _CHUNK_REQUESTS]): start
            for start in range(0, len(requests), _CHUNK_REQUESTS)
        }
        try:
            for chunk in as_completed(starts):
                if chunk.cancelled():
                    continue
                if error := chunk.exception():
                    failure = failure or error
                    _cancel(starts)
                else:
                    yield list(enumerate(chunk.result(), starts[chunk]))
        finally:
            _cancel(starts)
    if failure is not None:
        raise failure


def in_order(arrivals: Generator[list[Arrival]], num_requests: int) -> list[Reply]:
    """All that a stream hands out, in the order of its requests."""
    replies: list[Reply | None] = [None] * num_requests
    with closing(arrivals):
        for placed in arrivals:
            for i, reply in placed:
                replies[i] = reply
    return cast("list[Reply]", replies)


def _cancel(chunks: Iterable[Future[list[Reply]]]) -> None:
    """Drop what has not been begun. (The pool's own way to do so leaves `as_completed` waiting.)"""
    for chunk in chunks:
        chunk.cancel()
