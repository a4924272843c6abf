"""Requests as chat completions that any server takes, and what of them this one does not take.

A parameter that the server refuses by name is renamed or left out from then on; the log says so
once, every reply that is concerned tells it. What the settings ask for is never left out.

A reply that has a start is the assistant message of that text, which the server continues. One that
refuses to (the parameters are vLLM's) is asked for the rest in a further user turn.
"""

import base64
import io
import logging
import re
import threading
from collections.abc import Mapping
from typing import Any

from PIL import Image

from ....data.errors import EngineError
from ....data.images import decode_image
from ...engine import CHAT_PREFIX, Reply, Request
from ...requests.layout import PAIR_BRIDGE_SENTENCES
from ...requests.seeds import sampling_seed
from ..settings import EngineSettings
from .answers import Answer, read_answer, reply_to
from .failures import Refusal, failure_of, refused_parameter
from .wire import Wire

_log = logging.getLogger("blpo.engine")

CHAT_LAYOUT = f"{CHAT_PREFIX}image-first-2"

_TOP_LOGPROBS = 20
_CONTINUING = {"continue_final_message": True, "add_generation_prompt": False}
_ASK_FOR_REST = "Go on from there: write what comes next, and nothing else."
_OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
_MARKERS = re.compile(
    r"<(?=\|[^<>\s]{1,40}\|?>|/?(?:think|thinking|tool_call|tool_response|s|bos|eos|pad|unk|image)>"
    r"|(?:start|end)_of_(?:turn|image)>|/?(?:start_header|end_header)_id>)"
    r"|\[(?=/?(?:INST|THINK|IMG|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS)\])"
)


class ServerTakes:
    """What of the parameters a server takes, as learned from its refusals. Thread-safe."""

    def __init__(self, demanded: frozenset[str]) -> None:
        self._demanded = demanded
        self._lock = threading.Lock()
        self._refused: set[str] = set()
        self._top_logprobs = _TOP_LOGPROBS

    @property
    def top_logprobs(self) -> int:
        return self._top_logprobs

    def takes(self, *names: str) -> bool:
        return self._refused.isdisjoint(names)

    def learn(self, refusal: Refusal, server: str, message: str) -> None:
        """Raises EngineError for a parameter that the settings ask for."""
        name = refusal.name
        if name in self._demanded:
            raise EngineError(
                f"{server} does not take {name}, which the settings ask for: {message}"
            )
        with self._lock:
            if name == "top_logprobs" and 0 < (refusal.limit or 0) < self._top_logprobs:
                self._top_logprobs = refusal.limit or 0
                _log.warning("%s lists %d log-probabilities at most", server, self._top_logprobs)
            elif name not in self._refused:
                self._refused.add(name)
                _log.warning("%s refuses %s; going on without it (%s)", server, name, message)

    def kept(self, optional: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that are sent, under the names that the server takes."""
        kept = {name: value for name, value in optional.items() if self.takes(name)}
        for name, other in _OTHER_NAMES.items():
            if name in optional and not self.takes(name) and self.takes(other):
                kept[other] = optional[name]
        return kept

    def departures(self, optional: Mapping[str, Any]) -> tuple[str, ...]:
        """In which points a request is asked otherwise than it says."""
        kept = self.kept(optional)
        missing = [
            name for name in optional if name not in kept and _OTHER_NAMES.get(name) not in kept
        ]
        return tuple(f"without {name}" for name in missing)


class ChatAsker:
    """Asks servers by chat completions. Safe for many threads."""

    def __init__(self, settings: EngineSettings, wire: Wire) -> None:
        self._settings = settings
        self._wire = wire
        self._takes = ServerTakes(frozenset(demanded_fields(settings)))
        self._told_of_vllm = False

    def ask(self, server: str, request: Request) -> Reply:
        """One reply, asked for again at once for each parameter that the server refuses.

        Raises TransientError, RefusedError, EngineError; DataError for an image that is none.
        """
        content = _content(request)
        while True:
            optional = self._optional(request)
            body = self._body(request, content, optional)
            response = self._wire.post(f"{server}/chat/completions", body)
            if response.is_success:
                answer = read_answer(response, server)
                self._tell_of_vllm(server, is_vllm=answer.is_vllm)
                if "continue_final_message" in body and _says_nothing(answer):
                    # It takes the parameter and does not know it.
                    self._takes.learn(Refusal("continue_final_message"), server, "says nothing")
                    continue
                return reply_to(answer, request.labels, self._takes.departures(optional))
            refusal = refused_parameter(response, body)
            if refusal is None:
                raise failure_of(response, server)
            self._takes.learn(refusal, server, response.message)

    def _optional(self, request: Request) -> dict[str, Any]:
        sampling = request.sampling
        optional: dict[str, Any] = {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
        }
        if sampling.temperature > 0:
            optional["seed"] = sampling_seed(request) & 0x7FFFFFFF
        if request.labels:
            optional["logprobs"] = True
            optional["top_logprobs"] = self._takes.top_logprobs
        if request.reply_start:
            optional |= _CONTINUING
        return optional

    def _body(
        self, request: Request, content: list[dict[str, Any]], optional: Mapping[str, Any]
    ) -> dict[str, Any]:
        kept = self._takes.kept(optional)
        if not self._takes.takes("logprobs", "top_logprobs"):
            kept = {n: v for n, v in kept.items() if n not in ("logprobs", "top_logprobs")}
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if request.reply_start:
            messages.append({"role": "assistant", "content": broken_up(request.reply_start)})
            if not self._takes.takes(*_CONTINUING):
                kept = {name: value for name, value in kept.items() if name not in _CONTINUING}
                messages.append({"role": "user", "content": _ASK_FOR_REST})
        body = {"model": self._settings.model, "messages": messages, **kept}
        return body | demanded_fields(self._settings)

    def _tell_of_vllm(self, server: str, *, is_vllm: bool) -> None:
        if is_vllm and not self._told_of_vllm and self._settings.layout == "auto":
            self._told_of_vllm = True
            _log.warning(
                "%s runs vLLM: to ask it exactly what a local engine of the model is asked, set "
                "layout: in-process, and tokenizer to where the model's files are",
                server,
            )


def demanded_fields(settings: EngineSettings) -> dict[str, Any]:
    """The fields of a request that the settings ask for."""
    fields: dict[str, Any] = {}
    if settings.reasoning_effort is not None:
        fields["reasoning_effort"] = settings.reasoning_effort
    if settings.chat_template_kwargs:
        fields["chat_template_kwargs"] = settings.chat_template_kwargs
    return fields | settings.extra_body


def broken_up(text: str) -> str:
    """A text whose control markers a server's tokenizer does not take for such.

    A space behind the first character is all it takes; nothing else is known of the tokenizer.
    """
    return _MARKERS.sub(lambda match: f"{match[0]} ", text)


def png_url(pixels: Image.Image) -> str:
    file = io.BytesIO()
    pixels.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _says_nothing(answer: Answer) -> bool:
    is_listed = any(position.top for position in answer.positions)
    return not answer.text and not answer.is_cut and not is_listed


def _content(request: Request) -> list[dict[str, Any]]:
    """Message parts in the order of the local layout: images, the example's text, prompt."""
    text = request.prompt if request.text is None else f"Text: {request.text}\n{request.prompt}"
    text = broken_up(text)
    if request.labels and len(request.images) == 2:
        text = f"{' '.join(PAIR_BRIDGE_SENTENCES[:2])}\n{text}"
    images: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": png_url(decode_image(image))}}
        for image in request.images
    ]
    return [*images, {"type": "text", "text": text}]
