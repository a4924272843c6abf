"""What a chat template puts around what a user says, and with which tokens it ends a reply."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...data.errors import LayoutError
from .chat_template import USER_TEXT, ChatTemplate
from .choices import Thinking
from .markup import Markup
from .thoughts import Turn, begin_turn

_ALWAYS_TRIED = 2
"""Images in one request; more are tried where they are wanted."""
_REPLY_SENTINEL = "blpo0reply0sentinel"


@dataclass(frozen=True, slots=True)
class TurnTexts:
    """What a chat template puts around the user's text.

    prefixes: by number of images, as far as the template takes so many.
    """

    prefixes: tuple[str, ...]
    suffix: str
    turn: Turn

    @property
    def digest(self) -> str:
        """Hash of it all, 16 hex digits; the same however many images were wanted."""
        texts = "\0".join((*self.prefixes[: _ALWAYS_TRIED + 1], self.suffix))
        return hashlib.sha256(texts.encode()).hexdigest()[:16]


def turn_texts(template: ChatTemplate, thinking: Thinking, num_images: int = 1) -> TurnTexts:
    """Prefixes and suffix of a chat template.

    num_images: that a request may have.
    Raises LayoutError if it leaves out the image or the text, or puts the image behind the text,
    or if the model cannot be kept from thinking.
    """
    turn = begin_turn(template, thinking, _messages(0))
    text_prefix, text_suffix = _split_template(turn.template, 0)
    image_prefix, suffix = _split_template(turn.template, 1)
    if suffix != text_suffix:
        raise LayoutError("the chat template does not put the image before the user's text")
    if image_prefix == text_prefix:
        raise LayoutError("the chat template leaves the image out")
    prefixes = [text_prefix, image_prefix]
    for count in range(2, max(num_images, _ALWAYS_TRIED) + 1):
        prefix = _prefix_of_several(turn.template, count, suffix)
        if prefix is None or prefix == prefixes[-1]:
            break
        prefixes.append(prefix)
    return TurnTexts(tuple(prefixes), suffix + turn.ending, turn)


def find_ends(template: ChatTemplate, markup: Markup, end_ids: Sequence[int]) -> tuple[int, ...]:
    """Tokens that end a reply: the chat template's own first, the tokenizer's last.

    The template's own is the first token of markup behind a reply. Some templates write none, and
    their models end a reply with the token that begins the user's next turn.
    """
    reply = {"role": "assistant", "content": [{"type": "text", "text": _REPLY_SENTINEL}]}
    messages = [*_messages(0), reply, *_messages(0)]
    after = template.render(messages, generate=False).rpartition(_REPLY_SENTINEL)[2]
    tokenizer = markup.tokenizer
    ids: list[int] = tokenizer.encode(after, add_special_tokens=False)
    own = next((i for i in ids if i in markup.ids), None)
    eos = tokenizer.eos_token_id
    ends = tuple(dict.fromkeys(i for i in (own, *end_ids, eos) if i is not None))
    if not ends:
        raise LayoutError("neither the chat template nor the tokenizer ends the assistant's turn")
    return ends


def _prefix_of_several(template: ChatTemplate, num_images: int, suffix: str) -> str | None:
    """The prefix of a request with several images; None where the template does not take them."""
    try:
        prefix, own_suffix = _split_template(template, num_images)
    except LayoutError:
        return None
    return prefix if own_suffix == suffix else None


def _split_template(template: ChatTemplate, num_images: int) -> tuple[str, str]:
    """The rendered chat template before and after the user's text."""
    rendered = template.render(_messages(num_images), generate=True)
    before, found, after = rendered.partition(USER_TEXT)
    if not found or USER_TEXT in after:
        raise LayoutError("the chat template does not carry the user's text as it is, once")
    return before, after


def _messages(num_images: int) -> list[dict[str, Any]]:
    images: list[dict[str, str]] = [{"type": "image"} for _ in range(num_images)]
    return [{"role": "user", "content": [*images, {"type": "text", "text": USER_TEXT}]}]
