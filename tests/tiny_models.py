"""Tiny random checkpoints of real architectures, complete enough for vLLM and transformers.

Each builder writes config, tokenizer, processor, chat template and safetensors into a folder.
The weights are random: the engines agree on them or they do not; the answers mean nothing.
"""
# ruff: noqa: PLC0415  (torch and transformers are imported only by tests that build a model)

from pathlib import Path
from typing import Any

from blpo.models.engines import torchvision_cpu

torchvision_cpu.install()

QWEN_TEMPLATE = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA4_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}<|header_start|>{{ message.role }}<|header_end|>\n\n"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<|image|>{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|header_start|>assistant<|header_end|>\n\n{% endif %}"
)
QWEN3_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}"
    "{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)
"""Of Qwen3-VL-Thinking: it always opens a thought."""
QWEN35_TEMPLATE = QWEN3_TEMPLATE.replace(
    "<think>\n{% endif %}",
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% else %}<think>\n{% endif %}{% endif %}",
)
"""Of Qwen3.5: it opens a thought unless it is told not to."""
QWEN3_MARKUP = ("<think>", "</think>", "<tool_call>", "</tool_call>")
"""Added tokens that are not flagged special."""
QWEN_SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
LLAMA4_SPECIAL = (
    "<|begin_of_text|>",
    "<|eot|>",
    "<|header_start|>",
    "<|header_end|>",
    "<|image_start|>",
    "<|image_end|>",
    "<|image|>",
    "<|patch|>",
    "<|tile_x_separator|>",
    "<|tile_y_separator|>",
    "<|finetune_right_pad|>",
)
CORPUS = (
    "You are a helpful assistant. Answer with one word: Safe or Unsafe, safe or unsafe.",
    "Rate the image from 1 to 7. The image above is the one to look at. yes no Yes No",
    "The instructions about it follow below. Read the instructions to the end first.",
    "Describe what the image shows, in one sentence, and judge whether it is natural.",
)
SEED = 0


def build_tiny_qwen(folder: Path) -> Path:
    """A Qwen2.5-VL checkpoint of about 0.2 M parameters."""
    import torch
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = make_tokenizer(QWEN_SPECIAL, eos="<|im_end|>", pad="<|endoftext|>")
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in QWEN_SPECIAL}
    config: Any = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "max_position_embeddings": 2048,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10000.0,
                "mrope_section": [4, 6, 6],
            },
            "bos_token_id": ids["<|endoftext|>"],
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "out_hidden_size": 64,
            "fullatt_block_indexes": [1],
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=False,
    )
    _seed(torch)
    model: Any = Qwen2_5_VLForConditionalGeneration(config)
    _save(folder, model)
    processor: Any = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=1024 * 1024),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=QWEN_TEMPLATE,
    )
    processor.save_pretrained(folder)
    return folder


def build_tiny_qwen3(folder: Path, *, chat_template: str = QWEN3_TEMPLATE) -> Path:
    """A Qwen3-VL-Thinking checkpoint of about 0.2 M parameters."""
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    tokenizer, ids = _qwen3_tokenizer()
    config: Any = Qwen3VLConfig(
        text_config=_qwen3_text_config(tokenizer, ids) | {"head_dim": 32},
        vision_config=_QWEN3_VISION | {"deepstack_visual_indexes": [0]},
        **_qwen3_image_ids(ids),
    )
    _save_qwen3(folder, Qwen3VLForConditionalGeneration, config, tokenizer, chat_template)
    return folder


def build_tiny_qwen35(folder: Path, *, chat_template: str = QWEN35_TEMPLATE) -> Path:
    """A Qwen3.5 checkpoint: a layer of gated delta attention before one of full attention.

    The state of the first is large beside a token's keys and values, as in the real models: vLLM
    takes KV blocks of hundreds of tokens.
    """
    from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

    tokenizer, ids = _qwen3_tokenizer()
    config: Any = Qwen3_5Config(
        text_config=_qwen3_text_config(tokenizer, ids)
        | {
            "head_dim": 32,
            "layer_types": ["linear_attention", "full_attention"],
            "linear_key_head_dim": 64,
            "linear_value_head_dim": 64,
            "linear_num_key_heads": 2,
            "linear_num_value_heads": 4,
        },
        vision_config=_QWEN3_VISION,
        **_qwen3_image_ids(ids),
    )
    _save_qwen3(folder, Qwen3_5ForConditionalGeneration, config, tokenizer, chat_template)
    return folder


_QWEN3_VISION: dict[str, Any] = {
    "depth": 2,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_heads": 2,
    "out_hidden_size": 64,
    "patch_size": 14,
    "num_position_embeddings": 64,
}


def _qwen3_tokenizer() -> tuple[Any, dict[str, int]]:
    from tokenizers import AddedToken

    tokenizer = make_tokenizer(QWEN_SPECIAL, eos="<|im_end|>", pad="<|endoftext|>")
    tokenizer.add_tokens([AddedToken(t, special=False, normalized=False) for t in QWEN3_MARKUP])
    return tokenizer, {token: tokenizer.convert_tokens_to_ids(token) for token in QWEN_SPECIAL}


def _qwen3_text_config(tokenizer: Any, ids: dict[str, int]) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "max_position_embeddings": 4096,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [6, 5, 5],
            "mrope_interleaved": True,
            "partial_rotary_factor": 1.0,
        },
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|endoftext|>"],
    }


def _qwen3_image_ids(ids: dict[str, int]) -> dict[str, Any]:
    return {
        "image_token_id": ids["<|image_pad|>"],
        "video_token_id": ids["<|video_pad|>"],
        "vision_start_token_id": ids["<|vision_start|>"],
        "vision_end_token_id": ids["<|vision_end|>"],
        "tie_word_embeddings": False,
    }


def _save_qwen3(folder: Path, make: Any, config: Any, tokenizer: Any, chat_template: str) -> None:
    import torch
    from transformers import GenerationConfig, Qwen2VLImageProcessor, Qwen3VLProcessor
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

    _seed(torch)
    model: Any = make(config)
    ends = ["<|im_end|>", "<|endoftext|>"]
    model.generation_config = GenerationConfig(
        eos_token_id=[tokenizer.convert_tokens_to_ids(token) for token in ends],
        do_sample=True,
        repetition_penalty=1.5,
    )
    _save(folder, model)
    processor: Any = Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(
            patch_size=14, min_pixels=28 * 28, max_pixels=1024 * 1024
        ),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(patch_size=14),
        chat_template=chat_template,
    )
    processor.save_pretrained(folder)


def build_tiny_llama4(folder: Path, *, chat_template: str = LLAMA4_TEMPLATE) -> Path:
    """A Llama-4 checkpoint (2 experts in every other layer) of about 0.3 M parameters."""
    import torch
    from families.others import llama4_processor
    from transformers import Llama4Config, Llama4ForConditionalGeneration

    tokenizer = make_tokenizer(
        LLAMA4_SPECIAL, eos="<|eot|>", pad="<|finetune_right_pad|>", bos="<|begin_of_text|>"
    )
    config: Any = Llama4Config(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "intermediate_size": 64,
            "intermediate_size_mlp": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "num_local_experts": 2,
            "num_experts_per_tok": 1,
            "interleave_moe_layer_step": 2,
            "max_position_embeddings": 2048,
            "attention_chunk_size": 1024,
            "bos_token_id": tokenizer.bos_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "hidden_size": 64,
            "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 56,
            "patch_size": 14,
            "vision_output_dim": 64,
            "projector_input_dim": 64,
            "projector_output_dim": 64,
        },
        image_token_index=tokenizer.convert_tokens_to_ids("<|patch|>"),
        boi_token_index=tokenizer.convert_tokens_to_ids("<|image_start|>"),
        eoi_token_index=tokenizer.convert_tokens_to_ids("<|image_end|>"),
        tie_word_embeddings=False,
    )
    _seed(torch)
    model: Any = Llama4ForConditionalGeneration(config)
    _save(folder, model)
    llama4_processor(tokenizer, chat_template).save_pretrained(folder)
    return folder


def make_tokenizer(special: tuple[str, ...], *, eos: str, pad: str, bos: str | None = None) -> Any:
    """A byte-level BPE tokenizer with a few merges; the special tokens come last."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe: Any = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=480,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(CORPUS * 4, trainer)
    bpe.add_special_tokens(list(special))
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        eos_token=eos,
        pad_token=pad,
        bos_token=bos,
        additional_special_tokens=[t for t in special if t not in (eos, pad, bos)],
    )


def _seed(torch: Any) -> None:
    torch.manual_seed(SEED)


def _save(folder: Path, model: Any) -> None:
    """Random weights are small by default and give flat answers; larger ones tell prompts apart."""
    import torch

    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.mul_(4.0)
    model.save_pretrained(folder)
