"""What goes over the wire between an engine group and the processes of its engines.

An image travels once. Both ends keep the same images, because both see the same requests in the
same order and drop what was used longest ago: from its second use on, its digest says which it is.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ....data.images import ImageRef
from ...engine import Arrival, Request
from ..settings import EngineSettings

KEPT_BYTES = 1 << 30
"""Encoded images that each process keeps. One that is asked about again after it was dropped
travels again."""
CLOSE_S = 10.0
"""Seconds that an engine may take to close before it is killed."""


@dataclass(frozen=True, slots=True)
class Start:
    """To a process, first. cores: those it may use; None for all. log_level: of its messages."""

    settings: EngineSettings
    name: str
    cores: frozenset[int] | None
    log_level: int


@dataclass(frozen=True, slots=True)
class Ask:
    """To a process: requests without their images, which `images` and `new_images` hold.

    images: digests of the images of each request, in order. new_images: those that the process does
    not have.
    """

    number: int
    requests: Sequence[Request]
    images: Sequence[tuple[str, ...]]
    new_images: Mapping[str, ImageRef]


@dataclass(frozen=True, slots=True)
class GiveUp:
    """To a process: nobody waits any more for what is unanswered of an `Ask`."""

    number: int


@dataclass(frozen=True, slots=True)
class Started:
    """From a process: its engine answers."""


@dataclass(frozen=True, slots=True)
class Replies:
    """From a process: replies to requests of an `Ask`, by their places in it."""

    number: int
    replies: list[Arrival]


@dataclass(frozen=True, slots=True)
class Failed:
    """From a process, last: why its engine cannot answer any more."""

    reason: str


class _RecentImages:
    """Digests of the images that were used last, as many as fit, the least recent one first."""

    def __init__(self, kept_bytes: int) -> None:
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._num_bytes = 0
        self._kept_bytes = kept_bytes

    def __contains__(self, digest: str) -> bool:
        return digest in self._sizes

    def use(self, images: Mapping[str, ImageRef]) -> list[str]:
        """Note the use of images, in this order; the digests that are dropped for it."""
        for digest, image in images.items():
            size = len(image.data)
            self._num_bytes += size - self._sizes.pop(digest, 0)
            self._sizes[digest] = size
        dropped: list[str] = []
        while self._num_bytes > self._kept_bytes:
            digest, size = self._sizes.popitem(last=False)
            self._num_bytes -= size
            dropped.append(digest)
        return dropped


class Packer:
    """The end of the wire that sends requests."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._recent = _RecentImages(kept_bytes)

    def pack(self, number: int, requests: Sequence[Request]) -> Ask:
        """Requests as they are sent. Each result has to be sent, in this order."""
        by_digest = {image.digest: image for request in requests for image in request.images}
        new = {digest: by_digest[digest] for digest in by_digest if digest not in self._recent}
        self._recent.use(by_digest)
        digests = [tuple(image.digest for image in request.images) for request in requests]
        bare = [replace(r, image=None, further_images=()) if r.image else r for r in requests]
        return Ask(number, bare, digests, new)


class Unpacker:
    """The end of the wire that receives requests, with the images that it keeps."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self._recent = _RecentImages(kept_bytes)
        self._images: dict[str, ImageRef] = {}

    def unpack(self, ask: Ask) -> list[Request]:
        """The requests as they were before they were packed."""
        self._images |= ask.new_images
        used = {digest: self._images[digest] for digests in ask.images for digest in digests}
        for digest in self._recent.use(used):
            del self._images[digest]
        return [
            _with_images(request, [used[digest] for digest in digests])
            for request, digests in zip(ask.requests, ask.images, strict=True)
        ]


def _with_images(request: Request, images: Sequence[ImageRef]) -> Request:
    if not images:
        return request
    return replace(request, image=images[0], further_images=tuple(images[1:]))
