"""An HTTP server on loopback that answers as a function says."""

import sys
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self, cast


class Asked(NamedTuple):
    """A request. body: empty where it has none."""

    path: str
    headers: dict[str, str]
    body: bytes


class Response(NamedTuple):
    status: int
    content: bytes = b""
    headers: Mapping[str, str] = {}


class AnsweringServer(ThreadingHTTPServer):
    """Answers from `start`, or the beginning of a `with` block, until `stop` or its end."""

    request_queue_size = 128

    def __init__(self, respond: Callable[[Asked], Response], host: str = "127.0.0.1") -> None:
        super().__init__((host, 0), _Handler)
        self.respond = respond
        self.address = f"http://127.0.0.1:{self.server_port}"

    def start(self) -> None:
        # The default is to look every half second whether to end.
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that ends is part of the tests; whatever else goes wrong is told."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        respond = cast("AnsweringServer", self.server).respond
        response = respond(Asked(self.path, dict(self.headers), body))
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        self.wfile.write(response.content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass
