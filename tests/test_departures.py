"""What is asked otherwise than it says is stored as what was sent, told, and served to no other."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import test_openai_engine
import yaml
from blpo.data.arrow import open_parquet
from blpo.data.examples import write_dataset
from blpo.data.store.store import ReplyStore
from blpo.models.engine import Reply, Request, Sampling
from blpo.models.wrappers.stored import StoredEngine
from command_line import Blpo
from ideal_engine import ideal_world
from test_openai_engine import (
    Answer,
    Body,
    Serve,
    Server,
    completion,
    engine_for,
    refusal,
    top_logprobs,
)

serve = test_openai_engine.serve

LABELS = ("Safe", "Unsafe")
ASK = [
    Request(f"Is it {word}?", labels=LABELS, sampling=Sampling(max_tokens=16))
    for word in ("safe", "fit", "good", "fine")
]


class Choosy:
    """A server that refuses some parameters, and answers with the temperature that it was sent."""

    def __init__(self, *refused: str) -> None:
        self.refused = refused
        self.num_answered = 0

    def __call__(self, body: Body, _: int) -> Answer:
        for name in self.refused:
            if name in body:
                return refusal(400, f"Unsupported parameter: {name}", param=name)
        self.num_answered += 1
        text = "Safe" if "temperature" in body else "Unsafe"
        listed = top_logprobs({text: 0.9}) if "logprobs" in body else None
        return completion(text, logprobs=listed)


class World:
    """One server, one store; each session is a process of its own."""

    def __init__(self, serve: Serve, folder: Path, *refused: str) -> None:
        self.choosy = Choosy(*refused)
        self.server: Server = serve(self.choosy)
        self.folder = folder

    def session(self) -> StoredEngine:
        engine = engine_for(self.server, max_retries=0)
        return StoredEngine(engine, ReplyStore(self.folder), "judge", "run")

    def asked(self, requests: list[Request]) -> list[Reply]:
        session = self.session()
        try:
            return session.ask(requests)
        finally:
            session.close()

    def rows(self) -> Iterator[dict[str, object]]:
        for part in sorted(self.folder.rglob("part-*.parquet")):
            yield from open_parquet(part).read().to_pylist()


def test_what_was_sent_is_what_is_stored(serve: Serve, tmp_path: Path) -> None:
    world = World(serve, tmp_path, "temperature", "logprobs")
    replies = world.asked(ASK)
    assert {reply.departures for reply in replies} == {("without temperature", "without logprobs")}
    rows = list(world.rows())
    assert len(rows) == len(ASK)
    for row in rows:
        assert row["departures"] == "without temperature, without logprobs"
        assert (row["temperature"], row["max_tokens"]) == (None, 16)


def test_a_later_session_is_given_what_was_asked_as_it_would_ask(
    serve: Serve, tmp_path: Path
) -> None:
    world = World(serve, tmp_path, "temperature")
    first = world.asked(ASK[:3])
    assert world.choosy.num_answered == 3
    again = world.asked(ASK)
    assert again[:3] == first
    assert world.choosy.num_answered == 4


def test_a_server_that_takes_everything_by_now_is_asked_in_full(
    serve: Serve, tmp_path: Path
) -> None:
    world = World(serve, tmp_path, "temperature")
    assert {reply.text for reply in world.asked(ASK)} == {"Unsafe"}
    world.choosy.refused = ()
    for _ in range(2):
        full = world.asked(ASK)
        assert {(reply.text, reply.departures) for reply in full} == {("Safe", ())}
    assert world.choosy.num_answered == 2 * len(ASK)


def test_what_was_asked_in_full_is_given_whatever_the_server_takes_by_now(
    serve: Serve, tmp_path: Path
) -> None:
    world = World(serve, tmp_path)
    full = world.asked(ASK[:2])
    world.choosy.refused = ("temperature",)
    replies = world.asked(ASK)
    assert replies[:2] == full
    assert [reply.departures for reply in replies[2:]] == [("without temperature",)] * 2
    assert world.choosy.num_answered == 4


def test_each_set_of_departures_is_a_request_of_its_own(serve: Serve, tmp_path: Path) -> None:
    world = World(serve, tmp_path, "temperature", "logprobs")
    assert not any(reply.label_logprobs for reply in world.asked(ASK))
    world.choosy.refused = ("temperature",)
    assert all(reply.label_logprobs for reply in world.asked(ASK))
    assert len({row["key"] for row in world.rows()}) == 2 * len(ASK)


@pytest.mark.parametrize("num_sessions", [1, 2])
def test_the_ledger_counts_what_was_asked_otherwise(
    serve: Serve, tmp_path: Path, num_sessions: int
) -> None:
    world = World(serve, tmp_path, "temperature")
    for _ in range(num_sessions):
        session = world.session()
        for batch in (ASK[:3], ASK):
            session.ask(batch)
        ledger = session.ledger
        assert ledger.departures == {"without temperature": 7}
        assert (ledger.asked, ledger.paid.calls, ledger.errors) == (7, 4, 0)
        session.close()
    assert world.choosy.num_answered == 4


def test_a_moderated_request_among_departing_ones_costs_its_own_verdict(
    serve: Serve, tmp_path: Path
) -> None:
    choosy = Choosy("temperature")

    def respond(body: Body, number: int) -> Answer:
        text = body["messages"][0]["content"][-1]["text"]
        return refusal(403, "no") if text == ASK[0].prompt else choosy(body, number)

    engine = engine_for(serve(respond), max_retries=0, max_concurrency=1)
    replies = StoredEngine(engine, ReplyStore(tmp_path), "judge", "run").ask(ASK)
    assert [reply.error_kind for reply in replies] == ["refused", None, None, None]


def test_commands_tell_what_was_asked_otherwise(
    serve: Serve, tmp_path: Path, blpo: Blpo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made, _ = ideal_world("micro-unsafebench", num_train=4, num_test=6)
    write_dataset(Path("d.parquet"), [*made.train, *made.test])
    endpoint = serve(Choosy("temperature", "logprobs")).endpoint
    judge = {"kind": "openai", "model": "m", "endpoint": endpoint}
    run = {"task": "micro-unsafebench", "dataset": "d.parquet", "output": "run", "method": "none"}
    Path("r.yaml").write_text(yaml.safe_dump(run | {"judge": judge}))
    told = "judge: 12 requests were asked without temperature: the server takes them in no other"
    assert told in blpo("optimize", "r.yaml").out
    result = json.loads(Path("run/result.json").read_text())
    assert result["departures"] == {"judge": {"without temperature": 12, "without logprobs": 12}}
    assert told.removeprefix("judge") in Path("run/report.html").read_text()
    assert blpo("verify", "run").code == 0
    evaluated = json.loads(blpo("evaluate", "d.parquet", "--run", "run", "--json").out)
    assert evaluated["departures"] == {"without temperature": 6, "without logprobs": 6}
    judged = blpo("judge", "d.parquet", "--run", "run", "--out", "v.parquet").out
    assert "judge: 10 requests were asked without logprobs" in judged
