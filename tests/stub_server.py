"""A server without a model: python stub_server.py --port N. The same request, the same answer."""

import json
import sys
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER_S = 0.1
"""Long enough that one server is killed before all images are judged."""

LABELS = ("Safe", "Unsafe")


def completion(body: bytes) -> Any:
    """One of two labels, by what is asked."""
    drawn = zlib.crc32(body) % 2
    logprobs = [{"token": LABELS[drawn], "logprob": -0.1}]
    logprobs += [{"token": LABELS[1 - drawn], "logprob": -3.0}]
    choice = {
        "message": {"role": "assistant", "content": LABELS[drawn]},
        "finish_reason": "stop",
        "logprobs": {"content": [{**logprobs[0], "top_logprobs": logprobs}]},
    }
    return {"choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 1}}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer({"data": [{"id": "stub"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(ANSWER_S)
        self.answer(completion(body))

    def answer(self, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
