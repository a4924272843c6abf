"""Injects faults into small runs, starts them again, and compares with what no fault has touched.

    .venv/bin/python scripts/chaos.py                        # 200 faults
    .venv/bin/python scripts/chaos.py --faults 10 --kind SIGKILL --kind "cut journal" --seed 7

Each fault meets a run of its own against a server on loopback whose replies depend on the request
alone: a process is killed, its store damaged, its server fails, the disk is full, and so on. The
kinds named after engines meet a run on vLLM, two engines with the micro judge. Then what must be
put right by hand is put right and the same command given until it is done.

survived: every process ended by itself, done or with a message of ours, and predictions, prompts
    and figures are those of a run without a fault, to the byte.
repeated: requests asked again although their answer had left the server.
beyond: of these, more than were on the wire (one a connection of each process that ended) and than
    the fault itself destroyed in the store.
lost: verdicts that the run without a fault has and this one has not.

The server counts the requests; in the rows of engines nobody does. Prints a table of kinds and a
last line of JSON; --out appends one line of JSON a fault. Exit code 1 if a fault was not survived;
its folder is kept then. Root fills a small file system for "full disk", others meet a limit.
"""

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from blpo.data.arrow import pa, pq
from injected.faults import ENGINE_KINDS, KINDS, Injection, folder_name, schedule
from injected.processes import Ended
from injected.world import EngineWorld, World
from rich.console import Console
from rich.progress import track
from rich.table import Table

NUM_WORLDS = 3
"""Different runs, by their seed: each is run once without a fault."""

MOST_RUNS = 4
_reference_lock = Lock()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one fault. repeated_allowed: answers on the wire, and those it destroyed."""

    kind: str
    number: int
    survived: bool
    repeated: int
    repeated_allowed: int
    lost: int
    equal: bool
    runs: int
    problem: str

    @property
    def repeated_beyond(self) -> int:
        return max(0, self.repeated - self.repeated_allowed)


@dataclass(frozen=True, slots=True)
class Reference:
    """A run without a fault, and how many requests it made."""

    outcome: dict[str, Any]
    num_requests: int


@cache
def _reference(root: Path, kind: type[World], seed: int) -> Reference:
    folder = root / f"{kind.__name__}-{seed}"
    folder.mkdir()
    world = kind(folder, seed)
    ended = world.run()
    if ended.code:
        sys.exit(f"the run without a fault ends with {ended.code}:\n{ended.said}")
    outcome = world.outcome()
    world.close()
    return Reference(outcome, world.server.num_asked)


def reference(root: Path, kind: type[World], seed: int) -> Reference:
    with _reference_lock:
        return _reference(root, kind, seed)


def inject(root: Path, kind: str, number: int, seed: int) -> Outcome:
    """One fault and what follows."""
    draw = random.Random(f"{seed} {number} {kind}")
    is_rare = kind in ENGINE_KINDS
    world_seed = 0 if is_rare else draw.randrange(NUM_WORLDS)
    kind_of_world = EngineWorld if is_rare else World
    expected = reference(root, kind_of_world, world_seed)
    folder = root / folder_name(kind, number)
    folder.mkdir()
    world = kind_of_world(folder, world_seed)
    injection = {**KINDS, **ENGINE_KINDS}[kind](world, draw, expected.num_requests)
    ended = _endings(world, injection)
    found = world.outcome() if ended[-1].code == 0 else None
    world.close()
    problem = problem_of(ended)
    equal = found == expected.outcome
    lost = num_lost(expected.outcome, found)
    survived = not problem and equal and not lost
    if survived:
        shutil.rmtree(folder)
    return Outcome(
        kind,
        number,
        survived,
        world.server.num_repeated,
        injection.num_kills * world.num_on_wire + injection.num_destroyed,
        lost,
        equal,
        len(ended),
        problem if problem or equal else "other predictions or figures",
    )


def _endings(world: World, injection: Injection) -> list[Ended]:
    """How each process of a run ended: the one that met the fault, and those after it."""
    with world.striking(injection.at, injection.strikes):
        ended = [world.run(**injection.environment)]
    injection.mend(ended[0])
    while len(ended) < MOST_RUNS and (ended[-1].code or len(ended) == 1):
        ended.append(world.run())
    return ended


def problem_of(ended: list[Ended]) -> str:
    if any(one.has_hung for one in ended):
        return "hung"
    if traceback := next((one.said for one in ended if not one.is_clean), ""):
        return "traceback: " + traceback.strip().splitlines()[-1]
    if ended[-1].code:
        return f"never done: {ended[-1].said.strip()[-300:]}"
    return ""


def num_lost(expected: dict[str, Any], found: dict[str, Any] | None) -> int:
    """Verdicts of the run without a fault that the other has not."""
    wanted = _verdicts(expected["predictions"])
    have = _verdicts(found["predictions"]) if found else {}
    return sum(1 for name, verdict in wanted.items() if verdict and not have.get(name))


def _verdicts(predictions: bytes) -> dict[str, str | None]:
    table = pq.read_table(pa.BufferReader(predictions))
    names = table["example_id"].to_pylist()
    return dict(zip(names, table["final_verdict"].to_pylist(), strict=True))


def _rows(outcomes: list[Outcome]) -> Iterator[tuple[str, ...]]:
    for kind in [*dict.fromkeys(o.kind for o in outcomes), "all"]:
        of_kind = [o for o in outcomes if kind in (o.kind, "all")]
        yield (
            kind,
            str(len(of_kind)),
            str(sum(o.survived for o in of_kind)),
            "-" if kind in ENGINE_KINDS else str(sum(o.repeated for o in of_kind)),
            "-" if kind in ENGINE_KINDS else str(sum(o.repeated_beyond for o in of_kind)),
            str(sum(o.lost for o in of_kind)),
            str(sum(o.equal for o in of_kind)),
        )


def _tell(outcome: Outcome, root: Path, out: Path | None) -> None:
    """Writes an outcome as soon as it is there, and says what was not survived."""
    if out:
        with out.open("a") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
    if not outcome.survived:
        folder = root / folder_name(outcome.kind, outcome.number)
        print(f"{outcome.kind}: {outcome.problem} ({folder})", flush=True)


def main() -> None:
    args = _arguments()
    root = Path(tempfile.mkdtemp(prefix="chaos."))
    kinds = schedule(args.faults, args.kind or [*KINDS, *ENGINE_KINDS])
    console = Console()
    outcomes: list[Outcome] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        running = [
            pool.submit(inject, root, kind, number, args.seed) for number, kind in enumerate(kinds)
        ]
        for one in track(
            as_completed(running), "faults", len(running), console=Console(stderr=True)
        ):
            outcomes.append(one.result())
            _tell(outcomes[-1], root, args.out)
    outcomes.sort(key=lambda outcome: outcome.number)
    table = Table("fault", "injected", "survived", "repeated", "beyond", "lost", "equal")
    for row in _rows(outcomes):
        table.add_row(*row)
    console.print(table)
    bad = [o for o in outcomes if not o.survived]
    summary = {
        "faults": len(outcomes),
        "survived": len(outcomes) - len(bad),
        "requests_repeated": sum(o.repeated for o in outcomes),
        "repeated_beyond_the_wire": sum(o.repeated_beyond for o in outcomes),
        "verdicts_lost": sum(o.lost for o in outcomes),
        "bytes_equal": sum(o.equal for o in outcomes),
    }
    print(json.dumps(summary))
    if not bad:
        shutil.rmtree(root)
    sys.exit(1 if bad else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Inject faults into small runs.")
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=[*KINDS, *ENGINE_KINDS], metavar="KIND")
    parser.add_argument("--jobs", type=int, default=2, help="runs at once")
    parser.add_argument("--out", type=Path, help="a line of JSON for each fault")
    return parser.parse_args()


if __name__ == "__main__":
    main()
