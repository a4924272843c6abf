"""Which images an engine still holds, and the order of requests that makes use of it.

The KV cache evicts what was used longest ago. Passes over more images than it holds, each in the
same order, find every image just evicted. A pass that begins with the images that are still
there, which are those with which the last pass ended, finds as many as the cache holds.
"""

import logging
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_log = logging.getLogger("blpo.engine")

_GIB = 1 << 30
_TRUSTED_SHARE = 0.9
"""Of the cache, what is counted on. An image that is gone although it was counted on is computed
anew, which evicts the next one in line before its turn, and so on."""


@dataclass(frozen=True, slots=True)
class KvCache:
    """The KV cache of a started engine.

    num_tokens: how many it holds; blocks of block_size tokens are allocated and evicted.
    bytes_per_token: over all layers and GPUs.
    """

    num_tokens: int
    block_size: int
    bytes_per_token: int

    @property
    def num_blocks(self) -> int:
        return self.num_tokens // self.block_size

    def blocks(self, num_tokens: int) -> int:
        """Blocks that a request of so many tokens takes."""
        return -(-num_tokens // self.block_size)

    def num_resident(self, num_tokens: int) -> int:
        """How many images stay while prompts over them come and go.

        num_tokens: of one request, from the image's prefix to the end of the reply. The blocks of
        its changing part are not used again, but they, too, are evicted only in their turn.
        """
        return self.num_blocks // self.blocks(num_tokens)

    def gib(self, num_blocks: int) -> float:
        """Memory of so many blocks."""
        return num_blocks * self.block_size * self.bytes_per_token / _GIB


class Residency:
    """A model of the engine's cache: the images used last, as far as they fit into it."""

    def __init__(self, cache: KvCache) -> None:
        self._cache = cache
        self._capacity = int(cache.num_blocks * _TRUSTED_SHARE)
        self._resident: OrderedDict[str, int] = OrderedDict()
        """Blocks of the last request for each key, least recently used first."""
        self._num_blocks = 0
        self._has_told_size = False
        self._has_told_shortage = False

    def use(self, key: str, num_tokens: int) -> None:
        """Note a request of num_tokens for an image, by its digest, or for a key of its own."""
        blocks = self._cache.blocks(num_tokens)
        self._num_blocks += blocks - self._resident.pop(key, 0)
        self._resident[key] = blocks
        while self._num_blocks > self._capacity:
            self._num_blocks -= self._resident.popitem(last=False)[1]

    def order(self, digests: Sequence[str | None]) -> list[int]:
        """Places of the requests for these images in the order in which to ask them.

        What is resident first, least recently used first: so each request takes the blocks that
        the last request for its image has left behind. Then the others as they are given.
        """
        rank = {key: i for i, key in enumerate(self._resident)}
        others = len(rank)
        return sorted(range(len(digests)), key=lambda i: rank.get(digests[i] or "", others))

    def tell_size(self, num_tokens: int) -> None:
        """Say once how many images like the first one stay in the cache."""
        if self._has_told_size:
            return
        self._has_told_size = True
        _log.info(
            "the KV cache (%.3g GiB) holds about %d images like the first one, at %d tokens with "
            "prompt and reply",
            self._cache.gib(self._cache.num_blocks),
            self._cache.num_resident(num_tokens),
            num_tokens,
        )

    def tell_shortage(self, seen: Iterable[str]) -> None:
        """Say once that images come back that are no longer there. seen: all images of a batch."""
        distinct = set(seen)
        known = [self._resident[key] for key in distinct if key in self._resident]
        if self._has_told_shortage or not known or len(known) == len(distinct):
            return
        self._has_told_shortage = True
        blocks = len(distinct) * sum(known) // len(known)
        _log.info(
            "the KV cache holds about %d of these %d images: passes over them begin with what is "
            "still there; kv_cache_gib of %.3g would hold all, offload_gib moves the rest to host "
            "memory",
            len(known),
            len(distinct),
            self._cache.gib(int(blocks / _TRUSTED_SHARE)),
        )
