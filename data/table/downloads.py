"""Images behind URLs: fetched once, kept, and found again."""

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from ..arrow import atomic_path
from ..web import Wanted, fetched, web_client

MAX_DOWNLOAD_BYTES = 64 * 2**20
_IMAGE = Wanted(
    "image", MAX_DOWNLOAD_BYTES, "correct it, or drop the row", "shrink it, or drop the row"
)


def default_folder() -> Path:
    """Where downloads are kept unless a folder is named."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "blpo" / "images"


@dataclass(frozen=True)
class Downloads:
    """A folder of what URLs led to, a file per URL; a second import asks for what is missing.

    max_bytes: of one image. Safe to call from many threads.
    """

    folder: Path
    max_bytes: int = MAX_DOWNLOAD_BYTES
    client: httpx.Client = field(default_factory=web_client)

    def read(self, url: str) -> bytes:
        """The content behind an http or https URL. Raises DataError if it cannot be had."""
        name = hashlib.sha256(url.encode()).hexdigest()
        path = self.folder / name[:2] / name
        if not path.is_file():
            page = fetched(self.client, url, replace(_IMAGE, max_bytes=self.max_bytes))
            with atomic_path(path) as temporary:
                temporary.write_bytes(page.content)
        return path.read_bytes()
