"""A pool of servers: each image has its server, and no request is lost when one goes."""

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from answering import AnsweringServer
from blpo.data.errors import EngineError
from blpo.data.images import ImageBounds, ImageRef
from blpo.models.engine import Request, Sampling
from blpo.models.engines.openai import server_pool
from blpo.models.engines.openai.engine import OpenAIEngine
from blpo.models.engines.openai.server_pool import ServerPool
from blpo.models.engines.settings import EngineSettings
from PIL import Image
from test_openai_engine import Answer, Body, Server, completion, refusal
from waiting import LIMIT_S

Respond = Callable[[Body, int], Answer]
StartServer = Callable[..., AnsweringServer]


def png(number: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 64), (number, 0, 0)).save(file, "PNG")
    return file.getvalue()


IMAGES = [png(number) for number in range(24)]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartServer]:
    """Starts a server that answers with its name, and puts its card into the pool."""
    monkeypatch.setattr(server_pool, "_LIST_S", 0.0)
    with ExitStack() as running:

        def start_server(name: str, respond: Respond | None = None) -> AnsweringServer:
            server = Server(respond or (lambda _body, _number: completion(name)))
            http = running.enter_context(AnsweringServer(server.answer))
            (tmp_path / f"{name}.json").write_text(json.dumps({"url": f"{http.address}/v1"}))
            return http

        yield start_server


def requests(prompt: str) -> list[Request]:
    return [
        Request(prompt, ImageRef(image, ImageBounds()), sampling=Sampling(max_tokens=4))
        for image in IMAGES
    ]


def make_engine(folder: Path, **settings: Any) -> OpenAIEngine:
    endpoint = f"pool:{folder}"
    return OpenAIEngine(EngineSettings(kind="openai", model="any", endpoint=endpoint, **settings))


def test_an_image_keeps_its_server_and_moves_only_while_that_is_gone(
    start: StartServer, tmp_path: Path
) -> None:
    start("a")
    start("c")
    gone = start("b")
    engine = make_engine(tmp_path)
    before = [reply.text for reply in engine.ask(requests("one"))]
    assert set(Counter(before)) == {"a", "b", "c"}
    assert [reply.text for reply in engine.ask(requests("two"))] == before

    gone.stop()
    without = [reply.text for reply in engine.ask(requests("three"))]
    moved = [new for old, new in zip(before, without, strict=True) if old == "b"]
    assert set(moved) == {"a", "c"}
    assert [new for old, new in zip(before, without, strict=True) if old != "b"] == [
        old for old in before if old != "b"
    ]

    # Back under its name, at another port.
    start("b")
    assert [reply.text for reply in engine.ask(requests("four"))] == before
    engine.close()


def test_requests_under_way_when_a_server_dies_are_answered_by_the_other(
    start: StartServer, tmp_path: Path
) -> None:
    was_asked, is_dead = Event(), Event()

    def die(_body: Body, _number: int) -> Answer:
        was_asked.set()
        assert is_dead.wait(LIMIT_S)
        raise ConnectionError("dead: no answer to this one")

    start("a")
    dying = start("b", die)
    engine = make_engine(tmp_path)
    with ThreadPoolExecutor(8) as threads:
        batches = [threads.submit(engine.ask, requests(str(number))) for number in range(8)]
        assert was_asked.wait(LIMIT_S)
        dying.shutdown()
        is_dead.set()
        dying.server_close()
        replies = [reply for batch in batches for reply in batch.result(LIMIT_S)]
    assert len(replies) == 8 * len(IMAGES)
    assert {reply.text for reply in replies} == {"a"}
    engine.close()


def test_the_identity_of_a_pool_does_not_depend_on_who_is_in_it(
    start: StartServer, tmp_path: Path
) -> None:
    before = make_engine(tmp_path).identity
    start("a")
    assert make_engine(tmp_path).identity == before


def test_an_empty_pool_and_a_damaged_card_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_pool, "_WAIT_S", 0.0)
    monkeypatch.setattr(server_pool, "_LIST_S", 0.0)
    with pytest.raises(EngineError, match="no server has put its address there"):
        ServerPool(f"pool:{tmp_path}").wait_for_first()
    (tmp_path / "a.json").write_text("{}")
    with pytest.raises(EngineError, match=r"a\.json: expected"):
        ServerPool(f"pool:{tmp_path}").pick("image")


REFUSALS: tuple[tuple[int, str], ...] = (
    (401, "Incorrect API key provided"),
    (402, "Payment required"),
    (404, "The model `m` does not exist"),
    (405, "Method Not Allowed"),
    (307, ""),
    (501, "not implemented"),
)


@pytest.mark.parametrize(("status", "words"), REFUSALS)
@pytest.mark.parametrize("num_answered", [0, 3])
def test_a_server_that_refuses_everything_leaves_its_images_to_the_others(
    start: StartServer,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    status: int,
    words: str,
    num_answered: int,
) -> None:
    def refuse(_body: Body, number: int) -> Answer:
        return completion("b") if number <= num_answered else refusal(status, words)

    start("a")
    refusing = start("b", refuse)
    engine = make_engine(tmp_path, max_concurrency=1)
    for prompt in ("one", "two"):
        replies = engine.ask(requests(prompt))
        assert {reply.finish_reason for reply in replies} == {"stop"}
    engine.close()
    [told] = [message for message in caplog.messages if "its images go to other servers" in message]
    assert told.startswith(f"{refusing.address}/v1 answers HTTP {status}")


@pytest.mark.parametrize("num_servers", [1, 2])
def test_a_pool_whose_servers_all_refuse_at_once_is_an_engine_error(
    start: StartServer, tmp_path: Path, num_servers: int
) -> None:
    def refuse(_body: Body, _number: int) -> Answer:
        return refusal(401, "Incorrect API key provided")

    for number in range(num_servers):
        start(f"{number}", refuse)
    engine = make_engine(tmp_path, max_concurrency=1)
    with pytest.raises(EngineError, match="check the key") as raised:
        engine.ask(requests("one"))
    assert not raised.value.is_transient
    engine.close()


def test_a_pool_whose_servers_all_refuse_from_some_time_on_is_an_engine_error(
    start: StartServer, tmp_path: Path
) -> None:
    def refuse(_body: Body, number: int) -> Answer:
        return completion("x") if number <= 2 else refusal(402, "Payment required")

    for name in ("a", "b"):
        start(name, refuse)
    engine = make_engine(tmp_path, max_concurrency=1, max_retries=0)
    with pytest.raises(EngineError, match="Payment required"):
        engine.ask(requests("one"))
    engine.close()
