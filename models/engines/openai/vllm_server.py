"""vLLM servers, asked token for token what an engine in this process is asked.

With --enable-scale-out a server takes the tokens themselves. Any other is asked by a chat whose
texts stand where the layout puts them, bridge included; the tokens that it makes of the first
request of each form are compared with ours.

An image goes to a server once, with its digest; later requests name the digest. A server that has
dropped the image says so, and gets it again.
"""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from ....data.errors import EngineError
from ....data.images import ImageRef, decode_image
from ...engine import Reply, Request
from ...requests.label_logprobs import Read
from ..reading import refuse_direct_verdicts
from ..settings import EngineSettings
from .chat import demanded_fields, png_url
from .failures import failure_of, refuse_departures
from .handshake import tell_large_blocks
from .local_renderer import LocalRenderer
from .vllm_bodies import (
    Question,
    ServerAnswer,
    chat_body,
    read_chat,
    read_tokens,
    tokens_body,
)
from .wire import Response, TransientError, Wire

_log = logging.getLogger("blpo.engine")

_IMAGE_IS_GONE = "data is not provided"
_INEXACT = ("not token for token",)


@dataclass
class _Server:
    """What is known of one server.

    takes_tokens: the scale-out endpoint is there. images: digests of those it has been sent.
    checked: forms of requests (number of images, has a start) that it renders as we do.
    """

    url: str
    takes_tokens: bool
    images: set[str] = field(default_factory=set[str])
    checked: set[tuple[int, bool]] = field(default_factory=set[tuple[int, bool]])


@dataclass(frozen=True, slots=True)
class _Pictures:
    """Images as they are sent; without sizes if the server has them."""

    urls: Sequence[str | None]
    sizes: Sequence[tuple[int, int]] | None


class VllmAsker:
    """Asks vLLM servers. Safe for many threads."""

    def __init__(self, settings: EngineSettings, wire: Wire) -> None:
        self._settings = settings
        self._model = settings.model
        self._block_size = settings.resolved_block_size
        self._demanded = demanded_fields(settings)
        self._wire = wire
        self._renderer = LocalRenderer(settings)
        self._lock = threading.Lock()
        self._servers: dict[str, _Server] = {}

    def ask(self, server: str, request: Request) -> Reply:
        """One reply, of one HTTP request, or of one for each read of the labels.

        Raises TransientError, RefusedError, DepartsError, EngineError; DataError for an image that
        is none.
        """
        refuse_direct_verdicts(self._settings, [request])
        known = self._server(server)
        token_ids = self._renderer.token_ids(request)
        if not request.labels:
            answer, departures = self._ask(known, request, token_ids, None)
            if answer.token_ids is not None and (self._renderer.thinks or answer.is_taken_apart):
                answer = replace(answer, text=self._renderer.reply_text(answer.token_ids))
            return answer.text_reply(departures)
        plan = self._renderer.plan(request.labels)
        asked = [self._ask(known, request, token_ids, read) for read in plan.reads]
        answers, departures = zip(*asked, strict=True)
        logprobs = plan.combine([answer.logprobs for answer in answers])
        return answers[0].label_reply(logprobs, len(answers), max(departures, key=len))

    def _server(self, url: str) -> _Server:
        with self._lock:
            if url not in self._servers:
                # A body without tokens is bad only where tokens are taken at all.
                status = 0 if self._demanded else self._wire.post(_tokens_url(url), {}).status
                self._servers[url] = _Server(url, takes_tokens=status in (400, 422))
                how = "tokens" if self._servers[url].takes_tokens else "chats"
                _log.info("%s is asked by %s", url, how)
                tell_large_blocks(self._wire, url, self._block_size)
            return self._servers[url]

    def _ask(
        self, server: _Server, request: Request, token_ids: Sequence[int], read: Read | None
    ) -> tuple[ServerAnswer, tuple[str, ...]]:
        """The answer to one read, and in which points it was asked otherwise."""
        digests = {image.digest for image in request.images}
        has_images = digests <= server.images
        pictures = _named(request.images) if has_images else _sent(request.images)
        ids = [*token_ids, *read.prefix_ids] if read else token_ids
        question = Question(request, ids, read, pictures.urls, self._renderer.ends)
        ask = self._ask_tokens if server.takes_tokens else self._ask_chat
        try:
            asked = ask(server, question, pictures)
        except _ImageGoneError:
            server.images -= digests
            return self._ask(server, request, token_ids, read)
        except TransientError:
            server.images -= digests  # it may come back without them
            raise
        server.images |= digests
        return asked

    def _ask_tokens(
        self, server: _Server, question: Question, pictures: _Pictures
    ) -> tuple[ServerAnswer, tuple[str, ...]]:
        body = tokens_body(self._model, question)
        response = self._post(server, _tokens_url(server.url), body, pictures)
        answer = read_tokens(response, question, server.url)
        self._check_count(server, question, pictures, answer)
        return answer, ()

    def _ask_chat(
        self, server: _Server, question: Question, pictures: _Pictures
    ) -> tuple[ServerAnswer, tuple[str, ...]]:
        texts = self._renderer.chat_texts(question.request, question.token_ids)
        departures = () if texts.is_exact else _INEXACT
        refuse_departures(question.request, departures)
        form = (len(question.request.images), bool(texts.start))
        tell = texts.is_exact and form not in server.checked
        body = chat_body(self._model, question, texts, self._demanded, tell=tell)
        response = self._post(server, f"{server.url}/chat/completions", body, pictures)
        answer = read_chat(response, question, server.url)
        if tell:
            self._check_tokens(server, question, answer)
            server.checked.add(form)
        if texts.is_exact:
            self._check_count(server, question, pictures, answer)
        return answer, departures

    def _post(
        self, server: _Server, url: str, body: dict[str, object], pictures: _Pictures
    ) -> Response:
        """A successful response. Raises what it means otherwise, or _ImageGoneError."""
        response = self._wire.post(url, body)
        if response.is_success:
            return response
        if pictures.sizes is None and _IMAGE_IS_GONE in response.message:
            raise _ImageGoneError
        raise failure_of(response, server.url)

    def _check_tokens(self, server: _Server, question: Question, answer: ServerAnswer) -> None:
        """Raise EngineError if the server was asked other tokens than ours."""
        asked = answer.prompt_token_ids
        differs = (
            "it does not tell its tokens"
            if asked is None
            else self._renderer.differs(question.request, question.token_ids, asked)
        )
        if differs:
            raise EngineError(
                f"{server.url} is not asked what an engine in this process is ({differs}): start "
                "vLLM with the model's own chat template or with --enable-scale-out, or set "
                "layout: chat"
            )

    def _check_count(
        self, server: _Server, question: Question, pictures: _Pictures, answer: ServerAnswer
    ) -> None:
        """Raise EngineError if the server makes another number of tokens of the images."""
        counted = answer.usage.prompt_tokens
        if not pictures.sizes or not counted:
            return
        image_tokens = self._renderer.num_image_tokens(pictures.sizes)
        if image_tokens is None:
            return
        expected = len(question.token_ids) - len(pictures.sizes) + image_tokens
        if counted != expected:
            sizes = ", ".join(f"{width} x {height}" for width, height in pictures.sizes)
            raise EngineError(
                f"{server.url} makes {counted} tokens of a request about {sizes} pixels, an engine "
                f"in this process {expected}: it has other bounds on the size of images; start it "
                f"with --mm-processor-kwargs '{self._renderer.processor_kwargs}', or set "
                "layout: chat"
            )


class _ImageGoneError(Exception):
    """The server has dropped an image that it was sent."""


def _tokens_url(server: str) -> str:
    return f"{server.removesuffix('/v1')}/inference/v1/generate"


def _named(images: Sequence[ImageRef]) -> _Pictures:
    """Images that the server has. None at all are sent, as it were, with the request."""
    return _Pictures([None for _ in images], None if images else ())


def _sent(images: Sequence[ImageRef]) -> _Pictures:
    """Raises DataError for an image that is none."""
    pixels = [decode_image(image) for image in images]
    return _Pictures([png_url(image) for image in pixels], [image.size for image in pixels])
