"""The OpenAI engine against a real HTTP server that misbehaves as told."""

import base64
import io
import json
import logging
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from answering import AnsweringServer, Asked, Response
from blpo.data.errors import EngineError
from blpo.data.images import ImageBounds, ImageRef
from blpo.models.engine import Reply, Request, Sampling
from blpo.models.engines.openai.engine import OpenAIEngine
from blpo.models.engines.openai.top_logprobs import label_logprobs_of
from blpo.models.engines.settings import EngineSettings
from PIL import Image
from waiting import LIMIT_S, wait_for

Body = dict[str, Any]
Answer = tuple[int, dict[str, str], Any]
KEY = "sk-secret-0123456789"


@dataclass
class Server:
    """Answers with `respond(body, number of this request)`."""

    respond: Callable[[Body, int], Answer]
    bodies: list[Body] = field(default_factory=list[Body])
    headers: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    endpoint: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, asked: Asked) -> Response:
        assert asked.path == "/v1/chat/completions"
        body = json.loads(asked.body)
        with self.lock:
            self.bodies.append(body)
            self.headers.append(asked.headers)
            number = len(self.bodies)
        status, headers, answer = self.respond(body, number)
        data = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return Response(status, data, headers)


def completion(text: str, **choice: Any) -> Answer:
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    message = {"message": {"content": text}, "finish_reason": "stop", **choice}
    return 200, {}, {"choices": [message], "usage": usage}


def refusal(status: int, message: str, **fields: Any) -> Answer:
    return status, {}, {"error": {"message": message, **fields}}


def top_logprobs(*positions: dict[str, float]) -> dict[str, Any]:
    content = [
        {
            "token": max(p, key=p.__getitem__),
            "top_logprobs": [{"token": t, "logprob": math.log(v)} for t, v in p.items()],
        }
        for p in positions
    ]
    return {"content": content}


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Body, int], Answer]], Server]]:
    with ExitStack() as running:

        def start(respond: Callable[[Body, int], Answer]) -> Server:
            server = Server(respond)
            http = running.enter_context(AnsweringServer(server.answer))
            server.endpoint = f"{http.address}/v1"
            return server

        yield start


Serve = Callable[[Callable[[Body, int], Answer]], Server]


def engine_for(server: Server, **settings: Any) -> OpenAIEngine:
    return OpenAIEngine(
        EngineSettings(kind="openai", model="m", endpoint=server.endpoint, **settings)
    )


def picture(width: int = 64) -> ImageRef:
    file = io.BytesIO()
    Image.new("RGB", (width, 64), (255, 0, 0)).save(file, "JPEG")
    return ImageRef(file.getvalue(), ImageBounds())


def test_replies_come_in_the_order_of_the_requests(serve: Serve) -> None:
    server = serve(lambda body, _: completion(body["messages"][0]["content"][0]["text"].upper()))
    prompts = [f"prompt {i}" for i in range(50)]
    with_replies = engine_for(server, max_concurrency=8).ask([Request(p) for p in prompts])
    assert [reply.text for reply in with_replies] == [p.upper() for p in prompts]
    assert {(r.prompt_tokens, r.completion_tokens, r.cached_tokens) for r in with_replies} == {
        (7, 2, 4)
    }


def test_what_was_answered_is_handed_out_before_the_error_that_ends_the_batch(
    serve: Serve,
) -> None:
    server = serve(lambda _, n: completion("ok") if n <= 3 else refusal(503, "down"))
    engine = engine_for(server, max_concurrency=1, max_retries=0)
    replies: list[Reply] = []
    arrivals = engine.stream([Request(f"{i}") for i in range(30)])
    with pytest.raises(EngineError, match="down"):
        replies.extend(reply for answers in arrivals for _, reply in answers)
    assert [reply.text for reply in replies if reply.error is None] == ["ok"] * 3
    assert len(server.bodies) < 30


def test_an_empty_batch_contacts_nobody() -> None:
    assert (
        OpenAIEngine(EngineSettings(kind="openai", endpoint="http://nowhere.invalid")).ask([]) == []
    )


def test_the_image_comes_first_then_text_and_prompt(serve: Serve) -> None:
    server = serve(lambda _body, _number: completion("ok"))
    engine_for(server).ask([Request("Judge it.", picture(), text="a red square")])
    image, text = server.bodies[0]["messages"][0]["content"]
    header, _, data = image["image_url"]["url"].partition(",")
    assert header == "data:image/png;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (64, 64)
    assert text["text"] == "Text: a red square\nJudge it."


def test_several_images_come_in_their_order_before_the_prompt(serve: Serve) -> None:
    server = serve(lambda _body, _number: completion("ok"))
    images = [picture(width) for width in (64, 72, 80)]
    engine_for(server).ask([Request("Compare.", images[0], further_images=tuple(images[1:]))])
    *parts, text = server.bodies[0]["messages"][0]["content"]
    sent = [part["image_url"]["url"].partition(",")[2] for part in parts]
    sizes = [Image.open(io.BytesIO(base64.b64decode(data))).size for data in sent]
    assert sizes == [(64, 64), (72, 64), (80, 64)]
    assert text["text"] == "Compare."


def test_the_images_of_pairs_and_those_with_roles_are_named(serve: Serve) -> None:
    server = serve(lambda _body, _number: completion("A"))
    pair = Request("Which?", picture(64), labels=("A", "B"), further_images=(picture(72),))
    edit = replace(pair, labels=("no", "yes"), image_roles=("source", "result"))
    for request in (pair, edit, replace(edit, labels=())):
        engine_for(server).ask([request])
    told = [body["messages"][0]["content"][-1]["text"] for body in server.bodies]
    in_letters = "The first image above is image A. The second image above is image B.\nWhich?"
    by_roles = (
        "The first image above is the source image. The second image above is the result image.\n"
        "Which?"
    )
    assert told == [in_letters, by_roles, by_roles]


def test_a_server_that_takes_fewer_images_is_told_with_what_to_do(serve: Serve) -> None:
    server = serve(lambda _body, _number: refusal(400, "At most 1 image(s) may be provided."))
    pair = Request("Which?", picture(64), labels=("A", "B"), further_images=(picture(72),))
    with pytest.raises(EngineError, match=r"fewer images in one request.*--limit-mm-per-prompt"):
        engine_for(server).ask([pair])


def test_an_image_that_does_not_decode_is_an_error_reply(serve: Serve) -> None:
    server = serve(lambda _body, _number: completion("ok"))
    broken = ImageRef(b"no image", ImageBounds())
    bad, good = engine_for(server).ask([Request("x", broken), Request("y")])
    assert bad.finish_reason == "error"
    assert bad.error
    assert good.text == "ok"


def test_label_logprobs_are_read_from_the_top_logprobs(serve: Serve) -> None:
    tokens = {"Safe": 0.5, " safe": 0.25, "Un": 0.125, "The": 0.0625}
    server = serve(lambda _body, _number: completion("Safe", logprobs=top_logprobs(tokens)))
    (reply,) = engine_for(server).ask([Request("x", labels=("Safe", "Unsafe"))])
    assert server.bodies[0]["logprobs"] is True
    assert server.bodies[0]["top_logprobs"] == 20
    assert reply.finish_reason == "label"
    assert reply.text == "Safe"
    assert reply.label_logprobs is not None
    assert math.exp(reply.label_logprobs["Safe"]) == pytest.approx(0.75)
    assert math.exp(reply.label_logprobs["Unsafe"]) == pytest.approx(0.125)


def test_white_space_before_the_label_is_skipped(serve: Serve) -> None:
    positions = top_logprobs({"\n": 0.9}, {"3": 0.5, "4": 0.25})
    server = serve(lambda _body, _number: completion("\n3", logprobs=positions))
    (reply,) = engine_for(server).ask([Request("x", labels=("3", "4"))])
    assert reply.text == "3"


def test_a_server_without_logprobs_answers_label_requests_with_text(serve: Serve) -> None:
    server = serve(lambda _body, _number: completion("I would say Unsafe.", logprobs=None))
    (reply,) = engine_for(server).ask([Request("x", labels=("Safe", "Unsafe"))])
    assert (reply.text, reply.finish_reason) == ("I would say Unsafe.", "stop")
    assert reply.label_logprobs is None


def test_an_ambiguous_first_token_gives_no_logprobs() -> None:
    assert label_logprobs_of([("1", -0.1), ("2", -3.0)], ("1", "10", "2")) is None
    assert label_logprobs_of([("The", -0.1)], ("Safe", "Unsafe")) is None


def test_a_label_that_is_not_listed_gets_the_lowest_logprob_listed() -> None:
    assert label_logprobs_of([("Safe", -0.1), ("The", -4.0)], ("Safe", "Unsafe")) == {
        "Safe": pytest.approx(-0.1),
        "Unsafe": -4.0,
    }


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(serve: Serve, status: int) -> None:
    def respond(_: Body, number: int) -> Answer:
        return (status, {"Retry-After": "0"}, {}) if number <= 2 else completion("at last")

    server = serve(respond)
    assert engine_for(server).ask([Request("x")])[0].text == "at last"
    assert len(server.bodies) == 3


def test_retry_after_is_honoured(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def respond(_: Body, number: int) -> Answer:
        return (429, {"Retry-After": "0.25"}, {}) if number == 1 else completion("ok")

    caplog.set_level(logging.INFO, "blpo.engine")
    engine_for(serve(respond)).ask([Request("x")])
    assert "again in 0.2 s" in caplog.text


def test_an_answer_that_is_no_completion_is_asked_for_again(serve: Serve) -> None:
    def respond(_: Body, number: int) -> Answer:
        broken: list[Any] = [b"<html>", {"choices": []}]
        return (200, {}, broken[number - 1]) if number <= 2 else completion("ok")

    assert engine_for(serve(respond)).ask([Request("x")])[0].text == "ok"


def test_a_server_that_stays_down_is_an_engine_error(serve: Serve) -> None:
    server = serve(lambda _body, _number: (500, {"Retry-After": "0"}, {}))
    with pytest.raises(EngineError, match="after 3 tries: HTTP 500"):
        engine_for(server, max_retries=2).ask([Request("x"), Request("y")])


def test_an_unreachable_server_is_an_engine_error() -> None:
    settings = EngineSettings(kind="openai", endpoint="http://127.0.0.1:1/v1", max_retries=0)
    with pytest.raises(EngineError, match="ConnectError"):
        OpenAIEngine(settings).ask([Request("x")])


def test_a_refused_request_is_an_error_reply_and_the_others_go_on(serve: Serve) -> None:
    def respond(body: Body, _: int) -> Answer:
        text = body["messages"][0]["content"][-1]["text"]
        return refusal(400, "content policy violation") if text == "bad" else completion("fine")

    bad, good = engine_for(serve(respond)).ask([Request("bad"), Request("good")])
    assert (bad.finish_reason, bad.error) == ("error", "HTTP 400: content policy violation")
    assert good.text == "fine"


def test_a_filtered_answer_is_an_error_reply(serve: Serve) -> None:
    server = serve(lambda _body, _number: completion("", finish_reason="content_filter"))
    assert engine_for(server).ask([Request("x")])[0].finish_reason == "error"


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_server_that_refuses_everything_is_an_engine_error(serve: Serve, status: int) -> None:
    server = serve(lambda _body, _number: refusal(status, "no"))
    with pytest.raises(EngineError, match=f"HTTP {status}"):
        engine_for(server).ask([Request("x")])
    assert len(server.bodies) == 1


def test_an_exhausted_quota_is_not_waited_for(serve: Serve) -> None:
    server = serve(lambda _body, _number: refusal(429, "pay", code="insufficient_quota"))
    with pytest.raises(EngineError, match="pay"):
        engine_for(server).ask([Request("x")])
    assert len(server.bodies) == 1


def test_refused_parameters_are_renamed_or_left_out_and_remembered(serve: Serve) -> None:
    refused = {
        "max_tokens": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
        "temperature": "Unsupported value: 'temperature' does not support 0.0 with this model.",
        "top_logprobs": "unknown field top_logprobs",
    }

    def respond(body: Body, _: int) -> Answer:
        for name, message in refused.items():
            if name in body:
                return refusal(400, message)
        return completion("Safe")

    server = serve(respond)
    engine = engine_for(server)
    request = Request("x", labels=("Safe", "Unsafe"), sampling=Sampling(max_tokens=9))
    assert engine.ask([request])[0].text == "Safe"
    num_before = len(server.bodies)
    assert engine.ask([request])[0].text == "Safe"
    assert len(server.bodies) == num_before + 1
    assert server.bodies[-1]["max_completion_tokens"] == 9
    assert not {"max_tokens", "temperature", "logprobs", "top_logprobs"} & set(server.bodies[-1])


STARTED = Request("Judge it.", labels=("Safe", "Unsafe"), reply_start="A cat.\n\nAnswer:\n")


def test_a_reply_that_has_a_start_is_continued(serve: Serve) -> None:
    tokens = top_logprobs({"Safe": 0.75, "Un": 0.25})
    server = serve(lambda _body, _number: completion("Safe", logprobs=tokens))
    (reply,) = engine_for(server).ask([STARTED])
    user, assistant = server.bodies[0]["messages"]
    assert user["content"][-1]["text"] == "Judge it."
    assert assistant == {"role": "assistant", "content": "A cat.\n\nAnswer:\n"}
    assert server.bodies[0]["continue_final_message"] is True
    assert server.bodies[0]["add_generation_prompt"] is False
    assert reply.label_logprobs is not None
    assert math.exp(reply.label_logprobs["Safe"]) == pytest.approx(0.75)


@pytest.mark.parametrize("named", ["continue_final_message", "add_generation_prompt"])
def test_a_server_that_cannot_continue_is_asked_for_the_rest(serve: Serve, named: str) -> None:
    def respond(body: Body, _: int) -> Answer:
        if named in body:
            return refusal(400, f"Unrecognized request argument supplied: {named}")
        return completion("Safe")

    server = serve(respond)
    engine = engine_for(server)
    assert engine.ask([STARTED])[0].text == "Safe"
    *_, assistant, user = server.bodies[-1]["messages"]
    assert assistant["content"] == STARTED.reply_start
    assert (user["role"], "Go on" in user["content"]) == ("user", True)
    assert not {"continue_final_message", "add_generation_prompt"} & set(server.bodies[-1])
    engine.ask([STARTED])
    assert len(server.bodies) == 3


def test_a_prompt_that_is_too_long_is_an_error_reply(serve: Serve) -> None:
    message = "maximum context length is 10 tokens, invalid: lower max_tokens"
    server = serve(lambda _body, _number: refusal(400, message))
    assert engine_for(server).ask([Request("x")])[0].finish_reason == "error"
    assert len(server.bodies) == 1


def test_sampled_replies_carry_a_seed_of_their_own(serve: Serve) -> None:
    server = serve(lambda _body, _number: completion("ok"))
    samples = [Sampling(temperature=0.7, sample_index=i) for i in (0, 1, 0)]
    engine = engine_for(server, max_concurrency=1)
    engine.ask([Request("x", sampling=sampling) for sampling in samples])
    first, second, third = [body["seed"] for body in server.bodies]
    assert first == third != second


def test_the_key_comes_from_the_environment_and_is_never_shown(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TEST_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    server = serve(lambda _body, _number: refusal(401, f"Incorrect API key provided: {KEY}"))
    engine = engine_for(server, api_key_env="TEST_KEY")
    with pytest.raises(EngineError) as raised:
        engine.ask([Request("x")])
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert KEY not in str(raised.value)
    assert KEY not in caplog.text
    assert KEY not in repr(engine.identity)


def test_a_missing_key_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_KEY", raising=False)
    with pytest.raises(EngineError, match="environment variable TEST_KEY"):
        OpenAIEngine(EngineSettings(kind="openai", api_key_env="TEST_KEY")).ask([Request("x")])


def test_when_the_engine_is_closed_nothing_is_tried_again(serve: Serve) -> None:
    """Without it the retries of what is under way are waited for, here half an hour."""
    server = serve(lambda _body, _number: (503, {"Retry-After": "100"}, {}))
    engine = engine_for(server, max_retries=20, max_concurrency=4)
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(engine.ask, [Request(f"{i}") for i in range(4)])
        wait_for(lambda: len(server.bodies) == 4, "the first tries")
        engine.close()
        with pytest.raises(EngineError, match=r"after 1 tries|was closed"):
            asking.result(LIMIT_S)
    assert len(server.bodies) == 4
