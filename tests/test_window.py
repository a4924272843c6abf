"""Work in threads, so much at a time, and no result is lost on the way."""

import threading
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import overload

import pytest
from blpo.data.errors import StoppedError
from blpo.models.engines import window
from blpo.models.engines.window import windowed
from waiting import wait_for


class Worker:
    """Work that is done when it is told to; notes what was begun."""

    def __init__(self, num_items: int) -> None:
        self.begun: list[int] = []
        self.may_end = [threading.Event() for _ in range(num_items)]

    def __call__(self, item: int) -> int:
        self.begun.append(item)
        assert self.may_end[item].wait(20)
        return item * 10

    def finish(self, *items: int) -> None:
        for item in items:
            self.may_end[item].set()


@pytest.fixture
def threads() -> Generator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(4) as pool:
        yield pool


def until(arrivals: Generator[list[tuple[int, int]]], *places: int) -> None:
    """Takes results until those of these places have come, and no others."""
    found: set[int] = set()
    while found < set(places):
        results = next(arrivals)
        assert [result for _, result in results] == [place * 10 for place, _ in results]
        found |= {place for place, _ in results}
    assert found == set(places)


def test_results_come_when_they_are_there_and_few_items_are_begun_at_a_time(
    threads: ThreadPoolExecutor,
) -> None:
    work = Worker(5)
    arrivals = windowed(threads, work, range(5), width=2)
    work.finish(1)
    until(arrivals, 1)
    work.finish(2)
    until(arrivals, 2)
    assert set(work.begun) <= {0, 1, 2}
    work.finish(0, 3, 4)
    assert sorted(place for results in arrivals for place, _ in results) == [0, 3, 4]
    assert sorted(work.begun) == list(range(5))


def test_while_nothing_comes_there_are_signs_of_life(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "PULSE_S", 0.0)
    work = Worker(1)
    arrivals = windowed(threads, work, [0], width=1)
    assert next(arrivals) == []
    work.finish(0)
    until(arrivals, 0)


def test_an_error_comes_after_what_has_arrived_with_it_and_nothing_is_begun_then(
    threads: ThreadPoolExecutor,
) -> None:
    both = threading.Barrier(2)
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        both.wait(20)
        if item == 1:
            raise ValueError("no")
        return item

    arrivals = windowed(threads, work, range(9), width=2)
    results: list[tuple[int, int]] = []
    with pytest.raises(ValueError, match="no"):
        results.extend(one for found in arrivals for one in found)
    assert results in ([], [(0, 0)])
    assert len(begun) < 9


class UntilStopped(Sequence[int]):
    """Items of which those from the third on cannot be read any more."""

    def __len__(self) -> int:
        return 9

    @overload
    def __getitem__(self, place: int) -> int: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[int]: ...
    def __getitem__(self, place: int | slice) -> int | Sequence[int]:
        assert isinstance(place, int)
        if place > 2:
            raise StoppedError("stopped")
        return place


def test_asked_to_stop_it_hands_out_what_is_under_way(
    threads: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window, "PULSE_S", 0.0)
    work = Worker(3)
    arrivals = windowed(threads, work, UntilStopped(), width=3)
    next(arrivals)
    # What no thread has taken yet is dropped.
    wait_for(lambda: len(work.begun) == 3, "three threads")
    work.finish(0)
    until(arrivals, 0)
    work.finish(1)
    until(arrivals, 1)
    work.finish(2)
    until(arrivals, 2)
    with pytest.raises(StoppedError):
        next(arrivals)
    assert sorted(work.begun) == [0, 1, 2]
