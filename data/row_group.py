"""The replies of one row group of a part, without their texts: those are read one by one.

Texts are nine tenths of a part, and a look-up wants few of them. They lie uncompressed and
unencoded in a single page, each behind its length in four bytes, so that the column `text_bytes`
tells where each is.
"""

import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .replies import REPLY_COLUMNS, StoredReply, replies_of_table

GROUP_COLUMNS = [*(name for name in REPLY_COLUMNS if name != "text"), "text_bytes", "text_crc32"]
"""What is held of a row group."""

_LENGTH_BYTES = 4


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group in memory.

    table: GROUP_COLUMNS, repeated texts as dictionaries.
    text_starts: where in the file each row's text is, its length in front; None if the texts do
        not lie as expected.
    decode: gives the column `text` of the whole group; for texts that are not found as they
        should be.
    """

    part: Path
    table: Any
    text_starts: Any
    decode: Callable[[], Any]

    @property
    def num_bytes(self) -> int:
        starts = 0 if self.text_starts is None else self.text_starts.nbytes
        return int(self.table.nbytes) + starts

    def replies(self, offsets: Sequence[int]) -> list[StoredReply]:
        """Replies by the offsets of their rows in the group; raises as `parts.read_group` does."""
        taken = self.table.take(offsets)
        texts = self._single_texts(taken, offsets)
        if texts is None:
            texts = self.decode().take(offsets).to_pylist()
        return replies_of_table(taken, texts)

    def _single_texts(self, taken: Any, offsets: Sequence[int]) -> list[str] | None:
        if self.text_starts is None:
            return None
        starts = self.text_starts[np.asarray(offsets)].tolist()
        lengths, checksums = (taken.column(c).to_pylist() for c in ("text_bytes", "text_crc32"))
        descriptor = os.open(self.part, os.O_RDONLY)
        try:
            found = [
                _read_text(descriptor, *place)
                for place in zip(starts, lengths, checksums, strict=True)
            ]
        finally:
            os.close(descriptor)
        texts = [text for text in found if text is not None]
        return texts if len(texts) == len(found) else None


def _read_text(descriptor: int, start: int, length: int, checksum: int) -> str | None:
    data = os.pread(descriptor, _LENGTH_BYTES + length, start)
    text = data[_LENGTH_BYTES:]
    if int.from_bytes(data[:_LENGTH_BYTES], "little") != length or zlib.crc32(text) != checksum:
        return None
    return text.decode()


def text_starts(table: Any, chunk: Any) -> Any:
    """Where the texts of a group start, from the metadata of its text column.

    None if they do not fill one page behind a header of plausible size.
    """
    if chunk.compression != "UNCOMPRESSED" or chunk.has_dictionary_page:
        return None
    sizes = table.column("text_bytes").to_numpy() + _LENGTH_BYTES
    header = chunk.total_compressed_size - int(sizes.sum())
    if not 0 < header < 256:
        return None
    return chunk.data_page_offset + header + np.cumsum(sizes) - sizes
