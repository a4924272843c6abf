"""promptfoo: a configuration that tests the prompt on labelled images."""

import json
import re
from dataclasses import replace

import yaml

from ..bulk.bundle import Bundle
from .messages import chat_body, chat_messages, expectation, label_pattern, question

SCHEMA = "https://promptfoo.dev/config-schema.json"

_TEMPLATE_SIGN = re.compile(r"\{(?=[{%#])|(?<=[%#])\}")


class _Dumper(yaml.SafeDumper):
    """Writes a text of several lines as it is read."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        style = "|" if "\n" in text else None
        tag = "tag:yaml.org,2002:str"
        return self.represent_scalar(tag, text, style)  # pyright: ignore[reportUnknownMemberType]


_Dumper.add_representer(str, _Dumper.represent_text)


def promptfoo_config(bundle: Bundle) -> str:
    """promptfooconfig.yaml.

    The tests are the rows of `labels.csv` beside it: the task's image columns (file://... or a
    URL), label, and text where the task has one.
    """
    body = chat_body(bundle)
    settings = bundle.judge.judge
    provider = {
        "id": f"openai:chat:{settings.model}",
        "label": bundle.name,
        "config": {
            "temperature": body["temperature"],
            "max_tokens": body["max_tokens"],
            "apiBaseUrl": settings.endpoint,
            **({"apiKeyEnvar": settings.api_key_env} if settings.api_key_env else {}),
        },
    }
    config = {
        "description": f"{bundle.task.description} {expectation(bundle)}",
        "prompts": [{"label": bundle.name, "raw": _prompt(bundle)}],
        "providers": [provider],
        "defaultTest": {"assert": [{"type": "javascript", "value": _right(bundle)}]},
        "tests": "file://labels.csv",
    }
    text = yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
    return f"# yaml-language-server: $schema={SCHEMA}\n{text}"


def _prompt(bundle: Bundle) -> str:
    """Messages in JSON, whose texts promptfoo fills in and escapes; braces of ours stay."""
    asked = question(bundle)
    own = _TEMPLATE_SIGN.sub(r"{{ '\g<0>' }}", asked.prompt)
    messages = chat_messages(replace(asked, prompt=own))
    return json.dumps(messages, indent=2, ensure_ascii=False)


def _right(bundle: Bundle) -> str:
    """JavaScript: whether the label in the reply is the human one."""
    pattern = json.dumps(label_pattern(bundle))
    return (
        f"((output.match(new RegExp({pattern}, 'i')) || [])[1] || '').toLowerCase() === "
        "context.vars.label.toLowerCase()"
    )
