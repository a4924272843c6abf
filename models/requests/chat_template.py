"""Chat templates: read without transformers, rendered as it renders them, but for the date.

A template may put today's date into its system prompt. Then a request would be another one
tomorrow: `strftime_now` tells the same day for ever.
"""

import json
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, Template, TemplateError, meta, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

from ...data.errors import LayoutError
from ...data.near_words import did_you_mean

TODAY = datetime(2026, 1, 1, tzinfo=UTC)
"""The day that templates are told."""

USER_TEXT = "blpo0text0sentinel"
"""Stands for what a user says, to find it again in what a template makes of it."""

_SPECIAL_NAMES = ("bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token")
_PASSED = frozenset({"messages", "add_generation_prompt"})
"""What every rendering passes, and no argument may."""
_DEFAULT = "default"
_TEMPLATE_FILE = "chat_template.jinja"
_JSON_FILES = ("processor_config.json", "chat_template.json", "tokenizer_config.json")
FILES = (_TEMPLATE_FILE, *_JSON_FILES)
"""Of a checkpoint: where its chat template and the names of its special tokens may stand."""


@dataclass(frozen=True)
class ChatTemplate:
    """A chat template with what it is rendered with.

    special_tokens: texts by their names in templates ("bos_token"). arguments: further variables.
    """

    source: str
    special_tokens: Mapping[str, Any] = field(default_factory=dict[str, Any])
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def render(self, messages: Sequence[Mapping[str, Any]], *, generate: bool) -> str:
        """generate: with the start of the assistant's turn. Raises LayoutError if it fails."""
        values = {**self.special_tokens, **self.arguments}
        with _rendering():
            return self._compiled.render(
                messages=messages, add_generation_prompt=generate, **values
            )

    def given(self, arguments: Mapping[str, Any]) -> "ChatTemplate":
        """The same with more arguments; those it has already stay."""
        return ChatTemplate(self.source, self.special_tokens, {**arguments, **self.arguments})

    @cached_property
    def variables(self) -> set[str]:
        """Names of what the template takes from outside."""
        with _rendering():
            return meta.find_undeclared_variables(_environment().parse(self.source))

    def refuse_unread(self) -> None:
        """Raise LayoutError for an argument that the template reads nowhere: it would do nothing.

        What is read in one branch alone counts, however rarely it is taken.
        """
        readable = self.variables - _PASSED
        unread = next((name for name in self.arguments if name not in readable), None)
        if unread is None:
            return
        named = sorted(readable - self._variables_of_its_own - {*_SPECIAL_NAMES})
        remedy = f"{', '.join(named)}: take one of these, or" if named else "none:"
        meant = did_you_mean(unread, named)
        raise LayoutError(
            f"chat_template_kwargs: the chat template does not read {unread!r}"
            f"{f'{meant} It' if meant else '; it'} reads {remedy} leave it out"
        )

    @property
    def _variables_of_its_own(self) -> set[str]:
        """Names that the template first sets. Some it may read unset, in a branch that does not."""
        first: dict[str, str] = {}
        for name in _names(_environment().parse(self.source)):
            first.setdefault(name.name, name.ctx)
        return {name for name, use in first.items() if use == "store"}

    @cached_property
    def _compiled(self) -> Template:
        with _rendering():
            return _environment().from_string(self.source)


def processor_template(processor: Any, arguments: Mapping[str, Any]) -> ChatTemplate:
    """The chat template of a transformers processor, else of its tokenizer.

    Raises LayoutError if neither has one, and for an argument that it does not read.
    """
    tokenizer = processor.tokenizer
    for owner in (processor, tokenizer):
        source = _default(getattr(owner, "chat_template", None))
        if source is not None:
            special = getattr(tokenizer, "special_tokens_map", {})
            template = ChatTemplate(source, special, arguments)
            template.refuse_unread()
            return template
    raise LayoutError(
        "the model has no chat template: use its instruction-tuned version, or put the template "
        f"into its folder as {_TEMPLATE_FILE}"
    )


def stored_template(
    find: Callable[[str], Path | None], arguments: Mapping[str, Any]
) -> ChatTemplate | None:
    """The chat template among the files of a checkpoint; None if there is none.

    find: the file of this name (one of FILES), None if the checkpoint has none.
    """
    stored = {name: _read_json(path) for name in _JSON_FILES if (path := find(name)) is not None}
    special = {
        name: token
        for name in _SPECIAL_NAMES
        if (token := _token_text(stored.get("tokenizer_config.json", {}).get(name))) is not None
    }
    written = find(_TEMPLATE_FILE)
    sources = [written.read_text()] if written else []
    sources += [
        source for entry in stored.values() if (source := _default(entry.get("chat_template")))
    ]
    return ChatTemplate(sources[0], special, arguments) if sources else None


def _default(template: Any) -> str | None:
    """The template to chat with, of one or of several by their names."""
    if template is None or isinstance(template, str):
        return template
    named: Any = template
    if isinstance(template, list):
        named = {entry["name"]: entry["template"] for entry in cast("list[Any]", template)}
    return named.get(_DEFAULT)


def _token_text(token: Any) -> str | None:
    return token if token is None or isinstance(token, str) else token.get("content")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise LayoutError(f"{path} is not JSON: {error}") from error


def _names(node: nodes.Node) -> Iterator[nodes.Name]:
    """All names under a node, in the order in which they are read and set."""
    if isinstance(node, nodes.Name):
        yield node
    is_set = isinstance(node, nodes.Assign)
    for child in (node.node, node.target) if is_set else node.iter_child_nodes():
        yield from _names(child)


class _Generation(Extension):
    """`{% generation %}`, with which templates mark what an assistant wrote: nothing here."""

    tags = {"generation"}  # noqa: RUF012  (jinja2's own type)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> Environment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    names: dict[str, Any] = environment.globals
    names |= {"raise_exception": _raise, "strftime_now": TODAY.strftime}
    return environment


@contextmanager
def _rendering() -> Generator[None]:
    """Whatever is wrong with a template, while the block runs, is a LayoutError."""
    try:
        yield
    except (ValueError, TypeError, TemplateError) as error:
        raise LayoutError(f"the chat template cannot be rendered: {error}") from error


def _to_json(value: Any, ensure_ascii: bool = False, **how: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, **how)


def _raise(message: str) -> None:
    raise TemplateError(message)
