"""Which of several servers or engines a key belongs to: rendezvous hashing."""

import hashlib
from collections.abc import Iterable


def assigned(names: Iterable[str], key: str) -> str:
    """The name that a key is assigned to; ValueError without names.

    When a name goes, only its keys move, evenly to the others; they move back when it returns.
    """
    return max(names, key=lambda name: hashlib.sha256(f"{name}|{key}".encode()).digest())
