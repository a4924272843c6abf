"""What killed processes had received: journals without an owner, whose rows are put like others.

A journal is removed when its rows are in parts. Killed in between, the next process finds replies
that are in a part and in a journal, and passes over the latter. Who begins to read the store while
another takes rows up waits for it, or would ask again for what these are about.
"""

import errno
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import StoreError
from ..owners import NO_LOCKS, hold, let_go
from .journal import SUFFIX, Contents, read_journal
from .part_reader import DamagedPart
from .parts import unwritable
from .replies import Collection, ReplyRow

Put = Callable[[Collection, str, Sequence[ReplyRow]], object]
"""Stores rows, given collection and partition, and raises StoreError."""

_log = logging.getLogger("blpo.store")

_NO_ACCESS = {errno.EACCES, errno.EPERM, errno.EROFS}


@dataclass(frozen=True, slots=True)
class Waiting:
    """num_rows: in journals without an owner. damaged: those of them that cannot be read."""

    num_rows: int
    damaged: list[DamagedPart]


def take_up(folder: Path, put: Put) -> None:
    """Puts the rows of all journals without an owner, and removes these.

    Where this process may not write it leaves them, with a warning. Raises StoreError for a damaged
    journal, NewerStoreError for one of a newer blpo, and StoreError on a full disk.
    """
    with _without_owner(folder) as journals:
        contents = {path: _read(path) for path in journals}
        try:
            for (collection, partition), rows in _by_partition(contents.values()).items():
                put(collection, partition, rows)
            for path in journals:
                _remove(path)
        except StoreError as error:
            if not _lacks_access(error):
                raise
            num_rows = sum(content.num_rows for content in contents.values())
            _log.warning("%s: %d replies of killed runs stay there: %s", folder, num_rows, error)


def waiting(folder: Path) -> Waiting:
    """What `take_up` would find; changes nothing. Raises NewerStoreError."""
    num_rows, damaged = 0, list[DamagedPart]()
    with _without_owner(folder) as journals:
        for path in journals:
            try:
                num_rows += read_journal(path).num_rows
            except OSError as error:
                damaged.append(DamagedPart(path, f"{path.stat().st_size:,} bytes; {error}"))
    return Waiting(num_rows, damaged)


@contextmanager
def _without_owner(folder: Path) -> Generator[list[Path]]:
    """The journals whose processes are gone: ours while the block runs, and nobody else looks."""
    with ExitStack() as held:
        if _listed(folder) and _await_turn(held, folder):
            yield [path for path in _listed(folder) if _claim(held, path)]
        else:
            yield []


def _listed(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def _await_turn(held: ExitStack, folder: Path) -> bool:
    """False where there are no locks; where nothing can be written, nobody else writes either."""
    try:
        descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if error.errno in _NO_ACCESS:
            return True
        raise unwritable(folder, error) from error
    held.callback(let_go, descriptor)
    return _is_ours(descriptor, wait=True)


def _claim(held: ExitStack, path: Path) -> bool:
    try:
        descriptor = _open(path)
    except FileNotFoundError:
        return False  # its writer has just ended
    held.callback(let_go, descriptor)
    return _is_ours(descriptor)


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR)  # which locks need on NFS
    except OSError as error:
        if error.errno not in _NO_ACCESS:
            raise
        return os.open(path, os.O_RDONLY)


def _is_ours(descriptor: int, *, wait: bool = False) -> bool:
    try:
        return hold(descriptor, wait=wait)
    except OSError as error:
        if error.errno in {*NO_LOCKS, errno.EBADF}:
            return False
        raise


def _read(path: Path) -> Contents:
    """Tells of a record that was cut off. Raises StoreError, NewerStoreError."""
    try:
        content = read_journal(path)
    except OSError as error:
        raise StoreError(
            f"{path}: damaged journal of a killed run ({error}): `blpo store verify --quarantine` "
            "moves it aside, and the replies it held are asked again"
        ) from error
    if content.num_cut_off:
        _log.warning(
            "%s: its run was killed while it wrote: the last %d bytes are no whole record, and the "
            "replies in them are asked again",
            path,
            content.num_cut_off,
        )
    return content


def _by_partition(contents: Iterable[Contents]) -> dict[tuple[Collection, str], list[ReplyRow]]:
    rows: defaultdict[tuple[Collection, str], list[ReplyRow]] = defaultdict(list)
    for content in contents:
        for record in content.records:
            rows[record.collection, record.partition] += record.rows
    return rows


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise unwritable(path.parent, error) from error


def _lacks_access(error: StoreError) -> bool:
    return isinstance(error.__cause__, OSError) and error.__cause__.errno in _NO_ACCESS
