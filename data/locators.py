"""Locators: what is held in memory of every row, so that a look-up reads nothing but the texts.

Texts are nine tenths of a part, and a look-up wants few of them. They lie uncompressed and
unencoded in a single page for each row group, each behind its length in four bytes; the column
`locator` has the lengths, from which with the metadata of the part follows where each text is,
the counts, and the number of the row's head: what many rows have in common, which the metadata
of the part lists.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple
from xxhash import xxh3_64_intdigest

from .arrow import pa
from .replies import SCHEMA, ReplyRow, StoredReply

LOCATOR_DTYPE = np.dtype(
    [
        ("prefix", ">u8"),
        ("text_bytes", "<u4"),
        ("text_checksum", "<u8"),
        ("head", "<u4"),
        ("prompt_tokens", "<u4"),
        ("completion_tokens", "<u4"),
        ("cached_tokens", "<u4"),
    ]
)
"""A value of the column `locator`.

prefix: the first 64 bits of the key. text_bytes: length of the text in UTF-8. text_checksum: XXH3
of the text, xor the next 64 bits of the key, so that it fits no other key.
"""

HEADS_KEY = b"blpo.heads"
"""Where the metadata of a part has its heads, as JSON."""

_COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens")
_LENGTH_BYTES = 4
_MAX_HEADER_BYTES = 256
_GAP_BYTES = 4096

Prefixes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


class Head(NamedTuple):
    """What a StoredReply shares with many others."""

    run_id: str
    labels: tuple[str, ...]
    finish_reason: str
    error: str | None
    has_logprobs: bool


@dataclass(frozen=True, slots=True)
class PartIndex:
    """Where the texts of a part are.

    locators: LOCATOR_DTYPE, in row order. starts: position of each text in the file.
    num_rows: of each row group.
    """

    locators: npt.NDArray[Any]
    starts: npt.NDArray[np.int64]
    num_rows: list[int]
    heads: list[Head]

    @property
    def prefixes(self) -> Prefixes:
        return self.locators["prefix"].astype(np.uint64)


def key_prefixes(keys: Sequence[str]) -> Prefixes:
    """The first 64 bits of each key."""
    return _numbers([key[:16] for key in keys])


def _checksums(keys: Sequence[str], texts: Sequence[bytes]) -> npt.NDArray[np.uint64]:
    checksums = np.array(list(map(xxh3_64_intdigest, texts)), np.uint64)
    return checksums ^ _numbers([key[16:32] for key in keys])


def _numbers(digits: Sequence[str]) -> npt.NDArray[np.uint64]:
    """Numbers of 64 bits from 16 hex digits each."""
    return np.frombuffer(bytes.fromhex("".join(digits)), ">u8").astype(np.uint64)


def table_of_rows(rows: Sequence[ReplyRow], heads: dict[Head, int]) -> Any:
    """An Arrow table with SCHEMA; floats come back bit for bit.

    heads: numbers of heads, to which those of the rows are added.
    """
    names = ReplyRow.__struct_fields__
    columns: dict[str, Sequence[Any]] = dict(
        zip(names, zip(*map(astuple, rows), strict=True), strict=True)
    )
    columns["locator"] = _cells(_locators(columns, heads))
    arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _locators(columns: Mapping[str, Sequence[Any]], heads: dict[Head, int]) -> npt.NDArray[Any]:
    keys = columns["key"]
    texts = [text.encode() for text in columns["text"]]
    found = np.empty(len(keys), LOCATOR_DTYPE)
    found["prefix"] = key_prefixes(keys)
    found["text_bytes"] = list(map(len, texts))
    found["text_checksum"] = _checksums(keys, texts)
    found["head"] = [heads.setdefault(head, len(heads)) for head in _heads(columns)]
    for name in _COUNTS:
        found[name] = columns[name]
    return found


def _heads(columns: Mapping[str, Sequence[Any]]) -> Iterator[Head]:
    shared = (columns[name] for name in Head._fields[:-1])
    for run_id, labels, finish_reason, error, logprobs in zip(
        *shared, columns["label_logprobs"], strict=True
    ):
        yield Head(run_id, tuple(labels), finish_reason, error, logprobs is not None)


def heads_metadata(heads: Iterable[Head]) -> dict[bytes, bytes]:
    return {HEADS_KEY: msgspec.json.encode(list(heads))}


def heads_of(metadata: dict[bytes, bytes] | None) -> list[Head]:
    """Raises OSError where there are none."""
    try:
        return msgspec.json.decode((metadata or {})[HEADS_KEY], type=list[Head])
    except (KeyError, msgspec.DecodeError) as error:
        raise OSError("its metadata has no heads of rows") from error


def renumbered(table: Any, heads: dict[Head, int]) -> Any:
    """Rows of a part without its metadata, their heads numbered as in `heads`, new ones added."""
    own = heads_of(table.schema.metadata)
    numbers = np.array([heads.setdefault(head, len(heads)) for head in own], np.uint32)
    locators = locators_of(table).copy()
    locators["head"] = numbers[locators["head"]]
    column = pa.array(_cells(locators), SCHEMA.field("locator").type)
    index = SCHEMA.get_field_index("locator")
    return table.set_column(index, SCHEMA.field("locator"), column).replace_schema_metadata()


def locators_of(table: Any) -> npt.NDArray[Any]:
    """The column `locator` of rows of a part."""
    column = table.column("locator").combine_chunks()
    size = LOCATOR_DTYPE.itemsize
    return np.frombuffer(column.buffers()[1], LOCATOR_DTYPE, len(column), column.offset * size)


def _cells(locators: npt.NDArray[Any]) -> list[bytes]:
    data, size = locators.tobytes(), LOCATOR_DTYPE.itemsize
    return [data[start : start + size] for start in range(0, len(data), size)]


def check_locators(table: Any) -> None:
    """Raises OSError if a locator is not what was written with its row."""
    heads = {head: number for number, head in enumerate(heads_of(table.schema.metadata))}
    names = {"key", "text", "label_logprobs", *_COUNTS, *Head._fields[:-1]}
    columns = {name: table.column(name).to_pylist() for name in names}
    if not np.array_equal(_locators(columns, heads), locators_of(table)):
        raise OSError("a locator does not fit its row")


def part_index(groups: Sequence[Any], chunks: Sequence[Any], heads: list[Head]) -> PartIndex:
    """From tables of the row groups and the metadata of their texts.

    Raises OSError if texts do not lie as this store writes them.
    """
    locators = [locators_of(group) for group in groups]
    starts = [_text_starts(found, chunk) for found, chunk in zip(locators, chunks, strict=True)]
    return PartIndex(
        locators=np.concatenate([np.empty(0, LOCATOR_DTYPE), *locators]),
        starts=np.concatenate([np.empty(0, np.int64), *starts]),
        num_rows=[len(found) for found in locators],
        heads=heads,
    )


def _text_starts(locators: npt.NDArray[Any], chunk: Any) -> npt.NDArray[np.int64]:
    """Where the texts of a row group start: they fill one page behind a header."""
    sizes = locators["text_bytes"].astype(np.int64) + _LENGTH_BYTES
    header_bytes = chunk.total_compressed_size - int(sizes.sum())
    is_plain = chunk.compression == "UNCOMPRESSED" and not chunk.has_dictionary_page
    if not is_plain or not 0 < header_bytes < _MAX_HEADER_BYTES:
        raise OSError("its texts are not laid out as a reply store writes them")
    return chunk.data_page_offset + header_bytes + np.cumsum(sizes) - sizes + _LENGTH_BYTES


def read_texts(part: Path, index: PartIndex, rows: Rows) -> list[bytes]:
    """The texts at ascending rows; those that lie close together are read in one go."""
    starts = index.starts[rows]
    ends = starts + index.locators["text_bytes"][rows]
    descriptor = os.open(part, os.O_RDONLY)
    try:
        return _slices(descriptor, starts, ends)
    finally:
        os.close(descriptor)


def _slices(
    descriptor: int, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> list[bytes]:
    """What lies between ascending starts and ends in a file, small gaps read over."""
    is_far = starts[1:] - ends[:-1] > _GAP_BYTES
    if is_far.all():
        return _spans(descriptor, starts, ends)
    breaks = np.flatnonzero(is_far) + 1
    span_starts = starts[np.append(0, breaks)]
    spans = _spans(descriptor, span_starts, ends[np.append(breaks - 1, -1)])
    numbers = np.searchsorted(breaks, np.arange(len(starts)), "right")
    offsets = span_starts[numbers]
    places = zip(
        numbers.tolist(), (starts - offsets).tolist(), (ends - offsets).tolist(), strict=True
    )
    return [spans[number][start:end] for number, start, end in places]


def _spans(
    descriptor: int, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> list[bytes]:
    return list(map(os.pread, repeat(descriptor), (ends - starts).tolist(), starts.tolist()))


def misfits(locators: npt.NDArray[Any], keys: Sequence[str], texts: Sequence[bytes]) -> list[int]:
    """Positions where the text is damaged or that of another key."""
    return np.flatnonzero(locators["text_checksum"] != _checksums(keys, texts)).tolist()


def replies(
    locators: npt.NDArray[Any],
    heads: Sequence[Head],
    keys: Sequence[str],
    texts: Sequence[bytes],
    logprobs: Sequence[list[float] | None],
) -> list[StoredReply]:
    """Replies, of which there is at least one, from what was read of their rows."""
    run_ids, labels, finish_reasons, errors, _ = zip(*heads, strict=True)
    counts = (locators[name].tolist() for name in _COUNTS)
    decoded = map(bytes.decode, texts)
    return list(
        map(StoredReply, keys, run_ids, labels, decoded, logprobs, finish_reasons, errors, *counts)
    )
