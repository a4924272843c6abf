"""Waiting for a state of the world instead of for some seconds."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

LIMIT_S = 600.0
"""Turns a hang into a failure. No test is about how long something takes."""


def wait_for(probe: Callable[[], T | None], what: str, limit_s: float = LIMIT_S) -> T:
    """What `probe` returns as soon as it is neither None nor empty."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        found = probe()
        if found:
            return found
        time.sleep(0.05)
    raise TimeoutError(f"{what}: not within {limit_s:.0f} s")
