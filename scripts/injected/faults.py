"""What is done to a run, and how what it leaves is put right."""

import random
import re
import resource
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .server import MISHAPS
from .world import Ended, World, wait

CLOCK = """\
import os, random, time
_real, _draw = time.time, random.Random(int(os.environ["CHAOS_SEED"]))
def _stepping():
    return _real() + (_draw.choice((-7200.0, 86400.0)) if _draw.random() < 0.2 else 0.0)
time.time = _stepping
"""
"""For sitecustomize: the wall clock steps back and forth."""


@dataclass
class Injection:
    """One fault in one world.

    at: the number of the request at which it happens. strikes: called then, on a thread of the
    server. prepare: before the process starts. mend: after it has ended; what must be put right by
    hand before the next one. environment: of the first process. num_kills: processes that it ends
    while their requests are on the wire.
    """

    at: int = 0
    strikes: Callable[[], None] = lambda: None
    mend: Callable[[Ended], None] = lambda _ended: None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    num_kills: int = 0


Kind = Callable[[World, random.Random, int], Injection]
"""Makes the fault for a world; the number is that of the requests of a run without faults."""


def killed(world: World, draw: random.Random, num_requests: int) -> Injection:
    return Injection(draw.randint(1, num_requests), world.kill, num_kills=1)


def stopped(world: World, draw: random.Random, num_requests: int) -> Injection:
    number = draw.choice((signal.SIGTERM, signal.SIGINT, signal.SIGUSR2))
    return Injection(draw.randint(1, num_requests), lambda: world.kill(number), num_kills=1)


def out_of_memory(world: World, draw: random.Random, num_requests: int) -> Injection:
    at = draw.randint(1, num_requests)
    return Injection(at, lambda: world.limit(resource.RLIMIT_AS, 1 << 20), num_kills=1)


def no_more_handles(world: World, draw: random.Random, num_requests: int) -> Injection:
    at = draw.randint(1, num_requests)
    return Injection(at, lambda: world.limit(resource.RLIMIT_NOFILE, 3), num_kills=1)


def full_disk(world: World, draw: random.Random, num_requests: int) -> Injection:
    """No file may grow, which writes meet as they meet a full disk: they fail."""
    at = draw.randint(1, num_requests)
    return Injection(at, lambda: world.limit(resource.RLIMIT_FSIZE, 0), num_kills=1)


def read_only_store(world: World, draw: random.Random, num_requests: int) -> Injection:
    def set_mode(mode: int) -> None:
        store = world.folder / world.store
        for folder in (store, *(path for path in store.rglob("*") if path.is_dir())):
            folder.chmod(mode)

    at = draw.randint(1, num_requests)
    return Injection(at, lambda: set_mode(0o555), lambda _ended: set_mode(0o755), num_kills=1)


def moved_store(world: World, draw: random.Random, num_requests: int) -> Injection:
    """Somebody moves the store away while it is used, and names the new place afterwards."""

    def move() -> None:
        shutil.move(world.folder / world.store, world.folder / "moved")

    def name_it(_ended: Ended) -> None:
        if (world.folder / "moved").exists():
            world.store = "moved"

    return Injection(draw.randint(2, num_requests), move, name_it, num_kills=1)


def damaged(world: World, draw: random.Random, num_requests: int) -> Injection:
    """After a SIGKILL a part is cut off or has a bit flipped; it is deleted when named."""

    def damage(_ended: Ended) -> None:
        parts = [part for part in world.parts() if part.stat().st_size]
        if not parts:
            return
        part = draw.choice(parts)
        content = bytearray(part.read_bytes())
        if draw.random() < 0.5:
            del content[draw.randrange(1, len(content)) :]
        else:
            bit = draw.randrange(8 * len(content))
            content[bit // 8] ^= 1 << bit % 8
        part.write_bytes(content)
        delete_named(world, world.run())

    return Injection(draw.randint(num_requests // 2, num_requests), world.kill, damage, num_kills=1)


def delete_named(world: World, ended: Ended) -> None:
    """Deletes the part that an error names, as the error says; and again, for the next one."""
    for _ in range(8):
        named = re.search(r"\S*part-[^\s:]+\.parquet", ended.said)
        if ended.code == 0 or named is None:
            return
        (world.folder / named.group()).unlink(missing_ok=True)
        ended = world.run()


def cut_log(world: World, draw: random.Random, num_requests: int) -> Injection:
    """After a SIGKILL the log of what no part holds yet loses its end, as in a power cut."""

    def cut(_ended: Ended) -> None:
        for log in sorted((world.folder / world.store).rglob("*.wal")):
            size = log.stat().st_size
            with log.open("r+b") as file:
                file.truncate(draw.randint(0, size))

    return Injection(draw.randint(1, num_requests), world.kill, cut, num_kills=1)


def two_at_once(world: World, draw: random.Random, num_requests: int) -> Injection:
    """A second process in the same run directory and store."""
    others: list[subprocess.Popen[str]] = []
    return Injection(
        draw.randint(1, num_requests),
        lambda: others.append(world.start()),
        lambda _ended: [wait(other) for other in others].clear(),
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


def server_that(mishap: str) -> Kind:
    """The server fails for one request, for some, or until the process has ended."""

    def kind(world: World, draw: random.Random, num_requests: int) -> Injection:
        times = draw.choice((1, 6, 10**9))
        return Injection(
            draw.randint(1, num_requests),
            lambda: world.server.fail(MISHAPS[mishap], times),
            lambda _ended: world.server.fail(MISHAPS[mishap], 0),
            num_kills=1,
        )

    return kind


KINDS: Mapping[str, Kind] = {
    "SIGKILL": killed,
    "SIGTERM, SIGINT, SIGUSR2": stopped,
    "out of memory": out_of_memory,
    "out of file handles": no_more_handles,
    "full disk": full_disk,
    "read-only store": read_only_store,
    "moved store": moved_store,
    "cut or flipped part": damaged,
    "cut log": cut_log,
    "two processes in one run": two_at_once,
    "clock steps": clock_steps,
    **{f"server {name}": server_that(name) for name in MISHAPS},
}

WEIGHTS: Mapping[str, int] = {"SIGKILL": 8, "cut or flipped part": 4, "cut log": 4}
"""Of kinds of which the place matters more than of the others, which weigh 1."""


def schedule(num_faults: int, kinds: list[str]) -> list[str]:
    """Kinds in turn, so often as they weigh."""
    turn = [kind for kind in kinds for _ in range(WEIGHTS.get(kind, 1))]
    return [turn[number % len(turn)] for number in range(num_faults)]


def folder_name(kind: str, number: int) -> Path:
    return Path(f"{number:04d}-" + re.sub(r"\W+", "-", kind).strip("-"))
