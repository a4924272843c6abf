"""A server of a pool without a model: python stub_server.py --port N. Every image is Safe."""

import json
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWER_S = 0.1
"""Long enough that one server is killed before all images are judged."""

TOP = [{"token": "Safe", "logprob": -0.1}, {"token": "Unsafe", "logprob": -3.0}]
COMPLETION = {
    "choices": [
        {
            "message": {"role": "assistant", "content": "Safe"},
            "finish_reason": "stop",
            "logprobs": {"content": [{**TOP[0], "top_logprobs": TOP}]},
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 1},
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer({"data": [{"id": "stub"}]})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        time.sleep(ANSWER_S)
        self.answer(COMPLETION)

    def answer(self, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
