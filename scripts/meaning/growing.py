"""The shipped judge with more words and more layers, answering as before."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import train_micro as micro
from blpo.data.micro import clause_words, clauses
from torch import nn
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

_OLD_LAYERS: Mapping[int, Sequence[int | None]] = {
    4: (0, None, 1, None, 2, None, None, None, 3),
    8: (0, 1, 2, 3, 4, 5, None, 6, 7),
    9: range(9),
}
"""Which layer of the old model each layer begins as, by the number of the old ones; None: a new
one that adds nothing yet."""

_WORD_FILE = Path(__file__).with_name("words.txt")


def further_tokens() -> list[str]:
    """Words of judge prompts that the shipped tokenizer lacks, with space and capital."""
    words = dict.fromkeys([*_grammar_words(), *_WORD_FILE.read_text("utf-8").split()])
    return [form for word in words for form in _forms(word)]


def _forms(word: str) -> tuple[str, ...]:
    return word, f" {word}", word.capitalize(), f" {word.capitalize()}"


def _grammar_words() -> Iterator[str]:
    for text in _texts(clause_words.ALL):
        both = re.sub(r"(\w+)\{(s|es)\}", r"\1 \1\2", text).replace("{ies}", "ies")
        yield from re.findall(r"[a-z]+", re.sub(r"\{\w*\}", " ", both).lower())
    for verb in (*clause_words.WEIGHINGS, *clause_words.DISMISSALS):
        yield clauses.gerund(verb.split(" ")[0])


def _texts(groups: Sequence[Sequence[str]]) -> Iterator[str]:
    for group in groups:
        yield from group


def grow(old_processor: Any, old: Any, processor: Any) -> Any:
    """A deeper model with more words that answers as the old one does."""
    layers = _OLD_LAYERS[len(old.model.language_model.layers)]
    model = Qwen2_5_VLForConditionalGeneration(_config(old, processor.tokenizer, len(layers)))
    model.model.visual.load_state_dict(old.model.visual.state_dict())
    micro.scale_weights(model.model.language_model, depth=len(layers))
    with torch.no_grad():
        _fill_layers(layers, model.model.language_model, old.model.language_model)
        _fill_words(model, processor.tokenizer, old, old_processor.tokenizer)
    return model


def _config(old: Any, tokenizer: Any, num_layers: int) -> Qwen2_5_VLConfig:
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in micro.SPECIAL_TOKENS}
    config = old.config.to_dict()
    config["text_config"] |= {
        "vocab_size": len(tokenizer),
        "num_hidden_layers": num_layers,
        "layer_types": ["full_attention"] * num_layers,
        "bos_token_id": ids["<|endoftext|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }
    config |= {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
    }
    return Qwen2_5_VLConfig(**config)


def _fill_layers(layers: Sequence[int | None], language: Any, source: Any) -> None:
    language.norm.load_state_dict(source.norm.state_dict())
    for layer, number in zip(language.layers, layers, strict=True):
        if number is not None:
            layer.load_state_dict(source.layers[number].state_dict())
        else:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()


def _fill_words(model: Any, tokenizer: Any, old: Any, old_tokenizer: Any) -> None:
    """Rows of known tokens; a new form of a known word begins as that, forms of a new one alike."""
    table, head = model.model.language_model.embed_tokens.weight, model.lm_head.weight
    nn.init.normal_(table, std=0.09)
    nn.init.normal_(head, std=0.02)
    vocab, known = tokenizer.get_vocab(), old_tokenizer.get_vocab()
    source = old.model.language_model.embed_tokens.weight
    for token, place in vocab.items():
        word = token.lower().lstrip(_SPACE)
        near = next((form for form in (token, word, _SPACE + word) if form in known), None)
        if near is not None:
            table[place] = source[known[near]]
        elif word in vocab:
            table[place] = table[vocab[word]]
        if token in known:
            head[place] = old.lm_head.weight[known[token]]


_SPACE = "Ġ"
"""How a byte-level tokenizer writes a space."""
