"""Gated delta attention in float32 for vLLM on CPU, which has it in bfloat16 alone.

Everything else of the engine stays: what differs from the reference in float32 then is no rounding.
"""
# ruff: noqa: PLC0415  (vLLM is imported only by what starts it)

from typing import Any


def install() -> None:
    """Take over float32 in vLLM's operator; before the first hybrid model of the process."""
    import torch
    from vllm.model_executor.layers.mamba.ops.cpu import gdn_attention

    module: Any = gdn_attention
    bfloat16 = module.cpu_gdn_attention_core

    def either(mixed_qkv: Any, b: Any, a: Any, core_attn_out: Any, layer_name: Any) -> None:
        if str(mixed_qkv.dtype) == "torch.float32":
            _attend(module, mixed_qkv, b, a, core_attn_out, layer_name)
        else:
            bfloat16(mixed_qkv, b, a, core_attn_out, layer_name)

    # vLLM registers the operator by its annotations.
    tensors = dict.fromkeys(("mixed_qkv", "b", "a", "core_attn_out"), torch.Tensor)
    either.__annotations__ = {**tensors, "layer_name": module.LayerNameType, "return": None}
    module.cpu_gdn_attention_core = either


def _attend(module: Any, mixed_qkv: Any, b: Any, a: Any, out: Any, layer_name: Any) -> None:
    context = module.get_forward_context()
    layer = context.no_compile_layers[module._resolve_layer_name(layer_name)]
    if context.attn_metadata is None:
        return
    metadata = context.attn_metadata[layer.prefix]
    starts = metadata.non_spec_query_start_loc.tolist()
    slots = metadata.non_spec_state_indices_tensor.tolist()
    # Sequences that go on with a token come first, those that bring many after them.
    has_state = [True] * metadata.num_decodes
    if metadata.num_prefills:
        has_state = metadata.has_initial_state.tolist()
        has_state[: metadata.num_decodes] = [True] * metadata.num_decodes
    for i in range(metadata.num_decodes + metadata.num_prefills):
        part = slice(starts[i], starts[i + 1])
        out[part] = _sequence(
            module, layer, mixed_qkv[part], b[part], a[part], slots[i], has_state[i]
        )


def _sequence(
    module: Any, layer: Any, mixed_qkv: Any, b: Any, a: Any, slot: int, has_state: bool
) -> Any:
    """One sequence, on from the state in a slot, which is then the state at its end."""
    import torch
    from torch.nn import functional
    from transformers.models.qwen3_5 import modeling_qwen3_5

    model: Any = modeling_qwen3_5
    rule: Any = model.torch_recurrent_gated_delta_rule
    mixed = module.causal_conv1d_torch(
        x=mixed_qkv.transpose(0, 1),
        weight=module._unpacked_conv_weight(layer),
        bias=layer.conv1d.bias,
        conv_states=module._conv_buffer_view(layer),
        query_start_loc=torch.tensor([0, len(mixed_qkv)]),
        cache_indices=torch.tensor([slot]),
        has_initial_state=torch.tensor([has_state]),
        activation=layer.activation,
    ).transpose(0, 1)
    query, key, value = layer.rearrange_mixed_qkv(mixed)
    repeats = value.shape[2] // key.shape[2]
    states = module._ssm_state_view(layer)
    written, state = rule(
        query.repeat_interleave(repeats, dim=2),
        key.repeat_interleave(repeats, dim=2),
        value,
        g=-layer.A_log.float().exp() * functional.softplus(a.float() + layer.dt_bias).unsqueeze(0),
        beta=b.sigmoid().unsqueeze(0),
        initial_state=states[slot : slot + 1] if has_state else None,
        output_final_state=True,
        use_qk_l2norm_in_kernel=True,
    )
    states[slot] = state[0]
    return written[0]
