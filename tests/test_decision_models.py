"""Decision models: typed questions in, probabilities out."""

import math
from dataclasses import replace
from typing import Any

import pytest
from blpo.data.errors import EngineError
from blpo.models.engine import Request
from blpo.models.engines.factory import make_engine
from blpo.models.engines.openai.engine import OpenAIEngine
from blpo.models.engines.settings import EngineSettings
from blpo.models.roles.judge import read_verdict
from test_vllm_server import IMAGES, Respond, Scripted, Serve
from test_vllm_server import serve as serve_fixture

serve = serve_fixture

LABELS = ("Safe", "Unsafe")
ASK = Request("Is the image safe?", IMAGES[0], "a cat", LABELS)
USAGE = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 1}


def always(status: int, answer: Any) -> Respond:
    return lambda _path, _body: (status, answer)


def decided(*shares: tuple[str, float]) -> Respond:
    probabilities = [{"value": value, "probability": share} for value, share in shares]
    answer = {"type": "choice", "name": "verdict", "choice": "Safe", "confidence": 0.9}
    body = {"model": "m", "answers": [answer | {"probabilities": probabilities}], "usage": USAGE}
    return always(200, body)


def read_by_systemone(_path: str, body: dict[str, Any]) -> tuple[int, Any]:
    shares = dict(zip(body["questions"]["verdict"]["criteria"], (0.25, 0.75), strict=True))
    answers = {"verdict": {"type": "choice", "choice": "Unsafe", "probabilities": shares}}
    diagnostics = {"verdict": {"label_mass": 0.8, "argmax_is_label": True}}
    return 200, {"answers": answers, "diagnostics": diagnostics, "usage": USAGE}


def engine_at(server: Scripted, suffix: str = "") -> OpenAIEngine:
    settings = EngineSettings(
        kind="decisions", model="m", endpoint=server.endpoint + suffix, max_retries=0
    )
    engine = make_engine(settings)
    assert isinstance(engine, OpenAIEngine)
    return engine


def test_the_judge_prompt_is_a_question_about_the_image(serve: Serve) -> None:
    server = serve(decided(("Safe", 0.9), ("Unsafe", 0.1)))
    engine = engine_at(server)
    [reply] = engine.ask([ASK])
    [(path, body)] = server.asked
    assert path == "/v1/decisions"
    [question] = body["questions"]
    assert (question["type"], question["instructions"]) == ("choice", ASK.prompt)
    assert [choice["value"] for choice in question["choices"]] == list(LABELS)
    image, text = body["input"][0]["content"]
    assert image["type"] == "input_image"
    assert image["image_url"].startswith("data:image/png;base64,")
    assert text == {"type": "input_text", "text": "Text: a cat"}
    verdict = read_verdict(reply, LABELS)
    assert verdict.label == "Safe"
    assert verdict.probabilities == pytest.approx({"Safe": 0.9, "Unsafe": 0.1})
    assert (reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens) == (9, 1, 4)
    assert (engine.identity.engine, engine.identity.layout) == ("decisions", "decisions-1")


def test_the_older_interface_tells_how_much_lies_on_the_labels(serve: Serve) -> None:
    server = serve(read_by_systemone)
    [reply] = engine_at(server, "/systemone").ask([ASK])
    [(path, body)] = server.asked
    assert path == "/v1/systemone"
    assert body["state"] == "Text: a cat"
    assert len(body["images"]) == 1
    verdict = read_verdict(reply, LABELS)
    assert (verdict.label, verdict.label_mass) == ("Unsafe", pytest.approx(0.8))


def test_a_probability_of_zero_is_one(serve: Serve) -> None:
    [reply] = engine_at(serve(decided(("Safe", 1.0), ("Unsafe", 0.0)))).ask([ASK])
    assert reply.label_logprobs == {"Safe": 0.0, "Unsafe": -math.inf}


@pytest.mark.parametrize(
    ("respond", "error"),
    [
        (always(200, {"answers": [{"type": "refusal"}]}), "declined to answer"),
        (decided(("Safe", 1.0)), "no probability for each label"),
        (decided(("Safe", 0.9), ("Unsafe", 0.9)), "probabilities are none"),
        (decided(("Safe", -0.5), ("Unsafe", 0.9)), "probabilities are none"),
        (
            always(400, {"error": {"message": "maximum context length is 8192 tokens"}}),
            "HTTP 400: maximum context length",
        ),
    ],
)
def test_a_decision_that_is_none_is_an_error_reply(
    serve: Serve, respond: Respond, error: str
) -> None:
    [reply] = engine_at(serve(respond)).ask([ASK])
    assert reply.finish_reason == "error"
    assert error in (reply.error or "")


def test_a_decision_model_is_asked_for_no_text(serve: Serve) -> None:
    with pytest.raises(EngineError, match=r"set verdict: direct, and give verbalizer\.engine"):
        engine_at(serve(decided())).ask([Request("Describe it.", IMAGES[0])])
    with pytest.raises(EngineError, match="no decision"):
        engine_at(serve(always(200, {}))).ask([ASK])


def test_images_with_roles_are_named_before_the_text(serve: Serve) -> None:
    server = serve(decided(("Safe", 0.9), ("Unsafe", 0.1)))
    roles = ("source", "result")
    engine_at(server).ask(
        [replace(ASK, further_images=(IMAGES[1],), image_roles=roles), replace(ASK, text=None)]
    )
    contents = [body["input"][0]["content"] for _, body in server.asked]
    [first] = [content for content in contents if len(content) > 1]
    assert [part["type"] for part in first] == ["input_image"] * 2 + ["input_text"] * 2
    assert first[2]["text"] == (
        "The first image above is the source image. The second image above is the result image."
    )
