"""`blpo judge` is killed while servers answer: nothing that has been received is asked again."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Generator
from contextlib import closing
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path

import polars as pl
import pytest
from blpo.data.examples import write_dataset
from blpo.data.store.journal import read_journal
from blpo.data.store.store import ReplyStore
from ideal_engine import ideal_world
from stub_server import Handler, completion
from waiting import wait_for

TASK = "micro-unsafebench"
NUM_IMAGES = 40
NUM_CONNECTIONS = 4

FORKS = """
import os, sys
import blpo.models.engines.openai.engine, blpo.pipeline.bulk.judging, blpo.pipeline.cli.show.judging
from blpo.pipeline.cli.app import main
for line in sys.stdin:
    if (child := os.fork()) == 0:
        os.dup2(2, 1)
        sys.argv = line.split()
        main()
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""A process that runs each line of its input in a child, and tells its number and exit code."""


class Server(ThreadingHTTPServer):
    """Answers so many requests and leaves the others on the wire until it is told to drop them.

    asked, held: how often each request came, and how often it was not answered.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), CountingHandler)
        self.lock = threading.Lock()
        self.asked = Counter[str]()
        self.held = Counter[str]()
        self.num_answered = 0
        self.answers_left = 0
        self.dropped = threading.Event()

    @property
    def num_held(self) -> int:
        with self.lock:
            return self.held.total()

    def answers(self, request: str) -> bool:
        with self.lock:
            self.asked[request] += 1
            if self.answers_left:
                self.answers_left -= 1
                self.num_answered += 1
                return True
            self.held[request] += 1
            return False


class CountingHandler(Handler):
    def do_POST(self) -> None:  # noqa: N802
        assert isinstance(self.server, Server)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.answers(hashlib.sha256(body).hexdigest()):
            self.answer(completion(body))
        else:
            self.server.dropped.wait()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server() -> Generator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.dropped.set()
        server.shutdown()


class Judging:
    """`blpo judge` on a few images, again and again."""

    def __init__(self, folder: Path, server: Server) -> None:
        self._server = server
        self._store = folder / "store"
        dataset, _ = ideal_world(TASK, num_train=NUM_IMAGES // 2, num_test=NUM_IMAGES // 2)
        write_dataset(folder / "data.parquet", [*dataset.train, *dataset.test])
        endpoint = f"http://127.0.0.1:{server.server_port}/v1"
        settings = ("kind=openai", "model=stub", f"endpoint={endpoint}")
        settings = (*settings, f"max_concurrency={NUM_CONNECTIONS}", "max_retries=0")
        options = " ".join(f"--set judge.{setting}" for setting in settings)
        self._line = f"blpo judge data.parquet --task {TASK} {options} --out out.parquet"
        pipe = subprocess.PIPE
        self._forks = subprocess.Popen(
            [sys.executable, "-c", FORKS], stdin=pipe, stdout=pipe, text=True, cwd=folder
        )

    def start(self) -> int:
        """Begins, and returns the process."""
        assert self._forks.stdin is not None
        print(self._line, file=self._forks.stdin, flush=True)
        return self._told()

    def wait(self) -> int:
        """The exit code."""
        return self._told()

    def is_at_a_stand(self, num_held: int) -> bool:
        """Whether every connection waits, and all that has been answered is in files."""
        return self._server.num_held == num_held and self._num_kept() == self._server.num_answered

    def close(self) -> None:
        assert self._forks.stdin is not None
        self._forks.stdin.close()
        self._forks.wait()

    def _told(self) -> int:
        assert self._forks.stdout is not None
        return int(self._forks.stdout.readline())

    def _num_kept(self) -> int:
        in_parts = sum(partition.num_rows for partition in ReplyStore(self._store).stats())
        journals = (self._store / "journals").glob("*.journal")
        return in_parts + sum(read_journal(path).num_rows for path in journals)


def test_killed_again_and_again_it_asks_again_only_for_what_was_on_the_wire(
    server: Server, tmp_path: Path
) -> None:
    with closing(Judging(tmp_path, server)) as judging:
        for server.answers_left in (7, 0, 12):
            process = judging.start()
            num_held = server.held.total() + NUM_CONNECTIONS
            wait_for(partial(judging.is_at_a_stand, num_held), "a stand")
            os.kill(process, signal.SIGKILL)
            assert judging.wait() == -signal.SIGKILL
        server.answers_left = NUM_IMAGES
        judging.start()
        assert judging.wait() == 0
    assert pl.read_parquet(tmp_path / "out.parquet").height == NUM_IMAGES
    assert len(server.asked) == NUM_IMAGES
    repeated = Counter({request: count - 1 for request, count in server.asked.items()})
    assert +repeated == server.held
    assert server.num_answered == NUM_IMAGES
