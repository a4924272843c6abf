"""What all tiny checkpoints have in common: sizes, weights and how they are written.

The weights are random, so that replies mean nothing; engines agree on them or they do not. The
rows of the output matrix that belong to labels, ends of a turn and thoughts are enlarged: a tiny
model then says such words, with probabilities that a wrong token changes.
"""
# ruff: noqa: PLC0415

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

SEED = 0
SCALE = 4.0
"""Of all matrices: random weights are small by default and give flat answers."""
_STD = 0.02
LOUDNESS = 8.0

TEXT: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "max_position_embeddings": 8192,
}
"""A text model: with an embedding of a real vocabulary, which is many times larger."""
EMBEDDED: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
"""An image encoder."""

SIGLIP = {"vision_tower.": "vision_tower.vision_model."}
"""Names of the weights of an image encoder, which transformers 5 shortens."""

LOUD = (
    *("Safe", "safe", "Unsafe", "unsafe", "Unsure", "unsure", " Safe", " Unsafe"),
    *("A", "B", "a", "b", " A", " B", " "),
    *"0123456789",
    *("10", "\n", "\n\n", ".", "The", " image"),
)


def save(
    folder: Path,
    make: Any,
    config: Any,
    processor: Any,
    generation: Mapping[str, Any] | None = None,
    published: Mapping[str, str] | None = None,
) -> None:
    """Write a checkpoint with random weights.

    generation: contents of generation_config.json, with `eos_tokens` as texts; None: only the
    tokenizer's own end. published: beginnings of weights' names as transformers writes them, and
    as they are in the family's published checkpoints.
    """
    import torch
    from transformers import GenerationConfig

    how = dict(generation or {})
    tokenizer = processor.tokenizer
    ends: Sequence[str] = how.pop("eos_tokens", [tokenizer.eos_token])
    random: Any = torch.random
    random.manual_seed(SEED)
    model: Any = make(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                if not parameter.any():  # a projection of images that starts at nothing
                    parameter.normal_(std=_STD)
                parameter.mul_(SCALE)
        loud = loud_ids(tokenizer, ends)
        model.get_output_embeddings().weight[loud] *= LOUDNESS
    model.generation_config = GenerationConfig(eos_token_id=ids_of(tokenizer, *ends), **how)
    model.save_pretrained(folder)
    if published:
        _rename(folder / "model.safetensors", published)
    processor.save_pretrained(folder)


def _rename(file: Path, published: Mapping[str, str]) -> None:
    from safetensors import torch as safetensors_torch

    tensors: Any = safetensors_torch

    def renamed(name: str) -> str:
        own = next((start for start in published if name.startswith(start)), None)
        return name if own is None else published[own] + name.removeprefix(own)

    weights = {renamed(name): weight for name, weight in tensors.load_file(file).items()}
    tensors.save_file(weights, file, {"format": "pt"})


def loud_ids(tokenizer: Any, ends: Sequence[str]) -> list[int]:
    """Tokens of labels as their first and further ones, ends of a turn, tags of thoughts."""
    added = tokenizer.get_added_vocab()
    tags = [text for text in added if "think" in text or "channel" in text]
    spoken = [tokenizer.encode(text, add_special_tokens=False) for text in LOUD]
    return sorted({i for ids in spoken for i in ids} | set(ids_of(tokenizer, *ends, *tags)))


def ids_of(tokenizer: Any, *tokens: str) -> list[int]:
    """Ids of tokens of the vocabulary. Raises KeyError for a text that is none."""
    vocabulary = tokenizer.get_vocab()
    return [vocabulary[token] for token in tokens]
