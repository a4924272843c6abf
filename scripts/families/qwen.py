"""Tiny checkpoints of Qwen2.5-VL, Qwen3-VL and Qwen3.5, and of what is built on Qwen's text models.

Imports transformers in its functions.
"""
# ruff: noqa: PLC0415

from pathlib import Path
from typing import Any

from .checkpoints import EMBEDDED, SIGLIP, TEXT, ids_of, save

_PATCHES = {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2}


def qwen25_vl(folder: Path, tokenizer: Any, template: str) -> None:
    """Its generation_config has a penalty, as the original's, but a larger one."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    config: Any = Qwen2_5_VLConfig(
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "rope_parameters": _rope([4, 6, 6])}
        | _ends(tokenizer),
        vision_config=_PATCHES | {"out_hidden_size": 64, "fullatt_block_indexes": [1]},
        **_image_ids(tokenizer),
    )
    processor: Any = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=1024 * 1024),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=template,
    )
    save(folder, Qwen2_5_VLForConditionalGeneration, config, processor, _GENERATION)


def qwen3_vl(folder: Path, tokenizer: Any, template: str) -> None:
    from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

    config: Any = Qwen3VLConfig(
        text_config=_qwen3_text(tokenizer),
        vision_config=_qwen3_vision() | {"deepstack_visual_indexes": [0]},
        **_image_ids(tokenizer),
    )
    processor: Any = _qwen3_processor(tokenizer, template)
    save(folder, Qwen3VLForConditionalGeneration, config, processor, _GENERATION)


def qwen35(folder: Path, tokenizer: Any, template: str) -> None:
    """A hybrid: a layer of gated delta attention, then one of full attention.

    The state of the first is large beside a token's keys and values, as in the real models: vLLM
    takes KV blocks of hundreds of tokens.
    """
    from transformers import Qwen3_5Config, Qwen3_5ForConditionalGeneration

    hybrid = {
        "layer_types": ["linear_attention", "full_attention"],
        "linear_key_head_dim": 64,
        "linear_value_head_dim": 64,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
    }
    config: Any = Qwen3_5Config(
        text_config=_qwen3_text(tokenizer) | hybrid,
        vision_config=_qwen3_vision(),
        **_image_ids(tokenizer),
    )
    processor: Any = _qwen3_processor(tokenizer, template)
    save(folder, Qwen3_5ForConditionalGeneration, config, processor, _GENERATION)


def internvl3(folder: Path, tokenizer: Any, template: str) -> None:
    from transformers import (
        GotOcr2ImageProcessor,
        InternVLConfig,
        InternVLForConditionalGeneration,
        InternVLProcessor,
        InternVLVideoProcessor,
    )

    side, patch = 56, 14
    tokens = (side // patch // 2) ** 2
    config: Any = InternVLConfig(
        text_config=_qwen2_text(tokenizer),
        vision_config=EMBEDDED
        | {"image_size": [side, side], "patch_size": [patch, patch], "use_mean_pooling": True},
        image_token_id=ids_of(tokenizer, "<IMG_CONTEXT>")[0],
        image_seq_length=tokens,
        tie_word_embeddings=False,
    )
    processor: Any = InternVLProcessor(
        image_processor=GotOcr2ImageProcessor(
            size={"height": side, "width": side}, min_patches=1, max_patches=4
        ),
        tokenizer=tokenizer,
        video_processor=InternVLVideoProcessor(size={"height": side, "width": side}),
        image_seq_length=tokens,
        chat_template=template,
    )
    save(folder, InternVLForConditionalGeneration, config, processor)


def llava_onevision(folder: Path, tokenizer: Any, template: str) -> None:
    from transformers import (
        LlavaOnevisionConfig,
        LlavaOnevisionForConditionalGeneration,
        LlavaOnevisionImageProcessor,
        LlavaOnevisionProcessor,
        LlavaOnevisionVideoProcessor,
    )

    side, patch = 56, 14
    places = [[side, side], [side, 2 * side], [2 * side, side], [2 * side, 2 * side]]
    image, video = ids_of(tokenizer, "<image>", "<video>")
    config: Any = LlavaOnevisionConfig(
        text_config=_qwen2_text(tokenizer),
        vision_config=EMBEDDED
        | {
            "model_type": "siglip_vision_model",
            "image_size": side,
            "patch_size": patch,
            "vision_use_head": False,
        },
        image_token_index=image,
        video_token_index=video,
        image_grid_pinpoints=places,
        tie_word_embeddings=False,
    )
    processor: Any = LlavaOnevisionProcessor(
        image_processor=LlavaOnevisionImageProcessor(
            size={"height": side, "width": side}, image_grid_pinpoints=places
        ),
        tokenizer=tokenizer,
        video_processor=LlavaOnevisionVideoProcessor(size={"height": side, "width": side}),
        num_image_tokens=(side // patch) ** 2,
        vision_feature_select_strategy="full",
        chat_template=template,
    )
    save(folder, LlavaOnevisionForConditionalGeneration, config, processor, published=SIGLIP)


_GENERATION: dict[str, Any] = {
    "eos_tokens": ["<|im_end|>", "<|endoftext|>"],
    "do_sample": True,
    "repetition_penalty": 2.0,
    "temperature": 0.1,
}


def _qwen2_text(tokenizer: Any) -> dict[str, Any]:
    return TEXT | {"model_type": "qwen2", "vocab_size": len(tokenizer)} | _ends(tokenizer)


def _qwen3_text(tokenizer: Any) -> dict[str, Any]:
    rope = _rope([6, 5, 5]) | {"mrope_interleaved": True, "partial_rotary_factor": 1.0}
    own = {"vocab_size": len(tokenizer), "head_dim": 32, "rope_parameters": rope}
    return TEXT | own | _ends(tokenizer)


def _qwen3_vision() -> dict[str, Any]:
    return _PATCHES | {"out_hidden_size": 64, "patch_size": 14, "num_position_embeddings": 64}


def _qwen3_processor(tokenizer: Any, template: str) -> Any:
    from transformers import Qwen2VLImageProcessor, Qwen3VLProcessor
    from transformers.models.qwen3_vl.video_processing_qwen3_vl import Qwen3VLVideoProcessor

    return Qwen3VLProcessor(
        image_processor=Qwen2VLImageProcessor(
            patch_size=14, min_pixels=28 * 28, max_pixels=1024 * 1024
        ),
        tokenizer=tokenizer,
        video_processor=Qwen3VLVideoProcessor(patch_size=14),
        chat_template=template,
    )


def _rope(sections: list[int]) -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": sections}


def _ends(tokenizer: Any) -> dict[str, int]:
    start, end = ids_of(tokenizer, "<|endoftext|>", "<|im_end|>")
    return {"bos_token_id": start, "eos_token_id": end, "pad_token_id": start}


def _image_ids(tokenizer: Any) -> dict[str, Any]:
    names = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    keys = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
    found = dict(zip(keys, ids_of(tokenizer, *names), strict=True))
    return found | {"tie_word_embeddings": False}
