"""Byte-level tokenizers with the added tokens of model families, flagged as in the originals."""
# ruff: noqa: PLC0415  (a process that only collects the tests imports no tokenizers)

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

QWEN3 = {
    "<|endoftext|>": True,
    "<|im_start|>": True,
    "<|im_end|>": True,
    "<|vision_start|>": True,
    "<|vision_end|>": True,
    "<|image_pad|>": True,
    "<think>": False,
    "</think>": False,
    "<tool_call>": False,
}
GEMMA = {
    "<bos>": True,
    "<eos>": True,
    "<start_of_turn>": True,
    "<end_of_turn>": True,
    "<start_of_image>": True,
    "\n\n": False,
}
GEMMA4 = {
    "<bos>": True,
    "<eos>": True,
    "<|turn>": True,
    "<turn|>": True,
    "<|image|>": True,
    "<|think|>": True,
    "<|channel>": True,
    "<channel|>": True,
}
GLM = {
    "<|endoftext|>": True,
    "<|user|>": True,
    "<|assistant|>": True,
    "[gMASK]": True,
    "<sop>": True,
    "<|begin_of_image|>": True,
    "<|image|>": True,
    "<|end_of_image|>": True,
    "<think>": False,
    "</think>": False,
}
SMOLVLM = {"<|im_start|>": True, "<end_of_utterance>": True, "<image>": True}

_IMAGES_AND_TEXTS = (
    "{% for c in m.content %}{% if c.type == 'image' %}IMAGE"
    "{% else %}{{ c.text }}{% endif %}{% endfor %}"
)
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    + _IMAGES_AND_TEXTS.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    + "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}"
    + _IMAGES_AND_TEXTS.replace("IMAGE", "<start_of_image>")
    + "<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
GEMMA4_TEMPLATE = (
    "{{ bos_token }}{% set thinks = enable_thinking is defined and enable_thinking %}"
    "{{ '<|turn>system\n<|think|>\n<turn|>\n' if thinks else '' }}{% for m in messages %}"
    "{{ '<|turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' }}"
    + _IMAGES_AND_TEXTS.replace("IMAGE", "<|image|>")
    + "<turn|>\n{% endfor %}{% if add_generation_prompt %}<|turn>model\n"
    "{{ '' if thinks else '<|channel>thought\n<channel|>' }}{% endif %}"
)
GLM_TEMPLATE = (
    "[gMASK]<sop>{% for m in messages %}{% if m.role == 'user' %}<|user|>\n"
    + _IMAGES_AND_TEXTS.replace("IMAGE", "<|begin_of_image|><|image|><|end_of_image|>")
    + "{{ '/nothink' if enable_thinking is defined and not enable_thinking else '' }}"
    "{% else %}<|assistant|>\n<think></think>\n{{ m.content[0].text }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n"
    "{{ '<think></think>\n' if enable_thinking is defined and not enable_thinking else '' }}"
    "{% endif %}"
)
SMOLVLM_TEMPLATE = (
    "<|im_start|>{% for m in messages %}{{ m.role | capitalize }}:"
    + _IMAGES_AND_TEXTS.replace("IMAGE", "<image>")
    + "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)


def tokenizer(added: Mapping[str, bool], eos: str, **how: Any) -> Any:
    """A token for each byte and each added token; those with True are flagged special."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_: Any = Tokenizer(models.BPE({c: i for i, c in enumerate(alphabet)}, []))
    bytes_.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_.decoder = decoders.ByteLevel()
    for text, special in added.items():
        add = bytes_.add_special_tokens if special else bytes_.add_tokens
        add([AddedToken(text, special=special, normalized=False)])
    return PreTrainedTokenizerFast(tokenizer_object=bytes_, eos_token=eos, **how)


def processor(tokenizer_: Any, template: str) -> Any:
    return SimpleNamespace(tokenizer=tokenizer_, chat_template=template)


def qwen3(generation_prompt: str = "", template: str = CHATML) -> Any:
    """A processor whose assistant's turn begins with this."""
    begun = template.replace(
        "<|im_start|>assistant\n{%", f"<|im_start|>assistant\n{generation_prompt}{{%"
    )
    return processor(tokenizer(QWEN3, "<|im_end|>"), begun)
