"""Which of several servers or engines a key belongs to: rendezvous hashing."""

import hashlib
from collections.abc import Iterable

from ..engine import Request


def assigned(names: Iterable[str], key: str) -> str:
    """The name that a key is assigned to; ValueError without names.

    When a name goes, only its keys move, evenly to the others; they move back when it returns.
    """
    return max(names, key=lambda name: hashlib.sha256(f"{name}|{key}".encode()).digest())


def key_of(request: Request) -> str:
    """What a request is assigned by: its image, whatever the prompt; without one, its prompt."""
    return request.image.digest if request.image else request.prompt
