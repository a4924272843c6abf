"""Journals: rows on their way into a part, in a file that outlives the process.

    store/journals/<process>-<random>.journal

A part takes a while to write, so that rows wait for others to share it with. Until their part is
there they lie in the journal of whoever gathers them, who alone writes to it and owns it
(`owners`). A process that is killed leaves its journals without an owner, and the next one takes
their rows up (`recovery`). Nothing is synced, for a killed process leaves with the kernel what it
has written. When the machine itself goes down, rows that are in no part may go with it.

A journal is a sequence of records, each appended by one write:

    length of the payload | XXH32 of the length | XXH3 of the payload | payload (MessagePack)

The first holds format and columns, any other the rows of a partition. A writer that is killed
while it writes leaves a record that is cut off, and nothing behind it.
"""

import logging
import os
import secrets
import struct
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from msgspec.structs import fields
from xxhash import xxh3_64_intdigest, xxh32_intdigest

from ..arrow import temporary_name
from ..errors import NewerStoreError
from ..owners import NO_LOCKS, hold, is_in_place, let_go
from .parts import make_folder, unwritable
from .replies import Collection, ReplyRow

SUFFIX = ".journal"

_FORMAT = 1
"""Goes up when code of today would misread the records, which a new column is no reason for."""

_log = logging.getLogger("blpo.store")

_HEADER = struct.Struct("<IIQ")
_LENGTH = struct.Struct("<I")


class Rows(msgspec.Struct, frozen=True, array_like=True):
    """Rows of one partition."""

    collection: Collection
    partition: str
    rows: Sequence[ReplyRow]


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """What the other records are made of."""

    format: int
    columns: Sequence[str]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a journal holds.

    num_cut_off: bytes at its end, of a record that was not written whole.
    """

    records: Sequence[Rows]
    num_cut_off: int

    @property
    def num_rows(self) -> int:
        return sum(len(record.rows) for record in self.records)


class Journal:
    """The journal of one writer; a file as soon as there are rows. Not thread-safe.

    On a file system without locks there is none, and a kill costs the rows that wait.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"{os.getpid()}-{secrets.token_hex(8)}{SUFFIX}"
        self._descriptor: int | None = None
        self._is_empty = True
        self._has_locks = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def append(self, collection: Collection, rows: Mapping[str, Sequence[ReplyRow]]) -> None:
        """Adds rows by partition. Raises StoreError where they cannot be written."""
        if not self._has_locks:
            return
        records = [_record(Rows(collection, partition, own)) for partition, own in rows.items()]
        try:
            if self._descriptor is None:
                self._descriptor = _opened(self._path)
            self._is_empty = False
            _write(self._descriptor, b"".join(records))
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise unwritable(self._folder, error) from error
            self._has_locks = False
            _warn_of_no_locks(self._folder)

    def clear(self) -> None:
        """Drops all rows: they are in parts. Raises StoreError where that fails."""
        if self._descriptor is None:
            return
        try:
            os.ftruncate(self._descriptor, len(_HEAD))
            self._is_empty = True
            if not is_in_place(self._descriptor, self._path):
                # The store was moved or removed. What comes next goes where its parts will go.
                self.close()
        except OSError as error:
            raise unwritable(self._folder, error) from error

    def close(self) -> None:
        """Leaves rows that are in no part to whoever takes them up."""
        if self._descriptor is None:
            return
        if self._is_empty:
            with suppress(OSError):  # who takes journals up removes empty ones
                self._path.unlink(missing_ok=True)
        let_go(self._descriptor)
        self._descriptor = None


def _opened(path: Path) -> int:
    """A new journal, which has its owner when it appears. Raises OSError."""
    make_folder(path.parent)
    temporary = temporary_name(path)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
    try:
        hold(descriptor)
        _write(descriptor, _HEAD)
        temporary.rename(path)
    except BaseException:
        let_go(descriptor)
        temporary.unlink(missing_ok=True)
        raise
    return descriptor


def _write(descriptor: int, data: bytes) -> None:
    while data:  # a disk that is full takes some of it first
        data = data[os.write(descriptor, data) :]


@lru_cache
def _warn_of_no_locks(folder: Path) -> None:
    """Once for each store."""
    _log.warning(
        "%s: no locks on this file system: when the process is killed, replies of the last seconds "
        "are asked again",
        folder.parent,
    )


def read_journal(path: Path) -> Contents:
    """Raises OSError for damage, NewerStoreError for what only newer code reads."""
    data = memoryview(path.read_bytes())
    payloads, end = _payloads(data)
    if not payloads:
        return Contents([], len(data) - end)
    try:
        _refuse_newer(path, msgspec.msgpack.decode(payloads[0], type=_Head))
        records = [msgspec.msgpack.decode(payload, type=Rows) for payload in payloads[1:]]
    except msgspec.MsgspecError as error:
        raise OSError(str(error)) from None
    return Contents(records, len(data) - end)


def _payloads(data: memoryview) -> tuple[list[memoryview], int]:
    """Of each whole record the payload, and where the last of them ends."""
    found: list[memoryview] = []
    start = 0
    while start + _HEADER.size <= len(data):
        length, check, checksum = _HEADER.unpack_from(data, start)
        payload_start = start + _HEADER.size
        if check != _length_check(length):
            if not any(data[start:]):
                break  # zeros, as some file systems leave them when the machine goes down
            raise OSError(f"its bytes from {start:,} on are no record")
        payload = data[payload_start : payload_start + length]
        if len(payload) < length:
            break
        if checksum != xxh3_64_intdigest(payload):
            raise OSError(f"its bytes from {payload_start:,} on do not fit their checksum")
        found.append(payload)
        start = payload_start + length
    return found, start


def _refuse_newer(path: Path, head: _Head) -> None:
    unknown = sorted({*head.columns} - {*_COLUMNS})
    if head.format > _FORMAT or unknown:
        what = f"format {head.format}" if head.format > _FORMAT else f"column {unknown[0]}"
        raise NewerStoreError(
            f"{path}: {what} of a newer blpo, whose process was killed: upgrade blpo, which takes "
            "up the replies in it"
        )


def _record(content: Rows | _Head) -> bytes:
    payload = msgspec.msgpack.encode(content)
    length = len(payload)
    return _HEADER.pack(length, _length_check(length), xxh3_64_intdigest(payload)) + payload


def _length_check(length: int) -> int:
    return xxh32_intdigest(_LENGTH.pack(length))


_COLUMNS = tuple(column.name for column in fields(ReplyRow))
_HEAD = _record(_Head(_FORMAT, _COLUMNS))
