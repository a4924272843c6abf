"""Several engines of vLLM in one process, each closed by itself.

They share vLLM's distributed state, which the first to be shut down would take with it.
"""

import sys
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
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
        _running.discard(id(llm))
        with _without_clean_up() if _running else nullcontext():
            llm.engine_core.shutdown()


@contextmanager
def _without_clean_up() -> Generator[None]:
    core: Any = sys.modules["vllm.v1.engine.core"]
    clean_up = core.cleanup_dist_env_and_memory
    core.cleanup_dist_env_and_memory = lambda: None
    try:
        yield
    finally:
        core.cleanup_dist_env_and_memory = clean_up
