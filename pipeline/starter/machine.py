"""Whether this machine can run a judge, before its weights are fetched."""

import os
import shutil
from pathlib import Path

import huggingface_hub.constants

from ...data.errors import EngineError
from ...models.engines.devices import gpu_bytes
from ...models.engines.gpu_fit import refuse_size
from ...models.engines.settings import EngineSettings

_GB = 10**9
_MOST_WITHOUT_GPU = _GB
"""Bytes of weights. A CPU would take hours with more."""
_SPARE_BYTES = 2 * _GB
"""For dataset, replies and what vLLM compiles."""


def refuse_without_gpu(judge: str) -> None:
    """Raises EngineError if models run on the CPU here."""
    if EngineSettings(kind="vllm", model=judge).device == "cpu":
        raise EngineError(
            f"{judge}: needs an NVIDIA GPU, and models run on the CPU here (no GPU, or vLLM's CPU "
            "build in this environment): run it on a machine with one, or with "
            "`BLPO_VENV=.venv-gpu BLPO_DEVICE=gpu bash scripts/quickstart.sh --real` if this one "
            "has; without --real the demo runs anywhere"
        )


def refuse_machine(judge: str, weights: int, to_fetch: int) -> None:
    """weights: bytes of the judge's. to_fetch: bytes of all downloads.

    Raises EngineError for a GPU, its memory or a disk that is missing or too small.
    """
    settings = EngineSettings(kind="vllm", model=judge)
    if weights > _MOST_WITHOUT_GPU:
        refuse_without_gpu(judge)
    memory = gpu_bytes() if settings.device == "cuda" else None
    if memory is not None:
        refuse_size(settings, {}, weights, memory)
    _refuse_disk(to_fetch)


def _refuse_disk(to_fetch: int) -> None:
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    there = next(place for place in (cache, *cache.parents) if place.exists())
    free = shutil.disk_usage(there).free
    if to_fetch and free < to_fetch + _SPARE_BYTES:
        raise EngineError(
            f"{cache}: {free / _GB:.1f} GB are free, and {(to_fetch + _SPARE_BYTES) / _GB:.1f} GB "
            f"needed, {to_fetch / _GB:.1f} GB of them to download: free some, or set HF_HOME to "
            f"another disk (it is {os.environ.get('HF_HOME', 'not set')})"
        )
