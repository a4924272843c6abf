"""Randomness without state: everything random follows from the run seed and a purpose."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


def derived_seed(seed: int, *purpose: str | int) -> int:
    """A 64-bit seed for one purpose, for libraries that want a generator of their own."""
    return int.from_bytes(_digest(seed, *purpose)[:8], "big")


def derived_order(
    items: Sequence[T], key: Callable[[T], str], seed: int, *purpose: str | int
) -> list[T]:
    """The items in an order that depends on the seed, the purpose and their keys alone."""
    return sorted(items, key=lambda item: _digest(seed, *purpose, key(item)))


def _digest(*parts: str | int) -> bytes:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
