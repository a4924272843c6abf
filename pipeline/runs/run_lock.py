"""One process at a time in a run directory.

Whoever works there owns the file `.lock` (`data/owners`), which says who that is. The lock goes
with its process, however that ends: a file that a killed run leaves behind is nobody's, and the
next run takes it over. On a file system without locks nobody is kept out, which is told; where
locks hold for one host only (NFS with `nolock`), only processes of that host are.

A file server keeps the locks of a host that died for a while. A job that Slurm starts again waits
for that.
"""

import logging
import os
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from ...data.errors import ConfigError
from ...data.owners import NO_LOCKS, hold, is_in_place, let_go

LOCK_FILE = ".lock"
RESTART_WAIT_S = 300.0
"""How long a job that Slurm has started again waits for a lock; NFS servers keep one for 90 s."""
_LOOK_EVERY_S = 5.0

_log = logging.getLogger("blpo.runs")


@contextmanager
def run_lock(folder: Path) -> Generator[None]:
    """Keep others out of a run directory meanwhile.

    Raises ConfigError, which names them, where others are at work there.
    """
    file = folder / LOCK_FILE
    descriptor = _taken_in_time(file)
    try:
        yield
    finally:
        # While it is ours, and unless the folder was moved: whoever comes next makes a new one.
        if is_in_place(descriptor, file):
            file.unlink(missing_ok=True)
        let_go(descriptor)


def _taken_in_time(file: Path) -> int:
    """The file, open and ours, in a job that Slurm has started again after a while, too."""
    is_started_again = os.environ.get("SLURM_RESTART_COUNT", "0") not in {"", "0"}
    waited = 0.0
    while True:
        try:
            return _taken(file)
        except ConfigError as error:
            if not is_started_again or waited >= RESTART_WAIT_S:
                raise
            if not waited:
                _log.warning(
                    "%s. Waiting up to %.0f s: its host may be dead", error, RESTART_WAIT_S
                )
        time.sleep(_LOOK_EVERY_S)
        waited += _LOOK_EVERY_S


def _taken(file: Path) -> int:
    """The file, open and ours."""
    while True:
        # For writing: NFS gives no other lock of one's own.
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            is_ours = hold(descriptor)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                let_go(descriptor)
                raise
            warn_of_no_locks()
            return descriptor
        if not is_ours:
            who = os.read(descriptor, 500).decode("utf-8", "replace")
            let_go(descriptor)
            raise ConfigError(
                f"output {file.parent}: a run is at work there ({who or 'another process'}): wait "
                "until it has ended or stop it, or name another output"
            )
        if is_in_place(descriptor, file):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode())
            return descriptor
        # Its owner was just done with it.
        let_go(descriptor)


@lru_cache
def warn_of_no_locks() -> None:
    """Once, whatever the number of runs."""
    _log.warning(
        "no locks on this file system: two runs in one run directory at once are not noticed"
    )
