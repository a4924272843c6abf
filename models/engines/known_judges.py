"""Open-weight judges in use, with the GPU memory that their weights take."""

from collections.abc import Mapping

_GB = 10**9
_BYTES_PER_PARAMETER = 2
_MARGIN = 1.2
"""As in `gpu_fit`: what activations and the KV cache want beside the weights."""

BILLION_PARAMETERS: Mapping[str, float] = {
    "Qwen3-VL-4B": 4,
    "Qwen2.5-VL-7B": 7,
    "Qwen3-VL-8B": 8,
    "Gemma-3-12B": 12,
    "Mistral-Small-3.1-24B": 24,
    "Gemma-3-27B": 27,
    "Qwen3-VL-30B-A3B": 30,
    "Qwen3-VL-32B": 32,
    "Qwen2.5-VL-72B": 72,
    "GLM-4.6V": 108,
    "Llama-4-Scout-17B-16E": 109,
    "Qwen3-VL-235B-A22B": 235,
    "Llama-4-Maverick-17B-128E": 400,
}
"""Parameters as their publishers name them, all experts counted: all have to be in memory."""


def fitting_judges(total_bytes: int, utilization: float) -> list[str]:
    """The judges whose bfloat16 weights fit, smallest first.

    total_bytes: memory of the GPUs that share a model. utilization: the share of it to be used.
    """
    room = total_bytes * utilization
    needed = {
        name: billions * _GB * _BYTES_PER_PARAMETER * _MARGIN
        for name, billions in BILLION_PARAMETERS.items()
    }
    return [name for name, size in needed.items() if size <= room]
