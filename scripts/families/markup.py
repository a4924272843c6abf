"""Added tokens of the families' vocabularies, in the order of their ids, and what they are named.

With each, whether it is flagged special: tokenizers split such ones when they are asked to.
"""

from typing import Any


def special(tokens: str) -> dict[str, bool]:
    """Added tokens that are flagged special."""
    return dict.fromkeys(tokens.split(), True)


QWEN_MARKUP = special(
    "<|endoftext|> <|im_start|> <|im_end|> <|object_ref_start|> <|object_ref_end|> <|box_start|> "
    "<|box_end|> <|quad_start|> <|quad_end|> <|vision_start|> <|vision_end|> <|vision_pad|> "
    "<|image_pad|> <|video_pad|>"
) | dict.fromkeys(
    (
        *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>"),
        *("<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"),
    ),
    False,
)
QWEN3_MARKUP = QWEN_MARKUP | {
    "<tool_response>": False,
    "</tool_response>": False,
    "<think>": False,
    "</think>": False,
}
INTERNVL_MARKUP = QWEN_MARKUP | special(
    "<img> </img> <IMG_CONTEXT> <quad> </quad> <ref> </ref> <box> </box> <video>"
)
LLAVA_MARKUP = special("<|endoftext|> <|im_start|> <|im_end|> <image> <video>")
QWEN_NAMES: dict[str, Any] = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
INTERNVL_NAMES: dict[str, Any] = QWEN_NAMES | {
    "extra_special_tokens": {
        "start_image_token": "<img>",
        "end_image_token": "</img>",
        "context_image_token": "<IMG_CONTEXT>",
        "video_token": "<video>",
    }
}

LLAMA4_MARKUP = special(
    "<|begin_of_text|> <|end_of_text|> <|fim_prefix|> <|fim_middle|> <|fim_suffix|> "
    "<|header_start|> <|header_end|> <|eom|> <|eot|> <|step|> <|python_start|> <|python_end|> "
    "<|finetune_right_pad|> <|image_start|> <|image_end|> <|tile_x_separator|> "
    "<|tile_y_separator|> <|image|> <|patch|>"
)
LLAMA4_NAMES: dict[str, Any] = {
    "bos_token": "<|begin_of_text|>",
    "eos_token": "<|eot|>",
    "pad_token": "<|finetune_right_pad|>",
}
TEKKEN_MARKUP = special(
    "<unk> <s> </s> [INST] [/INST] [AVAILABLE_TOOLS] [/AVAILABLE_TOOLS] [TOOL_RESULTS] "
    "[/TOOL_RESULTS] [TOOL_CALLS] [IMG] <pad> [IMG_BREAK] [IMG_END] [PREFIX] [MIDDLE] [SUFFIX] "
    "[SYSTEM_PROMPT] [/SYSTEM_PROMPT]"
)
TEKKEN_NAMES: dict[str, Any] = {
    "bos_token": "<s>",
    "eos_token": "</s>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
}
GEMMA_NAMES: dict[str, Any] = {
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "pad_token": "<pad>",
    "unk_token": "<unk>",
}
GEMMA3_NAMES: dict[str, Any] = GEMMA_NAMES | {
    "extra_special_tokens": {
        "boi_token": "<start_of_image>",
        "eoi_token": "<end_of_image>",
        "image_token": "<image_soft_token>",
    }
}
GEMMA4_MARKUP = special(
    "<|turn> <turn|> <|image> <image|> <|image|> <|think|> <|channel> <channel|> <|video|> "
    "<|audio> <audio|> <|audio|>"
)
GEMMA4_NAMES: dict[str, Any] = GEMMA_NAMES | {
    "extra_special_tokens": {
        "boi_token": "<|image>",
        "eoi_token": "<image|>",
        "image_token": "<|image|>",
        "boa_token": "<|audio>",
        "eoa_token": "<audio|>",
        "audio_token": "<|audio|>",
        "think_token": "<|think|>",
        "soc_token": "<|channel>",
        "eoc_token": "<channel|>",
    }
}
GLM_MARKUP = special(
    "<|endoftext|> [MASK] [gMASK] [sMASK] <sop> <eop> <|system|> <|user|> <|assistant|> "
    "<|observation|> <|begin_of_image|> <|end_of_image|> <|begin_of_video|> <|end_of_video|> "
    "<|image|> <|video|>"
) | {"<think>": False, "</think>": False, "<tool_call>": False, "</tool_call>": False}
GLM_NAMES: dict[str, Any] = {"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}
SMOLVLM_MARKUP = special(
    "<|endoftext|> <|im_start|> <|im_end|> <end_of_utterance> <fake_token_around_image> <image> "
    "<global-img>"
) | {f"<row_{row}_col_{column}>": True for row in range(1, 5) for column in range(1, 5)}
SMOLVLM_NAMES: dict[str, Any] = {
    "bos_token": "<|im_start|>",
    "eos_token": "<end_of_utterance>",
    "pad_token": "<|im_end|>",
}
