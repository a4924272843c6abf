"""Progress of long work: bars with rate and remaining time, plain lines off a terminal."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from ...data.shown import shown

_REFRESH_S = 0.25
_PLAIN_LINE_S = 10.0
_is_quiet = False


def be_quiet() -> None:
    """Show no progress in this process, and of the log only warnings."""
    global _is_quiet  # noqa: PLW0603
    _is_quiet = True
    logging.getLogger("blpo").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Tracked:
    """Something that counts up: `done()` of `total`, which may change while it does.

    seconds_left: until it is through, by its own account, None while that is not known; without
    it, by the rate so far.
    """

    done: Callable[[], int]
    total: Callable[[], int] | int | None
    seconds_left: Callable[[], float | None] | None = None

    def total_by_now(self) -> int | None:
        return self.total() if callable(self.total) else self.total

    def left(self, elapsed_s: float) -> float | None:
        """Seconds until it is through; None where that is not known."""
        if self.seconds_left is not None:
            return self.seconds_left()
        done, total = self.done(), self.total_by_now()
        return None if total is None or not done else max(total - done, 0) * elapsed_s / done


@contextmanager
def progress(tracked: Mapping[str, Tracked], unit: str) -> Generator[None]:
    """Show on stderr how far each tracked piece of work is, while the block runs."""
    if _is_quiet:
        yield
        return
    stop = threading.Event()
    show = _bars if Console(stderr=True).is_terminal else _lines
    thread = threading.Thread(target=show, args=(tracked, unit, stop), daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def counting(name: str, unit: str) -> Generator[Callable[[], None]]:
    """Show a count of unknown total; the block calls what it is given once per thing done."""
    counter = count()
    done = 0

    def step() -> None:
        nonlocal done
        done = next(counter) + 1

    with progress({name: Tracked(lambda: done, None)}, unit):
        yield step


def _bars(tracked: Mapping[str, Tracked], unit: str, stop: threading.Event) -> None:
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{unit}, {{task.fields[rate]}}", markup=False),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )
    started = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        ids = {
            name: bars.add_task(shown(name), total=work.total_by_now(), rate="", left="")
            for name, work in tracked.items()
        }
        while True:
            stopped = stop.wait(_REFRESH_S)
            for name, work in tracked.items():
                done, elapsed_s = work.done(), time.monotonic() - started
                rate, left = f"{done / elapsed_s:.0f}/s", _left(work.left(elapsed_s))
                total = work.total_by_now()
                bars.update(ids[name], completed=done, total=total, rate=rate, left=left)
            if stopped:
                return


def _lines(tracked: Mapping[str, Tracked], unit: str, stop: threading.Event) -> None:
    started, told = time.monotonic(), 0
    while not stop.wait(_PLAIN_LINE_S):
        done = sum(work.done() for work in tracked.values())
        if not done:  # an engine is starting: it says so itself, and its time is not the work's
            started = time.monotonic()
            continue
        totals = [work.total_by_now() for work in tracked.values()]
        total = None if None in totals else sum(total or 0 for total in totals)
        if done == told == total:  # all is asked: what goes on is not counted
            continue
        told = done
        elapsed_s = time.monotonic() - started
        left = [work.left(elapsed_s) for work in tracked.values()]
        # Work side by side is through with the last of it.
        longest = None if None in left else max(seconds or 0 for seconds in left)
        line = _line(done, total, longest, unit, done / elapsed_s)
        print(line, file=sys.stderr, flush=True)


def _line(done: int, total: int | None, left_s: float | None, unit: str, rate: float) -> str:
    of = f" of about {total:,}" if total is not None else ""
    left = f", {_left(left_s)}" if left_s is not None else ""
    return f"{done:,}{of} {unit}, {rate:.0f}/s{left}"


def _left(seconds: float | None) -> str:
    """In words; empty where it is not known."""
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    return f"about {minutes} min left" if minutes >= 2 else f"about {seconds:.0f} s left"
