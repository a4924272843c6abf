"""The request layout: encode an image once, then ask about it under any number of prompts.

Every request is laid out as

    template prefix, image(s), the example's own text, bridge, changing prompt, template suffix,
    start of the reply

so that all tokens up to and including the bridge are the same under every prompt and every role.
An engine with prefix caching then reuses the image's KV blocks. It reuses whole blocks only, and
runs the vision encoder again for an image that ends in a block it could not reuse; the bridge is
constant text that fills at least the block in which the image ends. The same holds for two
images in one request, in that order; the other order is another prefix.

Prefix and suffix come from the processor's own chat template; nothing here knows a model family.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from jinja2 import TemplateError

from ...data.errors import LayoutError

LAYOUT_VERSION = "image-first-1"

BRIDGE_SENTENCES = (
    "The image above is the one to look at.",
    "The instructions about it follow below.",
    "Read the instructions to the end first.",
    "Answer from what the image itself shows.",
    "Give only the answer that is asked for.",
)

PAIR_BRIDGE_SENTENCES = (
    "The first image above is image A.",
    "The second image above is image B.",
    *BRIDGE_SENTENCES[1:3],
    "Answer from what the images themselves show.",
    BRIDGE_SENTENCES[4],
)
_MAX_IMAGES = 2

_TEXT_SENTINEL = "blpo0user0text0sentinel"
_REPLY_SENTINEL = "blpo0reply0sentinel"
_CACHED_TEXTS = 4096


@dataclass(frozen=True, slots=True)
class Layout:
    """Token ids of the constant parts of a request.

    prefixes: by number of images, 0 to 2: template start up to and including one placeholder for
        each and what closes it. The last is missing where the template takes one image only.
    suffix: end of the user turn and start of the assistant turn.
    bridges: by number of images: constant text after them (and the example's own text).
    end_of_turn: the token with which the model ends its reply.

    Not for several threads at once: tokenizing switches a mode of the tokenizer.
    """

    prefixes: tuple[tuple[int, ...], ...]
    suffix: tuple[int, ...]
    bridges: tuple[tuple[int, ...], ...]
    end_of_turn: int
    tokenizer: Any
    _cached_plain: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_cached_plain", lru_cache(_CACHED_TEXTS)(self._encode_plain))

    def token_ids(
        self, prompt: str, *, num_images: int, text: str | None, reply_start: str = ""
    ) -> list[int]:
        """Token ids of one request, with ONE placeholder for each image.

        All texts are plain: a special token spelled out in one is tokenized as its characters.
        Raises LayoutError for more images than the chat template takes.
        """
        ids = list(self.prefix(num_images))
        if text is not None:
            ids += self._cached_plain(f"Text: {text}\n")
        ids += self.bridges[num_images]
        ids += [*self._cached_plain(prompt), *self.suffix]
        # Past the cache: each reply starts in its own way.
        return [*ids, *self._encode_plain(reply_start)] if reply_start else ids

    def prefix(self, num_images: int) -> tuple[int, ...]:
        """Raises LayoutError for more images than the chat template takes."""
        if num_images >= len(self.prefixes):
            raise LayoutError(
                f"a request has {num_images} images, and the chat template takes "
                f"{len(self.prefixes) - 1}: use a model that takes more, or `compare: scores`"
            )
        return self.prefixes[num_images]

    def _encode_plain(self, text: str) -> tuple[int, ...]:
        return tuple(
            self.tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        )


def layout_id(block_size: int) -> str:
    """Name of the layout in a request's identity; known without a tokenizer."""
    return f"{LAYOUT_VERSION}/block={block_size}"


def make_layout(processor: Any, block_size: int) -> Layout:
    """Derive the layout from a transformers processor and its chat template.

    block_size: tokens of a KV block of the engine; the bridge makes up block_size - 1 tokens.
    Raises LayoutError if the processor has no chat template, or one that leaves out the image or
    the text, or puts the image behind the text.
    """
    tokenizer = processor.tokenizer
    text_prefix, text_suffix = _split_template(processor, 0)
    image_prefix, suffix = _split_template(processor, 1)
    if suffix != text_suffix:
        raise LayoutError("the chat template does not put the image before the user's text")
    if image_prefix == text_prefix:
        raise LayoutError("the chat template leaves the image out")
    prefixes = [text_prefix, image_prefix, *_pair_prefix(processor, image_prefix, suffix)]
    bridge = make_bridge(tokenizer, block_size)
    # A and B are said in any case, however short a block is.
    pair_bridge = make_bridge(tokenizer, block_size, PAIR_BRIDGE_SENTENCES, at_least=2)
    return Layout(
        prefixes=tuple(tuple(tokenizer.encode(p, add_special_tokens=False)) for p in prefixes),
        suffix=tuple(tokenizer.encode(suffix, add_special_tokens=False)),
        bridges=((), tuple(bridge), tuple(pair_bridge)),
        end_of_turn=_find_end_of_turn(processor),
        tokenizer=tokenizer,
    )


def make_bridge(
    tokenizer: Any, block_size: int, sentences: Sequence[str] = BRIDGE_SENTENCES, at_least: int = 0
) -> list[int]:
    """The fewest whole sentences that fill block_size - 1 tokens, as token ids.

    at_least: sentences that are taken in any case.
    """
    ids: list[int] = []
    num_sentences = 0
    while len(ids) < block_size - 1 or num_sentences < at_least:
        num_sentences += 1
        taken = (sentences[i % len(sentences)] for i in range(num_sentences))
        ids = tokenizer.encode(" ".join(taken) + "\n", add_special_tokens=False)
    return ids


def _pair_prefix(processor: Any, image_prefix: str, suffix: str) -> list[str]:
    """The prefix of a request with two images; nothing where the template does not take two."""
    try:
        prefix, pair_suffix = _split_template(processor, _MAX_IMAGES)
    except LayoutError:
        return []
    return [prefix] if pair_suffix == suffix and prefix != image_prefix else []


def _split_template(processor: Any, num_images: int) -> tuple[str, str]:
    """The rendered chat template before and after the user's text."""
    images: list[dict[str, str]] = [{"type": "image"} for _ in range(num_images)]
    content = [*images, {"type": "text", "text": _TEXT_SENTINEL}]
    rendered = _render(processor, [{"role": "user", "content": content}], generate=True)
    before, found, after = rendered.partition(_TEXT_SENTINEL)
    if not found or _TEXT_SENTINEL in after:
        raise LayoutError("the chat template does not carry the user's text as it is, once")
    return before, after


def _find_end_of_turn(processor: Any) -> int:
    """First special token after the assistant's text, else the tokenizer's end of sequence."""
    tokenizer = processor.tokenizer
    messages = [
        {"role": "user", "content": [{"type": "text", "text": _TEXT_SENTINEL}]},
        {"role": "assistant", "content": [{"type": "text", "text": _REPLY_SENTINEL}]},
    ]
    after = _render(processor, messages, generate=False).rpartition(_REPLY_SENTINEL)[2]
    special = set(tokenizer.all_special_ids)
    ids: list[int] = tokenizer.encode(after, add_special_tokens=False)
    found = next((i for i in ids if i in special), tokenizer.eos_token_id)
    if found is None:
        raise LayoutError("neither the chat template nor the tokenizer ends the assistant's turn")
    return found


def _render(processor: Any, messages: list[dict[str, Any]], *, generate: bool) -> str:
    try:
        return processor.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=generate
        )
    except (ValueError, TemplateError) as error:
        raise LayoutError(f"the chat template cannot be rendered: {error}") from error
