"""The prefixes of a part's keys, in front of its seal, so that opening it parses no footer.

    ... row groups | prefixes | end | checksums of blocks | seal | ...

To the seal they are bytes like those of the row groups. Their own checksum lets a reader take them
without the block that they lie in. A part that has none is opened through pyarrow.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from xxhash import xxh3_64_intdigest

from .checksums import CheckedFile
from .key_index import Prefixes

_MAGIC = b"blpo\x00key"
_END = struct.Struct("<8sIIQ")
"""Magic, format of the part, number of keys, XXH3 of prefixes, format and number."""

_PREFIX_BYTES = 8


class PartKeys(NamedTuple):
    """The format of a part, and the prefixes of its keys in row order."""

    version: int
    prefixes: Prefixes


def packed(version: int, prefixes: Sequence[Prefixes]) -> bytes:
    data = b"".join(found.astype("<u8").tobytes() for found in prefixes)
    num_keys = len(data) // _PREFIX_BYTES
    return data + _END.pack(_MAGIC, version, num_keys, _checksum(data, version, num_keys))


def read_keys(file: CheckedFile) -> PartKeys | None:
    """The keys of a sealed part; None if it says nothing of them. Raises OSError for damage."""
    end = file.tail_start - _END.size
    if end < 0:
        return None
    magic, version, num_keys, checksum = _END.unpack(file.unchecked(end, file.tail_start))
    if magic != _MAGIC:
        return None
    start = end - num_keys * _PREFIX_BYTES
    data = file.unchecked(start, end) if start >= 0 else b""
    if checksum != _checksum(data, version, num_keys):
        raise OSError("its list of keys does not fit its checksum")
    return PartKeys(version, np.frombuffer(data, "<u8").astype(np.uint64, copy=False))


def _checksum(data: bytes, version: int, num_keys: int) -> int:
    return xxh3_64_intdigest(data, seed=version << 32 | num_keys)
