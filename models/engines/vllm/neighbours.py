"""Several engines of vLLM in one process, each closed by itself.

They share vLLM's distributed state, which the first to be shut down would take with it.
"""

import threading
from collections.abc import Callable
from typing import Any

_running: set[int] = set()
_lock = threading.Lock()


def start_engine(start: Callable[[], Any]) -> Any:
    """An engine (`LLMEngine`) as `start` makes it, counted among those of this process."""
    with _lock:
        llm = start()
        _running.add(id(llm))
        return llm


def end_engine(llm: Any) -> None:
    """Shut an engine down. The last one of the process cleans up what all share."""
    with _lock:
        if id(llm) in _running:
            _running.remove(id(llm))
            _shut_down(llm, is_last=not _running)
        else:
            llm.engine_core.shutdown()


def _shut_down(llm: Any, *, is_last: bool) -> None:
    from vllm.v1.engine import core as vllm_core  # noqa: PLC0415

    core: Any = vllm_core
    clean_up = core.cleanup_dist_env_and_memory
    try:
        if not is_last:
            core.cleanup_dist_env_and_memory = lambda: None
        llm.engine_core.shutdown()
    finally:
        core.cleanup_dist_env_and_memory = clean_up
