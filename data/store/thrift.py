"""Thrift's compact protocol, in which Parquet has footers and page headers, read strictly."""

from typing import Any

_BOOLEANS = {1: True, 2: False}
_INTEGERS = {4, 5, 6}
_BINARY, _LIST, _STRUCT = 8, 9, 12
_MAX_VARINT_BYTES = 10
_MAX_DEPTH = 16

Struct = dict[int, Any]
"""Values by field number: bool, int, bytes, list or Struct."""


class ThriftReader:
    """Reads values one after another. Raises OSError where the bytes are no such value."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def struct(self, depth: int = 0) -> Struct:
        if depth > _MAX_DEPTH:
            raise OSError("its metadata is nested too deep")
        fields: Struct = {}
        number = 0
        while header := self._byte():
            delta, kind = divmod(header, 16)
            number = number + delta if delta else self._integer()
            if number in fields:
                raise OSError("its metadata has a field twice")
            fields[number] = _BOOLEANS[kind] if kind in _BOOLEANS else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in _INTEGERS:
            return self._integer()
        if kind == _BINARY:
            return self._bytes(self._varint())
        if kind == _LIST:
            return self._list(depth + 1)
        if kind == _STRUCT:
            return self.struct(depth + 1)
        raise OSError(f"its metadata has a value of kind {kind}")

    def _list(self, depth: int) -> list[Any]:
        size, kind = divmod(self._byte(), 16)
        size = self._varint() if size == 15 else size
        if size > len(self._data) - self.position:
            raise OSError("its metadata ends too early")
        if depth > _MAX_DEPTH:
            raise OSError("its metadata is nested too deep")
        return [self._value(kind, depth) for _ in range(size)]

    def _integer(self) -> int:
        number = self._varint()
        return number >> 1 ^ -(number & 1)

    def _varint(self) -> int:
        number = 0
        for place in range(_MAX_VARINT_BYTES):
            byte = self._byte()
            number |= (byte & 127) << 7 * place
            if byte < 128:
                return number
        raise OSError("a number of its metadata does not end")

    def _byte(self) -> int:
        if self.position >= len(self._data):
            raise OSError("its metadata ends too early")
        self.position += 1
        return self._data[self.position - 1]

    def _bytes(self, size: int) -> bytes:
        start, self.position = self.position, self.position + size
        if self.position > len(self._data):
            raise OSError("its metadata ends too early")
        return self._data[start : self.position]
