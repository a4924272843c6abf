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
    TimeRemainingColumn,
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
    """Something that counts up: `done()` of `total`."""

    done: Callable[[], int]
    total: int | None


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
        TimeRemainingColumn(),
    )
    started = time.monotonic()
    with Progress(*columns, console=Console(stderr=True)) as bars:
        ids = {
            name: bars.add_task(shown(name), total=work.total, rate="")
            for name, work in tracked.items()
        }
        while True:
            stopped = stop.wait(_REFRESH_S)
            for name, work in tracked.items():
                done = work.done()
                rate = f"{done / (time.monotonic() - started):.0f}/s"
                bars.update(ids[name], completed=done, rate=rate)
            if stopped:
                return


def _lines(tracked: Mapping[str, Tracked], unit: str, stop: threading.Event) -> None:
    started = time.monotonic()
    while not stop.wait(_PLAIN_LINE_S):
        done = sum(work.done() for work in tracked.values())
        if not done:  # an engine is starting: it says so itself, and its time is not the work's
            started = time.monotonic()
            continue
        totals = [work.total for work in tracked.values()]
        total = None if None in totals else sum(total or 0 for total in totals)
        print(_line(done, total, unit, time.monotonic() - started), file=sys.stderr, flush=True)


def _line(done: int, total: int | None, unit: str, elapsed_s: float) -> str:
    rate = done / elapsed_s
    if total is None:
        return f"{done:,} {unit}, {rate:.0f}/s"
    remaining_s = max(total - done, 0) / rate
    return f"{done:,} of {total:,} {unit}, {rate:.0f}/s, {remaining_s:.0f} s left"
