"""Who owns an open file: a lock that goes with the process, however that ends.

The lock is that of the open file (flock): it keeps out other threads and hosts as well as other
processes. A forked child would keep it when its parent is gone, and so closes the file.
"""

import errno
import fcntl
import os
from pathlib import Path

NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
"""What locking fails with on a file system without locks."""

_held: set[int] = set()


def hold(descriptor: int, *, wait: bool = False) -> bool:
    """Whether the file is now ours; with `wait`, once nobody else's. Raises OSError."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    _held.add(descriptor)
    return True


def let_go(descriptor: int) -> None:
    """Closes a file, ours or not."""
    _held.discard(descriptor)
    os.close(descriptor)


def is_in_place(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at its path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def _close_in_child() -> None:
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_close_in_child)
