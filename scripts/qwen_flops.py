"""Floating point operations of a Qwen2.5-VL model: two for each weight and token, and attention."""

from bench_common import Shape

_WINDOW_PATCHES = 64
"""Patches in one window of the vision encoder's windowed attention."""


def text_flops(shape: Shape, num_tokens: int, new: int) -> float:
    """A forward pass over `new` of the tokens; the cache has the others. One row of logits."""
    head_size = shape.hidden_size // shape.num_heads
    weights = shape.num_layers * (
        2 * shape.hidden_size * (shape.hidden_size + shape.num_kv_heads * head_size)
        + 3 * shape.hidden_size * shape.intermediate_size
    )
    attended = new * (num_tokens - new / 2)
    output = 2 * shape.hidden_size * shape.vocab_size
    return 2 * weights * new + 4 * shape.num_layers * shape.hidden_size * attended + output


def vision_flops(shape: Shape, image_tokens: int) -> float:
    """The vision encoder on one image."""
    patches, hidden = 4 * image_tokens, shape.vision_hidden_size
    weights = shape.vision_depth * (4 * hidden**2 + 3 * hidden * shape.vision_intermediate_size)
    num_full = len(shape.full_attention_blocks)
    attended = num_full * patches + (shape.vision_depth - num_full) * min(_WINDOW_PATCHES, patches)
    merger = (4 * hidden) ** 2 + 4 * hidden * shape.hidden_size
    return patches * (2 * weights + 4 * hidden * attended) + 2 * merger * image_tokens
