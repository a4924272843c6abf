"""Requests as chat completions that any server takes, and what of them this one does not take.

A parameter that a server refuses by name is renamed or left out from then on, unless the request
does not allow it; the log says so once, every reply that is concerned tells it. What the settings
ask for is never left out.

A reply that has a start is the assistant message of that text, which the server continues. One that
refuses to (the parameters are vLLM's) is asked for the rest in a further user turn.
"""

import base64
import io
import logging
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image

from ....data.errors import EngineError
from ....data.images import decode_image
from ...engine import CHAT_PREFIX, Reply, Request
from ...requests.layout import naming_sentences, own_text
from ...requests.seeds import sampling_seed
from ..settings import EngineSettings
from .completions import Completion, read_completion, reply_to
from .failures import Refusal, failure_of, refuse_departures, refused_parameter
from .wire import Wire

_log = logging.getLogger("blpo.engine")

CHAT_LAYOUT = f"{CHAT_PREFIX}image-first-2"

_TOP_LOGPROBS = 20
_CONTINUING = {"continue_final_message": True, "add_generation_prompt": False}
_ASK_FOR_REST = "Go on from there: write what comes next, and nothing else."
_TOGETHER = (("logprobs", "top_logprobs"), tuple(_CONTINUING))
"""Parameters that are sent all or none."""
_OTHER_NAMES = {"max_tokens": "max_completion_tokens"}
_MARKERS = re.compile(
    r"<(?=\|[^<>\s]{1,40}\|?>|/?(?:think|thinking|tool_call|tool_response|s|bos|eos|pad|unk|image)>"
    r"|(?:start|end)_of_(?:turn|image)>|/?(?:start_header|end_header)_id>)"
    r"|\[(?=/?(?:INST|THINK|IMG|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS)\])"
)


@dataclass(frozen=True, slots=True)
class Taken:
    """What of the parameters a server takes. top_logprobs: the most that it lists."""

    refused: frozenset[str] = frozenset()
    top_logprobs: int = _TOP_LOGPROBS

    def takes(self, *names: str) -> bool:
        return self.refused.isdisjoint(names)

    def sent(self, optional: Mapping[str, Any]) -> dict[str, Any]:
        """The parameters that are sent, under the names that the server takes."""
        gone = {name for group in _TOGETHER if not self.takes(*group) for name in group}
        names = {name: name for name in optional if self.takes(name) and name not in gone}
        for name, other in _OTHER_NAMES.items():
            if name in optional and not self.takes(name) and self.takes(other):
                names[name] = other
        return {names[name]: value for name, value in optional.items() if name in names}

    def departures(self, optional: Mapping[str, Any]) -> tuple[str, ...]:
        """In which points a request is asked otherwise than it says."""
        sent = self.sent(optional)
        missing = [n for n in optional if n not in sent and _OTHER_NAMES.get(n) not in sent]
        followers = {name for group in _TOGETHER for name in group[1:]}
        told = [f"without {name}" for name in missing if name not in followers]
        if sent.get("top_logprobs", _TOP_LOGPROBS) < _TOP_LOGPROBS:
            told.append(f"with {self.top_logprobs} top_logprobs")
        return tuple(told)


class ServerTakes:
    """What a server takes by now, as learned from its refusals. Thread-safe."""

    def __init__(self, demanded: frozenset[str]) -> None:
        self.now = Taken()
        self._demanded = demanded
        self._lock = threading.Lock()

    def learn(self, refusal: Refusal, server: str, message: str) -> None:
        """Raises EngineError for a parameter that the settings ask for."""
        name = refusal.name
        if name in self._demanded:
            raise EngineError(
                f"{server} does not take {name}, which the settings ask for: {message}"
            )
        with self._lock:
            now = self.now
            if name == "top_logprobs" and 0 < (refusal.limit or 0) < now.top_logprobs:
                self.now = replace(now, top_logprobs=refusal.limit or 0)
                _log.warning("%s lists %d log-probabilities at most", server, refusal.limit)
            elif now.takes(name):
                self.now = replace(now, refused=now.refused | {name})
                _log.warning("%s refuses %s; going on without it (%s)", server, name, message)


class ChatAsker:
    """Asks servers by chat completions. Safe for many threads."""

    def __init__(self, settings: EngineSettings, wire: Wire) -> None:
        self._settings = settings
        self._wire = wire
        self._lock = threading.Lock()
        self._takes: dict[str, ServerTakes] = {}
        self._told_of_vllm = False

    def ask(self, server: str, request: Request) -> Reply:
        """One reply, asked for again at once for each parameter that the server refuses.

        Raises TransientError, RefusedError, DepartsError, EngineError; DataError for an image that
        is none.
        """
        takes = self._takes_of(server)
        content: list[dict[str, Any]] = []
        while True:
            taken = takes.now
            optional = _optional(request, taken)
            departures = taken.departures(optional)
            refuse_departures(request, departures)
            content = content or _content(request)
            body = self._body(request, content, taken.sent(optional))
            response = self._wire.post(f"{server}/chat/completions", body)
            if response.is_success:
                completion = read_completion(response, server)
                self._tell_of_vllm(server, is_vllm=completion.is_vllm)
                if "continue_final_message" in body and _says_nothing(completion):
                    # It takes the parameter and does not know it.
                    takes.learn(Refusal("continue_final_message"), server, "says nothing")
                    continue
                return reply_to(completion, request.labels, departures)
            refusal = refused_parameter(response, body)
            if refusal is None:
                raise failure_of(response, server)
            takes.learn(refusal, server, response.message)

    def _takes_of(self, server: str) -> ServerTakes:
        with self._lock:
            if server not in self._takes:
                self._takes[server] = ServerTakes(frozenset(demanded_fields(self._settings)))
            return self._takes[server]

    def _body(
        self, request: Request, content: list[dict[str, Any]], sent: Mapping[str, Any]
    ) -> dict[str, Any]:
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if request.reply_start:
            messages.append({"role": "assistant", "content": broken_up(request.reply_start)})
            if "continue_final_message" not in sent:
                messages.append({"role": "user", "content": _ASK_FOR_REST})
        body = {"model": self._settings.model, "messages": messages, **sent}
        return body | demanded_fields(self._settings)

    def _tell_of_vllm(self, server: str, *, is_vllm: bool) -> None:
        if is_vllm and not self._told_of_vllm and self._settings.layout == "auto":
            self._told_of_vllm = True
            _log.warning(
                "%s runs vLLM: to ask it exactly what a local engine of the model is asked, set "
                "layout: in-process, and tokenizer to where the model's files are",
                server,
            )


def _optional(request: Request, taken: Taken) -> dict[str, Any]:
    """What a request says beside its messages."""
    sampling = request.sampling
    optional: dict[str, Any] = {
        "max_tokens": sampling.max_tokens,
        "temperature": sampling.temperature,
    }
    if sampling.temperature > 0:
        optional["seed"] = sampling_seed(request) & 0x7FFFFFFF
    if request.labels:
        optional["logprobs"] = True
        optional["top_logprobs"] = taken.top_logprobs
    if request.reply_start:
        optional |= _CONTINUING
    return optional


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


def _says_nothing(completion: Completion) -> bool:
    is_listed = any(position.top for position in completion.positions)
    return not completion.text and not completion.is_cut and not is_listed


def _content(request: Request) -> list[dict[str, Any]]:
    """Message parts in the order of the local layout: images, the example's text, prompt."""
    text = broken_up(own_text(request.text) + request.prompt)
    is_pair = bool(request.labels) and len(request.images) == 2
    if request.image_roles or is_pair:
        naming = naming_sentences(len(request.images), request.image_roles)
        text = f"{' '.join(naming)}\n{text}"
    images: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": png_url(decode_image(image))}}
        for image in request.images
    ]
    return [*images, {"type": "text", "text": text}]
