"""The keys of a part, in front of its seal, so that opening it parses no footer.

    ... row groups | prefixes | outcomes | end | checksums of blocks | seal | ...

To the seal they are bytes like those of the row groups. Their own checksum lets a reader take them
without the block that they lie in. A part that has none is opened through pyarrow.
"""

import struct
from typing import NamedTuple

import numpy as np
from xxhash import xxh3_64_intdigest

from .checksums import CheckedFile
from .outcomes import PartKeys

_MAGIC = b"blpokeys"
_END = struct.Struct("<8sIIQ")
"""Magic, format of the part, number of keys, XXH3 of prefixes, outcomes, format and number."""

_PREFIX_BYTES = 8
_KEY_BYTES = _PREFIX_BYTES + 1


class ListedKeys(NamedTuple):
    """The format of a part, and its keys."""

    version: int
    keys: PartKeys


def packed(version: int, keys: PartKeys) -> bytes:
    data = keys.prefixes.astype("<u8").tobytes() + keys.outcomes.tobytes()
    num_keys = len(keys.prefixes)
    return data + _END.pack(_MAGIC, version, num_keys, _checksum(data, version, num_keys))


def read_keys(file: CheckedFile) -> ListedKeys | None:
    """The keys of a sealed part; None if it says nothing of them. Raises OSError for damage."""
    end = file.tail_start - _END.size
    if end < 0:
        return None
    magic, version, num_keys, checksum = _END.unpack(file.unchecked(end, file.tail_start))
    if magic != _MAGIC:
        return None
    start = end - num_keys * _KEY_BYTES
    data = file.unchecked(start, end) if start >= 0 else b""
    if checksum != _checksum(data, version, num_keys):
        raise OSError("its list of keys does not fit its checksum")
    prefixes = np.frombuffer(data, "<u8", num_keys).astype(np.uint64, copy=False)
    outcomes = np.frombuffer(data, np.uint8, num_keys, num_keys * _PREFIX_BYTES)
    return ListedKeys(version, PartKeys(prefixes, outcomes))


def _checksum(data: bytes, version: int, num_keys: int) -> int:
    return xxh3_64_intdigest(data, seed=version << 32 | num_keys)
