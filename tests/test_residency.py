"""Which images the engine still holds, and the order that makes use of it."""

import logging
from collections import OrderedDict
from collections.abc import Sequence

import pytest
from blpo.models.engines.vllm.residency import KvCache, Residency

BLOCK = 32
TOKENS = 10 * BLOCK
"""Of one request: ten blocks."""


def cache_for(num_images: int) -> KvCache:
    return KvCache(num_tokens=num_images * TOKENS, block_size=BLOCK, bytes_per_token=1024)


class Lru:
    """A cache of so many images that evicts the least recently used one."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._images: OrderedDict[str, None] = OrderedDict()

    def hit(self, image: str) -> bool:
        found = image in self._images
        self._images[image] = None
        self._images.move_to_end(image)
        if len(self._images) > self._capacity:
            self._images.popitem(last=False)
        return found


def a_pass(residency: Residency, images: Sequence[str]) -> list[str]:
    """The images in the order in which the engine is asked about them."""
    ordered = [images[i] for i in residency.order(images)]
    for image in ordered:
        residency.use(image, TOKENS)
    return ordered


def names(count: int) -> list[str]:
    return [f"image {i}" for i in range(count)]


def test_images_that_fit_are_asked_in_the_order_given_in_every_pass() -> None:
    residency, images = Residency(cache_for(100)), names(90)
    assert [a_pass(residency, images) for _ in range(3)] == [images] * 3


def test_passes_over_more_images_than_fit_go_back_and_forth() -> None:
    residency, images = Residency(cache_for(100)), names(180)
    first, second, third = (a_pass(residency, images) for _ in range(3))
    assert first == images
    assert second == images[90:] + images[:90]
    assert third == images


@pytest.mark.parametrize(("num_images", "share"), [(150, 0.6), (200, 0.45), (400, 0.22)])
def test_a_pass_finds_nearly_as_many_images_as_the_cache_holds(
    num_images: int, share: float
) -> None:
    residency, lru, images = Residency(cache_for(100)), Lru(100), names(num_images)
    passes = [[lru.hit(image) for image in a_pass(residency, images)] for _ in range(4)]
    assert all(sum(hits) / num_images >= share for hits in passes[1:])


def test_passes_that_go_round_and_round_find_nothing() -> None:
    lru, images = Lru(100), names(200)
    passes = [[lru.hit(image) for image in images] for _ in range(4)]
    assert not any(any(hits) for hits in passes)


def test_every_request_is_asked_once_and_requests_without_image_keep_their_order() -> None:
    residency = Residency(cache_for(100))
    a_pass(residency, names(3))
    digests = [None, "new", "image 2", None, "image 0", "image 2"]
    assert residency.order(digests) == [4, 2, 5, 0, 1, 3]


def test_long_text_requests_take_the_place_of_images() -> None:
    residency, images = Residency(cache_for(10)), names(8)
    a_pass(residency, images)
    residency.use("a long text", 5 * TOKENS)
    assert residency.order(images)[:4] == [4, 5, 6, 7]


def test_the_planner_counts_whole_blocks() -> None:
    cache = KvCache(num_tokens=100 * BLOCK, block_size=BLOCK, bytes_per_token=1 << 20)
    assert [cache.blocks(n) for n in (1, BLOCK, BLOCK + 1)] == [1, 1, 2]
    assert cache.num_resident(BLOCK + 1) == 50
    assert cache.gib(32) == 1.0


def test_size_and_shortage_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    residency, images = Residency(cache_for(100)), names(180)
    with caplog.at_level(logging.INFO, "blpo.engine"):
        residency.tell_size(TOKENS)
        residency.tell_size(TOKENS)
        for _ in range(3):
            a_pass(residency, images)
            residency.tell_shortage(images)
    size, shortage = caplog.messages
    assert "holds about 100 images like the first one, at 320 tokens" in size
    assert "holds about 90 of these 180 images" in shortage
    assert "kv_cache_gib of 0.061 would hold all" in shortage


def test_images_that_all_fit_are_no_shortage(caplog: pytest.LogCaptureFixture) -> None:
    residency, images = Residency(cache_for(100)), names(90)
    a_pass(residency, images)
    with caplog.at_level(logging.INFO, "blpo.engine"):
        residency.tell_shortage(images)
    assert not caplog.messages
