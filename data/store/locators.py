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
from itertools import accumulate, pairwise, repeat
from operator import attrgetter
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec.structs import astuple
from xxhash import xxh3_64_intdigest

from ..arrow import pa
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

_TEXT_CHUNK: int = SCHEMA.get_field_index("text")
_COUNTS = ("prompt_tokens", "completion_tokens", "cached_tokens")
_KEY_NUMBERS = 4
_LENGTH_BYTES = 4
_MAX_HEADER_BYTES = 256
_GAP_BYTES = 4096
_SPAN_BYTES = 2**22

Prefixes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int64]


class Head(NamedTuple):
    """What a StoredReply shares with many others."""

    run_id: str
    labels: tuple[str, ...]
    finish_reason: str
    error: str | None
    has_logprobs: bool


_SHARED = [attrgetter(name) for name in Head._fields[:-1]]


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
    return _key_numbers(keys, 0)


def _checksums(keys: Sequence[str], hashes: Sequence[int]) -> npt.NDArray[np.uint64]:
    """`text_checksum` of each key from the XXH3 of its text."""
    return np.array(hashes, np.uint64) ^ _key_numbers(keys, 1)


def _key_numbers(keys: Sequence[str], number: int) -> npt.NDArray[np.uint64]:
    """The first, second, ... 64 bits of each key."""
    words = np.frombuffer(bytes.fromhex("".join(keys)), ">u8")
    return words.reshape(len(keys), _KEY_NUMBERS)[:, number].astype(np.uint64)


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
    found["text_checksum"] = _checksums(keys, list(map(xxh3_64_intdigest, texts)))
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


def part_index(locators: Any, metadata: Any, heads: list[Head]) -> PartIndex:
    """From a table of the column `locator`, and the metadata of the part.

    Raises OSError if texts do not lie as this store writes them.
    """
    found = locators_of(locators)
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    num_rows = [group.num_rows for group in groups]
    ends = np.cumsum(found["text_bytes"] + np.int64(_LENGTH_BYTES))
    group_ends = [int(ends[last - 1]) if last else 0 for last in accumulate(num_rows)]
    shifts = list(map(_shift, groups, [0, *group_ends], group_ends))
    starts = ends - found["text_bytes"] + np.repeat(np.array(shifts, np.int64), num_rows)
    return PartIndex(found, starts, num_rows, heads)


def _shift(group: Any, start: int, end: int) -> int:
    """How far the texts of a row group lie behind where they would if a part were texts alone.

    start, end: of the row group, if so. The texts fill one page behind a header.
    """
    chunk = group.column(_TEXT_CHUNK)
    header_bytes = chunk.total_compressed_size - (end - start)
    is_plain = chunk.compression == "UNCOMPRESSED" and not chunk.has_dictionary_page
    if not is_plain or not 0 < header_bytes < _MAX_HEADER_BYTES:
        raise OSError("its texts are not laid out as a reply store writes them")
    return chunk.data_page_offset + header_bytes - start


def read_texts(
    part: Path, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> tuple[list[str], list[int]]:
    """Texts by ascending positions, and their XXH3; raises OSError if one is not UTF-8."""
    texts: list[str] = []
    hashes: list[int] = []
    with part.open("rb", buffering=0) as file:
        # One at a time: what was just read is in the processor's cache.
        for data in _slices(file.fileno(), starts, ends):
            hashes.append(xxh3_64_intdigest(data))
            try:
                texts.append(data.decode())
            except UnicodeDecodeError as error:
                raise OSError("a text is not UTF-8") from error
    return texts, hashes


def _slices(
    descriptor: int, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]
) -> Iterator[bytes]:
    """What lies between ascending starts and ends in a file, small gaps read over."""
    is_far = starts[1:] - ends[:-1] > _GAP_BYTES
    if 2 * np.count_nonzero(is_far) >= len(is_far):
        return map(os.pread, repeat(descriptor), (ends - starts).tolist(), starts.tolist())
    is_far |= np.diff(starts // _SPAN_BYTES) > 0
    return _slices_of_spans(descriptor, starts, ends, np.flatnonzero(is_far) + 1)


def _slices_of_spans(
    descriptor: int,
    starts: npt.NDArray[np.int64],
    ends: npt.NDArray[np.int64],
    breaks: npt.NDArray[np.int64],
) -> Iterator[bytes]:
    """The same, read in spans; each but the first begins with the slice numbered in `breaks`."""
    for first, last in pairwise([0, *breaks.tolist(), len(starts)]):
        at = int(starts[first])
        span = os.pread(descriptor, int(ends[last - 1]) - at, at)
        places = (starts[first:last] - at).tolist(), (ends[first:last] - at).tolist()
        for start, end in zip(*places, strict=True):
            yield span[start:end]


def misfits(locators: npt.NDArray[Any], keys: Sequence[str], hashes: Sequence[int]) -> list[int]:
    """Positions where the text is damaged or that of another key; `hashes`: XXH3 of texts."""
    return np.flatnonzero(locators["text_checksum"] != _checksums(keys, hashes)).tolist()


def replies(
    locators: npt.NDArray[Any],
    heads: Sequence[Head],
    keys: Sequence[str],
    texts: Sequence[str],
    logprobs: Sequence[list[float] | None],
) -> list[StoredReply]:
    """Replies from what was read of their rows."""
    run_ids, labels, finish_reasons, errors = (map(field, heads) for field in _SHARED)
    counts = (locators[name].tolist() for name in _COUNTS)
    return list(
        map(StoredReply, keys, run_ids, labels, texts, logprobs, finish_reasons, errors, *counts)
    )
