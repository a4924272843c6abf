"""Requests to a vLLM server, laid out in this process by the model's own tokenizer."""

import json
import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...engine import Request
from ...requests.label_logprobs import LabelPlan
from ...requests.layout import Layout, own_text
from .. import torchvision_cpu
from ..checkpoint import load_processor, locate, make_model_layout, processor_options
from ..reading import LabelPlans, request_ids
from ..settings import EngineSettings
from .handshake import tokenizer_source

_log = logging.getLogger("blpo.engine")


@dataclass(frozen=True, slots=True)
class ChatTexts:
    """What a chat says a request by.

    user: the text behind the images. start: of the assistant's turn. is_exact: whether the
    server's tokenizer makes the request's own tokens of it.
    """

    user: str
    start: str
    is_exact: bool


class LocalRenderer:
    """Lays out requests as an engine in this process does. Safe for many threads."""

    def __init__(self, settings: EngineSettings) -> None:
        checkpoint = locate(tokenizer_source(settings))
        if settings.device == "cpu":
            torchvision_cpu.install()
        self._processor = load_processor(checkpoint)
        self._options = processor_options(self._processor)
        self._layout: Layout = make_model_layout(self._processor, settings, checkpoint)
        self._tokenizer: Any = self._layout.tokenizer
        self._lock = threading.Lock()
        self._plans = LabelPlans(self._layout, settings.label_reading)
        self._markers = sorted(self._tokenizer.get_added_vocab(), key=len, reverse=True)
        self._told = False

    @property
    def ends(self) -> tuple[int, ...]:
        """Tokens that end the assistant's turn."""
        return self._layout.ends

    @property
    def thinks(self) -> bool:
        return self._layout.thought is not None

    @property
    def processor_kwargs(self) -> str:
        """The options of a vLLM server that make it bound images as an engine here does."""
        return json.dumps(self._options)

    def token_ids(self, request: Request) -> list[int]:
        """With one placeholder for each image."""
        with self._lock:
            return request_ids(self._layout, request)

    def plan(self, labels: tuple[str, ...]) -> LabelPlan:
        with self._lock:
            return self._plans.of(labels)

    def chat_texts(self, request: Request, token_ids: Sequence[int]) -> ChatTexts:
        """The texts that a server's own template makes these tokens of.

        token_ids: of the request, and what is to follow them.
        """
        num_images = len(request.images)
        own = own_text(request.text)
        with self._lock:
            laid_out = request_ids(self._layout, replace(request, reply_start=""))
            start = request.reply_start + self._text(
                token_ids[len(laid_out) + self._num_tokens(request.reply_start) :]
            )
            bridge = self._text(self._layout.bridge(num_images, request.image_roles))
            user, start = (self._broken_up(t) for t in (f"{own}{bridge}{request.prompt}", start))
            whole = "".join(
                [
                    self._text(self._layout.prefix(num_images)),
                    user,
                    self._text(self._layout.suffix),
                    start,
                ]
            )
            is_exact = self._tokenizer.encode(whole, add_special_tokens=False) == list(token_ids)
        self._tell(is_exact=is_exact)
        return ChatTexts(user, start, is_exact)

    def differs(self, request: Request, token_ids: Sequence[int], asked: Sequence[int]) -> str:
        """Where the tokens that a server was asked begin to differ; empty if they do not.

        Images are left out: the server puts as many placeholders as they take.
        """
        num_images = len(request.images)
        prefix = self._layout.prefix(num_images)
        before = _common(prefix, self._layout.prefix(0)) if num_images else len(prefix)
        after = len(token_ids) - len(prefix)
        pieces = (
            (token_ids[:before], asked[:before]),
            (token_ids[len(token_ids) - after :], asked[len(asked) - after :]),
        )
        with self._lock:
            for ours, theirs in pieces:
                if list(ours) != list(theirs):
                    start = max(0, _common(ours, theirs) - 3)
                    one, other = self._text(ours[start:]), self._text(theirs[start:])
                    return f"{one[:60]!r} here, {other[:60]!r} there"
        return ""

    def num_image_tokens(self, sizes: Sequence[tuple[int, int]]) -> int | None:
        """Tokens that images of (width, height) take; None if the processor does not tell."""
        count: Any = getattr(self._processor, "_get_num_multimodal_tokens", None)
        if count is None:
            return None
        with self._lock:
            counted = count(image_sizes=[(h, w) for w, h in sizes], **self._options)
        return sum(counted["num_image_tokens"])

    def reply_text(self, token_ids: Sequence[int]) -> str:
        """What a model wrote, as an engine in this process gives it."""
        with self._lock:
            return self._layout.reply_text(token_ids)

    def _num_tokens(self, text: str) -> int:
        ids = self._tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
        return len(ids) if text else 0

    def _text(self, token_ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(token_ids), clean_up_tokenization_spaces=False)

    def _broken_up(self, text: str) -> str:
        """A text in which the server's tokenizer finds no control token."""
        for marker in self._markers:
            if len(marker) > 1 and marker in text:
                text = text.replace(marker, f"{marker[0]} {marker[1:]}")
        return text

    def _tell(self, *, is_exact: bool) -> None:
        if not is_exact and not self._told:
            self._told = True
            _log.warning(
                "a chat cannot carry some requests as they are (they spell out control tokens, or "
                "begin with line breaks): start the server with --enable-scale-out to ask them "
                "token for token"
            )


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    pairs = zip(one, other, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
