"""TFRecord files of tf.Example messages, read without TensorFlow.

A record is framed as: uint64 length, uint32 checksum of it, data, uint32 checksum of the data,
all little-endian. The data is the protobuf message Example{features: map<string, Feature>}.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

from ..errors import DataError

Value = list[bytes] | list[float] | list[int]

_BYTES, _FLOATS, _INTS = 1, 2, 3
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


def read_examples(path: Path) -> Iterator[dict[str, Value]]:
    """Features by name of every record. Raises DataError for a file that is cut off or none."""
    for number, data in enumerate(_records(path), 1):
        try:
            yield _example(data)
        except (IndexError, KeyError, ValueError, struct.error) as error:
            raise DataError(f"{path}: record {number}: not a tf.Example: {error}") from error


def _records(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while header := file.read(12):
            size = struct.unpack("<Q", header[:8])[0] if len(header) == 12 else -1
            # A file that is no TFRecord (a Git LFS pointer, say) claims an absurd size.
            data = file.read(size + 4) if 0 <= size < path.stat().st_size else b""
            if len(data) != size + 4:
                raise DataError(
                    f"{path}: not a whole TFRecord file at byte {file.tell():,}: download it "
                    "again (a clone without Git LFS has only pointers)"
                )
            yield data[:-4]


def _example(data: bytes) -> dict[str, Value]:
    features: dict[str, Value] = {}
    for _, feature_map in _fields(data):
        for _, entry in _fields(_message(feature_map)):
            pair = dict(_fields(_message(entry)))
            features[_message(pair[1]).decode()] = _feature(_message(pair[2]))
    return features


def _feature(data: bytes) -> Value:
    for kind, content in _fields(data):
        values = [value for _, value in _fields(_message(content))]
        if kind == _BYTES:
            return [_message(value) for value in values]
        packed = b"".join(value for value in values if isinstance(value, bytes))
        if kind == _FLOATS:
            return [float(x) for x in struct.unpack(f"<{len(packed) // 4}f", packed)]
        return [v for v in values if isinstance(v, int)] or list(_varints(packed))
    return list[bytes]()


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """Field numbers and values of a protobuf message; fixed-width values stay bytes."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(data, at)
            yield tag >> 3, value
            continue
        size, at = _varint(data, at) if kind == _LENGTH else ({_FIXED64: 8, _FIXED32: 4}[kind], at)
        if at + size > len(data):
            raise ValueError("a field runs past the end")
        yield tag >> 3, data[at : at + size]
        at += size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def _varints(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value


def _message(value: bytes | int) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value
