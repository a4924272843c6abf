"""Open-weight judges in use, and the GPUs that their weights need: arithmetic, not measurement."""

from dataclasses import dataclass
from typing import Any

from .gpu_fit import fitting_sizes

_GB = 10**9
BFLOAT16, FP8 = 2, 1
"""Bytes for each parameter."""


@dataclass(frozen=True, slots=True)
class KnownJudge:
    """billions: of parameters, the image encoder and all experts counted, since all have to be in
    memory. heads, kv_heads: of its text model; None where its publisher's figures are not known.
    """

    name: str
    billions: float
    heads: int | None = None
    kv_heads: int | None = None

    def weights_bytes(self, bytes_per_parameter: int) -> int:
        return int(self.billions * _GB) * bytes_per_parameter

    def num_gpus(self, room: int, bytes_per_parameter: int) -> int | None:
        """The smallest number of GPUs that can share it; None: more than vLLM is asked to use.

        room: bytes that vLLM may take on each.
        """
        heads: dict[str, Any] = {
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
        }
        return min(
            fitting_sizes(heads, self.weights_bytes(bytes_per_parameter), room), default=None
        )


KNOWN_JUDGES = (
    KnownJudge("SmolVLM2-2.2B", 2.2, 32, 32),
    KnownJudge("Gemma-3-4B", 4.3, 8, 4),
    KnownJudge("Qwen3-VL-4B", 4.4, 32, 8),
    KnownJudge("LLaVA-OneVision-7B", 8.0, 28, 4),
    KnownJudge("Qwen2.5-VL-7B", 8.3, 28, 4),
    KnownJudge("InternVL3.5-8B", 8.5, 32, 8),
    KnownJudge("Qwen3-VL-8B", 8.8, 32, 8),
    KnownJudge("Gemma-3-12B", 12.2, 16, 8),
    KnownJudge("InternVL3.5-14B", 15.1, 40, 8),
    KnownJudge("Mistral-Small-3.1-24B", 24.0, 32, 8),
    KnownJudge("Gemma-4-26B-A4B", 26),
    KnownJudge("Qwen3.5-27B", 27.4, 24, 4),
    KnownJudge("Gemma-3-27B", 27.5, 32, 16),
    KnownJudge("Gemma-4-31B", 31),
    KnownJudge("Qwen3-VL-30B-A3B", 31.1, 32, 4),
    KnownJudge("Qwen3-VL-32B", 33.4, 64, 8),
    KnownJudge("Qwen2.5-VL-32B", 33.5, 40, 8),
    KnownJudge("Qwen3.5-35B-A3B", 35.1, 16, 2),
    KnownJudge("InternVL3.5-38B", 38.4, 64, 8),
    KnownJudge("Qwen2.5-VL-72B", 73.4, 64, 8),
    KnownJudge("GLM-4.6V", 107.7, 96, 8),
    KnownJudge("Llama-4-Scout-17B-16E", 108.2, 40, 8),
    KnownJudge("Qwen3.5-122B-A10B", 122.6, 32, 2),
    KnownJudge("Qwen3-VL-235B-A22B", 235.7, 64, 4),
    KnownJudge("Qwen3.5-397B-A17B", 396.8, 32, 2),
    KnownJudge("Llama-4-Maverick-17B-128E", 401.2, 40, 8),
)
"""Smallest first. Parameters counted on models that transformers builds, without weights, from the
published widths; of SmolVLM2, LLaVA-OneVision and Gemma-4 as their publishers name them.
"""


def largest_fitting(num_gpus: int, bytes_of_gpu: int, utilization: float) -> KnownJudge | None:
    """The largest judge that so many GPUs can share in bfloat16; None if all are too large.

    utilization: the share of each GPU's memory that vLLM may take.
    """
    room = int(bytes_of_gpu * utilization)
    needed = {judge: judge.num_gpus(room, BFLOAT16) for judge in KNOWN_JUDGES}
    fitting = [judge for judge, size in needed.items() if size is not None and size <= num_gpus]
    return fitting[-1] if fitting else None
