"""Kill and resume: what a method asks again, and whether it ends as if never killed.

Every method runs three times on one task and seed, each time in a process of its own: without
interruption; killed by SIGKILL when half of its questions have reached the judge model; and started
again in the folder of the killed one. A question is a request that reaches the model: within one
session no method's harness lets the same request through twice. What a method keeps beyond a
session is what it has: ours their reply store, gepa its `run_dir`, promptolution and textgrad
nothing. The kill falls between two batches, so nothing is in flight.

The model behind all of them answers from the store of the comparison where it can: only the
counts are of interest, not the seconds.

    python -m peers.restart REQUEST     in folder scripts; REQUEST: path of a JSON file
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from blpo.data.errors import EngineError
from blpo.data.store.store import ReplyStore
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.wrappers.request_keys import request_key
from blpo.models.wrappers.stored import StoredEngine
from blpo.pipeline.runs.engine_pool import EnginePool
from pydantic import TypeAdapter

from .arms import ARMS, PEERS
from .cells import MICRO_JUDGE, Bench, Setting
from .ideal import ideal_judge
from .variants import variant_data

_KEEPS = {"gepa": "its run_dir"}


@dataclass(frozen=True, slots=True)
class Restart:
    """What a kill cost a method. Numbers are requests that reached the judge model."""

    arm: str
    keeps: str
    same_result: bool
    asked_uninterrupted: int
    asked_before_kill: int
    asked_after_kill: int
    repeated: int

    def record(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Session:
    """One process. kill_after: requests after which it kills itself; None for never."""

    arm: str
    setting: Setting
    main_store: Path
    datasets: Path
    folder: Path
    number: int
    ideal: bool
    kill_after: int | None = None

    @property
    def log(self) -> Path:
        return self.folder / f"asked-{self.number}"

    @property
    def result(self) -> Path:
        return self.folder / "found.json"


def try_restart(arm: str, setting: Setting, main: Path, *, ideal: bool) -> Restart:
    """Raises EngineError if a session ends otherwise than it should."""
    whole, killed = main / "restart" / arm / "whole", main / "restart" / arm / "killed"
    shared = (arm, setting, main / "store", main / "datasets")
    reference = _run(Session(*shared, whole, 0, ideal))
    half = len(reference) // 2
    before = _run(Session(*shared, killed, 0, ideal, half))
    after = _run(Session(*shared, killed, 1, ideal))
    return Restart(
        arm,
        _keeps(arm),
        (whole / "found.json").read_text() == (killed / "found.json").read_text(),
        len(reference),
        len(before),
        len(after),
        len(set(before) & set(after)),
    )


def _keeps(arm: str) -> str:
    own = arm not in {peer.name for peer in PEERS}
    return "its reply store" if own else _KEEPS.get(arm, "nothing")


def _run(session: Session) -> list[str]:
    """Run a session in a process of its own; the keys of the requests that reached the model."""
    if session.number == 0:
        shutil.rmtree(session.folder, ignore_errors=True)
    session.folder.mkdir(parents=True, exist_ok=True)
    request = session.folder / f"session-{session.number}.json"
    request.write_bytes(TypeAdapter(Session).dump_json(session))
    command = [sys.executable, "-m", "peers.restart", str(request)]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False
    )
    expected = 0 if session.kill_after is None else -signal.SIGKILL
    if ended.returncode != expected:
        raise EngineError(f"{request}: ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return session.log.read_text().split()


class ModelOfSession:
    """Contract: `Engine`. Logs every request, and kills the process before one too many."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._num_asked = 0
        engine = (
            ideal_judge([session.setting.task])
            if session.ideal
            else EnginePool().engine(MICRO_JUDGE)
        )
        store = ReplyStore(session.main_store)
        self._judge = StoredEngine(engine, store, "judge", "restart")
        self._verbalizer = StoredEngine(engine, store, "verbalizer", "restart")

    @property
    def identity(self) -> EngineIdentity:
        return self._judge.identity

    @property
    def version(self) -> str:
        return self._judge.version

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        self._num_asked += len(requests)
        limit = self._session.kill_after
        if limit is not None and self._num_asked > limit:
            os.kill(os.getpid(), signal.SIGKILL)
        with self._session.log.open("a") as log:
            log.writelines(request_key(request, self.identity) + "\n" for request in requests)
        is_verdict = bool(requests) and bool(requests[0].labels)
        return (self._judge if is_verdict else self._verbalizer).ask(requests)

    def close(self) -> None:
        self._judge.close()


def main() -> None:
    session = TypeAdapter(Session).validate_json(Path(sys.argv[1]).read_text())
    own = _keeps(session.arm) == "its reply store"
    store = session.folder / ("store" if own else f"store-{session.number}")
    bench = Bench(session.folder, ModelOfSession(session), store, resume=True)
    setting = session.setting
    data = variant_data(setting.variant, setting.task, setting.seed, session.datasets)
    session.log.touch()
    found = ARMS[session.arm].run(bench.world(setting, session.arm, data))
    session.result.write_text(json.dumps([point.judge_prompt for point in found.trajectory]))


if __name__ == "__main__":
    main()
