"""Whether a model can be shared by so many GPUs, and fits on them: asked before it is loaded.

The vision encoder is not split: each GPU encodes whole images (`mm_encoder_tp_mode` in
`vllm/options.py`), so the number of its heads does not matter.
"""

from pathlib import Path
from typing import Any

from ...data.errors import EngineError
from .checkpoint import Checkpoint, locate, snapshot_folder, weights_bytes
from .devices import gpu_bytes
from .files import WEIGHTS_INDEX, read_config, text_config
from .settings import EngineSettings

_GB = 10**9
_MARGIN = 1.2
"""Weights take no more than memory / _MARGIN: the rest is for activations and the KV cache."""
_SIZES = (1, 2, 4, 8, 16)
_STORED_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
_ONE_BYTE = ("fp8", "fbgemm_fp8", "experts_int8")
"""Quantizations that vllm makes of unquantized weights, at one byte for each parameter."""


def refuse_misfit(settings: EngineSettings) -> None:
    """Raise EngineError if the model cannot be split so, or is too large for the GPUs.

    What is not known of model or GPUs is not held against them.
    """
    checkpoint = locate(settings)
    refuse_split(settings, checkpoint.config)
    one_gpu = gpu_bytes() if settings.device == "cuda" else None
    stored = stored_bytes(checkpoint)
    if one_gpu is not None and stored is not None:
        loaded = int(stored * loaded_share(settings, checkpoint.config))
        refuse_size(settings, checkpoint.config, loaded, one_gpu)


def refuse_split(settings: EngineSettings, config: dict[str, Any]) -> None:
    """Raise EngineError if the model's parts do not divide among `tensor_parallel_size` GPUs.

    config: contents of config.json.
    """
    size = settings.tensor_parallel_size
    problem = _indivisible(config, size)
    if problem is None:
        return
    fitting = [str(other) for other in _SIZES if _indivisible(config, other) is None]
    raise EngineError(
        f"model {settings.model} cannot be shared by {size} GPUs (tensor_parallel_size): "
        f"{problem}; it can by {', '.join(fitting)}"
    )


def refuse_size(
    settings: EngineSettings, config: dict[str, Any], loaded_bytes: int, bytes_of_gpu: int
) -> None:
    """Raise EngineError if weights of so many bytes do not fit on the GPUs.

    bytes_of_gpu: memory of one of them.
    """
    room = int(bytes_of_gpu * settings.gpu_memory_utilization)
    size = settings.tensor_parallel_size
    if loaded_bytes <= size * room:
        return
    fitting = fitting_sizes(config, loaded_bytes, room)
    share = f"set tensor_parallel_size to {fitting[0]}, or " if fitting else ""
    raise EngineError(
        f"model {settings.model} has {loaded_bytes / _GB:.1f} GB of weights, and vllm may take "
        f"{room / _GB:.1f} GB on each of {size} GPU{'s' if size > 1 else ''}: {share}"
        "take a quantized checkpoint, quantization: fp8, or larger GPUs"
    )


def fitting_sizes(config: dict[str, Any], loaded_bytes: int, room: int) -> list[int]:
    """Numbers of GPUs that a model can be shared by and fits on, with something left for its work.

    room: bytes that vllm may take on each. An empty config divides among any number.
    """
    return [
        size
        for size in _SIZES
        if loaded_bytes * _MARGIN <= size * room and _indivisible(config, size) is None
    ]


def stored_bytes(checkpoint: Checkpoint) -> int | None:
    """Bytes of a checkpoint's weights, by its index or its files; None if neither is here."""
    folder = checkpoint.folder or snapshot_folder(checkpoint)
    if folder is None:
        return None
    return _indexed_bytes(folder / WEIGHTS_INDEX) or weights_bytes(folder) or None


def _indexed_bytes(index: Path) -> int:
    if not index.exists():
        return 0
    return int(read_config(index).get("metadata", {}).get("total_size", 0))


def loaded_share(settings: EngineSettings, config: dict[str, Any]) -> float:
    """Bytes in memory for each byte on disk."""
    text = text_config(config)
    if "quantization_config" in config or "quantization_config" in text:
        return 1.0
    names = (part.get("dtype") or part.get("torch_dtype") for part in (text, config))
    stored = next((_STORED_BYTES[name] for name in names if name in _STORED_BYTES), None)
    if stored is None:
        return 1.0
    if settings.quantization is not None:
        return 1 / stored if settings.quantization in _ONE_BYTE else 1.0
    return _STORED_BYTES[settings.resolved_dtype] / stored


def _indivisible(config: dict[str, Any], size: int) -> str | None:
    """What of a model does not divide among so many GPUs; None if all does."""
    text = text_config(config)
    heads = int(text.get("num_attention_heads") or size)
    kv_heads = int(text.get("num_key_value_heads") or heads)
    if heads % size:
        return f"its {heads} attention heads do not divide by {size}"
    # With fewer KV heads than GPUs, each is held by several.
    if kv_heads % size and size % kv_heads:
        return f"its {kv_heads} KV heads do not divide by {size}"
    return _indivisible_blocks(config, text, size)


def _indivisible_blocks(config: dict[str, Any], text: dict[str, Any], size: int) -> str | None:
    """Weights quantized by the block are split between blocks."""
    quantization: dict[str, Any] = config.get("quantization_config") or {}
    block: list[int] | None = quantization.get("weight_block_size")
    if not block:
        return None
    for name in ("intermediate_size", "moe_intermediate_size"):
        width = int(text.get(name) or 0)
        if width % (block[0] * size):
            return (
                f"its {name} of {width} is quantized by blocks of {block[0]}, which do not divide "
                f"by {size}"
            )
    return None
