"""Which images an engine still holds, and the order of requests that makes use of it.

The KV cache evicts what was used longest ago. Passes over more images than it holds, each in the
same order, find every image just evicted. A pass that begins with the images that are still
there, which are those with which the last pass ended, finds as many as the cache holds.
"""

import logging
import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_log = logging.getLogger("blpo.engine")

_GIB = 1 << 30
_TRUSTED_SHARE = 0.9
"""Of the cache, what is counted on. An image that is gone although it was counted on is computed
anew, which evicts the next one in line before its turn, and so on."""


STATES_PER_REQUEST = 3
"""Blocks that a request takes in each group of layers that keep a state: the one at the end of the
prefix, the one at its own end, and the one that it computes with. With the copy of the attention's
block that is five of a Qwen3.5; 154 blocks were seen to keep 27 images, a tenth less than that."""


@dataclass(frozen=True, slots=True)
class KvCache:
    """The KV cache of a started engine.

    num_tokens: how many it holds; blocks of block_size tokens are allocated and evicted.
    bytes_per_token: over all layers and GPUs. group_block_sizes: tokens to a block of each group of
    layers, which all take theirs from the same blocks; one of block_size if not given.
    extra_blocks: that a request takes for states of layers without keys and values, and for a copy
    of the block within which a reused prefix ends.
    hit_tokens: the grain, where vLLM has one finer than its blocks.
    """

    num_tokens: int
    block_size: int
    bytes_per_token: float
    group_block_sizes: tuple[int, ...] = ()
    extra_blocks: int = 0
    hit_tokens: int = 0

    @property
    def grain(self) -> int:
        """A reused prefix ends at a multiple of so many tokens."""
        return self.hit_tokens or self.block_size

    @property
    def keeps_states(self) -> bool:
        """Whether a prefix is reused only where a request has ended."""
        return self.extra_blocks > 0

    @property
    def num_blocks(self) -> int:
        return self.num_tokens // self.block_size

    def blocks(self, num_tokens: int, num_reads: int = 1) -> int:
        """Blocks that a request of so many tokens takes; each further read keeps a state more."""
        sizes = self.group_block_sizes or (self.block_size,)
        of_tokens = sum(-(-num_tokens // size) for size in sizes)
        return of_tokens + self.extra_blocks + (num_reads - 1 if self.keeps_states else 0)

    def num_resident(self, num_tokens: int) -> int:
        """How many images stay while prompts over them come and go.

        num_tokens: of one request, from the image's prefix to the end of the reply. The blocks of
        its changing part are not used again, but they, too, are evicted only in their turn.
        """
        return self.num_blocks // self.blocks(num_tokens)

    def gib(self, num_blocks: int) -> float:
        """Memory of so many blocks."""
        return num_blocks * self.block_size * self.bytes_per_token / _GIB


class _Use(NamedTuple):
    """The last request for a key: its number among all requests, and the blocks it took."""

    number: int
    num_blocks: int


class Residency:
    """A model of the engine's cache: the images used last, as far as they fit into it."""

    def __init__(self, cache: KvCache) -> None:
        self._cache = cache
        self._capacity = int(cache.num_blocks * _TRUSTED_SHARE)
        self._last_use: OrderedDict[str, _Use] = OrderedDict()
        """Least recently used first."""
        self._num_uses = 0
        self._num_blocks = 0
        self.num_resident: int | None = None
        """How many images like the first one stay; None before that one."""
        self._has_told_shortage = False

    def use(self, key: str, num_tokens: int, num_reads: int = 1) -> None:
        """Note a request of num_tokens for an image, by its digest, or for a key of its own."""
        use = _Use(self._num_uses, self._cache.blocks(num_tokens, num_reads))
        before = self._last_use.pop(key, None)
        self._last_use[key] = use
        self._num_uses += 1
        self._num_blocks += use.num_blocks - (before.num_blocks if before else 0)
        while self._num_blocks > self._capacity:
            self._num_blocks -= self._last_use.popitem(last=False)[1].num_blocks

    def order(self, digests: Sequence[str | None]) -> list[int]:
        """Places of the requests for these images in the order in which to ask them.

        What is resident first, least recently used first: so each request takes the blocks that
        the last request for its image has left behind. Then the others as they are given.
        """

        def number(place: int) -> int:
            use = self._last_use.get(digests[place] or "")
            return self._num_uses if use is None else use.number

        return sorted(range(len(digests)), key=number)

    def tell_size(self, num_tokens: int) -> None:
        """Say once how many images like the first one stay in the cache."""
        if self.num_resident is not None:
            return
        self.num_resident = self._cache.num_resident(num_tokens)
        _log.info(
            "the KV cache (%.3g GiB) holds about %d images like the first one, at %d tokens with "
            "prompt and reply",
            self._cache.gib(self._cache.num_blocks),
            self.num_resident,
            num_tokens,
        )

    def tell_shortage(self, returning: Iterable[str]) -> None:
        """Say once that images come back that are no longer there.

        returning: digests of those images of a batch that have been used before.
        """
        if self._has_told_shortage:
            return
        images = set(returning)
        uses = [self._last_use.get(digest) for digest in images]
        known = [use.num_blocks for use in uses if use is not None]
        if not known or len(known) == len(images):
            return
        self._has_told_shortage = True
        num_blocks = len(images) * sum(known) / len(known) / _TRUSTED_SHARE
        _log.info(
            "the KV cache holds about %d of these %d images: passes over them begin with those; "
            "kv_cache_gib of %.3g would hold all, offload_gib keeps the others in host memory",
            len(known),
            len(images),
            self._cache.gib(math.ceil(num_blocks)),
        )
