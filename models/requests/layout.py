"""The request layout: encode an image once, then ask about it under any number of prompts.

Every request is laid out as

    template prefix, image(s), the example's own text, bridge, changing prompt, template suffix,
    start of the reply

so that all tokens up to and including the bridge are the same under every prompt and every role.
An engine with prefix caching then reuses the image's KV blocks. It reuses whole blocks only, and
runs the vision encoder again for an image that ends in a block it could not reuse; the bridge is
constant text that fills at least the block in which the image ends. The same holds for several
images in one request, in that order; another order is another prefix. The bridge names them: many
templates put all images before all texts, so a name cannot stand between them.

Prefix and suffix come from the processor's own chat template; nothing here knows a model family.
A request ends where the answer begins: behind the thought, where the template opens one
(`thoughts.py`), unless the model is to think.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ...data.errors import LayoutError
from ...data.image_names import image_titles
from .chat_template import processor_template
from .choices import Thinking
from .markup import Markup
from .thoughts import CLOSER, OPENER, Tags
from .turn_texts import TurnTexts, find_ends, turn_texts

LAYOUT_VERSION = "image-first-1"

BRIDGE_SENTENCES = (
    "The image above is the one to look at.",
    "The instructions about it follow below.",
    "Read the instructions to the end first.",
    "Answer from what the image itself shows.",
    "Give only the answer that is asked for.",
)

_SEVERAL_SENTENCES = (
    *BRIDGE_SENTENCES[1:3],
    "Answer from what the images themselves show.",
    BRIDGE_SENTENCES[4],
)
_PLACES = (
    *("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"),
    "tenth",
)
_CACHED_TEXTS = 4096


@dataclass(frozen=True, slots=True)
class Layout:
    """Token ids of the constant parts of a request.

    prefixes: by number of images: template start up to and including one placeholder for each and
        what closes it. As many as the template takes, of those that are wanted.
    suffix: end of the user turn and start of the assistant turn.
    bridges: by number of images, 0 to 2: constant text after them (and the example's own text),
        where they have no roles. block_size: what it fills.
    end_of_turn: the token with which the chat template ends a reply. ends: all tokens that end
        one, that one first.
    answers_after_space: the suffix does not end in space or markup ("Assistant:"), so that the
        answer begins with a space.
    tail, head: texts with which the prefix without images ends, behind its markup, and with which
        the suffix begins, before its markup; tokenized together with what the user says, as a chat
        template's whole text is.
    thought: how a model that thinks before its answer writes its thoughts; None where it answers
        at once. thought_is_open: the suffix begins one.

    Not for several threads at once: tokenizing switches a mode of the tokenizer.
    """

    prefixes: tuple[tuple[int, ...], ...]
    suffix: tuple[int, ...]
    bridges: tuple[tuple[int, ...], ...]
    end_of_turn: int
    tokenizer: Any
    block_size: int = 1
    ends: tuple[int, ...] = ()
    answers_after_space: bool = False
    thought: Tags | None = None
    thought_is_open: bool = False
    tail: str = ""
    head: str = ""
    _markup: Markup = field(init=False, repr=False, compare=False)
    _cached_plain: Any = field(init=False, repr=False, compare=False)
    _cached_bridge: Any = field(init=False, repr=False, compare=False)
    _before_tail: tuple[int, ...] = field(init=False, repr=False, compare=False)
    _behind_head: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.ends:
            object.__setattr__(self, "ends", (self.end_of_turn,))
        object.__setattr__(self, "_markup", Markup(self.tokenizer))
        object.__setattr__(self, "_cached_plain", lru_cache(_CACHED_TEXTS)(self._markup.plain))
        object.__setattr__(self, "_cached_bridge", lru_cache(self._made_bridge))
        prefix, num_tail = self.prefixes[0], len(self._markup.plain(self.tail))
        object.__setattr__(self, "_before_tail", prefix[: len(prefix) - num_tail])
        num_head = len(self._markup.plain(self.head))
        object.__setattr__(self, "_behind_head", self.suffix[num_head:])

    def token_ids(
        self,
        prompt: str,
        *,
        num_images: int,
        text: str | None,
        image_roles: tuple[str, ...] = (),
        reply_start: str = "",
    ) -> list[int]:
        """Token ids of one request, with ONE placeholder for each image.

        All texts are plain: a token of markup spelled out in one is tokenized as its characters.
        image_roles: what the images are called, in order; A, B and so on where it is empty.
        reply_start: where the model thinks, the thought between OPENER and CLOSER, then the start
        of the answer; the thought is closed in the model's own tokens.
        Raises LayoutError for more images than the chat template takes.
        """
        if num_images:
            shared = self.shared_ids(num_images, text, image_roles)
            ids = [*shared, *self._cached_plain(prompt + self.head)]
        else:
            said = f"{self.tail}{own_text(text)}{prompt}{self.head}"
            ids = [*self._before_tail, *self._cached_plain(said)]
        ids += self._behind_head
        # Past the cache: each reply starts in its own way.
        return [*ids, *self._start_ids(reply_start)] if reply_start else ids

    def shared_ids(
        self, num_images: int, text: str | None, image_roles: tuple[str, ...] = ()
    ) -> list[int]:
        """Token ids with which all requests about the same images and text begin."""
        ids = [*self.prefix(num_images), *self._cached_plain(own_text(text))]
        return [*ids, *self.bridge(num_images, image_roles)]

    def bridge(self, num_images: int, image_roles: tuple[str, ...] = ()) -> tuple[int, ...]:
        """Token ids of the constant text after so many images, which names them."""
        if image_roles or num_images >= len(self.bridges):
            return self._cached_bridge(num_images, image_roles)
        return self.bridges[num_images]

    def _made_bridge(self, num_images: int, image_roles: tuple[str, ...]) -> tuple[int, ...]:
        return several_bridge(self.tokenizer, self.block_size, num_images, image_roles)

    def prefix(self, num_images: int) -> tuple[int, ...]:
        """Raises LayoutError for more images than the chat template takes."""
        if num_images >= len(self.prefixes):
            raise LayoutError(
                f"a request has {num_images} images, and the chat template takes "
                f"{len(self.prefixes) - 1}: use a model that takes more, or for pairs `compare: "
                "scores`"
            )
        return self.prefixes[num_images]

    def reply_text(self, ids: Sequence[int]) -> str:
        """What the model wrote; a thought stands between OPENER and CLOSER, whatever its tags."""
        if self.thought is None:
            return self._decode(ids)
        opener = self.thought.opener.rstrip()
        # Markup that is flagged special is in the ids alone.
        opener_ids = self._marked(opener)
        is_opened = tuple(ids[: len(opener_ids)]) == opener_ids
        parts = self._parts(ids[len(opener_ids) :] if is_opened else ids, self.thought.tag)
        is_opened |= parts[0].startswith(opener)
        if self.thought_is_open or is_opened or len(parts) > 1:
            parts[0] = f"{OPENER}\n{parts[0].removeprefix(opener).lstrip()}"
        return CLOSER.join(parts)

    def _parts(self, ids: Sequence[int], tag: str) -> list[str]:
        """Texts between tags; a tag of several tokens is cut in other ways beside other texts."""
        tag_ids = self._marked(tag)
        if len(tag_ids) != 1:
            return self._decode(ids).split(tag)
        return [self._decode(part) for part in _split(ids, tag_ids[0])]

    def _start_ids(self, reply_start: str) -> tuple[int, ...]:
        """Token ids of the start of a reply: plain, behind a closed thought where there is one."""
        if self.thought is None:
            return self._markup.plain(reply_start)
        thought, closed, answer = reply_start.rpartition(CLOSER)
        if not closed and reply_start.startswith(OPENER):
            thought, answer = answer, ""
        opener = () if self.thought_is_open else self._marked(self.thought.opener)
        said = thought.removeprefix(OPENER).strip("\n")
        closer = self._marked(self.thought.closer)
        return (*opener, *self._markup.plain(said), *closer, *self._markup.plain(answer.lstrip()))

    def _marked(self, text: str) -> tuple[int, ...]:
        """Token ids of text that is our own, with its markup."""
        return tuple(self.tokenizer.encode(text, add_special_tokens=False))

    def _decode(self, ids: Sequence[int]) -> str:
        return self.tokenizer.decode(ids, skip_special_tokens=True)


def own_text(text: str | None) -> str:
    """The example's own text as requests have it; empty for none."""
    return "" if text is None else f"Text: {text}\n"


def layout_id(block_size: int) -> str:
    """Name of the layout in a request's identity; known without a tokenizer."""
    return f"{LAYOUT_VERSION}/block={block_size}"


def make_layout(
    processor: Any,
    block_size: int,
    *,
    thinking: Thinking = "off",
    template_kwargs: Mapping[str, Any] | None = None,
    end_ids: Sequence[int] = (),
    num_images: int = 1,
) -> Layout:
    """Derive the layout from a transformers processor and its chat template.

    block_size: tokens of a KV block of the engine; the bridge makes up block_size - 1 tokens.
    template_kwargs: arguments of the chat template. end_ids: tokens that end a reply, as the
    checkpoint names them; the chat template's own is found here. num_images: that a request may
    have.
    Raises LayoutError as `turn_texts` does, and if the processor has no chat template.
    """
    tokenizer = processor.tokenizer
    texts = turn_texts(processor_template(processor, template_kwargs or {}), thinking, num_images)
    markup = Markup(tokenizer)
    suffix = tuple(tokenizer.encode(texts.suffix, add_special_tokens=False))
    bridge = make_bridge(tokenizer, block_size)
    ends = find_ends(texts.turn.template, markup, end_ids)
    prefixes = tuple(tuple(tokenizer.encode(p, add_special_tokens=False)) for p in texts.prefixes)
    tail, head = _around_user(markup, texts, prefixes[0], suffix)
    return Layout(
        prefixes=prefixes,
        suffix=suffix,
        bridges=((), tuple(bridge), several_bridge(tokenizer, block_size, 2)),
        end_of_turn=ends[0],
        tokenizer=tokenizer,
        block_size=block_size,
        ends=ends,
        answers_after_space=not texts.suffix[-1:].isspace() and suffix[-1] not in markup.ids,
        thought=texts.turn.tags,
        thought_is_open=texts.turn.is_open,
        tail=tail,
        head=head,
    )


def _around_user(
    markup: Markup, texts: TurnTexts, prefix: tuple[int, ...], suffix: tuple[int, ...]
) -> tuple[str, str]:
    """Plain text between markup and what the user says: before it where there is no image, and
    behind it. Empty where its tokens are not those of prefix and suffix.
    """
    tail, head = markup.around(texts.prefixes[0])[1], markup.around(texts.suffix)[0]
    tail_ids, head_ids = markup.plain(tail), markup.plain(head)
    return (
        tail if prefix[len(prefix) - len(tail_ids) :] == tail_ids else "",
        head if suffix[: len(head_ids)] == head_ids else "",
    )


def naming_sentences(num_images: int, image_roles: Sequence[str] = ()) -> list[str]:
    """What says which of several images is which, a sentence for each."""
    titles = image_titles(image_roles, num_images)
    called = (f"the {title}" if image_roles else title for title in titles)
    return [f"The {at} image above is {name}." for at, name in zip(_PLACES, called, strict=False)]


def several_bridge(
    tokenizer: Any, block_size: int, num_images: int, image_roles: Sequence[str] = ()
) -> tuple[int, ...]:
    """The bridge behind several images, as token ids.

    It says which is which, however short a block is.
    """
    naming = naming_sentences(num_images, image_roles)
    sentences = (*naming, *_SEVERAL_SENTENCES)
    return tuple(make_bridge(tokenizer, block_size, sentences, at_least=len(naming)))


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


def _split(ids: Sequence[int], at: int) -> list[list[int]]:
    parts: list[list[int]] = [[]]
    for token_id in ids:
        if token_id == at:
            parts.append([])
        else:
            parts[-1].append(token_id)
    return parts
