"""Images behind URLs: fetched once, kept, and found again."""

import hashlib
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx

from ..arrow import atomic_path
from ..errors import DataError
from ..images import check_image
from ..redaction import public_address
from ..shown import shortened
from ..web import Wanted, fetched, web_client

MAX_DOWNLOAD_BYTES = 64 * 2**20
_IMAGE = Wanted(
    "image", MAX_DOWNLOAD_BYTES, "correct it, or drop the row", "shrink it, or drop the row"
)


_SEAL = b"blpo-sha256:"
"""Stands behind a kept image, which decoded when it came, and before the sha256 of its bytes: what
is as it was then need not be decoded again, which takes longer than all else."""


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
        """The image behind an http or https URL, still encoded.

        What is kept and damaged is fetched again. Raises DataError, and keeps nothing, if
        the image cannot be had or what the server sends is no whole image.
        """
        name = hashlib.sha256(url.encode()).hexdigest()
        path = self.folder / name[:2] / name
        kept = _kept(path)
        if kept is not None:
            return kept
        page = fetched(self.client, url, replace(_IMAGE, max_bytes=self.max_bytes))
        kind = page.content_type or "nothing that says its type"
        shown = shortened(public_address(url))
        check_image(page.content, f"image {shown}, where the server sent {kind}")
        with atomic_path(path) as temporary:
            temporary.write_bytes(page.content + _SEAL + hashlib.sha256(page.content).digest())
        return page.content


def _kept(path: Path) -> bytes | None:
    """The content of a file that is a whole image, None where there is none."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    image, seal, digest = content.rpartition(_SEAL)
    if seal:
        return image if hashlib.sha256(image).digest() == digest else None
    return _decodable(content, path.name)


def _decodable(content: bytes, name: str) -> bytes | None:
    """What earlier versions kept, if it is a whole image."""
    try:
        check_image(content, name)
    except DataError:
        return None
    return content
