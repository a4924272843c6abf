"""A server on loopback whose replies depend on the request alone, and which fails as told.

It knows which replies have left it whole, so that it can tell which requests were asked again
after their answer had been given.
"""

import gzip
import hashlib
import json
import math
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast

LABELS = ("1", "2", "3", "4", "5")
WORDS = (
    *("horizon", "shadow", "seam", "focus", "border", "shape", "color", "texture"),
    *("count", "side", "tilted", "sharp", "red"),
)

Mishap = Callable[["Handler"], None]
"""Answers a request as no server should."""


class Server:
    """Answers until told to fail. on_request: called with the number of each request, from 1."""

    def __init__(self) -> None:
        self.num_asked = 0
        self.delivered: Counter[str] = Counter()
        self.on_request: Callable[[int], None] = lambda _number: None
        self._mishap: Mishap | None = None
        self._num_mishaps = 0
        self._lock = threading.Lock()
        self._http = _Http(("127.0.0.1", 0), Handler)
        self._http.world = self
        self.endpoint = f"http://127.0.0.1:{self._http.server_address[1]}/v1"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    @property
    def num_repeated(self) -> int:
        """Requests asked again although their answer had left the server."""
        return sum(self.delivered.values()) - len(self.delivered)

    def fail(self, mishap: Mishap, times: int) -> None:
        """The next requests are answered so."""
        with self._lock:
            self._mishap, self._num_mishaps = mishap, times

    def take(self) -> Mishap | None:
        """Counts a request; what it is to be answered with, if not with a reply."""
        with self._lock:
            self.num_asked += 1
            number = self.num_asked
        self.on_request(number)
        with self._lock:
            if self._num_mishaps == 0:
                return None
            self._num_mishaps -= 1
            return self._mishap

    def note_delivery(self, body: bytes) -> None:
        with self._lock:
            self.delivered[hashlib.sha256(body).hexdigest()] += 1

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    world: Server

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send(200, {"data": [{"id": "stub"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        world = cast("_Http", self.server).world
        if mishap := world.take():
            self.close_connection = True
            mishap(self)
            return
        self.send(200, reply_to(body))
        world.note_delivery(body)

    def send(self, status: int, body: Any, headers: Mapping[str, str] | None = None) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def reply_to(body: bytes) -> dict[str, Any]:
    """Label probabilities where they are asked for, else some words; the same for the same body."""
    digest = hashlib.sha256(body).digest()
    if not json.loads(body).get("logprobs"):
        pairs = zip(digest[:20:2], digest[1:20:2], strict=True)
        named = [(WORDS[a % len(WORDS)], WORDS[b % len(WORDS)]) for a, b in pairs]
        return _completion(" ".join(f"The {one} is {other}." for one, other in named))
    shares = [digest[place] + 1 for place in range(len(LABELS))]
    ranked = sorted(zip(shares, LABELS, strict=True), reverse=True)
    top = [
        {"token": label, "logprob": math.log(0.98 * share / sum(shares))} for share, label in ranked
    ]
    position = {**top[0], "top_logprobs": top}
    return _completion(ranked[0][1], logprobs={"content": [position]})


def _completion(text: str, **choice: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", **choice}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1},
    }


def _refuse(status: int, message: str, headers: Mapping[str, str] | None = None) -> Mishap:
    return lambda handler: handler.send(status, {"error": {"message": message}}, headers)


def _hang(_handler: Handler) -> None:
    time.sleep(8)


def _begin(handler: Handler, header: str, value: str, body: bytes = b"") -> None:
    """An answer whose body is not as long as its header says."""
    handler.send_response(200)
    handler.send_header(header, value)
    handler.end_headers()
    handler.wfile.write(body)


def _drip(handler: Handler) -> None:
    _begin(handler, "Content-Length", "100000")
    for _ in range(16):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.5)


def _cut(handler: Handler) -> None:
    _begin(handler, "Content-Length", "5000", b'{"choices": [')


def _reset(handler: Handler) -> None:
    """The connection is reset, as by a server that is killed."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()


def _cut_chunk(handler: Handler) -> None:
    _begin(handler, "Transfer-Encoding", "chunked", b'400\r\n{"choices": [')


def _not_http(handler: Handler) -> None:
    handler.wfile.write(b"\x16\x03\x01 220 mail.example.org ESMTP\r\n")


def _message(**message: Any) -> Mishap:
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return lambda handler: handler.send(200, {"choices": [choice]})


def _encoded(codec: str) -> Mishap:
    """A reply in an encoding that JSON does not have."""
    text = '{"choices": [{"message": {"content": "\u00fcber"}}]}'
    content_type = {"Content-Type": f"application/json; charset={codec}"}
    return lambda handler: handler.send(200, text.encode(codec), content_type)


def _endless(handler: Handler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    chunk = b" " * 1_000_000
    for _ in range(1000):
        handler.wfile.write(b"%x\r\n" % len(chunk) + chunk + b"\r\n")


MISHAPS: Mapping[str, Mishap] = {
    "hangs": _hang,
    "drips": _drip,
    "cuts its answer": _cut,
    "sends without end": _endless,
    "cuts a chunk": _cut_chunk,
    "speaks no HTTP": _not_http,
    "resets the connection": _reset,
    "closes the connection": lambda handler: handler.connection.close(),
    "sends bytes at random": lambda handler: handler.send(200, bytes(range(256))),
    "sends a login page": lambda handler: handler.send(200, b"<html>please log in</html>"),
    "sends no choices": lambda handler: handler.send(200, {"choices": []}),
    "sends no content": lambda handler: handler.send(200, {"choices": [{"message": None}]}),
    "sends a number for a text": _message(role="assistant", content=7),
    "sends a list of nothing": lambda handler: handler.send(200, []),
    "sends nothing": lambda handler: handler.send(200, b""),
    "sends Latin-1": _encoded("latin-1"),
    "sends UTF-16": _encoded("utf-16"),
    "sends an unknown charset": lambda handler: handler.send(
        200, b"{}", {"Content-Type": "application/json; charset=no-such"}
    ),
    "sends deep nesting": lambda handler: handler.send(200, b"[" * 100_000),
    "sends bad gzip": lambda handler: handler.send(200, b"no", {"Content-Encoding": "gzip"}),
    "sends an error as 200": lambda handler: handler.send(200, {"error": {"message": "busy"}}),
    "sends 10 MB of gzip": lambda handler: handler.send(
        200, gzip.compress(b" " * 10_000_000), {"Content-Encoding": "gzip"}
    ),
    "answers 400 to a key": _refuse(400, "API key not valid. Please pass a valid API key."),
    "answers 400, no credit": _refuse(400, "Your credit balance is too low to access the API."),
    "answers 401": _refuse(401, "Incorrect API key provided."),
    "answers 402": _refuse(402, "Insufficient balance."),
    "answers 403 for one image": _refuse(403, "The image was flagged by moderation."),
    "answers 302": lambda handler: handler.send(302, b"", {"Location": "http://127.0.0.1:1/"}),
    "answers 404": _refuse(404, "The model `stub` does not exist."),
    "answers 413": _refuse(413, "Request entity too large."),
    "answers 422": _refuse(422, "Unprocessable."),
    "answers 429": _refuse(429, "Slow down.", {"Retry-After": "0"}),
    "answers 429, wait -5": _refuse(429, "Slow down.", {"Retry-After": "-5"}),
    "answers 429, wait 1": _refuse(429, "Slow down.", {"Retry-After": "1"}),
    "answers 429, wait a word": _refuse(429, "Slow down.", {"Retry-After": "soon"}),
    "answers 500": _refuse(500, "Internal error."),
    "answers 502": lambda handler: handler.send(502, b"<html>Bad Gateway</html>"),
    "answers 504": lambda handler: handler.send(504, b"\xff\xfe\x00"),
    "answers 520": _refuse(520, "Unknown error."),
    "answers 503": _refuse(503, "Overloaded."),
}
