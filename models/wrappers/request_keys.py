"""Under which keys and in which partitions the reply store finds the reply to a request."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from ..engine import EngineIdentity, Request, Sampling


def request_key(request: Request, identity: EngineIdentity) -> str:
    """sha256 of everything that shapes the reply to a request, 64 hex digits."""
    digest = _shared_digest(identity, request.prompt, request.labels, request.sampling).copy()
    own: list[Any] = [request.text, request.reply_start, *(i.digest for i in request.images)]
    if request.image_roles:
        own.append(request.image_roles)
    digest.update(json.dumps(own, ensure_ascii=False).encode())
    return digest.hexdigest()


def stored_key(key: str, departures: Sequence[str] | None) -> str:
    """The key of a request that was asked otherwise in these points; its own where in none."""
    if not departures:
        return key
    return hashlib.sha256(json.dumps([key, *sorted(departures)]).encode()).hexdigest()


@lru_cache
def _shared_digest(
    identity: EngineIdentity, prompt: str, labels: tuple[str, ...], sampling: Sampling
) -> Any:
    """A sha256 under way, of what many requests have in common."""
    shared = [asdict(identity), prompt, labels, asdict(sampling)]
    return hashlib.sha256(json.dumps(shared, sort_keys=True, ensure_ascii=False).encode())


@lru_cache
def prompt_hash(prompt: str) -> str:
    """The hash that names a prompt's partition in the store, 16 hex digits."""
    return hashlib.sha256(prompt.encode()).hexdigest()[:16]
