"""A small run against the server: its files, its process, and what it has come to."""

import json
import os
import resource
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from blpo.data.examples import write_dataset
from blpo.data.images import ImageBounds
from blpo.data.micro.rubrics import generate
from blpo.pipeline.runs.demo import example_of

from .server import Server

BLPO = Path(sys.executable).with_name("blpo")
TASK = "micro-agin"
MAX_CONCURRENCY = 4
LIMIT_S = 180.0
"""A process that takes longer hangs; it takes seconds."""

_NO_OVERRIDE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
"""Root without its right to write what nobody may."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A process that has ended by itself, or was ended because it hung."""

    code: int
    said: str
    has_hung: bool

    @property
    def is_clean(self) -> bool:
        """Done, or stopped with a message of our own."""
        return not self.has_hung and "Traceback" not in self.said


@dataclass
class World:
    """A folder with a dataset and a run file, and the server that it asks."""

    folder: Path
    seed: int
    server: Server = field(default_factory=Server)
    store: str = "store"
    process: "subprocess.Popen[str] | None" = None

    def __post_init__(self) -> None:
        rows = generate(TASK, self.seed, 16, 12)
        write_dataset(self.folder / "data.parquet", [example_of(r, ImageBounds()) for r in rows])
        engine = {
            "kind": "openai",
            "model": "stub",
            "endpoint": self.server.endpoint,
            "api_key_env": None,
            "layout": "chat",
            "max_concurrency": MAX_CONCURRENCY,
            "max_retries": 2,
            "timeout_s": 2,
        }
        run = {
            "task": TASK,
            "dataset": "data.parquet",
            "output": "run",
            "seed": self.seed,
            "judge": engine,
            "optimizer": {"engine": {"kind": "lexicon"}},
            "algorithm": {"outer_steps": 2, "inner_steps": 2, "minibatch_size": 4},
        }
        (self.folder / "run.yaml").write_text(yaml.safe_dump(run))

    def start(self, **environment: str) -> "subprocess.Popen[str]":
        """A process of the run; ends in a group of its own."""
        command = [str(BLPO), "optimize", "run.yaml", "--set", f"store={self.store}"]
        if os.geteuid() == 0:
            command = [*_NO_OVERRIDE, *command]
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, **environment: str) -> Ended:
        self.process = self.start(**environment)
        return wait(self.process)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def limit(self, kind: int, amount: int) -> None:
        """From now on the process may not have more of a resource."""
        if self.process is not None:
            resource.prlimit(self.process.pid, kind, (amount, resource.RLIM_INFINITY))

    def parts(self) -> list[Path]:
        return sorted((self.folder / self.store).rglob("part-*.parquet"))

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


def wait(process: "subprocess.Popen[str]") -> Ended:
    """The end of a process; one that hangs is killed with its children."""
    hung = threading.Event()

    def end() -> None:
        hung.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(LIMIT_S, end)
    timer.start()
    said, _ = process.communicate()
    timer.cancel()
    return Ended(process.returncode, said, hung.is_set())
