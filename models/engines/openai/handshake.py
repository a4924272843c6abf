"""Whether a server is asked token for token what an engine in this process is asked."""

import logging
import re
from typing import Any, cast

import pydantic_core

from ....data.errors import EngineError
from ...engine import SHIPPED
from ..checkpoint import find_folder
from ..files import cached_file
from ..settings import EngineSettings
from .server_pool import ServerPool
from .wire import TransientError, Wire

_log = logging.getLogger("blpo.engine")

_ANSWER_S = 10.0
_OWNER = "vllm"
_BLOCK_SIZE = re.compile(rb'cache_config_info\{[^}]*[{,]block_size="(\d+)"')


def is_asked_in_process(settings: EngineSettings, servers: ServerPool) -> bool:
    """What the settings say; if that is "auto", whether it is possible.

    It is if the model's tokenizer is here, and the server is vLLM. One that cannot be reached is
    taken for vLLM: it is asked for nothing before that has been seen.
    """
    if settings.layout != "auto":
        return settings.layout == "in-process"
    return _has_tokenizer_here(settings) and _is_vllm(settings, servers)


def tokenizer_source(settings: EngineSettings) -> EngineSettings:
    """Settings under whose model the tokenizer of a server's model is found."""
    return settings.model_copy(update={"model": settings.tokenizer or settings.model})


def tell_large_blocks(wire: Wire, server: str, block_size: int) -> None:
    """Warn if a vLLM server's KV blocks are larger than those that requests are laid out for."""
    try:
        metrics = wire.get(f"{server.removesuffix('/v1')}/metrics", _ANSWER_S)
    except TransientError:
        return
    found = _BLOCK_SIZE.search(metrics.payload) if metrics.is_success else None
    if found and int(found[1]) > block_size:
        _log.warning(
            "%s has KV blocks of %d tokens, and requests are laid out for %d: it encodes every "
            "image again under every prompt; start it with --block-size %d, or set block_size",
            server,
            int(found[1]),
            block_size,
            block_size,
        )


def _has_tokenizer_here(settings: EngineSettings) -> bool:
    if settings.tokenizer is not None or settings.model in SHIPPED:
        return True
    try:
        folder = find_folder(settings.model)
    except EngineError:
        return False  # a folder on the server's machine
    return folder is not None or _is_cached(settings)


def _is_cached(settings: EngineSettings) -> bool:
    """Whether the Hugging Face cache has the files of a model's tokenizer."""
    if settings.model.count("/") != 1:
        return False
    revision = settings.revision or "main"
    return cached_file(settings.model, revision, "tokenizer_config.json") is not None


def _is_vllm(settings: EngineSettings, servers: ServerPool) -> bool:
    server = servers.pick("")
    if server is None:
        return True
    try:
        wire = Wire(settings)
    except EngineError:
        return True  # the key is missing, which the first request says
    try:
        response = wire.get(f"{server}/models", min(_ANSWER_S, settings.timeout_s))
    except TransientError:
        return True
    finally:
        wire.close()
    return response.is_success and _OWNER in _owners(response.payload)


def _owners(payload: bytes) -> set[str]:
    """Who owns the models that a server lists."""
    try:
        listed: Any = pydantic_core.from_json(payload)
        return {str(model.get("owned_by")) for model in cast("list[Any]", listed["data"])}
    except (ValueError, TypeError, KeyError, AttributeError):
        return set()
