"""The wire of `OpenAIEngine`: chat completions as they are read, transient failures, retries."""

import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

import httpx
from pydantic import BaseModel, Field, ValidationError
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential

_log = logging.getLogger("blpo.engine")

_TRANSIENT_STATUS = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 520, 522, 524, 529})
_DOWN_STATUS = frozenset({500, 502, 503, 504})
_REFUSED = re.compile(
    r"not support|unsupported|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed|extra"
    r"|invalid|does not exist|must be|only the default",
    re.IGNORECASE,
)
_MAX_BACKOFF_S = 60.0
_MAX_RETRY_AFTER_S = 600.0


class TransientError(Exception):
    """Worth another try.

    retry_after_s: how long the server asks to wait, if it does. is_down: the server, rather than
    the request or the load, is what is wrong.
    """

    def __init__(
        self, message: str, retry_after_s: float | None = None, *, is_down: bool = False
    ) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.is_down = is_down


class _Token(BaseModel):
    token: str
    logprob: float


class _Position(BaseModel):
    token: str
    top_logprobs: list[_Token] = []


class _Logprobs(BaseModel):
    content: list[_Position] | None = None


class _Message(BaseModel):
    content: str | None = None


class Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None

    def first_top(self) -> list[tuple[str, float]]:
        """Candidates for the first token that is not white space; empty without logprobs."""
        for position in (self.logprobs or _Logprobs()).content or []:
            if position.token.strip():
                return [(entry.token, entry.logprob) for entry in position.top_logprobs]
        return []


class TokenDetails(BaseModel):
    cached_tokens: int | None = None


class Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: TokenDetails | None = None


class Answer(BaseModel):
    """What is read of a chat completion."""

    choices: list[Choice] = Field(min_length=1)
    usage: Usage | None = None


def post(client: httpx.Client, server: str, body: dict[str, Any]) -> httpx.Response:
    """The answer of a server, by its base URL. Raises TransientError."""
    try:
        response = client.post(f"{server}/chat/completions", json=body)
    except httpx.TransportError as error:
        raise TransientError(f"{type(error).__name__}: {error}", is_down=True) from error
    if response.status_code in _TRANSIENT_STATUS and not is_out_of_quota(response):
        raise TransientError(
            f"HTTP {response.status_code}",
            _retry_after_s(response.headers.get("Retry-After")),
            is_down=response.status_code in _DOWN_STATUS,
        )
    return response


def is_out_of_quota(response: httpx.Response) -> bool:
    return error_fields(response).get("code") == "insufficient_quota"


def _retry_after_s(value: str | None) -> float | None:
    """Seconds to wait from a Retry-After header: a number, or a date."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError):
            return None
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_S)


def retrying(max_retries: int) -> Retrying:
    """Calls again on TransientError, after the server's time or a growing one; raises the last."""
    return Retrying(
        stop=stop_after_attempt(max_retries + 1),
        wait=_wait_s,
        retry=retry_if_exception_type(TransientError),
        before_sleep=_log_retry,
        reraise=True,
    )


_backoff = wait_random_exponential(multiplier=0.5, max=_MAX_BACKOFF_S)


def _wait_s(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, TransientError) and error.retry_after_s is not None:
        return error.retry_after_s
    return _backoff(state)


def _log_retry(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    _log.info(
        "try %d failed (%s); again in %.1f s", state.attempt_number, error, state.upcoming_sleep
    )


def refused_parameter(
    response: httpx.Response, message: str, body: Mapping[str, Any]
) -> str | None:
    """The optional parameter of `body` that a 400 or 422 refuses; None if it is something else."""
    if response.status_code not in (400, 422) or not _REFUSED.search(message):
        return None
    optional = [name for name in body if name not in ("model", "messages")]
    param = error_fields(response).get("param")
    if param in optional:
        return cast("str", param)
    named = [name for name in optional if re.search(rf"\b{name}\b", message)]
    return named[0] if named and "context length" not in message else None


def error_fields(response: httpx.Response) -> dict[str, Any]:
    try:
        error: Any = response.json().get("error")
    except (ValueError, AttributeError):
        return {}
    return cast("dict[str, Any]", error) if isinstance(error, dict) else {"message": error}


def read_answer(response: httpx.Response) -> Answer:
    try:
        return Answer.model_validate_json(response.content)
    except ValidationError as error:
        raise TransientError(f"the answer is not a completion: {response.text[:80]!r}") from error
