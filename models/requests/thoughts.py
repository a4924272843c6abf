"""Thoughts: what a model writes before it answers, and how a chat template turns them off.

A template opens a thought at the start of the assistant's turn, or leaves it to the model. What
is read of a model at once (a direct verdict, a description) must stand behind the thought: the
template's own switch turns thinking off, or the thought that it opens is closed again.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...data.errors import LayoutError
from .chat_template import USER_TEXT, ChatTemplate
from .choices import Thinking

OPENER = "<think>"
CLOSER = "</think>"
"""Around a thought in replies and starts of replies, whatever the model's own tags are."""

_SWITCHES = ("enable_thinking", "thinking")
"""Of chat templates: Qwen3 and later, GLM-4.5V and later, SmolLM3, Hunyuan, Gemma 4, ERNIE-VL;
DeepSeek-V3.1, Granite, Kimi-K2.5."""
_EFFORT = "reasoning_effort"
_NO_EFFORT = "none"
_TAGS = {
    OPENER: CLOSER,
    "<|channel>thought": "<channel|>",
    "<|START_THINKING|>": "<|END_THINKING|>",
    "<unused94>thought": "<unused95>",
    "<|begin_of_thought|>": "<|end_of_thought|>",
}
_NAMED = re.compile(
    r"(?P<start>[<\[◁])(?P<name>[\w:|.-]*(?:think|thought|reason)[\w:|.-]*)(?P<end>[>\]▷])",
    re.IGNORECASE,
)
_THOUGHT_SENTINEL = "blpo0thought0sentinel"
_REPLY_SENTINEL = "blpo0answer0sentinel"
_REMEDY = (
    "set `thinking: on` and let the judge reason before its verdict, give the template's own "
    "switch in chat_template_kwargs, or use the model's instruct version"
)


@dataclass(frozen=True, slots=True)
class Tags:
    """How a model writes a thought: opener, thought, closer, answer.

    tag: of the closer, without the space around it.
    """

    opener: str
    closer: str
    tag: str


@dataclass(frozen=True, slots=True)
class Turn:
    """How the assistant's turn begins.

    template: with the arguments that turn thinking on or off. ending: closes a thought that the
    template leaves open; what a request ends with. tags: of the model, where thinking is on.
    is_open: the turn begins within a thought.
    """

    template: ChatTemplate
    ending: str = ""
    tags: Tags | None = None
    is_open: bool = False


def begin_turn(template: ChatTemplate, thinking: Thinking, messages: Sequence[Any]) -> Turn:
    """The assistant's turn after `messages`, of which the last says USER_TEXT.

    Raises LayoutError if the template can neither be told not to think nor leaves a thought open.
    """
    told_off = template.given(_switched(template, "off", messages))
    template = template.given(_switched(template, thinking, messages))
    tag = _open_tag(template.render(messages, generate=True))
    if thinking == "on":
        tags = _tags(template, tag, told_off.render(messages, generate=True))
        return Turn(template, tags=tags, is_open=tag is not None)
    if tag is not None:
        return Turn(template, ending=_closing(template, tag))
    if not _has_switch(template) and (unasked := _stripped_tag(template)):
        raise LayoutError(
            f"the model thinks before it answers (its chat template cuts earlier thoughts off at "
            f"{unasked}), and the template has no switch against it: {_REMEDY}"
        )
    return Turn(template)


def _switched(
    template: ChatTemplate, thinking: Thinking, messages: Sequence[Any]
) -> Mapping[str, Any]:
    """The template's own switches for thinking, set."""
    arguments: dict[str, Any] = {
        name: thinking == "on" for name in _SWITCHES if name in template.variables
    }
    if not arguments and thinking == "off" and _EFFORT in template.variables:
        effort = {_EFFORT: _NO_EFFORT}
        try:
            template.given(effort).render(messages, generate=True)
        except LayoutError:  # a template of levels that do not go down to none
            return arguments
        return effort
    return arguments


def _has_switch(template: ChatTemplate) -> bool:
    return any(name in template.arguments for name in (*_SWITCHES, _EFFORT))


def _open_tag(start: str) -> str | None:
    """The tag of the thought within which the assistant's turn begins; None outside of any."""
    turn = start.rpartition(USER_TEXT)[2]
    found = [(turn.rfind(tag), tag) for tag in (*_TAGS, *_named_openers(turn))]
    place, tag = max(found)
    return None if place < 0 or _closer_of(tag) in turn[place + len(tag) :] else tag


def _named_openers(text: str) -> list[str]:
    return [found.group() for found in _NAMED.finditer(text)]


def _closer_of(tag: str) -> str:
    if tag in _TAGS:
        return _TAGS[tag]
    return f"{tag[0]}/{tag[1:]}"


def _closing(template: ChatTemplate, tag: str) -> str:
    """What closes a thought that the template has opened, without one."""
    if tag not in _TAGS and _closer_of(tag) not in template.source:
        raise LayoutError(
            f"the chat template opens a thought with {tag!r}, and how one is closed is not known: "
            f"{_REMEDY}"
        )
    return _tags(template, tag, "").closer


def _tags(template: ChatTemplate, tag: str | None, told_off: str) -> Tags:
    """As the template writes a thought in an earlier reply, or an empty one in the turn of a model
    that is told not to think; else each tag on a line of its own.

    tag: with which the template opens a thought; None where the model opens it. told_off: a chat
    that ends in the start of such a turn.
    """
    before, _, after = _written_thought(template).partition(_THOUGHT_SENTINEL)
    turn = told_off.rpartition(USER_TEXT)[2]
    tags = [tag] if tag is not None else [*_TAGS, *_named_openers(before), *_named_openers(turn)]
    found = _tags_around(before, after.partition(_REPLY_SENTINEL)[0], tags)
    found = found or _tags_of_empty_thought(turn, tags)
    if found is not None:
        return found
    closer = _closer_of(tag or OPENER)
    return Tags(f"{tag or OPENER}\n", f"\n{closer}\n\n", closer)


def _tags_around(before: str, after: str, tags: Sequence[str]) -> Tags | None:
    """The last of these tags before a thought, if its closer stands after it."""
    places = {tag: before.rfind(tag) for tag in tags if _closer_of(tag) in after}
    last = max(places, key=places.__getitem__, default=None)
    if last is None or places[last] < 0:
        return None
    return Tags(before[places[last] :], after, _closer_of(last))


def _tags_of_empty_thought(turn: str, tags: Sequence[str]) -> Tags | None:
    for tag in tags:
        empty = re.search(rf"{re.escape(tag)}(\s*){re.escape(_closer_of(tag))}\s*$", turn)
        if empty is not None:
            middle = empty.start(1) + (len(empty[1]) + 1) // 2
            return _tags_around(turn[:middle], turn[middle:], [tag])
    return None


def _written_thought(template: ChatTemplate) -> str:
    """A chat in which the assistant has thought; templates look for the thought here or there."""
    reply = {
        "role": "assistant",
        "content": _REPLY_SENTINEL,
        "reasoning_content": _THOUGHT_SENTINEL,
        "reasoning": _THOUGHT_SENTINEL,
    }
    question = {"role": "user", "content": [{"type": "text", "text": "?"}]}
    try:
        return template.render([question, reply], generate=False)
    except LayoutError:
        return ""


def _stripped_tag(template: ChatTemplate) -> str | None:
    """The tag at which a template cuts off the thoughts of earlier replies; None if it does not.

    Models whose thoughts are cut off think unasked.
    """
    closers = [*_TAGS.values(), *map(_closer_of, _named_openers(template.source))]
    return next(
        (
            closer
            for closer in closers
            if re.search(rf"split\(\s*['\"]{re.escape(closer)}", template.source)
        ),
        None,
    )
