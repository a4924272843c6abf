"""Records: a reply in one piece inside a part, found and read without the rest of the part.

The column `record` lies uncompressed and unencoded in a single page for each row group, each
record behind its length in four bytes; the column `locator` tells its length and the beginning of
its key. From these and the metadata of the part follows where every record is.
"""

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple

from .arrow import pa
from .replies import SCHEMA, ReplyRow, StoredReply

Prefixes = npt.NDArray[np.uint64]

LOCATOR_DTYPE = np.dtype([("prefix", ">u8"), ("record_bytes", "<u4")])
"""A locator: the first 64 bits of the key, and the record's length in bytes."""

_LENGTH_BYTES = 4
_CHECKSUM_BYTES = 4
_CRC32_RESIDUE = 0x2144DF1C
"""The CRC-32 of whatever ends in its own CRC-32."""
_MAX_HEADER_BYTES = 256
_GAP_BYTES = 8 * 2**10
_SPAN_BYTES = 2**20
_encode = msgspec.msgpack.Encoder().encode
_decode: Callable[[bytes], StoredReply] = msgspec.msgpack.Decoder(StoredReply).decode


@dataclass(frozen=True, slots=True)
class RecordIndex:
    """Where the records of a part are, in row order: arrays of its number of rows.

    prefixes: of the keys. starts: position in the file. lengths: in bytes.
    """

    prefixes: Prefixes
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.uint32]


def key_prefixes(keys: Sequence[str]) -> Prefixes:
    """The first 64 bits of each key."""
    leading = bytes.fromhex("".join([key[:16] for key in keys]))
    return np.frombuffer(leading, ">u8").astype(np.uint64)


def table_of_rows(rows: Sequence[ReplyRow]) -> Any:
    """An Arrow table with SCHEMA; floats come back bit for bit."""
    columns = dict(
        zip(ReplyRow.__struct_fields__, zip(*map(astuple, rows), strict=True), strict=True)
    )
    replies = zip(*(columns[name] for name in StoredReply.__struct_fields__), strict=True)
    records = tuple(map(_record, replies))
    columns |= {"record": records, "locator": _locators(columns["key"], records)}
    arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _record(values: tuple[Any, ...]) -> bytes:
    """The fields of a StoredReply as a msgpack array, then its CRC-32, little-endian."""
    payload = _encode(values)
    return payload + zlib.crc32(payload).to_bytes(_CHECKSUM_BYTES, "little")


def _locators(keys: Sequence[str], records: Sequence[bytes]) -> tuple[bytes, ...]:
    found = np.empty(len(keys), LOCATOR_DTYPE)
    found["prefix"] = key_prefixes(keys)
    found["record_bytes"] = [len(record) for record in records]
    data, size = found.tobytes(), LOCATOR_DTYPE.itemsize
    return tuple(data[start : start + size] for start in range(0, len(data), size))


def locators_of(table: Any) -> npt.NDArray[Any]:
    """The column `locator` of rows of a part."""
    column = table.column("locator").combine_chunks()
    size = LOCATOR_DTYPE.itemsize
    return np.frombuffer(column.buffers()[1], LOCATOR_DTYPE, len(column), column.offset * size)


def check_records(table: Any) -> None:
    """Raises OSError if a record or a locator is not what was written with its row."""
    keys, records = (table.column(name).to_pylist() for name in ("key", "record"))
    if tuple(table.column("locator").to_pylist()) != _locators(keys, records):
        raise OSError("a locator does not fit its record")
    if [_reply(record).key for record in records] != keys:
        raise OSError("a record is that of another key")


def record_index(locators: Sequence[npt.NDArray[Any]], chunks: Sequence[Any]) -> RecordIndex:
    """The index of a part, from the locators of its row groups and the metadata of `record`.

    Raises OSError if records do not lie as this module writes them.
    """
    together = np.concatenate([np.empty(0, LOCATOR_DTYPE), *locators])
    starts = [_starts(found, chunk) for found, chunk in zip(locators, chunks, strict=True)]
    return RecordIndex(
        prefixes=together["prefix"].astype(np.uint64),
        starts=np.concatenate([np.empty(0, np.int64), *starts]),
        lengths=together["record_bytes"].astype(np.uint32),
    )


def _starts(locators: npt.NDArray[Any], chunk: Any) -> npt.NDArray[np.int64]:
    """Where the records of a row group start: they fill one page behind a header."""
    sizes = locators["record_bytes"].astype(np.int64) + _LENGTH_BYTES
    header_bytes = chunk.total_compressed_size - int(sizes.sum())
    is_plain = chunk.compression == "UNCOMPRESSED" and not chunk.has_dictionary_page
    if not is_plain or not 0 < header_bytes < _MAX_HEADER_BYTES:
        raise OSError("its records are not laid out as a reply store writes them")
    return chunk.data_page_offset + header_bytes + np.cumsum(sizes) - sizes + _LENGTH_BYTES


def read_records(part: Path, index: RecordIndex, rows: npt.NDArray[np.int64]) -> list[StoredReply]:
    """The replies at ascending rows; records that lie close together are read in one go.

    Raises OSError for a record that is damaged, FileNotFoundError for a part that is gone.
    """
    starts, lengths = index.starts[rows], index.lengths[rows].astype(np.int64)
    descriptor = os.open(part, os.O_RDONLY)
    try:
        return [_reply(record) for record in _records(descriptor, starts, lengths)]
    finally:
        os.close(descriptor)


def _records(
    descriptor: int, starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> Iterator[bytes]:
    ends = starts + lengths
    is_far = starts[1:] - ends[:-1] > _GAP_BYTES
    is_in_next_span = np.diff(starts // _SPAN_BYTES) != 0
    breaks = (np.flatnonzero(is_far | is_in_next_span) + 1).tolist()
    places = list(zip(starts.tolist(), ends.tolist(), strict=True))
    for first, last in pairwise([0, *breaks, len(places)]):
        span_start, span_end = places[first][0], places[last - 1][1]
        span = os.pread(descriptor, span_end - span_start, span_start)
        for start, end in places[first:last]:
            yield span[start - span_start : end - span_start]


def _reply(record: bytes) -> StoredReply:
    if zlib.crc32(record) != _CRC32_RESIDUE:
        raise OSError("a record does not fit its checksum")
    return _decode(record[:-_CHECKSUM_BYTES])
