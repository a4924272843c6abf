"""The simple formats: the bundle itself, the prompt as text, chat bodies for servers."""

import json
from typing import Any

from ..bulk.bundle import Bundle
from .messages import chat_body, question


def prompt_text(bundle: Bundle) -> str:
    """What is sent behind the images, word for word."""
    return question(bundle).text("{{text}}") + "\n"


def openai_body(bundle: Bundle) -> str:
    """The body of a chat completion, for any OpenAI-compatible server."""
    return _json(chat_body(bundle))


def vllm_body(bundle: Bundle) -> str:
    """The body of a chat completion to a vLLM server, held to the labels of the task.

    Sampling values of the checkpoint's own count for nothing. A reasoned verdict is free text.
    """
    body = chat_body(bundle) | {"top_p": 1.0, "top_k": 0, "repetition_penalty": 1.0, "seed": 0}
    if not bundle.judge.reasoning:
        body["structured_outputs"] = {"choice": list(bundle.task.labels)}
    settings = bundle.judge.judge
    if settings.chat_template_kwargs:
        body["chat_template_kwargs"] = settings.chat_template_kwargs
    return _json(body)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
