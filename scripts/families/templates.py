"""Chat templates with the structure of the families' own, written anew.

What they have in common with the originals is what a request is made of: markup and its order,
system prompts, the start of the assistant's turn, switches for thinking.
"""


def _parts(image: str, text: str = "{{ part.text }}") -> str:
    """A message's images and texts in their order."""
    return (
        "{% if message.content is string %}{{ message.content }}{% else %}"
        "{% for part in message.content %}"
        f"{{% if part.type == 'image' %}}{image}{{% else %}}{text}{{% endif %}}"
        "{% endfor %}{% endif %}"
    )


def _chatml(image: str, *, before: str = "", begun: str = "", reply: str | None = None) -> str:
    """before: the first message. begun: what stands at the start of the assistant's turn.

    reply: how an earlier turn of the assistant is written; None: as a user's is.
    """
    said = _parts(image)
    if reply is not None:
        said = f"{{% if message.role == 'assistant' %}}{reply}{{% else %}}{said}{{% endif %}}"
    return (
        f"{before}{{% for message in messages %}}<|im_start|>{{{{ message.role }}}}\n{said}"
        "<|im_end|>\n{% endfor %}"
        f"{{% if add_generation_prompt %}}<|im_start|>assistant\n{begun}{{% endif %}}"
    )


_QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
_SYSTEM = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are a helpful assistant."
    "<|im_end|>\n{% endif %}"
)
_LAST_THOUGHT = (
    "{% set said = message.content if message.content is string "
    "else message.content | map(attribute='text') | join %}"
    "{% set thought = message.reasoning_content or '' %}"
    "{% if '</think>' in said %}"
    "{% set thought = said.split('</think>')[0].split('<think>')[-1].strip('\n') %}"
    "{% set said = said.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{% if thought and loop.last %}<think>\n{{ thought }}\n</think>\n\n{% endif %}{{ said }}"
)
"""Thoughts of earlier turns are cut off, that of the last one stays."""

QWEN25_VL = _chatml(_QWEN_IMAGE, before=_SYSTEM)
QWEN3_VL_INSTRUCT = _chatml(_QWEN_IMAGE)
QWEN3_VL_THINKING = _chatml(_QWEN_IMAGE, begun="<think>\n", reply=_LAST_THOUGHT)
QWEN35 = _chatml(
    _QWEN_IMAGE,
    begun=(
        "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
        "{% else %}<think>\n{% endif %}"
    ),
    reply=_LAST_THOUGHT,
)
INTERNVL3 = _chatml("<IMG_CONTEXT>\n")

LLAVA_ONEVISION = (
    "{% for message in messages %}<|im_start|>{{ message.role }} "
    "{% if message.content is string %}{{ '\n' + message.content }}{% else %}"
    "{% for part in message.content if part.type == 'image' %}<image>{% endfor %}"
    "{% for part in message.content if part.type == 'text' %}{{ '\n' + part.text }}{% endfor %}"
    "{% endif %}<|im_end|>{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Images come before all texts, whatever their order."""

LLAMA4 = (
    "{{ bos_token }}{% for message in messages %}"
    "<|header_start|>{{ message.role }}<|header_end|>\n\n"
    + _parts("<|image|>")
    + "<|eot|>{% endfor %}"
    "{% if add_generation_prompt %}<|header_start|>assistant<|header_end|>\n\n{% endif %}"
)

GEMMA3 = (
    "{{ bos_token }}{% for message in messages %}"
    "{% set role = 'model' if message.role == 'assistant' else message.role %}"
    "<start_of_turn>{{ role }}\n"
    + _parts("<start_of_image>", "{{ part.text | trim }}")
    + "<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)

GEMMA4 = (
    "{{ bos_token }}"
    "{% if enable_thinking is defined and enable_thinking %}<|turn>system\n<|think|>\n<turn|>\n"
    "{% endif %}{% for message in messages %}"
    "{% set role = 'model' if message.role == 'assistant' else message.role %}"
    "<|turn>{{ role }}\n" + _parts("<|image|>", "{{ part.text | trim }}") + "<turn|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|turn>model\n"
    "{% if not (enable_thinking is defined and enable_thinking) %}<|channel>thought\n<channel|>"
    "{% endif %}{% endif %}"
)
"""No thought of an earlier turn is written; an empty one is where the model is not to think."""

MISTRAL_SMALL = (
    "{% set today = strftime_now('%Y-%m-%d') %}"
    "{{ bos_token }}[SYSTEM_PROMPT]You are an assistant of a small firm. Today is {{ today }}."
    "[/SYSTEM_PROMPT]{% for message in messages %}"
    "{% if message.role == 'user' %}[INST]"
    + _parts("[IMG]")
    + "[/INST]{% else %}"
    + _parts("[IMG]")
    + "{{ eos_token }}{% endif %}{% endfor %}"
)

_GLM_OFF = "enable_thinking is defined and not enable_thinking"
GLM_V = (
    "[gMASK]<sop>{% for message in messages %}{% if message.role == 'user' %}<|user|>\n"
    + _parts("<|begin_of_image|><|image|><|end_of_image|>")
    + f"{{% if {_GLM_OFF} %}}/nothink{{% endif %}}"
    "{% else %}<|assistant|>\n<think>{{ message.reasoning_content or '' }}</think>\n"
    + _parts("")
    + "{% endif %}{% endfor %}"
    f"{{% if add_generation_prompt %}}<|assistant|>\n{{% if {_GLM_OFF} %}}<think></think>\n"
    "{% endif %}{% endif %}"
)
"""Nothing ends the assistant's turn: the next one of the user does."""

SMOLVLM = (
    "<|im_start|>{% for message in messages %}{{ message.role | capitalize }}"
    "{% if message.content is string or message.content[0].type != 'image' %}: {% else %}:"
    "{% endif %}"
    + _parts("<image>")
    + "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}Assistant:{% endif %}"
)
