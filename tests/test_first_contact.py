"""A server that is not there, or cannot be trusted, is an error at the start that says so."""

import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import test_openai_engine
from answering import AnsweringServer
from blpo.data.errors import EngineError
from blpo.models.engine import Reply, Request, Sampling
from blpo.models.engines.openai import wire
from blpo.models.engines.openai.chat import ChatAsker
from blpo.models.engines.openai.engine import OpenAIEngine
from blpo.models.engines.openai.server_pool import ServerPool
from blpo.models.engines.settings import EngineSettings
from test_openai_engine import Serve, completion

serve = test_openai_engine.serve

ASK = Request("Is it safe?", sampling=Sampling(max_tokens=4))
CERTIFICATE = Path(__file__).parent / "fixtures" / "self-signed.pem"
NOBODY = "http://127.0.0.1:1/v1"


def no_wait(_state: object) -> float:
    return 0.0


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait between tries, no certificates and proxies of this machine."""
    monkeypatch.setattr(wire, "_backoff", no_wait)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def encrypted() -> Iterator[str]:
    """Base URL of a server with a certificate that nobody has signed."""
    server = test_openai_engine.Server(lambda _body, _number: completion("ok"))
    http = AnsweringServer(server.answer, host="")  # 127.0.0.2 too
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    http.socket = context.wrap_socket(http.socket, server_side=True)
    with http:
        yield f"https://127.0.0.1:{http.server_port}/v1"


def ask(endpoint: str, **settings: Any) -> str:
    engine = OpenAIEngine(EngineSettings(kind="openai", model="m", endpoint=endpoint, **settings))
    try:
        return engine.ask([ASK])[0].text
    finally:
        engine.close()


def test_a_certificate_that_nobody_has_signed_is_told_at_once(
    encrypted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineError, match=r"certificate is not accepted .*self-signed") as raised:
        ask(encrypted)
    assert "SSL_CERT_FILE" in str(raised.value)
    assert not raised.value.is_transient
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert ask(encrypted) == "ok"


def test_a_certificate_of_another_host_is_told_at_once(
    encrypted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with pytest.raises(EngineError, match=r"certificate is not accepted .*127\.0\.0\.2"):
        ask(encrypted.replace("127.0.0.1", "127.0.0.2"))


def test_a_server_without_encryption_is_not_asked_with_it(serve: Serve) -> None:
    server = serve(lambda _body, _number: completion("ok"))
    with pytest.raises(EngineError, match="without TLS is asked at http://"):
        ask(server.endpoint.replace("http:", "https:"))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("SSL_CERT_FILE", "nowhere.pem", r"SSL_CERT_FILE is nowhere\.pem: no certificates"),
        ("SSL_CERT_FILE", __file__, "no certificates can be read there"),
        ("HTTP_PROXY", "ftp://me:S3CRET@proxy", "environment's proxy cannot be used"),
        ("HTTP_PROXY", "http://proxy:notaport", "environment's proxy cannot be used"),
    ],
)
def test_an_environment_that_no_client_can_go_by_is_named(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    server = serve(lambda _body, _number: completion("ok"))
    monkeypatch.setenv(name, value)
    with pytest.raises(EngineError, match=words) as raised:
        ask(server.endpoint)
    assert "S3CRET" not in str(raised.value)


def test_a_server_that_is_not_there_is_given_up_after_three_tries() -> None:
    with pytest.raises(EngineError, match="did not answer after 3 tries: ConnectError") as raised:
        ask(NOBODY, max_retries=100)
    assert raised.value.is_transient


def test_a_server_that_has_answered_is_tried_to_the_last_when_it_goes(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(lambda _body, _number: completion("ok"))
    settings = EngineSettings(kind="openai", model="m", endpoint=server.endpoint, max_retries=5)
    engine = OpenAIEngine(settings)
    assert engine.ask([ASK])[0].text == "ok"
    tries: list[str] = []

    def refuse(_asker: ChatAsker, server: str, _request: Request) -> Reply:
        tries.append(server)
        raise wire.UnreachableError("ConnectError: gone")

    monkeypatch.setattr(ChatAsker, "ask", refuse)
    with pytest.raises(EngineError, match="after 6 tries"):
        engine.ask([ASK])
    assert len(tries) == 6
    engine.close()


def test_a_pool_whose_folder_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="no such folder: correct the path, or start the servers"):
        ask(f"pool:{tmp_path / 'nowhere'}")
    (tmp_path / "file").touch()
    with pytest.raises(EngineError, match="no such folder"):
        ask(f"pool:{tmp_path / 'file'}")


def write_dead_servers(folder: Path, number: int) -> None:
    for port in range(1, number + 1):
        (folder / f"{port}.json").write_text(json.dumps({"url": f"http://127.0.0.1:{port}/v1"}))


def test_a_pool_without_a_server_that_is_there_is_given_up_when_each_has_been_tried(
    tmp_path: Path,
) -> None:
    write_dead_servers(tmp_path, 7)
    with pytest.raises(EngineError, match="did not answer after 7 tries: ConnectError"):
        ask(f"pool:{tmp_path}", max_retries=100)


def test_a_pool_with_one_server_that_is_there_is_answered_by_it(
    serve: Serve, tmp_path: Path
) -> None:
    write_dead_servers(tmp_path, 7)
    server = serve(lambda _body, _number: completion("here"))
    (tmp_path / "8.json").write_text(json.dumps({"url": server.endpoint}))
    assert ask(f"pool:{tmp_path}", max_retries=10) == "here"


@pytest.mark.parametrize(
    "card",
    [
        *("", "[]", "{}", "null", '{"url": 5}', '{"url": "localhost:8000"}', "\xff"),
        *('{"url": "http://h:99999/v1"}', '{"url": "http://me:S3CRET@h/v1"}'),
    ],
)
def test_a_card_that_holds_no_address_is_named(tmp_path: Path, card: str) -> None:
    (tmp_path / "a.json").write_bytes(card.encode("latin-1"))
    with pytest.raises(EngineError, match=r"a\.json: expected .*correct or remove it") as raised:
        ServerPool(f"pool:{tmp_path}").pick("image")
    assert "S3CRET" not in str(raised.value)
