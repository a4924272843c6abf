"""Which server answers which request: one server, or a pool whose members come and go.

A pool is a folder in which every server that is up keeps a file NAME.json with its address,
{"url": "http://host:port/v1"}, as `slurm/pool.sbatch` does. A request goes to the server that its
image is assigned to by rendezvous hash, so that each image meets the same server's caches under
every prompt. When a server goes, only its images move, evenly to the others; they move back when a
server of the same name returns.
"""

import json
import logging
import threading
import time
from collections import Counter
from pathlib import Path

from ....data.errors import EngineError
from ..rendezvous import assigned
from ..settings import POOL_PREFIX, check_base_url

_log = logging.getLogger("blpo.engine")

_LIST_S = 2.0
_DOWN_S = 10.0
_MOST_DOWN_S = 160.0
_WAIT_S = 1800.0


class ServerPool:
    """The servers behind an endpoint: a base URL, or "pool:FOLDER". Thread-safe."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint.rstrip("/")
        is_pool = endpoint.startswith(POOL_PREFIX)
        self._folder = Path(endpoint.removeprefix(POOL_PREFIX)) if is_pool else None
        self._lock = threading.Lock()
        self._servers: dict[str, str] = {}
        self._listed = -_LIST_S
        self._down_until: dict[str, float] = {}
        self._times_down: Counter[str] = Counter()

    def pick(self, key: str) -> str | None:
        """URL of the server that a key is assigned to (`rendezvous`); None while there is none."""
        if self._folder is None:
            return self._endpoint
        with self._lock:
            servers = self._current(self._folder)
            now = time.monotonic()
            up = [name for name, url in servers.items() if self._down_until.get(url, 0.0) <= now]
            if up:
                return servers[assigned(up, key)]
            # The one that has not been tried for longest.
            return min(servers.values(), key=lambda url: self._down_until[url], default=None)

    def mark_up(self, url: str) -> None:
        """This server answers."""
        with self._lock:
            self._down_until.pop(url, None)
            self._times_down.pop(url, None)

    def mark_down(self, url: str, why: str) -> None:
        """This server fails: its images go to the others for a while, each time twice as long."""
        if self._folder is None:
            return
        with self._lock:
            now = time.monotonic()
            if self._down_until.get(url, 0.0) <= now:
                _log.warning("%s; its images go to other servers", why)
                self._times_down[url] += 1
            down_s = min(_DOWN_S * 2 ** (self._times_down[url] - 1), _MOST_DOWN_S)
            self._down_until[url] = now + down_s

    @property
    def is_pool(self) -> bool:
        """Whether there may be several servers."""
        return self._folder is not None

    @property
    def has_untried(self) -> bool:
        """Whether there is another server than those that do not answer."""
        if self._folder is None:
            return False
        with self._lock:
            now = time.monotonic()
            urls = self._current(self._folder).values()
            return any(self._down_until.get(url, 0.0) <= now for url in urls)

    def wait_for_first(self) -> None:
        """Return when a server is there.

        Raises EngineError at once if the folder is not there, and if no server comes into it in
        half an hour.
        """
        if self._folder is None:
            return
        if not self._folder.is_dir():
            raise EngineError(
                f"{self._endpoint}: no such folder: correct the path, or start the servers first "
                "(slurm/pool.sbatch); an empty folder of this name is waited in for the first"
            )
        if self.pick("") is None:
            _log.info("%s: waiting for the first server", self._endpoint)
        end = time.monotonic() + _WAIT_S
        while self.pick("") is None:
            if time.monotonic() > end:
                raise EngineError(
                    f"{self._endpoint}: no server has put its address there in {_WAIT_S:.0f} s: "
                    "look at the logs of the pool's jobs"
                )
            time.sleep(_LIST_S)

    def _current(self, folder: Path) -> dict[str, str]:
        """Servers by name, listed anew every few seconds."""
        if time.monotonic() - self._listed >= _LIST_S:
            found = {card.stem: _url(card) for card in sorted(folder.glob("*.json"))}
            self._servers = {name: url for name, url in found.items() if url is not None}
            self._listed = time.monotonic()
        return self._servers


def _url(card: Path) -> str | None:
    """The address on a server's card; None if the server has just taken it away."""
    try:
        return check_base_url(json.loads(card.read_text("utf-8"))["url"]).rstrip("/")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise EngineError(
            f'{card}: expected {{"url": "http://HOST:PORT/v1"}} ({error}): correct or remove it'
        ) from None
