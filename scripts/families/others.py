"""Tiny checkpoints of Llama-4, Gemma, Mistral-Small, GLM-V and SmolVLM.

Imports transformers in its functions.
"""
# ruff: noqa: PLC0415

from pathlib import Path
from typing import Any

from .checkpoints import EMBEDDED, SIGLIP, TEXT, ids_of, save


def llama4(folder: Path, tokenizer: Any, template: str) -> None:
    """Two experts in every other layer."""
    from transformers import Llama4Config, Llama4ForConditionalGeneration

    patch, start, end = ids_of(tokenizer, "<|patch|>", "<|image_start|>", "<|image_end|>")
    experts = {
        "intermediate_size": 64,
        "intermediate_size_mlp": 128,
        "head_dim": 32,
        "num_local_experts": 2,
        "num_experts_per_tok": 1,
        "interleave_moe_layer_step": 2,
        "attention_chunk_size": 8192,
    }
    config: Any = Llama4Config(
        text_config=TEXT | experts | {"vocab_size": len(tokenizer)} | _named_ids(tokenizer),
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
        image_token_index=patch,
        boi_token_index=start,
        eoi_token_index=end,
        tie_word_embeddings=False,
    )
    processor = llama4_processor(tokenizer, template)
    ends = ["<|end_of_text|>", "<|eom|>", "<|eot|>"]
    save(folder, Llama4ForConditionalGeneration, config, processor, {"eos_tokens": ends})


def llama4_processor(tokenizer: Any, template: str) -> Any:
    """For images of up to four tiles of 56 pixels a side, 4 tokens each."""
    from transformers import Llama4ImageProcessor, Llama4Processor

    return Llama4Processor(
        image_processor=Llama4ImageProcessor(size={"height": 56, "width": 56}, max_patches=4),
        tokenizer=tokenizer,
        patch_size=14,
        pixel_shuffle_ratio=0.5,
        fake_image_token="<|image|>",
        image_token="<|image|>",
        start_of_image_token="<|image_start|>",
        end_of_image_token="<|image_end|>",
        patch_token="<|patch|>",
        tile_x_separator_token="<|tile_x_separator|>",
        tile_y_separator_token="<|tile_y_separator|>",
        chat_template=template,
    )


def gemma3(folder: Path, tokenizer: Any, template: str) -> None:
    from transformers import (
        Gemma3Config,
        Gemma3ForConditionalGeneration,
        Gemma3ImageProcessor,
        Gemma3Processor,
    )

    names = ("<start_of_image>", "<end_of_image>", "<image_soft_token>")
    start, end, soft = ids_of(tokenizer, *names)
    side, num_tokens = 56, 4
    text = {
        "vocab_size": len(tokenizer),
        "head_dim": 32,
        "layer_types": ["sliding_attention", "full_attention"],
        "sliding_window": 128,
        "query_pre_attn_scalar": 32,
    }
    config: Any = Gemma3Config(
        text_config=TEXT | text | _named_ids(tokenizer),
        vision_config=EMBEDDED | {"image_size": side, "patch_size": 14, "vision_use_head": False},
        mm_tokens_per_image=num_tokens,
        boi_token_index=start,
        eoi_token_index=end,
        image_token_index=soft,
    )
    processor: Any = Gemma3Processor(
        image_processor=Gemma3ImageProcessor(size={"height": side, "width": side}),
        tokenizer=tokenizer,
        image_seq_length=num_tokens,
        chat_template=template,
    )
    ends = ["<eos>", "<end_of_turn>"]
    how = {"eos_tokens": ends}
    save(folder, Gemma3ForConditionalGeneration, config, processor, how, published=SIGLIP)


def gemma4(folder: Path, tokenizer: Any, template: str) -> None:
    from transformers import (
        Gemma4AudioFeatureExtractor,
        Gemma4Config,
        Gemma4ForConditionalGeneration,
        Gemma4ImageProcessor,
        Gemma4Processor,
        Gemma4VideoProcessor,
    )

    start, end, image, video = ids_of(tokenizer, "<|image>", "<image|>", "<|image|>", "<|video|>")
    text = {
        "vocab_size": len(tokenizer),
        "vocab_size_per_layer_input": len(tokenizer),
        "hidden_size_per_layer_input": 0,
        "head_dim": 32,
        "global_head_dim": 64,
        "layer_types": ["sliding_attention", "full_attention"],
        "sliding_window": 128,
        "use_bidirectional_attention": "vision",
        "final_logit_softcapping": 30.0,
    }
    config: Any = Gemma4Config(
        text_config=TEXT | text | _named_ids(tokenizer),
        vision_config=EMBEDDED
        | {
            "num_key_value_heads": 2,
            "head_dim": 32,
            "position_embedding_size": 1024,
            "default_output_length": 70,
        },
        boi_token_id=start,
        eoi_token_id=end,
        image_token_id=image,
        video_token_id=video,
    )
    processor: Any = Gemma4Processor(
        feature_extractor=Gemma4AudioFeatureExtractor(),
        image_processor=Gemma4ImageProcessor(max_soft_tokens=70),
        tokenizer=tokenizer,
        video_processor=Gemma4VideoProcessor(max_soft_tokens=70),
        image_seq_length=70,
        chat_template=template,
    )
    ends = ["<eos>", "<turn|>"]
    save(folder, Gemma4ForConditionalGeneration, config, processor, {"eos_tokens": ends})


def mistral_small(folder: Path, tokenizer: Any, template: str) -> None:
    from transformers import (
        Mistral3Config,
        Mistral3ForConditionalGeneration,
        PixtralImageProcessor,
        PixtralProcessor,
    )

    text = {"model_type": "mistral", "head_dim": 32, "sliding_window": None}
    config: Any = Mistral3Config(
        text_config=TEXT | text | {"vocab_size": len(tokenizer)} | _named_ids(tokenizer),
        vision_config=EMBEDDED
        | {"model_type": "pixtral", "image_size": 448, "patch_size": 14, "head_dim": 32},
        image_token_index=ids_of(tokenizer, "[IMG]")[0],
        spatial_merge_size=2,
        tie_word_embeddings=False,
    )
    processor: Any = PixtralProcessor(
        image_processor=PixtralImageProcessor(
            size={"longest_edge": 448}, patch_size={"height": 14, "width": 14}
        ),
        tokenizer=tokenizer,
        patch_size=14,
        spatial_merge_size=2,
        chat_template=template,
    )
    save(folder, Mistral3ForConditionalGeneration, config, processor)


def glm_v(folder: Path, tokenizer: Any, template: str) -> None:
    from transformers import (
        Glm4vConfig,
        Glm4vForConditionalGeneration,
        Glm4vImageProcessor,
        Glm4vProcessor,
        Glm4vVideoProcessor,
    )

    keys = (
        ("image_token_id", "<|image|>"),
        ("video_token_id", "<|video|>"),
        ("image_start_token_id", "<|begin_of_image|>"),
        ("image_end_token_id", "<|end_of_image|>"),
        ("video_start_token_id", "<|begin_of_video|>"),
        ("video_end_token_id", "<|end_of_video|>"),
    )
    ids: dict[str, Any] = {key: ids_of(tokenizer, token)[0] for key, token in keys}
    rope = {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "mrope_section": [2, 3, 3],
        "partial_rotary_factor": 0.5,
    }
    config: Any = Glm4vConfig(
        text_config=TEXT | {"vocab_size": len(tokenizer), "rope_parameters": rope},
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "out_hidden_size": 64,
            "image_size": 56,
        },
        tie_word_embeddings=False,
        **ids,
    )
    processor: Any = Glm4vProcessor(
        image_processor=Glm4vImageProcessor(),
        tokenizer=tokenizer,
        video_processor=Glm4vVideoProcessor(),
        chat_template=template,
    )
    ends = ["<|endoftext|>", "<|user|>", "<|observation|>"]
    save(folder, Glm4vForConditionalGeneration, config, processor, {"eos_tokens": ends})


def smolvlm(folder: Path, tokenizer: Any, template: str) -> None:
    from transformers import (
        SmolVLMConfig,
        SmolVLMForConditionalGeneration,
        SmolVLMImageProcessor,
        SmolVLMProcessor,
        SmolVLMVideoProcessor,
    )

    side, patch, scale = 56, 14, 2
    config: Any = SmolVLMConfig(
        text_config=TEXT
        | {"model_type": "llama", "head_dim": 32, "vocab_size": len(tokenizer)}
        | _named_ids(tokenizer),
        vision_config=EMBEDDED | {"image_size": side, "patch_size": patch},
        image_token_id=ids_of(tokenizer, "<image>")[0],
        pad_token_id=tokenizer.pad_token_id,
        scale_factor=scale,
        tie_word_embeddings=False,
    )
    size = {"longest_edge": 2 * side}
    processor: Any = SmolVLMProcessor(
        image_processor=SmolVLMImageProcessor(size=size, max_image_size={"longest_edge": side}),
        tokenizer=tokenizer,
        video_processor=SmolVLMVideoProcessor(
            size=size, max_image_size={"longest_edge": side}, fps=1, num_frames=2
        ),
        image_seq_len=(side // patch // scale) ** 2,
        chat_template=template,
    )
    save(folder, SmolVLMForConditionalGeneration, config, processor)


def _named_ids(tokenizer: Any) -> dict[str, Any]:
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {name: getattr(tokenizer, name) for name in names}
