"""Engine behind any OpenAI-compatible server: hosted models, a vLLM server on another node.

Servers differ in what they accept. A parameter that a server refuses by name is renamed or left
out from then on. Label log-probabilities come from the 20 most probable first tokens where the
server gives them; otherwise a label request is answered by its text, and the role parses it.

A reply that has a start is the assistant message of that text, which the server continues. One that
refuses to (the parameters are vLLM's) is asked for the rest in a further user turn.
"""

import base64
import io
import logging
import math
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import httpx

from ....data.errors import DataError, EngineError
from ....data.images import ImageRef, decode_image
from ...engine import EngineIdentity, FinishReason, Reply, Request
from ...requests.label_logprobs import logsumexp, surface_variants
from ...requests.layout import PAIR_BRIDGE_SENTENCES
from ...requests.seeds import sampling_seed
from ..settings import EngineSettings
from .server_pool import ServerPool
from .wire import (
    Answer,
    TokenDetails,
    TransientError,
    Usage,
    error_fields,
    is_out_of_quota,
    post,
    read_answer,
    refused_parameter,
    retrying,
)

_log = logging.getLogger("blpo.engine")

LAYOUT = "chat-image-first-1"

_TOP_LOGPROBS = 20
_SYSTEMIC_STATUS = frozenset({401, 402, 403, 404, 405, 407})
_MAX_MESSAGE_CHARS = 500
_AMBIGUOUS_SHARE = 0.01
_CONTINUING = {"continue_final_message": True, "add_generation_prompt": False}
_ASK_FOR_REST = "Go on from there: write what comes next, and nothing else."


class OpenAIEngine:
    """Contract: `Engine`. Connects on the first request; requests of all threads share one pool."""

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._refused: set[str] = set()
        self._servers = ServerPool(settings.endpoint)

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity(
            engine="openai",
            model=self._settings.model,
            revision=self._settings.revision or "unpinned",
            layout=LAYOUT,
            settings=f"endpoint={self._settings.endpoint.rstrip('/')}",
        )

    @property
    def version(self) -> str:
        return f"openai-compatible server at {self._settings.endpoint.rstrip('/')}"

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        if not requests:
            return []
        client, pool = self._connect()
        futures = [pool.submit(self._answer, client, request) for request in requests]
        try:
            for future in as_completed(futures):
                future.result()  # the first EngineError ends the batch
            return [future.result() for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        with self._lock:
            client, pool = self._client, self._pool
            self._client = self._pool = None
        if pool is not None:
            pool.shutdown(cancel_futures=True)
        if client is not None:
            client.close()

    def _connect(self) -> tuple[httpx.Client, ThreadPoolExecutor]:
        with self._lock:
            if self._client is None or self._pool is None:
                settings = self._settings
                self._servers.wait_for_first()
                self._client = httpx.Client(
                    headers=_authorization(settings),
                    timeout=settings.timeout_s,
                    limits=httpx.Limits(max_connections=settings.max_concurrency),
                )
                self._pool = ThreadPoolExecutor(settings.max_concurrency, "openai")
            return self._client, self._pool

    def _answer(self, client: httpx.Client, request: Request) -> Reply:
        try:
            content = _content(request)
        except DataError as error:
            return _error_reply(str(error))
        try:
            return retrying(self._settings.max_retries)(self._answer_once, client, request, content)
        except TransientError as error:
            raise EngineError(
                f"{self.version} did not answer after {self._settings.max_retries + 1} tries: "
                f"{error}"
            ) from error

    def _answer_once(
        self, client: httpx.Client, request: Request, content: list[dict[str, Any]]
    ) -> Reply:
        """One answer, asked again at once for each parameter that the server refuses."""
        while True:
            body = self._body(request, content)
            response = self._post(client, request, body)
            if response.is_success:
                return _reply(read_answer(response), request)
            message = self._error_message(response)
            refused = refused_parameter(response, message, body)
            if refused is None:
                return _failure(response, message, self.version)
            if refused not in self._refused:
                _log.warning("%s refuses %s; going on without it", self.version, refused)
            self._refused.add(refused)

    def _post(self, client: httpx.Client, request: Request, body: dict[str, Any]) -> httpx.Response:
        """The answer of the server that the request's image is assigned to."""
        server = self._servers.pick(request.image.digest if request.image else request.prompt)
        if server is None:
            raise TransientError(f"{self._settings.endpoint} holds no server at the moment")
        try:
            response = post(client, server, body)
        except TransientError as error:
            if error.is_down:
                self._servers.mark_down(server)
            raise
        self._servers.mark_up(server)
        return response

    def _body(self, request: Request, content: list[dict[str, Any]]) -> dict[str, Any]:
        sampling = request.sampling
        optional: dict[str, Any] = {
            "max_tokens": sampling.max_tokens,
            "temperature": sampling.temperature,
        }
        if sampling.temperature > 0:
            optional["seed"] = sampling_seed(request) & 0x7FFFFFFF
        if request.labels and not self._refused & {"logprobs", "top_logprobs"}:
            optional |= {"logprobs": True, "top_logprobs": _TOP_LOGPROBS}
        if "max_tokens" in self._refused:
            optional["max_completion_tokens"] = optional["max_tokens"]
        messages: list[dict[str, Any]] = [{"role": "user", "content": content}]
        if request.reply_start:
            messages.append({"role": "assistant", "content": request.reply_start})
            if self._refused.isdisjoint(_CONTINUING):
                optional |= _CONTINUING
            else:
                messages.append({"role": "user", "content": _ASK_FOR_REST})
        kept = {name: value for name, value in optional.items() if name not in self._refused}
        return {"model": self._settings.model, "messages": messages, **kept}

    def _error_message(self, response: httpx.Response) -> str:
        """The server's words, shortened, without our key."""
        error = error_fields(response)
        message = str(error.get("message") or response.text or response.reason_phrase)
        key = os.environ.get(self._settings.api_key_env or "", "")
        if key:
            message = message.replace(key, "***")
        return message[:_MAX_MESSAGE_CHARS]


def label_logprobs_of(
    top: Sequence[tuple[str, float]], labels: Sequence[str]
) -> dict[str, float] | None:
    """Label log-probabilities from (token text, log-probability) of the likeliest first tokens.

    A token counts for a label if it starts a surface variant of that label alone. A label without
    a token among them gets the lowest log-probability listed, which its own cannot exceed. None
    if no label is among them, or if a likely token starts several labels ("1" of "1" and "10").
    """
    found: dict[str, list[float]] = {label: [] for label in labels}
    for token, logprob in top:
        starts = _labels_starting_with(token.strip(), labels)
        if len(starts) == 1:
            found[starts[0]].append(logprob)
        elif len(starts) > 1 and math.exp(logprob) >= _AMBIGUOUS_SHARE:
            return None
    if not any(found.values()):
        return None
    floor = min(logprob for _, logprob in top)
    return {label: logsumexp(values) if values else floor for label, values in found.items()}


def _labels_starting_with(token: str, labels: Sequence[str]) -> list[str]:
    if not token:
        return []
    if token in labels and not any(other != token and other.startswith(token) for other in labels):
        return [token]
    return [
        label
        for label in labels
        if any(variant.strip().startswith(token) for variant in surface_variants(label))
    ]


def _authorization(settings: EngineSettings) -> dict[str, str]:
    if settings.api_key_env is None:
        return {}
    key = os.environ.get(settings.api_key_env, "").strip()
    if not key:
        raise EngineError(
            f"no key for {settings.endpoint}: set the environment variable {settings.api_key_env}"
        )
    return {"Authorization": f"Bearer {key}"}


def _content(request: Request) -> list[dict[str, Any]]:
    """Message parts in the order of the local layout: images, the example's text, prompt."""
    text = request.prompt if request.text is None else f"Text: {request.text}\n{request.prompt}"
    if request.labels and len(request.images) == 2:
        text = f"{' '.join(PAIR_BRIDGE_SENTENCES[:2])}\n{text}"
    parts = [{"type": "text", "text": text}]
    images: list[dict[str, Any]] = [
        {"type": "image_url", "image_url": {"url": _data_url(image)}} for image in request.images
    ]
    return images + parts


def _data_url(image: ImageRef) -> str:
    file = io.BytesIO()
    decode_image(image).save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def _failure(response: httpx.Response, message: str, server: str) -> Reply:
    """An error reply for a refused request; EngineError if the server refuses every request."""
    status = response.status_code
    if status in _SYSTEMIC_STATUS or is_out_of_quota(response) or not 400 <= status < 500:
        hint = " (check the key, api_key_env)" if status in (401, 403) else ""
        raise EngineError(f"{server} answers HTTP {status}{hint}: {message}")
    return _error_reply(f"HTTP {status}: {message}")


def _reply(answer: Answer, request: Request) -> Reply:
    choice = answer.choices[0]
    if choice.finish_reason == "content_filter":
        return _error_reply("refused by the server's content filter")
    usage = answer.usage or Usage()
    details = usage.prompt_tokens_details or TokenDetails()
    text = choice.message.content or ""
    finish: FinishReason = "length" if choice.finish_reason == "length" else "stop"
    logprobs = label_logprobs_of(choice.first_top(), request.labels) if request.labels else None
    if logprobs is not None:
        text, finish = max(logprobs, key=logprobs.__getitem__), "label"
    return Reply(
        text=text,
        finish_reason=finish,
        label_logprobs=logprobs,
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cached_tokens=details.cached_tokens or 0,
    )


def _error_reply(reason: str) -> Reply:
    return Reply(text="", finish_reason="error", error=reason)
