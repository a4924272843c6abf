"""Processes of `blpo`: forked from one that has imported everything, or started as users do.

To import what a run needs takes longer than the run itself.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

BLPO = Path(sys.executable).with_name("blpo")

_IMPORTED_BEFORE = (
    *("injected.processes", "blpo.pipeline.cli.app", "blpo.pipeline.runs.run_many"),
    *("blpo.models.engines.openai.engine", "blpo.models.lexicon.engine"),
)
_NO_OVERRIDE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
"""Root without its right to write what nobody may."""

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload([*_IMPORTED_BEFORE])


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


class Process(Protocol):
    """What leads a group of its own and writes to a file."""

    @property
    def pid(self) -> int: ...

    def wait(self) -> int:
        """Its exit code; negative for a signal."""
        ...


class _Forked:
    """Has its modules already: of PYTHONPATH it takes the sitecustomize alone."""

    def __init__(
        self, arguments: Sequence[str], folder: Path, output: Path, environment: Mapping[str, str]
    ) -> None:
        target, values = _run, (arguments, folder, output, environment)
        self._process = _server.Process(target=target, args=values)
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def wait(self) -> int:
        self._process.join()
        return self._process.exitcode or 0


def _run(
    arguments: Sequence[str], folder: Path, output: Path, environment: Mapping[str, str]
) -> None:
    os.setsid()
    os.chdir(folder)
    os.environ.update(environment)
    written = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(written, descriptor)
    sys.argv = ["blpo", *arguments]
    if "PYTHONPATH" in environment:
        sys.path.insert(0, environment["PYTHONPATH"])
        import_module("sitecustomize")
    import_module("blpo.pipeline.cli.app").main()


def forked(
    arguments: Sequence[str], folder: Path, output: Path, environment: Mapping[str, str]
) -> Process:
    return _Forked(arguments, folder, output, environment)


def started(
    arguments: Sequence[str], folder: Path, output: Path, environment: Mapping[str, str]
) -> Process:
    """The command as users give it; what nobody may write, root may not here."""
    command = [str(BLPO), *arguments]
    if os.geteuid() == 0:
        command = [*_NO_OVERRIDE, *command]
    with output.open("ab") as file:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait(process: Process, output: Path, limit_s: float) -> Ended:
    """The end of a process; one that hangs is killed with its children."""
    hung = threading.Event()

    def end() -> None:
        hung.set()
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(limit_s, end)
    timer.start()
    code = process.wait()
    timer.cancel()
    return Ended(code, output.read_text(errors="replace"), hung.is_set())
