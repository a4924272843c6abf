"""Files with checksums of all their bytes, so that nothing parses a byte that is not as written.

    PAR1 | row groups | more | checksums of blocks | seal | footer | its length | PAR1

The seal lies between the last row group and the footer of a Parquet file, which leave readers that
know nothing of it room there; `more` (`part_keys`) is in blocks like the row groups. The seal
vouches for all that follows them, the checksums of the blocks included. `CheckedFile` gives pyarrow
only what fits: Parquet's own page checksums say nothing of footer and page headers, and a single
bit flipped there can abort the process.
"""

import os
import struct
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64, xxh3_64_intdigest

BLOCK_BYTES = 2**16
"""Bytes of a block, which is read and checked as a whole; the last one may have fewer."""

_MAGIC = b"blpo\x00sum"
_SEAL = struct.Struct("<8sIQ")
"""Magic, number of blocks, XXH3 of everything behind the row groups but for this number."""

_CHECKSUM_BYTES = 8
_TAIL_BYTES = 2**15
"""So much of the end of a file is read at once: the whole tail of a small part."""

_END = struct.Struct("<I4s")
"""The end of a Parquet file: length of the footer, and PAR1."""


class UnsealedError(OSError):
    """A file has no seal."""


class CheckedFile:
    """A sealed file as pyarrow reads it. Any read raises OSError if a block does not fit.

    tail_start: where the blocks end, and their checksums, seal and footer begin. Raises
    UnsealedError, OSError for a seal that does not fit, and what opening a file raises. Not
    thread-safe.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.closed = False
        try:
            self._size = os.fstat(self._descriptor).st_size
            self._position = 0
            self._end_start = max(0, self._size - _TAIL_BYTES)
            self._end = self._pread(self._end_start, self._size)
            self.tail_start, self._checksums, self._tail = self._read_tail()
        except BaseException:
            self.close()
            raise
        self._span_start, self._span = self.tail_start, memoryview(self._tail)

    def read(self, num_bytes: int = -1) -> memoryview:
        end = self._size if num_bytes < 0 else min(self._position + num_bytes, self._size)
        start, self._position = self._position, max(end, self._position)
        if start < self._span_start or end > self._span_start + len(self._span):
            self._load(start, end)
        return self._span[start - self._span_start : end - self._span_start]

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self._descriptor)

    def unchecked(self, start: int, end: int) -> bytes:
        """Bytes [start, end), of which the caller checks that they are as written."""
        if start < self._end_start:
            return self._pread(start, end)
        return self._end[start - self._end_start : end - self._end_start]

    def check(self) -> None:
        """Reads the file to its last byte."""
        for start in range(0, self.tail_start, BLOCK_BYTES):
            self._load(start, min(start + BLOCK_BYTES, self.tail_start))

    def _read_tail(self) -> tuple[int, npt.NDArray[np.uint64], bytes]:
        """Where the blocks end, their checksums, and all that follows them."""
        if self._size < _END.size:
            raise OSError("too short for a Parquet file")
        footer_bytes, _ = _END.unpack(self.unchecked(self._size - _END.size, self._size))
        seal_start = self._size - _END.size - footer_bytes - _SEAL.size
        if seal_start < 0:
            raise UnsealedError("it has no checksums")
        magic, num_blocks, checksum = _SEAL.unpack(
            self.unchecked(seal_start, seal_start + _SEAL.size)
        )
        if magic != _MAGIC:
            raise UnsealedError("it has no checksums")
        start = seal_start - num_blocks * _CHECKSUM_BYTES
        tail = self.unchecked(start, self._size) if start >= 0 else b""
        if checksum != _tail_checksum(tail, seal_start - start):
            raise OSError("what follows its rows does not fit its checksum")
        return start, np.frombuffer(tail, "<u8", num_blocks), tail

    def _load(self, start: int, end: int) -> None:
        """Makes the span cover [start, end), whole blocks read and checked."""
        first = min(start, self.tail_start) // BLOCK_BYTES
        last = -(-min(end, self.tail_start) // BLOCK_BYTES)
        blocks_end = min(last * BLOCK_BYTES, self.tail_start)
        data = self._pread(first * BLOCK_BYTES, blocks_end)
        view = memoryview(data)
        for number in range(first, last):
            at = (number - first) * BLOCK_BYTES
            if xxh3_64_intdigest(view[at : at + BLOCK_BYTES]) != self._checksums[number]:
                raise OSError(
                    f"its bytes from {number * BLOCK_BYTES:,} on do not fit their checksum"
                )
        self._span_start = first * BLOCK_BYTES
        self._span = memoryview(data + self._tail) if end > self.tail_start else view

    def _pread(self, start: int, end: int) -> bytes:
        data = os.pread(self._descriptor, end - start, start)
        if len(data) != end - start:
            raise OSError("it ends too early")
        return data


def seal(path: Path, more: bytes = b"") -> None:
    """Adds checksums to a Parquet file that no other process sees yet; durable on return.

    more: what else is to lie between row groups and footer.
    """
    with path.open("r+b") as file:
        size = file.seek(-_END.size, os.SEEK_END) + _END.size
        footer_bytes, _ = _END.unpack(file.read())
        rows_end = file.seek(size - _END.size - footer_bytes)
        footer = file.read()
        file.seek(rows_end)
        blocks_end = rows_end + file.write(more)
        file.seek(0)
        ends = [*range(BLOCK_BYTES, blocks_end, BLOCK_BYTES), blocks_end]
        lengths = [end - start for start, end in pairwise([0, *ends])]
        found = np.array([xxh3_64_intdigest(file.read(length)) for length in lengths], "<u8")
        checksums = found.tobytes()
        unsealed = checksums + _SEAL.pack(_MAGIC, len(lengths), 0) + footer
        file.write(checksums)
        file.write(_SEAL.pack(_MAGIC, len(lengths), _tail_checksum(unsealed, len(checksums))))
        file.write(footer)
        file.flush()
        os.fsync(file.fileno())


def _tail_checksum(tail: bytes, seal_start: int) -> int:
    """XXH3 of everything behind the row groups but for the number itself."""
    number_end = seal_start + _SEAL.size
    found = xxh3_64(tail[: number_end - _CHECKSUM_BYTES])
    found.update(tail[number_end:])
    return found.intdigest()
