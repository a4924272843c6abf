"""Images that are the same, or nearly so, on both sides of the split."""

from collections.abc import Mapping
from typing import Any

import imagehash  # pyright: ignore[reportMissingTypeStubs]
import numpy as np
from numpy.typing import NDArray
from PIL import Image

NEAR_BITS = 4
"""Perceptual hashes of 64 bits that differ in at most so many are near-duplicates."""

_ROWS_AT_ONCE = 256
_imagehash: Any = imagehash


def perceptual_hash(image: Image.Image) -> int:
    """The 64-bit pHash of an image: equal pictures in another size or format nearly agree."""
    return int(str(_imagehash.phash(image)), 16)


def near_duplicates(
    test: Mapping[str, int], train: Mapping[str, int]
) -> list[tuple[str, str, int]]:
    """Test examples whose nearest train example is near, with it and the bits that differ.

    test, train: hashes by example id. Nearest first; of equally near train examples the first.
    """
    test_bits, train_bits = _as_array(test), _as_array(train)
    test_ids, train_ids = list(test), list(train)
    found: list[tuple[str, str, int]] = []
    for start in range(0, len(test_ids), _ROWS_AT_ONCE):
        distances = np.bitwise_count(test_bits[start : start + _ROWS_AT_ONCE, None] ^ train_bits)
        for row, column in enumerate(distances.argmin(axis=1)):
            if distances[row, column] <= NEAR_BITS:
                bits = int(distances[row, column])
                found.append((test_ids[start + row], train_ids[int(column)], bits))
    return sorted(found, key=lambda pair: (pair[2], pair[0]))


def _as_array(hashes: Mapping[str, int]) -> NDArray[np.uint64]:
    return np.fromiter(hashes.values(), dtype=np.uint64, count=len(hashes))
