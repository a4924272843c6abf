"""A small run against the server or on engines of its own: its files, its process, its outcome."""

import json
import os
import resource
import signal
import subprocess
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml
from blpo.data.arrow import pq
from blpo.data.examples import write_dataset
from blpo.data.images import ImageBounds
from blpo.data.micro.rubrics import generate
from blpo.data.store.journal import read_journal
from blpo.pipeline.runs.demo import example_of

from .processes import Ended, Process, forked, started, wait
from .server import Server

TASK = "micro-agin"
MAX_CONCURRENCY = 4
PARTS, JOURNALS = "part-*.parquet", "*.journal"


@dataclass
class World:
    """A folder with a dataset and a run file, and the server that it asks."""

    folder: Path
    seed: int
    server: Server = field(default_factory=Server)
    store: str = "store"
    process: Process | None = None
    is_forked: bool = True
    _is_mounted: bool = False
    _num_processes: int = 0

    limit_s: ClassVar = 180.0
    """A process that takes longer hangs; it takes seconds."""
    num_on_wire: ClassVar = MAX_CONCURRENCY
    """Requests that may be on their way when a process ends."""

    def __post_init__(self) -> None:
        rows = generate(TASK, self.seed, 16, 12)
        write_dataset(self.folder / "data.parquet", [example_of(r, ImageBounds()) for r in rows])
        run = {
            "task": TASK,
            "dataset": "data.parquet",
            "output": "run",
            "seed": self.seed,
            "judge": self.judge(),
            "optimizer": {"engine": {"kind": "lexicon"}},
            "algorithm": {"outer_steps": 2, "inner_steps": 2, "minibatch_size": 4},
        }
        (self.folder / "run.yaml").write_text(yaml.safe_dump(run))

    def judge(self) -> dict[str, Any]:
        """The run's engine."""
        return {
            "kind": "openai",
            "model": "stub",
            "endpoint": self.server.endpoint,
            "api_key_env": None,
            "layout": "chat",
            "max_concurrency": MAX_CONCURRENCY,
            "max_retries": 2,
            "timeout_s": 2,
        }

    @contextmanager
    def striking(self, at: int, strikes: Callable[[], None]) -> Generator[None]:
        """Calls it once, at the request of this number."""
        lock, struck = threading.Lock(), False

        def strike(number: int) -> None:
            nonlocal struck
            with lock:
                is_now = number >= at and not struck
                struck = struck or is_now
            if is_now:
                strikes()

        self.server.on_request = strike
        yield
        self.server.on_request = lambda _number: None

    def start(self, **environment: str) -> tuple[Process, Path]:
        """A process of the run, and the file that it writes to."""
        self._num_processes += 1
        output = self.folder.with_name(f"{self.folder.name}.{self._num_processes}.txt")
        arguments = ["optimize", "run.yaml", "--set", f"store={self.store}"]
        start = forked if self.is_forked else started
        return start(arguments, self.folder, output, environment), output

    def run(self, **environment: str) -> Ended:
        self.process, output = self.start(**environment)
        return wait(self.process, output, self.limit_s)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.kill(self.process.pid, number)

    def limit(self, kind: int, amount: int) -> None:
        """From now on the process may not have more of a resource."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                resource.prlimit(self.process.pid, kind, (amount, resource.RLIM_INFINITY))

    def address_space(self) -> int:
        """Bytes that the process has; 0 once it has ended."""
        with suppress(OSError, ValueError):
            status = Path(f"/proc/{self.process.pid if self.process else 0}/status").read_text()
            return int(status.split("VmSize:")[1].split()[0]) * 1024
        return 0

    def mount(self, num_bytes: int) -> bool:
        """Moves the folder's files to a file system of this size, if that is allowed."""
        files = {path.name: path.read_bytes() for path in self.folder.iterdir()}
        options = ["-t", "tmpfs", "-o", f"size={num_bytes}", "blpo-chaos", str(self.folder)]
        done = subprocess.run(["mount", *options], capture_output=True, check=False)
        self._is_mounted = done.returncode == 0
        for name, content in files.items():
            (self.folder / name).write_bytes(content)
        return self._is_mounted

    def files(self, pattern: str) -> list[Path]:
        return sorted((self.folder / self.store).rglob(pattern))

    def num_rows(self) -> int:
        """Rows in the store's parts and journals."""
        in_parts = sum(pq.read_metadata(part).num_rows for part in self.files(PARTS))
        return in_parts + sum(read_journal(path).num_rows for path in self.files(JOURNALS))

    def outcome(self) -> dict[str, Any]:
        """What must be the same whatever has happened: predictions, prompts, figures."""
        result = json.loads((self.folder / "run" / "result.json").read_text())
        kept = ("judge_prompt_final", "i2t_prompt_final", "test")
        return {
            "predictions": (self.folder / "run" / "predictions.parquet").read_bytes(),
            **{name: result.get(name) for name in kept},
        }

    def close(self) -> None:
        self.server.close()
        if self._is_mounted:
            subprocess.run(["umount", str(self.folder)], check=True)


class EngineWorld(World):
    """The same run on engines in processes of their own, two of them, with the micro judge."""

    limit_s: ClassVar = 900.0
    is_forked: bool = False

    def judge(self) -> dict[str, Any]:
        return {"kind": "vllm", "model": "micro", "kv_cache_gib": 0.25, "engines": 2}

    @contextmanager
    def striking(self, at: int, strikes: Callable[[], None]) -> Generator[None]:
        """Calls it `at` hundredths of a second after replies begin to be stored."""
        ended = threading.Event()

        def watch() -> None:
            while not (ended.wait(0.02) or self._stores_replies()):
                pass
            if not ended.wait(at / 100):
                strikes()

        watcher = threading.Thread(target=watch)
        watcher.start()
        yield
        ended.set()
        watcher.join()

    def engines(self) -> list[int]:
        """The processes of the engines."""
        pid = self.process.pid if self.process else 0
        with suppress(FileNotFoundError):
            return [
                int(pid) for pid in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            ]
        return []

    def _stores_replies(self) -> bool:
        return any(path.is_file() for path in (self.folder / self.store).rglob("*.*"))
