"""Parts of format 1, which have checksums of their pages, but of neither footer nor page headers.

Parquet says nearly everything twice: where a column begins, where the page before it ends; how many
rows a group has, how many values its columns and their pages. What it says once was the same in
all parts. `check_format_1` reads footer and page headers and refuses a part if anything in them,
one flipped bit included, does not fit the rest, before pyarrow sees it; pyarrow then checks pages.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from ..arrow import pa, pq
from .thrift import Struct, ThriftReader

_TEXT, _NUMBER, _FLOAT = pa.string(), pa.int64(), pa.float64()
_SCHEMA: Any = pa.schema(
    [
        pa.field("key", _TEXT, nullable=False),
        pa.field("run_id", _TEXT, nullable=False),
        pa.field("role", _TEXT, nullable=False),
        pa.field("prompt", _TEXT, nullable=False),
        pa.field("example_text", _TEXT),
        pa.field("image_digest", _TEXT),
        pa.field("min_pixels", _NUMBER),
        pa.field("max_pixels", _NUMBER),
        pa.field("labels", pa.list_(_TEXT), nullable=False),
        pa.field("engine", _TEXT, nullable=False),
        pa.field("engine_version", _TEXT, nullable=False),
        pa.field("model", _TEXT, nullable=False),
        pa.field("revision", _TEXT, nullable=False),
        pa.field("layout", _TEXT, nullable=False),
        pa.field("settings", _TEXT, nullable=False),
        pa.field("max_tokens", _NUMBER, nullable=False),
        pa.field("temperature", _FLOAT, nullable=False),
        pa.field("sample_index", _NUMBER, nullable=False),
        pa.field("text", _TEXT, nullable=False),
        pa.field("label_logprobs", pa.list_(_FLOAT)),
        pa.field("label_mass", _FLOAT),
        pa.field("finish_reason", _TEXT, nullable=False),
        pa.field("error", _TEXT),
        pa.field("prompt_tokens", _NUMBER, nullable=False),
        pa.field("completion_tokens", _NUMBER, nullable=False),
        pa.field("cached_tokens", _NUMBER, nullable=False),
        pa.field("time", pa.timestamp("us", tz="UTC"), nullable=False),
        pa.field("locator", pa.binary(36), nullable=False),
    ]
)

RETIRED_COLUMNS = ("locator",)
"""Columns of format 1 that no later one has."""

# Numbers are those of parquet.thrift. FileMetaData: 2 schema, 3 num_rows, 4 row_groups. RowGroup:
# 1 columns, 2 total_byte_size, 3 num_rows. ColumnChunk: 3 meta_data. ColumnMetaData: 1 type, 3 path
# 4 codec, 5 num_values, 6 uncompressed and 7 compressed size, 9 data_page_offset,
# 11 dictionary_page_offset, 13 encoding_stats. PageHeader: 1 type, 2 uncompressed and 3 compressed
# size, 4 crc, 5 data and 7 dictionary page: 1 num_values, 2 encoding, 3 and 4 encoding of levels.
_UNCOMPRESSED, _LZ4 = 0, 7
_NOT_COMPRESSED = {"key", "image_digest", "labels", "text", "label_logprobs", "locator"}
_RLE = 3
_DATA, _DICTIONARY = 0, 2
_MAX_HEADER_BYTES = 256
_MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class Page:
    """Where a page starts, and its header, as parsed and in bytes."""

    start: int
    header: Struct
    header_bytes: int

    @property
    def end(self) -> int:
        return self.start + self.header_bytes + self.header[3]

    @property
    def kind(self) -> int:
        return self.header[1]

    @property
    def values(self) -> Struct:
        """What the header says of the values in the page."""
        return self.header[5 if self.kind == _DATA else 7]


def check_format_1(part: Path) -> None:
    """Raises OSError if footer and page headers of a part do not fit one another."""
    try:
        with part.open("rb") as file:
            _check(file)
    except (LookupError, TypeError, AttributeError) as error:  # other than what is expected there
        raise OSError(
            "it has no checksums, nor the metadata of format 1, which had none"
        ) from error


def _check(file: BinaryIO) -> None:
    footer_start, footer = _footer(file)
    file.seek(0)
    _fit(file.read(len(_MAGIC)) == _MAGIC and footer.keys() <= {1, 2, 3, 4, 5, 6, 7})
    if _elements(footer) != _expected_elements():
        raise OSError("it has no checksums, nor the columns of format 1, which had none")
    _fit(sum(group[3] for group in footer[4]) == footer[3])
    position = len(_MAGIC)
    for group in footer[4]:
        position = _check_group(file, group, position)
    _fit(position == footer_start)


def _fit(is_so: bool) -> None:
    if not is_so:
        raise OSError("its metadata does not fit its pages")


def _footer(file: BinaryIO) -> tuple[int, Struct]:
    """Where the footer starts, and what it says."""
    size = file.seek(0, 2)
    file.seek(max(0, size - 8))
    end = file.read()
    start = size - 8 - int.from_bytes(end[:4], "little")
    if end[4:] != _MAGIC or start < len(_MAGIC):
        raise OSError("it is cut off, or no Parquet file")
    file.seek(start)
    reader = ThriftReader(file.read(size - 8 - start))
    footer = reader.struct()
    _fit(start + reader.position == size - 8)
    return start, footer


def _elements(footer: Struct) -> list[Struct]:
    """What the footer says of the columns, less what versions of pyarrow may say otherwise."""
    return [{n: value for n, value in element.items() if n < 7} for element in footer[2]]


@cache
def _expected_elements() -> list[Struct]:
    empty = BytesIO()
    pq.write_table(_SCHEMA.empty_table(), empty, store_schema=False)
    return _elements(_footer(empty)[1])


def _check_group(file: BinaryIO, group: Struct, position: int) -> int:
    """Checks a row group that starts at `position`; where it ends."""
    leaves = [element for element in _expected_elements() if 1 in element]
    _fit(group.keys() <= {1, 2, 3, 5, 6, 7} and len(group[1]) == len(leaves))
    for chunk, field, leaf in zip(group[1], _SCHEMA, leaves, strict=True):
        _fit(chunk.keys() <= {2, 3} and chunk[3][1] == leaf[1])
        _fit(chunk[3][5] == group[3] or pa.types.is_list(field.type))
        position = _check_chunk(file, chunk[3], field.name, position)
    _fit(group[2] == sum(chunk[3][6] for chunk in group[1]))
    return position


def _check_chunk(file: BinaryIO, chunk: Struct, name: str, start: int) -> int:
    """Checks a column of a row group that starts at `start`; where it ends."""
    codec = _UNCOMPRESSED if name in _NOT_COMPRESSED else _LZ4
    _fit(chunk.keys() <= {1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 16})
    _fit(chunk[3][0] == name.encode() and chunk[4] == codec)
    pages = list(_pages(file, start, start + chunk[7], chunk[5]))
    num_dictionaries = int(pages[0].kind == _DICTIONARY)
    data = pages[num_dictionaries:]
    _fit(all(page.kind == _DATA for page in data))
    _fit(chunk.get(11) == (start if num_dictionaries else None) and chunk[9] == data[0].start)
    _fit(chunk[5] == sum(page.values[1] for page in data))
    _fit(chunk[6] == sum(page.header_bytes + page.header[2] for page in pages))
    encodings = Counter({(stats[1], stats[2]): stats[3] for stats in chunk[13]})
    _fit(encodings == Counter((page.kind, page.values[2]) for page in pages))
    return pages[-1].end


def _pages(file: BinaryIO, start: int, end: int, most_values: int) -> Iterator[Page]:
    """The pages that fill a file from start to end."""
    while start < end:
        file.seek(start)
        reader = ThriftReader(file.read(_MAX_HEADER_BYTES))
        page = Page(start, reader.struct(), reader.position)
        _fit(page.header.keys() == {1, 2, 3, 4, 5 if page.kind == _DATA else 7})
        _fit(page.kind == _DICTIONARY or (page.values[3], page.values[4]) == (_RLE, _RLE))
        _fit(0 <= page.values[1] <= most_values and page.end > start)
        yield page
        start = page.end
    _fit(start == end)
