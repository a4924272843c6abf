"""What is done to a run, and how what it leaves is put right."""

import itertools
import os
import random
import re
import resource
import shutil
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from blpo.data.store.store import ReplyStore

from .processes import Ended, Process, wait
from .server import MISHAPS
from .world import JOURNALS, PARTS, EngineWorld, World

CLOCK = """\
import os, random, time
_real, _draw = time.time, random.Random(int(os.environ["CHAOS_SEED"]))
def _stepping():
    return _real() + (_draw.choice((-7200.0, 86400.0)) if _draw.random() < 0.2 else 0.0)
time.time = _stepping
"""
"""For sitecustomize: the wall clock steps back and forth."""

REFUSED_FOR_GOOD = {"answers 413"}
"""For what lies in the request: asked again after `blpo store forget --errors`."""

NUM_BYTES = 16 << 20
"""Of the disk that will be full."""


@dataclass
class Injection:
    """One fault in one world.

    at: the number of the request at which it happens. strikes: called then, on a thread of the
    server. mend: after it has ended; what must be put right by hand before the next one.
    environment: of the first process. num_kills: processes that it ends while their requests are on
    the wire. num_destroyed: stored answers that it destroys, as far as is known.
    """

    at: int = 0
    strikes: Callable[[], None] = lambda: None
    mend: Callable[[Ended], None] = lambda _ended: None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    num_kills: int = 0
    num_destroyed: int = 0


Kind = Callable[[World, random.Random, int], Injection]
"""Makes the fault for a world; the number is that of the requests of a run without faults."""


def killed(world: World, draw: random.Random, num_requests: int) -> Injection:
    return Injection(draw.randint(1, num_requests), world.kill, num_kills=1)


def stopped(world: World, draw: random.Random, num_requests: int) -> Injection:
    number = draw.choice((signal.SIGTERM, signal.SIGINT, signal.SIGUSR2))
    return Injection(draw.randint(1, num_requests), lambda: world.kill(number), num_kills=1)


def out_of_memory(world: World, draw: random.Random, num_requests: int) -> Injection:
    """The process gets no memory beyond what it has, or only a little."""
    world.is_forked = False  # OpenBLAS makes its threads anew after a fork, and would hang
    spare = draw.choice((0, 1 << 20, 16 << 20))

    def strike() -> None:
        world.limit(resource.RLIMIT_AS, world.address_space() + spare)

    return Injection(draw.randint(1, num_requests), strike, num_kills=1)


def no_more_handles(world: World, draw: random.Random, num_requests: int) -> Injection:
    at = draw.randint(1, num_requests)
    return Injection(at, lambda: world.limit(resource.RLIMIT_NOFILE, 3), num_kills=1)


def no_more_bytes(world: World, draw: random.Random, num_requests: int) -> Injection:
    """No file may grow."""
    at = draw.randint(1, num_requests)
    return Injection(at, lambda: world.limit(resource.RLIMIT_FSIZE, 0), num_kills=1)


def full_disk(world: World, draw: random.Random, num_requests: int) -> Injection:
    """The run lies on a file system of its own that somebody else fills; no_more_bytes without the
    right to mount one."""
    if not world.mount(NUM_BYTES):
        return no_more_bytes(world, draw, num_requests)
    filler = world.folder / "filler"

    def fill() -> None:
        with suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    at = draw.randint(1, num_requests)
    return Injection(at, fill, lambda _ended: filler.unlink(missing_ok=True), num_kills=1)


def read_only_store(world: World, draw: random.Random, num_requests: int) -> Injection:
    def set_mode(mode: int) -> None:
        store = world.folder / world.store
        for folder in (store, *(path for path in store.rglob("*") if path.is_dir())):
            folder.chmod(mode)

    at = draw.randint(1, num_requests)
    world.is_forked = False  # root loses its rights with a new program only
    return Injection(at, lambda: set_mode(0o555), lambda _ended: set_mode(0o755), num_kills=1)


def moved_store(world: World, draw: random.Random, num_requests: int) -> Injection:
    """Somebody moves the store away while it is used, and names the new place afterwards.

    What came after the move lies at the old place.
    """

    def move() -> None:
        shutil.move(world.folder / world.store, world.folder / "moved")

    def name_it(_ended: Ended) -> None:
        if (world.folder / "moved").exists():
            injection.num_destroyed = world.num_rows()
            world.store = "moved"

    injection = Injection(draw.randint(2, num_requests), move, name_it, num_kills=1)
    return injection


Damage = Callable[[bytearray, random.Random], None]


def damaged(pattern: str, damage: Damage, *, late: bool) -> Kind:
    """After a SIGKILL a file of the store is damaged; it is deleted when an error names it.

    late: not before half of the run, when there are parts.
    """

    def kind(world: World, draw: random.Random, num_requests: int) -> Injection:
        def mend(_ended: Ended) -> None:
            files = [file for file in world.files(pattern) if file.stat().st_size]
            if not files:
                return
            file, before = draw.choice(files), world.num_rows()
            content = bytearray(file.read_bytes())
            damage(content, draw)
            file.unlink()
            injection.num_destroyed = before - world.num_rows()
            file.write_bytes(content)
            delete_named(world, world.run())

        at = draw.randint(num_requests // 2 if late else 1, num_requests)
        injection = Injection(at, world.kill, mend, num_kills=1)
        return injection

    return kind


def cut_off(content: bytearray, draw: random.Random) -> None:
    del content[draw.randrange(1, len(content)) :]


def flipped(content: bytearray, draw: random.Random) -> None:
    bit = draw.randrange(8 * len(content))
    content[bit // 8] ^= 1 << bit % 8


def delete_named(world: World, ended: Ended) -> None:
    """Deletes the file that an error names; and again, for the next one."""
    for _ in range(8):
        named = re.search(r"[^\s:]+\.(parquet|journal)", ended.said)
        if ended.code == 0 or named is None:
            return
        (world.folder / named.group()).unlink(missing_ok=True)
        ended = world.run()


def two_at_once(world: World, draw: random.Random, num_requests: int) -> Injection:
    """A second process in the same run directory and store."""
    others: list[tuple[Process, Path]] = []
    return Injection(
        draw.randint(1, num_requests),
        lambda: others.append(world.start()),
        lambda _ended: [wait(*other, world.limit_s) for other in others].clear(),
        num_kills=2,
    )


def clock_steps(world: World, draw: random.Random, num_requests: int) -> Injection:
    folder = world.folder / "clock"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(CLOCK)
    seed = str(draw.randrange(1000))
    return Injection(
        draw.randint(1, num_requests),
        world.kill if draw.random() < 0.5 else lambda: None,
        environment={"PYTHONPATH": str(folder), "CHAOS_SEED": seed},
        num_kills=1,
    )


def killed_engines(num_engines: int) -> Kind:
    """SIGKILL of engines in processes of their own: of one, and the other goes on, or of both."""

    def kind(world: World, draw: random.Random, _num_requests: int) -> Injection:
        def strike() -> None:
            for pid in engines_of(world)[:num_engines]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

        return Injection(draw.randint(0, 30), strike, num_kills=1)

    return kind


def killed_above_engines(world: World, draw: random.Random, _num_requests: int) -> Injection:
    """SIGKILL of the run: its engines have to end by themselves."""
    engines: list[int] = []

    def strike() -> None:
        engines.extend(engines_of(world))
        world.kill()

    def mend(_ended: Ended) -> None:
        deadline = time.monotonic() + 60
        while any(Path(f"/proc/{pid}").exists() for pid in engines):
            if time.monotonic() > deadline:
                raise AssertionError(f"engines {engines} outlive their run by a minute")
            time.sleep(0.1)

    return Injection(draw.randint(0, 30), strike, mend, num_kills=1)


def engines_of(world: World) -> list[int]:
    assert isinstance(world, EngineWorld)
    return world.engines()


def server_that(mishap: str) -> Kind:
    """The server fails for one request, for some, or until the process has ended."""

    def kind(world: World, draw: random.Random, num_requests: int) -> Injection:
        def mend(_ended: Ended) -> None:
            world.server.fail(MISHAPS[mishap], 0)
            if mishap in REFUSED_FOR_GOOD:
                ReplyStore(world.folder / world.store).forget_errors()

        times = draw.choice((1, 6, 10**9))
        at = draw.randint(1, num_requests)
        return Injection(at, lambda: world.server.fail(MISHAPS[mishap], times), mend, num_kills=1)

    return kind


KINDS: Mapping[str, Kind] = {
    "SIGKILL": killed,
    "SIGTERM, SIGINT, SIGUSR2": stopped,
    "out of memory": out_of_memory,
    "out of file handles": no_more_handles,
    "full disk": full_disk,
    "no file may grow": no_more_bytes,
    "read-only store": read_only_store,
    "moved store": moved_store,
    "cut part": damaged(PARTS, cut_off, late=True),
    "flipped bit of a part": damaged(PARTS, flipped, late=True),
    "cut journal": damaged(JOURNALS, cut_off, late=False),
    "flipped bit of a journal": damaged(JOURNALS, flipped, late=False),
    "two processes in one run": two_at_once,
    "clock steps": clock_steps,
    **{f"server {name}": server_that(name) for name in MISHAPS},
}

ENGINE_KINDS: Mapping[str, Kind] = {
    "SIGKILL of one engine": killed_engines(1),
    "SIGKILL of all engines": killed_engines(2),
    "SIGKILL above engines": killed_above_engines,
}
"""Those of a run on vLLM, which takes a minute to start: each once in two hundred faults."""

WEIGHTS: Mapping[str, int] = {
    "SIGKILL": 12,
    "cut part": 4,
    "flipped bit of a part": 4,
    "cut journal": 4,
}
"""Of kinds of which the place matters more than of the others, which weigh 1."""


def schedule(num_faults: int, kinds: Sequence[str]) -> list[str]:
    """Kinds in turn, so often as they weigh; those of engines once in two hundred."""
    rare = [kind for kind in kinds if kind in ENGINE_KINDS] * max(1, num_faults // 200)
    common = [kind for kind in kinds if kind in KINDS for _ in range(WEIGHTS.get(kind, 1))]
    rare = rare[:num_faults] if common else [*itertools.islice(itertools.cycle(rare), num_faults)]
    return [*rare, *itertools.islice(itertools.cycle(common), num_faults - len(rare))]


def folder_name(kind: str, number: int) -> Path:
    return Path(f"{number:04d}-" + re.sub(r"\W+", "-", kind).strip("-"))
