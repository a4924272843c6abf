"""Keys: whatever a server or a library makes of one, it is in no message, log, traceback or row."""

import base64
import html
import json
import logging
import random
import string
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import test_openai_engine
from blpo.data import redaction
from blpo.data.arrow import open_parquet
from blpo.data.errors import EngineError
from blpo.data.redaction import REDACTED, learn_key, public_address, redacted, redacted_data
from blpo.data.shown import ShownFormatter, shown
from blpo.data.store.store import ReplyStore
from blpo.models.engine import Request, Sampling
from blpo.models.wrappers.stored import StoredEngine
from blpo.pipeline.cli import app
from test_openai_engine import Answer, Serve, completion, engine_for, refusal

serve = test_openai_engine.serve


def in_base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


KEY = 'sk-PLANTED/3d+9f_7Q="&<1'
FORMS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in quotes": repr,
    "in a header": lambda key: f"Authorization: Bearer {key}",
    "in JSON": json.dumps,
    "as JSON escapes": lambda key: "".join(f"\\u{ord(c):04X}" for c in key),
    "in a URL": lambda key: f"https://host/v1?q={quote(key)}",
    "in a URL, slashes too": lambda key: quote(key, safe=""),
    "in a URL, lower case": lambda key: quote(key, safe="").replace("%2F", "%2f"),
    "in HTML": html.escape,
    "as HTML numbers": lambda key: "".join(f"&#{ord(c)};" for c in key),
    "in hex": lambda key: key.encode().hex(),
    "in upper hex": lambda key: key.encode().hex().upper(),
    "in base64": in_base64,
    "in base64 of a user": lambda key: in_base64(f":{key}"),
    "in base64 of a login": lambda key: in_base64(f"me:{key}\n"),
    "in base64 in JSON": lambda key: in_base64(f"ab:{key}~").replace("/", r"\/"),
    "in base64 in a URL": lambda key: quote(in_base64(f"b:{key}~~~"), safe=""),
    "in base64 for URLs": lambda key: base64.urlsafe_b64encode(f"Bearer {key}".encode()).decode(),
}
ASK = Request("Is it safe?", sampling=Sampling(max_tokens=16))


def holds_key(text: str) -> bool:
    """Whether more of the key can be read in a text than its first three characters."""
    encoded = [base64.b64encode(b"\0" * n + KEY.encode()).decode()[4:16] for n in range(3)]
    traces = [KEY[3:10], KEY[-8:], KEY.encode().hex()[6:20], *encoded]
    return any(trace.lower() in text.lower() for trace in traces)


@pytest.fixture(autouse=True)
def only_this_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redaction, "_learned", set[str]())
    monkeypatch.setenv("TEST_CREDENTIAL", KEY)  # a name that does not give it away


@pytest.fixture(params=FORMS)
def said(request: pytest.FixtureRequest) -> str:
    return f"what is {FORMS[request.param](KEY)} doing here?"


def test_a_key_is_found_in_every_form(said: str) -> None:
    assert redacted(said) == said
    learn_key(KEY)
    for text in (redacted(said), redacted_data(said)):
        assert not holds_key(text)
        assert text.startswith("what is ")
        assert text.endswith(" doing here?")


def test_what_a_server_shows_of_a_key_is_cut_out_of_messages() -> None:
    learn_key(KEY)
    assert redacted(f"wrong key {KEY[:8]}****{KEY[12:16]} given") == "wrong key *** given"
    assert redacted(f"wrong key ({KEY[:14]}), sorry") == "wrong key (***), sorry"


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "db_password", "X_APIKEY", "SECRET"],
)
def test_variables_that_are_named_like_keys_hold_keys(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, KEY)
    assert redacted(f"got {KEY}") == "got ***"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TOKENIZERS_PARALLELISM", "false-false"),
        ("USE_TOKEN", "false"),
        ("SSH_KEY", "/home/me/.ssh/id_ed25519"),
        ("MONKEY", "Some-Thing-1"),
    ],
)
def test_other_variables_do_not(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    assert redacted(f"got {value}") == f"got {value}"


@pytest.mark.parametrize("key", ["x", "none", "EMPTY", "not-needed", "placeholder", "token"])
def test_what_stands_for_no_key_is_left_in_replies(key: str) -> None:
    learn_key(key)
    assert redacted_data(f"a {key} image, {key}s") == f"a {key} image, {key}s"


def test_users_of_urls_are_cut_out_of_messages() -> None:
    assert (
        redacted("proxy http://me:pa55@proxy:3128/ fails") == "proxy http://***@proxy:3128/ fails"
    )


def test_no_form_of_the_key_reaches_error_log_or_traceback(
    serve: Serve, caplog: pytest.LogCaptureFixture, said: str
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.handler.setFormatter(ShownFormatter())
    answers: list[Answer] = [
        refusal(401, said),
        refusal(429, said),
        (200, {}, said.encode()),
        (400, {"X-Echo": quote(said)}, {"detail": said}),
        (500, {}, f"<html>{said}".encode()),
        completion("", refusal=said, message={"content": None, "refusal": said}),
    ]
    for answer in answers:
        engine = engine_for(
            serve(lambda _body, _number, answer=answer: answer),
            api_key_env="TEST_CREDENTIAL",
            max_retries=0,
        )
        try:
            told = engine.ask([ASK])[0].error or ""
        except EngineError as error:
            told = "".join(traceback.format_exception(error))
            logging.getLogger("blpo").warning("%s", error, exc_info=error)
        assert "what is" in told
        assert not holds_key(told)
    assert not holds_key(caplog.text)


def test_no_form_of_the_key_is_stored_with_a_reply(serve: Serve, tmp_path: Path, said: str) -> None:
    answers = {"text": completion(said), "error": refusal(400, said)}

    def respond(body: test_openai_engine.Body, _number: int) -> Answer:
        return answers[body["messages"][0]["content"][-1]["text"]]

    engine = engine_for(serve(respond), api_key_env="TEST_CREDENTIAL", max_retries=0)
    stored = StoredEngine(engine, ReplyStore(tmp_path), "optimizer", "run")
    replies = stored.ask([Request(prompt, sampling=ASK.sampling) for prompt in answers])
    assert [bool(reply.text) for reply in replies] == [True, False]
    rows = [
        row
        for part in sorted(tmp_path.rglob("*.parquet"))
        for row in open_parquet(part).read().to_pylist()
    ]
    assert rows
    assert not any(holds_key(str(value)) for row in rows for value in row.values())
    assert not any(holds_key(f.read_bytes().decode("latin-1")) for f in files_in(tmp_path))


def files_in(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_a_traceback_that_nobody_expected_holds_no_key(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], said: str
) -> None:
    learn_key(KEY)

    def fail() -> None:
        try:
            raise KeyError(said)
        except KeyError as error:
            raise RuntimeError(said) from error

    monkeypatch.setattr(app, "app", fail)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr("threading.excepthook", None)
    with pytest.raises(RuntimeError) as raised:
        app.main()
    sys.excepthook(RuntimeError, raised.value, raised.value.__traceback__)
    told = capsys.readouterr().err
    assert "direct cause" in told
    assert not holds_key(told)


def test_a_reply_that_holds_no_key_is_left_as_it_is() -> None:
    learn_key(KEY)
    for text in ("", "100 % \\n é", "sk-PLANT", '{"a": "\\u0073k-"}'):
        assert redacted_data(text) == text
    assert shown("sk-PLA") == "sk-PLA"


WAYS: tuple[Callable[[str], str], ...] = (
    str,
    lambda c: f"%{ord(c):02X}",
    lambda c: f"\\u{ord(c):04x}",
    lambda c: f"\\\\u{ord(c):04X}",
    lambda c: f"\\x{ord(c):02x}",
    lambda c: f"&#{ord(c)};",
    lambda c: f"&#x{ord(c):X};",
    lambda c: c if c.isalnum() else f"\\{c}",
)


@pytest.mark.parametrize("around", ["", "%", "%4", "\\", "\\u00", "&", "&#", " é\\n "])
def test_a_key_of_which_any_characters_are_escaped_is_found(around: str) -> None:
    draw = random.Random(around)
    for _ in range(60):
        key = "k" + "".join(draw.choices(string.ascii_letters + string.digits + "-_./+=:", k=24))
        learn_key(key)
        ways = draw.sample(WAYS, k=draw.randint(1, 3))
        said = "".join(draw.choice(ways)(character) for character in key)
        assert REDACTED in redacted_data(f"{around}{said}{around}"), (key, said)


def test_a_text_with_escapes_and_no_key_is_not_searched_for_its_characters(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    learn_key("sk-PLANTED3d9f7Q")
    monkeypatch.setattr(redaction, "_whole", None)
    for text in (
        '{"a": "one\\ntwo \\"three\\" \\u00e9 \\\\ 100 % & more"}',
        "\\u003cb\\u003e &amp;",
    ):
        assert redacted_data(text) == text


def test_the_environment_is_read_again_only_when_it_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    num_read = 0
    found = redaction.__dict__["_found_keys"]

    def counted() -> object:
        nonlocal num_read
        num_read += 1
        return found()

    monkeypatch.setattr(redaction, "_found_keys", counted)
    for variables, expected in (({}, KEY), ({"A_TOKEN": KEY}, "***"), ({}, KEY), ({}, KEY)):
        with monkeypatch.context() as changed:
            for name, value in variables.items():
                changed.setenv(name, value)
            assert [redacted_data(KEY) for _ in range(3)] == [expected] * 3
    learn_key(KEY)
    assert redacted(KEY) == redacted_data(KEY) == "***"
    assert num_read == 4


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("https://me:p@55@host:8/a.png", "https://host:8/a.png"),
        ("HTTP://me@host/a@b.png?to=c@d", "HTTP://host/a@b.png?to=c@d"),
        ("https://host/a.png?w=5&X-Amz-Signature=1'2&h=6", "https://host/a.png?w=5&h=6"),
        ("https://host/a.png?%73ig=1", "https://host/a.png"),
        ("https://host/a.png?signal", "https://host/a.png?signal"),
        ("a@b.png?key=1", "a@b.png?key=1"),
    ],
)
def test_addresses_are_public_without_users_and_keys(url: str, public: str) -> None:
    assert public_address(url) == public
