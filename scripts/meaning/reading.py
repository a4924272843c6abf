"""The language model's forward pass over batches of branches, made quick on CPUs."""

from dataclasses import dataclass
from typing import Any

import torch
import train_micro as micro
from torch import Tensor, nn
from torch.nn import functional
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from .batches import rounded


@dataclass(frozen=True, slots=True)
class Branching:
    """How the tokens of a batch attend: the trunk to itself, each branch to the trunk and itself.

    trunk: tokens of the longest trunk. index: (rows, branches, tokens) places in the row. own:
    whether a place is of the branch. mask: (rows * branches, 1, tokens, trunk + tokens).
    """

    trunk: int
    index: Tensor
    own: Tensor
    mask: Tensor

    @classmethod
    def of(cls, branches: Tensor) -> "Branching":
        """branches: (rows, tokens), see `micro.Batch`."""
        num_trunk, num = (branches == -1).sum(1), int(branches.max()) + 1
        here = branches[:, None] == torch.arange(num)[:, None]
        length, start = here.sum(2), here.int().argmax(2)
        longest, trunk = rounded(int(length.max()), 16), int(num_trunk.max())
        place, rows = torch.arange(longest), len(branches)
        own = place < length[..., None]
        index = torch.where(own, start[..., None] + place, 0)
        seen = (torch.arange(trunk) < num_trunk[:, None])[:, None, None]
        causal = torch.ones(longest, longest, dtype=torch.bool).tril()
        parts = (seen.expand(rows, num, longest, trunk), causal.expand(rows, num, -1, -1))
        return cls(trunk, index, own, torch.cat(parts, -1).flatten(0, 1)[:, None])


def _attend(
    _module: object, query: Tensor, key: Tensor, value: Tensor, at: Branching, **_: object
) -> tuple[Tensor, None]:
    """Attention as the library calls it; query, key, value: (rows, heads, tokens, head size)."""
    rows, heads, tokens, size = query.shape
    num, longest = at.index.shape[1:]
    which, flat, own = torch.arange(rows)[:, None], at.index.flatten(1), at.own.flatten(1)

    def branch(x: Tensor) -> Tensor:
        return x.transpose(1, 2)[which, flat].view(rows * num, longest, heads, size).transpose(1, 2)

    def with_trunk(x: Tensor) -> Tensor:
        trunk = x[:, None, :, : at.trunk].expand(-1, num, -1, -1, -1).flatten(0, 1)
        return torch.cat([trunk, branch(x)], 2)

    q, k, v = (x[:, :, : at.trunk] for x in (query, key, value))
    trunk = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    leaves = functional.scaled_dot_product_attention(
        branch(query), with_trunk(key), with_trunk(value), attn_mask=at.mask
    )
    out = query.new_zeros(rows, tokens, heads, size)
    out[:, : at.trunk] = trunk.transpose(1, 2)
    mixed = leaves.transpose(1, 2).reshape(rows, num * longest, heads, size)
    out[which.expand(-1, flat.shape[1])[own], flat[own]] = mixed[own]
    return out, None


micro.untyped(ALL_ATTENTION_FUNCTIONS).register("branches", _attend)


def read(model: Any, batch: micro.Batch, image_tokens: Tensor) -> list[Tensor]:
    """As `micro.read`, with attention that leaves out what its mask hides.

    image_tokens: (rows, image tokens, hidden), those of all images of a row one behind the other.
    """
    language = model.model.language_model
    language.config._attn_implementation = "branches"
    h: Tensor = language.embed_tokens(batch.ids)
    is_image = batch.ids == model.config.image_token_id
    h = h.masked_scatter(is_image[..., None], image_tokens)
    at, rotary = Branching.of(batch.branches), language.rotary_emb(h, batch.positions)
    states: list[Tensor] = []
    for layer in language.layers:
        h = layer(h, attention_mask=at, position_embeddings=rotary)
        states.append(h)
    return [*states[:-1], language.norm(states[-1])]


def multiply_in_bfloat16() -> None:
    """Products in bfloat16, sums in float32: three times as fast on processors that have it, and
    left alone on the others, where it is slower."""
    if not micro.untyped(torch.cpu)._is_avx512_bf16_supported():
        return

    def forward(self: Any, input: Tensor) -> Tensor:  # noqa: A002
        bias = None if self.bias is None else self.bias.bfloat16()
        return functional.linear(input.bfloat16(), self.weight.bfloat16(), bias).float()

    nn.Linear.forward = forward
