"""What a model's config tells of vLLM's KV blocks before an engine has started."""

import math
from typing import Any

from .files import text_config
from .settings import EngineSettings


def reuse_grain(settings: EngineSettings, config: dict[str, Any]) -> int:
    """Tokens at whose multiples the prefix that two requests share may end: for these, requests
    are laid out.

    A block takes the same memory in all layers. Where some layers have narrower keys and values
    than others (Gemma 4), vLLM gives their blocks as many more tokens.
    config: contents of config.json.
    """
    widths = _kv_widths(text_config(config))
    widest = max(widths)
    # Blocks of widths that do not divide the widest are padded.
    return settings.resolved_block_size * math.lcm(
        *(widest // width for width in widths if widest % width == 0)
    )


def _kv_widths(text: dict[str, Any]) -> set[int]:
    """Numbers to a key, of all KV heads together, that a model's layers have."""
    of_layers: dict[str, dict[str, Any]] = text.get("per_layer_config") or {}
    overrides = [{}, *of_layers.values(), *_of_full_attention(text)]
    return {_kv_width(text | override) for override in overrides}


def _of_full_attention(text: dict[str, Any]) -> list[dict[str, Any]]:
    """What configs of Gemma 4 on the hub say of the layers without a sliding window."""
    if "global_head_dim" not in text:
        return []
    own: dict[str, Any] = {"head_dim": text["global_head_dim"]}
    if text.get("attention_k_eq_v") and text.get("num_global_key_value_heads"):
        own["num_key_value_heads"] = text["num_global_key_value_heads"]
    return [own]


def _kv_width(text: dict[str, Any]) -> int:
    heads = text.get("num_key_value_heads") or text.get("num_attention_heads") or 1
    return int(heads) * int(text.get("head_dim") or 1)
