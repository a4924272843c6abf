"""What lies behind http and https addresses, fetched whole and within bounds."""

from dataclasses import dataclass

import httpx
from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from .errors import DataError
from .redaction import public_address
from .shown import shortened

_TIMEOUT_S = 30.0
_ATTEMPTS = 4
_REDIRECTS = 5
_CHUNK_BYTES = 2**16


@dataclass(frozen=True, slots=True)
class Page:
    """What an address led to. url: after redirects. content_type: as the server says."""

    url: str
    content_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Wanted:
    """what: an address should lead to, in words. if_missing, if_too_large: what to do then."""

    what: str
    max_bytes: int
    if_missing: str
    if_too_large: str


class RefusedError(DataError):
    """The server has nothing there, or not for us: its status is 4xx."""


class _TooLargeError(Exception):
    pass


def web_client() -> httpx.Client:
    """A client that gives up on a server which says nothing for half a minute."""
    return httpx.Client(
        timeout=_TIMEOUT_S, follow_redirects=True, max_redirects=_REDIRECTS, trust_env=True
    )


def fetched(client: httpx.Client, url: str, wanted: Wanted) -> Page:
    """What an http or https address leads to.

    Raises DataError where it cannot be had, RefusedError where the server says so, and DataError
    where it is too large; what may pass is tried again. Safe to call from many threads.
    """
    attempts = Retrying(
        stop=stop_after_attempt(_ATTEMPTS),
        wait=wait_random_exponential(max=10),
        retry=retry_if_exception(_may_pass),
        reraise=True,
    )
    shown = f"{wanted.what} {shortened(public_address(url))}"
    problem: type[DataError] = DataError
    try:
        return attempts(_asked, client, url, wanted.max_bytes)
    except _TooLargeError:
        raise DataError(
            f"{shown}: more than the {wanted.max_bytes:,} bytes that are downloaded: "
            f"{wanted.if_too_large}"
        ) from None
    except httpx.HTTPStatusError as error:
        reason = f"the server says {error.response.status_code}"
        if error.response.is_client_error:
            problem = RefusedError
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
    raise problem(f"{shown}: cannot be downloaded ({reason}): {wanted.if_missing}")


def _asked(client: httpx.Client, url: str, max_bytes: int) -> Page:
    content = bytearray()
    with client.stream("GET", url) as response:
        response.raise_for_status()
        for chunk in response.iter_bytes(_CHUNK_BYTES):
            content += chunk
            if len(content) > max_bytes:
                raise _TooLargeError
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        return Page(str(response.url), kind, bytes(content))


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    if isinstance(error, httpx.HTTPStatusError):
        return error.response.status_code in {408, 425, 429} or error.response.is_server_error
    return isinstance(error, httpx.TransportError)
