"""Work for many items in threads: so many at a time, each result as it comes."""

import queue
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Executor, Future
from functools import partial
from itertools import islice
from typing import TypeVar

from ...data.errors import StoppedError
from .streaming import PULSE_S

T = TypeVar("T")
R = TypeVar("R")
_Done = tuple[int, Future[R]]


def windowed(
    threads: Executor, work: Callable[[T], R], items: Sequence[T], width: int
) -> Generator[list[tuple[int, R]]]:
    """Results by the places of their items, as they come; an empty list if none does for a second.

    No more than `width` items are read and begun before results have come. Where work raises, its
    error is raised once all else that has come is handed out. Where reading an item raises
    StoppedError, that is raised once all that is under way has come. Closed early, it begins no
    more.
    """
    inbox: queue.SimpleQueue[_Done[R]] = queue.SimpleQueue()
    under_way: dict[int, Future[R]] = {}
    places = iter(range(len(items)))
    stopped: StoppedError | None = None
    try:
        while True:
            try:
                for place in islice(places, width - len(under_way)):
                    under_way[place] = future = threads.submit(work, items[place])
                    future.add_done_callback(partial(_put, inbox, place))
            except StoppedError as error:
                stopped, places = error, iter(())
                _cancel(under_way)
            if not under_way:
                break
            yield from _handed_out(_arrived(inbox), under_way)
    finally:
        _cancel(under_way)
    if stopped is not None:
        raise stopped


def _put(inbox: "queue.SimpleQueue[_Done[R]]", place: int, future: Future[R]) -> None:
    inbox.put((place, future))


def _arrived(inbox: "queue.SimpleQueue[_Done[R]]") -> list[_Done[R]]:
    try:
        arrived = [inbox.get(timeout=PULSE_S)]
        while not inbox.empty():
            arrived.append(inbox.get())
    except queue.Empty:
        return []
    return arrived


def _handed_out(
    arrived: list[_Done[R]], under_way: dict[int, Future[R]]
) -> Generator[list[tuple[int, R]]]:
    results: list[tuple[int, R]] = []
    failure: BaseException | None = None
    for place, future in arrived:
        del under_way[place]
        if future.cancelled():
            continue
        error = future.exception()
        failure = failure or error
        if error is None:
            results.append((place, future.result()))
    yield results
    if failure is not None:
        raise failure


def _cancel(futures: dict[int, Future[R]]) -> None:
    """Drops what has not been begun."""
    for future in futures.values():
        future.cancel()
