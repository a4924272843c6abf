"""HTTP to servers: bounded in time and size, without redirects, no key in what comes back."""

import logging
import math
import os
import re
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, cast

import httpx
import pydantic_core
from tenacity import RetryCallState, Retrying, retry_if_exception_type
from tenacity.nap import sleep_using_event
from tenacity.wait import wait_random_exponential

from ....data.errors import EngineError
from ....data.redaction import learn_key, redacted, redacted_data
from ..settings import EngineSettings

_log = logging.getLogger("blpo.engine")

MAX_ANSWER_BYTES = 8 << 20
_MAX_BACKOFF_S = 60.0
_MAX_RETRY_AFTER_S = 120.0


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


class UnreachableError(TransientError):
    """There is no connection, whatever is asked."""

    def __init__(self, message: str) -> None:
        super().__init__(message, is_down=True)


@dataclass(frozen=True, slots=True)
class Response:
    """What a server sent, whole.

    words: of its error, else of its body. error: the error's fields, as far as it has some.
    """

    status: int
    headers: Mapping[str, str]
    payload: bytes
    words: str
    error: Mapping[str, Any]

    @property
    def message(self) -> str:
        """The words as messages show them, shortened and without keys."""
        return redacted(" ".join(self.words.split()))[:500]

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def retry_after_s(self) -> float | None:
        return _retry_after_s(self.headers.get("retry-after"))


class Wire:
    """One key, one pool of connections. Safe for many threads.

    num_bytes_sent: of the bodies of all requests.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.num_bytes_sent = 0
        self._timeout_s = settings.timeout_s
        self._key = _key(settings)
        self._client = _client(settings, self._key)

    def close(self) -> None:
        self._client.close()

    def post(self, url: str, body: Mapping[str, Any]) -> Response:
        """Raises TransientError where there is no whole answer in time, EngineError where there
        never will be: no valid address, no certificate that is accepted."""
        content = pydantic_core.to_json(body, inf_nan_mode="constants")
        self.num_bytes_sent += len(content)
        return self._send("POST", url, self._timeout_s, content)

    def get(self, url: str, timeout_s: float) -> Response:
        """Raises what `post` raises."""
        return self._send("GET", url, timeout_s)

    def _send(
        self, method: str, url: str, timeout_s: float, content: bytes | None = None
    ) -> Response:
        headers = {"Content-Type": "application/json"} if content is not None else {}
        try:
            with self._client.stream(
                method, url, content=content, headers=headers, timeout=timeout_s
            ) as response:
                payload = read_whole(response, timeout_s)
        except httpx.TimeoutException as error:
            message = f"no answer in {timeout_s:g} s ({type(error).__name__})"
            raise TransientError(message, is_down=True) from None
        except httpx.ConnectError as error:
            raise _no_connection(error, url) from None
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError) as error:
            raise EngineError(f"{url}: cannot be asked: {_said(error)}") from None
        except httpx.TransportError as error:
            raise TransientError(_said(error), is_down=True) from None
        except httpx.RequestError as error:
            raise TransientError(_said(error)) from None
        return _response(response, payload)


def _client(settings: EngineSettings, key: str) -> httpx.Client:
    """Raises EngineError for variables of the environment that httpx cannot go by."""
    try:
        return httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=settings.timeout_s,
            limits=httpx.Limits(max_connections=settings.max_concurrency),
        )
    except OSError as error:
        name = "SSL_CERT_FILE" if os.environ.get("SSL_CERT_FILE") else "SSL_CERT_DIR"
        raise EngineError(
            f"{name} is {os.environ.get(name)}: no certificates can be read there ({error}): "
            "name a PEM file of authorities, or unset it"
        ) from None
    except (ValueError, ImportError, httpx.InvalidURL) as error:
        raise EngineError(
            f"the environment's proxy cannot be used ({redacted(str(error))}): set HTTPS_PROXY, "
            "HTTP_PROXY and ALL_PROXY to http://HOST:PORT, or unset them"
        ) from None


def _no_connection(error: httpx.ConnectError, url: str) -> Exception:
    """EngineError where TLS fails, which trying again does not change."""
    server = url.removesuffix("/chat/completions")
    cause = _cause(error, ssl.SSLError)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return EngineError(
            f"{server}: its certificate is not accepted ({cause.verify_message}): correct the "
            "endpoint, or set SSL_CERT_FILE to a PEM file with the authority that has signed it"
        )
    if isinstance(cause, ssl.SSLError):
        return EngineError(
            f"{server}: no encrypted connection ({cause.reason or cause}): a server without TLS "
            "is asked at http://"
        )
    return UnreachableError(_said(error))


def _cause(error: BaseException, kind: type[BaseException]) -> BaseException | None:
    """The first of this kind among an error and what it was raised from."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, kind):
        seen = seen.__cause__ or seen.__context__
    return seen


def _said(error: Exception) -> str:
    return redacted(f"{type(error).__name__}: {error}")


def _response(response: httpx.Response, sent: bytes) -> Response:
    # latin-1 takes every byte and gives it back; keys are ASCII.
    payload = redacted_data(sent.decode("latin-1")).encode("latin-1")
    error = error_fields(payload)
    words = str(error.get("message") or payload[:4000].decode("utf-8", "replace"))
    words = words if words.strip() else response.reason_phrase
    return Response(response.status_code, response.headers, payload, words, error)


def read_whole(response: "_Body", timeout_s: float) -> bytes:
    """The body. The client's own timeout holds for each piece of it, this one for all.

    Raises TransientError for one that takes longer, or is longer than any answer.
    """
    deadline = time.monotonic() + timeout_s
    payload = bytearray()
    for piece in response.iter_bytes():
        payload += piece
        if len(payload) > MAX_ANSWER_BYTES:
            raise TransientError(f"the answer is longer than {MAX_ANSWER_BYTES >> 20} MiB")
        if time.monotonic() > deadline:
            raise TransientError(f"no whole answer in {timeout_s:g} s", is_down=True)
    return bytes(payload)


class _Body(Protocol):
    def iter_bytes(self) -> Iterator[bytes]: ...


def _key(settings: EngineSettings) -> str:
    """The server's key; empty if it takes none. Raises EngineError, which never shows it."""
    name = settings.api_key_env
    if name is None:
        return ""
    key = os.environ.get(name, "").strip()
    if not key:
        raise EngineError(f"no key for {settings.endpoint}: set the environment variable {name}")
    if not re.fullmatch(r"[!-~]+", key):
        raise EngineError(
            f"the environment variable {name} holds no key: a key has neither spaces nor line "
            "breaks, and letters of ASCII only; set it anew"
        )
    learn_key(key)
    return key


def error_fields(payload: bytes) -> Mapping[str, Any]:
    """The fields of an error body, which some servers put into a list; empty if it is none."""
    try:
        body: Any = pydantic_core.from_json(payload)
    except ValueError:
        return {}
    if isinstance(body, list) and body:
        body = cast("list[Any]", body)[0]
    fields = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    error: Any = fields.get("error")
    if not error and "choices" not in fields:
        error = fields.get("message") or fields.get("detail")
    if isinstance(error, dict):
        return cast("dict[str, Any]", error)
    return {"message": error} if error else {}


def _retry_after_s(value: str | None) -> float | None:
    """Seconds to wait from a Retry-After header, a number or a date; None for neither.

    None too for less than none and for a date that is over: the wait is ours to choose then.
    """
    try:
        seconds = float(value or "")
    except ValueError:
        seconds = _seconds_until(value or "")
    return min(seconds, _MAX_RETRY_AFTER_S) if seconds >= 0 else None


def _seconds_until(date: str) -> float:
    """NaN for what is no date, negative for one that is over."""
    try:
        return (parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return math.nan


def retrying(
    max_retries: int,
    is_hopeless: Callable[[int, BaseException], bool],
    wakes: threading.Event,
) -> Retrying:
    """Calls again on TransientError, after the server's time or a growing one; raises the last.

    is_hopeless: whether not to, after so many tries and this error. wakes: ends the waiting.
    """

    def give_up(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        is_last = state.attempt_number > max_retries
        return is_last or (error is not None and is_hopeless(state.attempt_number, error))

    return Retrying(
        sleep=sleep_using_event(wakes),
        stop=give_up,
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
