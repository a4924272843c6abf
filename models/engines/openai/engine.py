"""Engine behind any OpenAI-compatible server: hosted models, vLLM servers on other nodes.

A vLLM server is asked token for token what an engine in this process is asked (`vllm_server.py`),
any other by chat completions (`chat.py`). Decision models are asked typed questions
(`decisions.py`).
"""

import logging
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import pydantic_core

from ....data.errors import DataError, EngineError
from ...engine import UNPINNED, Arrival, EngineIdentity, Reply, Request
from ...requests.layout import layout_id
from ..checkpoint import read_model_config
from ..kv_blocks import reuse_grain
from ..rendezvous import key_of
from ..settings import EngineSettings
from ..streaming import in_order
from ..window import windowed
from .chat import CHAT_LAYOUT, ChatAsker, demanded_fields
from .decisions import DECISIONS_LAYOUT, DecisionsAsker
from .failures import DepartsError, RefusedError, ServerRefusesError
from .handshake import is_asked_in_process, tokenizer_source
from .server_pool import ServerPool
from .vllm_server import VllmAsker
from .wire import TransientError, UnreachableError, Wire, retrying

_log = logging.getLogger("blpo.engine")

_WINDOWS = 2
"""So many requests for each connection are with the threads, which then never wait for one."""
_MOST_DOUBTFUL = 20
_MOST_FIRST_CONTACTS = 3
"""So often a connection is tried that nobody has taken yet; with the waits in between 1.5 s."""
_MOST_UNANSWERED = 5
"""So many requests in a row that fail, without one that is answered, are taken for all."""
_OBJECTS = "put right what it objects to; `blpo doctor` asks a single question"


class Asker(Protocol):
    """One way to ask servers.

    Raises TransientError, RefusedError, DepartsError, EngineError (ServerRefusesError for what a
    server answers); DataError for an image that is none.
    """

    def ask(self, server: str, request: Request) -> Reply: ...


_ASKERS: Mapping[str, Callable[[EngineSettings, Wire], Asker]] = {
    CHAT_LAYOUT: ChatAsker,
    DECISIONS_LAYOUT: DecisionsAsker,
}


@dataclass(frozen=True, slots=True)
class _Doubtful:
    """A request that failed, as perhaps every request does."""

    reply: Reply
    error: EngineError


class OpenAIEngine:
    """Contract: `Engine` and `Windowed`. Connects on the first request.

    Requests of all threads share one pool of connections. A failure that may be one request's own,
    or every one's, is an error reply as long as others are answered; an EngineError where none is.
    A server of a pool that refuses everything leaves its images to the others.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._identity: EngineIdentity | None = None
        self._wire: Wire | None = None
        self._asker: Asker | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._servers = ServerPool(settings.endpoint)
        self._has_answered = False
        self._failed_in_a_row = 0
        self._is_closing = threading.Event()

    @property
    def identity(self) -> EngineIdentity:
        """Asks the server once what it is, if the settings leave the layout to that."""
        with self._lock:
            if self._identity is None:
                self._identity = _identity(self._settings, self._servers)
            return self._identity

    @property
    def version(self) -> str:
        return f"openai-compatible server at {self._settings.endpoint.rstrip('/')}"

    @property
    def window(self) -> int:
        return _WINDOWS * self._settings.max_concurrency

    @property
    def num_bytes_sent(self) -> int:
        """Bytes of the bodies of all requests so far."""
        return self._wire.num_bytes_sent if self._wire else 0

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return in_order(self.stream(requests), len(requests))

    def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]:
        """Failures are held back until it is clear that they are not every request's.

        Those to be asked otherwise may be answered yet.
        """
        if not requests:
            return
        asker, threads = self._connect()
        held: list[tuple[int, _Doubtful]] = []
        is_open = False
        answer = partial(self._answer, asker)
        with closing(windowed(threads, answer, requests, self.window)) as arrivals:
            for results in arrivals:
                held += [(i, result) for i, result in results if isinstance(result, _Doubtful)]
                answers = [(i, result) for i, result in results if isinstance(result, Reply)]
                is_open |= any(reply.error_kind == "departs" for _, reply in answers)
                error = self._watch([result for _, result in results])
                if self._has_answered:
                    answers += [(i, result.reply) for i, result in held]
                    held.clear()
                yield answers
                if error is not None:
                    raise error
        if held and not self._has_answered and not is_open:
            raise held[0][1].error
        yield [(i, result.reply) for i, result in held]

    def close(self) -> None:
        """What is on the wire still ends, and is not tried again."""
        self._is_closing.set()
        with self._lock:
            wire, threads = self._wire, self._threads
            self._wire = self._asker = self._threads = None
        if threads is not None:
            threads.shutdown(cancel_futures=True)
        if wire is not None:
            wire.close()

    def _connect(self) -> tuple[Asker, ThreadPoolExecutor]:
        make = _ASKERS.get(self.identity.layout, VllmAsker)
        with self._lock:
            if self._wire is None or self._asker is None or self._threads is None:
                self._servers.wait_for_first()
                self._is_closing.clear()
                self._wire = Wire(self._settings)
                self._asker = make(self._settings, self._wire)
                self._threads = ThreadPoolExecutor(self._settings.max_concurrency, "openai")
            return self._asker, self._threads

    def _answer(self, asker: Asker, request: Request) -> Reply | _Doubtful:
        retry = retrying(self._settings.max_retries, self._is_hopeless, self._is_closing)
        try:
            return retry(self._answer_once, asker, request)
        except DataError as error:
            return Reply.of_error(str(error))
        except DepartsError as error:
            return Reply.of_error(str(error), "departs", error.departures)
        except ServerRefusesError as error:
            if not self._has_answered:
                raise
            return _Doubtful(Reply.of_error(str(error), "refused"), error)
        except RefusedError as error:
            return self._refused(error)
        except TransientError as error:
            return self._unanswered(error, retry.statistics["attempt_number"])

    def _refused(self, error: RefusedError) -> Reply | _Doubtful:
        reply = Reply.of_error(str(error), "request" if error.lies_in_request else "refused")
        if not error.is_doubtful:
            return reply
        return _Doubtful(reply, EngineError(f"{self.version} answers {error} ({_OBJECTS})"))

    def _unanswered(self, error: TransientError, num_tries: int) -> _Doubtful:
        """Raises EngineError where there is no server at all."""
        message = f"did not answer after {num_tries} tries: {error}"
        failure = EngineError(f"{self.version} {message}", is_transient=True)
        if isinstance(error, UnreachableError):
            raise failure from None
        return _Doubtful(Reply.of_error(f"the server {message}", "transient"), failure)

    def _is_hopeless(self, num_tries: int, error: BaseException) -> bool:
        """Whether nobody waits any more, or a server that never answered is not there at all."""
        return self._is_closing.is_set() or (
            isinstance(error, UnreachableError)
            and num_tries >= _MOST_FIRST_CONTACTS
            and not self._has_answered
            and not self._servers.has_untried
        )

    def _answer_once(self, asker: Asker, request: Request) -> Reply:
        """The answer of the server that the request's image is assigned to.

        Of another one where that fails at everything.
        """
        while True:
            if self._is_closing.is_set():
                raise TransientError("the engine was closed")
            server = self._servers.pick(key_of(request))
            if server is None:
                raise TransientError(f"{self._settings.endpoint} holds no server at the moment")
            try:
                reply = asker.ask(server, request)
            except TransientError as error:
                if error.is_down:
                    self._servers.mark_down(server, f"{server} does not answer")
                raise
            except ServerRefusesError as error:
                self._leave(server, error)
                continue
            self._servers.mark_up(server)
            self._has_answered = True
            return reply

    def _leave(self, server: str, error: ServerRefusesError) -> None:
        """Take a failure of every request for that of one server, if there are others.

        Raises it where nothing was answered yet; TransientError where all others are down.
        """
        if not self._servers.is_pool:
            raise error
        self._servers.mark_down(server, str(error))
        if self._servers.has_untried:
            return
        if not self._has_answered:
            raise error
        raise TransientError(str(error)) from None

    def _watch(self, results: Sequence[Reply | _Doubtful]) -> EngineError | None:
        """Count failures in a row; the last one's error when they are too many."""
        with self._lock:
            for result in results:
                if isinstance(result, Reply):
                    # An image that is none, or a prompt that is too long, says nothing of the
                    # server.
                    if result.finish_reason != "error":
                        self._failed_in_a_row = 0
                    continue
                self._failed_in_a_row += 1
                is_transient = result.reply.error_kind == "transient"
                if self._failed_in_a_row >= (_MOST_UNANSWERED if is_transient else _MOST_DOUBTFUL):
                    return result.error
        return None


def _identity(settings: EngineSettings, servers: ServerPool) -> EngineIdentity:
    asked_for = demanded_fields(settings)
    endpoint = f"endpoint={settings.endpoint.rstrip('/')}"
    fields = pydantic_core.to_json(dict(sorted(asked_for.items()))).decode()
    return EngineIdentity(
        engine=settings.kind,
        model=settings.model,
        revision=settings.revision or UNPINNED,
        layout=_layout(settings, servers),
        settings=f"{endpoint},body={fields}" if asked_for else endpoint,
    )


def _layout(settings: EngineSettings, servers: ServerPool) -> str:
    if settings.kind == "decisions":
        return DECISIONS_LAYOUT
    if is_asked_in_process(settings, servers):
        return layout_id(reuse_grain(settings, read_model_config(tokenizer_source(settings))))
    return CHAT_LAYOUT
