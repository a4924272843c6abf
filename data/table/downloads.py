"""Images behind URLs: fetched once, kept, and found again."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from ..arrow import atomic_path
from ..errors import DataError
from ..shown import shortened

MAX_DOWNLOAD_BYTES = 64 * 2**20
_TIMEOUT_S = 30.0
_ATTEMPTS = 4
_REDIRECTS = 5
_CHUNK_BYTES = 2**16


def default_folder() -> Path:
    """Where downloads are kept unless a folder is named."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "blpo" / "images"


def _client() -> httpx.Client:
    return httpx.Client(
        timeout=_TIMEOUT_S, follow_redirects=True, max_redirects=_REDIRECTS, trust_env=True
    )


@dataclass(frozen=True)
class Downloads:
    """A folder of what URLs led to, a file per URL; a second import asks for what is missing.

    max_bytes: of one image. Safe to call from many threads.
    """

    folder: Path
    max_bytes: int = MAX_DOWNLOAD_BYTES
    client: httpx.Client = field(default_factory=_client)

    def read(self, url: str) -> bytes:
        """The content behind an http or https URL. Raises DataError if it cannot be had."""
        name = hashlib.sha256(url.encode()).hexdigest()
        path = self.folder / name[:2] / name
        if not path.is_file():
            content = self._fetched(url)
            with atomic_path(path) as temporary:
                temporary.write_bytes(content)
        return path.read_bytes()

    def _fetched(self, url: str) -> bytes:
        attempts = Retrying(
            stop=stop_after_attempt(_ATTEMPTS),
            wait=wait_random_exponential(max=10),
            retry=retry_if_exception(_may_pass),
            reraise=True,
        )
        try:
            return attempts(self._asked, url)
        except httpx.HTTPStatusError as error:
            reason = f"the server says {error.response.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            reason = str(error) or type(error).__name__
        raise DataError(
            f"image {shortened(url)}: cannot be downloaded ({reason}): correct it, or drop the row"
        )

    def _asked(self, url: str) -> bytes:
        content = bytearray()
        with self.client.stream("GET", url) as response:
            response.raise_for_status()
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                content += chunk
                if len(content) > self.max_bytes:
                    raise DataError(
                        f"image {shortened(url)}: more than the {self.max_bytes:,} bytes that are "
                        "downloaded: shrink it, or drop the row"
                    )
        return bytes(content)


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in {408, 425, 429} or error.response.is_server_error
    return isinstance(error, httpx.TransportError)
