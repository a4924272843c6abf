"""What a vLLM worker is asked about its KV cache. Runs in the worker's process.

vLLM mixes the class into its worker (`worker_extension_cls`) and calls the method by its name, in
this process or another. It returns plain numbers and names, which pass between processes.
"""

from typing import Any

METHOD = "blpo_kv_cache"
CLASS = f"{__name__}.KvCacheReport"


class KvCacheReport:
    """Mixed into vLLM's worker."""

    def blpo_kv_cache(self) -> dict[str, Any]:
        """num_blocks, bytes: of the cache. hit_tokens: hits on prefixes end at multiples of it.

        attention: tokens to a block, for each group of layers that keep keys and values. states:
        groups of layers that keep a state of all that came before.
        """
        worker: Any = self
        config = worker.model_runner.kv_cache_config
        specs = [group.kv_cache_spec for group in config.kv_cache_groups]
        states = [spec for spec in specs if type(spec).__name__.startswith("Mamba")]
        return {
            "num_blocks": config.num_blocks,
            # All tensors lie in one allocation, whose size each of them tells.
            "bytes": max((tensor.size for tensor in config.kv_cache_tensors), default=0),
            "hit_tokens": config.cache_hit_alignment_tokens,
            "attention": [spec.block_size for spec in specs if spec not in states],
            "states": len(states),
        }
