"""What a server's refusal means: a parameter it does not take, or a request, or every request."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ....data.errors import EngineError
from ...engine import Request
from .wire import Response, TransientError

_TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_DOWN_STATUS = frozenset({500, 502, 503, 504})
_REMEDIES: Mapping[int, str] = {
    401: "check the key that api_key_env names",
    402: "the account has nothing left to pay with",
    404: "check the endpoint, which ends in /v1 at most servers, and the name of the model",
    405: "check the endpoint, which ends in /v1 at most servers",
    407: "a proxy wants a password: set HTTPS_PROXY, or NO_PROXY for this host",
}
_SYSTEMIC_WORDS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(words, re.IGNORECASE), remedy)
    for words, remedy in (
        (r"api[ _-]?key|unauthori[sz]ed|authentication|credentials", _REMEDIES[401]),
        (
            r"billing|credit balance|insufficient[ _](quota|funds|balance|credit)|payment|"
            r"exceeded your current quota",
            _REMEDIES[402],
        ),
        (
            r"\bmodel\b[^.]{0,80}\b(does not exist|not found|not exist|unknown|no such|not a valid)"
            r"|(unknown|invalid|no such) model\b|not a valid model|model_not_found",
            "check the name of the model",
        ),
        (
            r"\bat most [1-9]\d* images?\b",
            "it takes fewer images in one request than this one has: take a model that takes more, "
            "or start a vLLM server with a higher --limit-mm-per-prompt",
        ),
    )
)
_MODERATION = re.compile(
    r"moderat|flagged|content.?(policy|filter|management)|safety|policy.?violation|prohibited",
    re.IGNORECASE,
)
_TOO_LONG = re.compile(
    r"context[ _-]?(length|size|window|limit)|maximum model length|too many (input|prompt) tokens"
    r"|\b(prompt|input|request|message)s?\b[^.]{0,40}\btoo (long|large)|string_above_max_length"
    r"|\b(prompt|input)\b[^.]{0,60}\btokens?\b[^.]{0,60}\b(exceed|maximum|must be)",
    re.IGNORECASE,
)
_BAD_IMAGE = re.compile(
    r"\b(invalid|unsupported|corrupt(ed)?|broken|truncated|not a valid|identify|decode|process|load"
    r"|read|parse)\b[^.]{0,40}\bimage|invalid_image|image_parse_error"
    r"|\bimage\b[^.]{0,80}\b(invalid|not( a)? valid|not represent|corrupt(ed)?|broken|truncated"
    r"|too (large|small|big)|exceeds?|could not be|cannot be)\b",
    re.IGNORECASE,
)
_NO_IMAGES = re.compile(
    r"\b(support|accept|take|allow|enable)(s|ed|ing)?\b[^.]{0,40}\b(image|vision)"
    r"|\bimages?\b[^.]{0,40}\b(not|only) (be )?(support|accept|allow|enable)ed",
    re.IGNORECASE,
)
"""A model that takes no image at all fails every request."""

_REFUSED = re.compile(
    r"not support|unsupported|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed|extra"
    r"|invalid|does not exist|must be|only the default|incompatible|cannot|may not|deprecated",
    re.IGNORECASE,
)
_LOG_PROBABILITIES = re.compile(r"log[ _-]?prob", re.IGNORECASE)
_PREFILL = re.compile(r"prefill|last message|final message|end with a user", re.IGNORECASE)
_UNFINISHED = re.compile(r"(?:could not|unable to) finish|output limit was reached", re.IGNORECASE)
_LIMIT = re.compile(r"(?:at most|less than or equal to|maximum(?: of| is)?|<=|up to|and)\s*(\d+)")


class ServerRefusesError(EngineError):
    """Every request to this server fails so, as far as one answer tells."""


class DepartsError(Exception):
    """The server does not take a request as it is. departures: in which points it would have to be
    asked otherwise, one of which the request does not allow."""

    def __init__(self, departures: tuple[str, ...]) -> None:
        super().__init__(f"the server takes it {' and '.join(departures)} only")
        self.departures = departures


class RefusedError(Exception):
    """The server answered this request without a reply.

    is_doubtful: it may be every request that fails so; only further ones tell. lies_in_request: the
    request is too long or its image unusable, so that it fails whenever it is asked.
    """

    def __init__(
        self, message: str, *, is_doubtful: bool = False, lies_in_request: bool = False
    ) -> None:
        super().__init__(message)
        self.is_doubtful = is_doubtful
        self.lies_in_request = lies_in_request


@dataclass(frozen=True, slots=True)
class Refusal:
    """A parameter that the server does not take, or takes up to a limit only."""

    name: str
    limit: int | None = None


def failure_of(response: Response, server: str) -> Exception:
    """What an unsuccessful response means.

    TransientError: worth another try. RefusedError: this request fails. ServerRefusesError: all do.
    """
    return _failure(response, server, f"HTTP {response.status}")


def _failure(response: Response, server: str, heading: str) -> Exception:
    status, message = response.status, f"{heading}: {response.message}"
    if remedy := _systemic_remedy(response):
        return ServerRefusesError(f"{server} answers {message} ({remedy})")
    if status in _TRANSIENT_STATUS:
        is_down = status in _DOWN_STATUS
        return TransientError(message, response.retry_after_s, is_down=is_down)
    if 300 <= status < 400:
        return ServerRefusesError(
            f"{server} answers HTTP {status}: it redirects, which is not followed with a key: "
            "give the address itself as endpoint"
        )
    if 400 <= status < 500:
        lies_in_request = _lies_in_request(response)
        is_own = lies_in_request or _MODERATION.search(response.message) is not None
        return RefusedError(
            _with_hint(message, status), is_doubtful=not is_own, lies_in_request=lies_in_request
        )
    return ServerRefusesError(f"{server} answers {message}")


def refuse_departures(request: Request, departures: tuple[str, ...]) -> None:
    """Raise DepartsError for departures that a request does not allow."""
    if request.departures is not None and not set(departures) <= set(request.departures):
        raise DepartsError(departures)


def _lies_in_request(response: Response) -> bool:
    """Whether the same request fails on every server of this model. In doubt it does not."""
    if response.status not in (400, 422):
        return response.status == 413
    words = f"{response.message} {response.error.get('code') or ''}"
    if _TOO_LONG.search(words):
        return True
    return _BAD_IMAGE.search(words) is not None and _NO_IMAGES.search(words) is None


def _with_hint(message: str, status: int) -> str:
    if status == 413:
        return f"{message[:200]} (the request is too large: lower images.max_pixels)"
    if _UNFINISHED.search(message):
        return (
            f"{message[:200]} (the reply was cut off at its limit of tokens: raise max_tokens; for "
            "a model that thinks first set `thinking: on` for its engine, which adds "
            "thinking_tokens)"
        )
    return message


def _systemic_remedy(response: Response) -> str | None:
    """What to put right before any request is answered; None if it is not that."""
    if response.error.get("code") == "insufficient_quota":
        return _REMEDIES[402]
    if response.status in _REMEDIES:
        return _REMEDIES[response.status]
    if response.status not in (400, 403, 422, 429):
        return None
    if _MODERATION.search(response.message) or response.status == 429:
        return None
    return next((remedy for w, remedy in _SYSTEMIC_WORDS if w.search(response.message)), None)


def failure_in(response: Response, server: str) -> Exception:
    """What the error in the body of a successful response means, by the status it names."""
    code: Any = response.error.get("code")
    if isinstance(code, int) and 300 <= code < 600:
        return failure_of(replace(response, status=code), server)
    heading = f"HTTP {response.status} with an error"
    return _failure(replace(response, status=502), server, heading)


def refused_parameter(response: Response, body: Mapping[str, Any]) -> Refusal | None:
    """The optional parameter of `body` that a response refuses; None if it is something else."""
    message = response.message
    if response.status == 403:
        named = "logprobs" in body and _LOG_PROBABILITIES.search(message)
        return Refusal("logprobs") if named else None
    if response.status not in (400, 422) or not _REFUSED.search(message):
        return None
    optional = [name for name in body if name not in ("model", "messages")]
    param = response.error.get("param")
    named = [param] if param in optional else _named(optional, message)
    if not named or "context length" in message:
        return None
    limit = _LIMIT.search(message) if named[0] == "top_logprobs" else None
    return Refusal(named[0], int(limit[1]) if limit else None)


def _named(optional: list[str], message: str) -> list[str]:
    """Parameters that a message names, the longest name first: in words or as they are sent."""
    found = [name for name in optional if re.search(rf"\b{re.escape(name)}\b", message)]
    if not found and "logprobs" in optional and _LOG_PROBABILITIES.search(message):
        found = ["logprobs"]
    if not found and "continue_final_message" in optional and _PREFILL.search(message):
        found = ["continue_final_message"]
    return sorted(found, key=len, reverse=True)
