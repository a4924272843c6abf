"""The store in front of an engine asks nothing twice and loses nothing."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from blpo.data.errors import EngineError, StoreError
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.store.store import ReplyStore
from blpo.models.engine import (
    Arrival,
    EngineIdentity,
    ErrorKind,
    Reply,
    Request,
    Sampling,
)
from blpo.models.wrappers import stored as stored_module
from blpo.models.wrappers.in_flight import Claim, InFlight
from blpo.models.wrappers.request_keys import request_key
from blpo.models.wrappers.stored import StoredEngine
from blpo.pipeline.runs.engine_pool import EnginePool

IDENTITY = EngineIdentity("counting", "m", "r1", "layout-1", "dtype=float32")
IMAGE = ImageRef(b"image", ImageBounds())


class CountingEngine:
    """Answers with the prompt in capitals and counts; the prompt "broken" is an error reply."""

    version = "counting 1"

    def __init__(self, identity: EngineIdentity = IDENTITY) -> None:
        self.identity = identity
        self.asked: list[Request] = []
        self._lock = threading.Lock()

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        with self._lock:
            self.asked += requests
        return [self._reply(request) for request in requests]

    def _reply(self, request: Request) -> Reply:
        if request.prompt == "broken":
            return Reply("", "error", error="cannot")
        if request.labels:
            logprobs = {label: -0.1 * (i + 1) for i, label in enumerate(request.labels)}
            return Reply(request.labels[0], "label", logprobs, prompt_tokens=7, cached_tokens=3)
        return Reply(request.prompt.upper(), "stop", prompt_tokens=7, completion_tokens=1)

    def close(self) -> None:
        pass


def stored(tmp_path: Path, engine: CountingEngine, run_id: str = "run") -> StoredEngine:
    return StoredEngine(engine, ReplyStore(tmp_path / "store"), "judge", run_id)


def test_a_second_ask_and_a_second_process_take_the_reply_from_the_store(tmp_path: Path) -> None:
    engine, request = CountingEngine(), Request("judge it", IMAGE, labels=("a", "b"))
    first = stored(tmp_path, engine).ask([request])
    again = stored(tmp_path, engine).ask([request])
    assert first == again
    assert again[0].label_logprobs == {"a": -0.1, "b": -0.2}
    assert len(engine.asked) == 1


def test_replies_come_in_the_order_asked_with_a_question_asked_twice_in_one_batch(
    tmp_path: Path,
) -> None:
    engine = CountingEngine()
    requests = [Request(prompt) for prompt in ("b", "a", "b", "c")]
    replies = stored(tmp_path, engine).ask(requests)
    assert [reply.text for reply in replies] == ["B", "A", "B", "C"]
    assert len(engine.asked) == 3


def test_a_batch_larger_than_a_chunk_is_answered_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored_module, "_PART_S", math.inf)
    engine = CountingEngine()
    requests = [Request("judge", ImageRef(f"{i}".encode(), ImageBounds())) for i in range(2500)]
    replies = stored(tmp_path, engine).ask(requests)
    assert len(replies) == 2500
    assert len(engine.asked) == 2500
    partitions = ReplyStore(tmp_path / "store").stats()
    assert [(p.num_rows, p.num_parts) for p in partitions] == [(2500, 3)]


class StreamingEngine(CountingEngine):
    """Hands out replies in lists of 600, the last request first."""

    def __init__(self) -> None:
        super().__init__()
        self.was_closed_early = False
        self.after_each_list: Callable[[int], None] = lambda _: None

    def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]:
        answers = list(enumerate(self.ask(requests)))[::-1]
        try:
            for start in range(0, len(answers), 600):
                yield answers[start : start + 600]
                self.after_each_list(start + 600)
        except GeneratorExit:
            self.was_closed_early = True
            raise


@pytest.mark.parametrize(
    ("part_s", "durable_after_each_list"),
    [(math.inf, [0, 1200, 1200, 2400, 2400]), (0.0, [600, 1200, 1800, 2400, 3000])],
)
def test_what_has_been_answered_is_durable_while_the_engine_goes_on(
    part_s: float,
    durable_after_each_list: list[int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def look(_: int) -> None:
        durable.append(sum(p.num_rows for p in ReplyStore(tmp_path / "store").stats()))

    monkeypatch.setattr(stored_module, "_PART_S", part_s)
    durable: list[int] = []
    engine = StreamingEngine()
    engine.after_each_list = look
    requests = [Request(f"{i}") for i in range(3000)]
    same_partition = StoredEngine(engine, ReplyStore(tmp_path / "store"), "optimizer", "run")
    replies = same_partition.ask(requests)
    assert [reply.text for reply in replies] == [f"{i}" for i in range(3000)]
    assert durable == durable_after_each_list


def test_when_the_store_cannot_be_written_the_engine_is_told_to_give_up(tmp_path: Path) -> None:
    class Spoiling(StreamingEngine):
        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            (tmp_path / "store").write_text("a file where the folder should be")
            return super().ask(requests)

    engine = Spoiling()
    requests = [Request("judge", sampling=Sampling(sample_index=i)) for i in range(1800)]
    with pytest.raises(StoreError, match="cannot write to the store"):
        stored(tmp_path, engine).ask(requests)
    assert engine.was_closed_early


@pytest.mark.parametrize(
    "other",
    [
        Request("judge it!", IMAGE),
        Request("judge it", ImageRef(b"other", ImageBounds())),
        Request("judge it", ImageRef(b"image", ImageBounds(max_pixels=10_000))),
        Request("judge it", IMAGE, text="a cat"),
        Request("judge it", IMAGE, labels=("a", "b")),
        Request("judge it", IMAGE, sampling=Sampling(sample_index=1)),
        Request("judge it", IMAGE, sampling=Sampling(temperature=0.5)),
        Request("judge it", IMAGE, sampling=Sampling(max_tokens=9)),
        Request("judge it", IMAGE, further_images=(IMAGE,)),
        Request("judge it", IMAGE, reply_start="It is"),
    ],
)
def test_whatever_shapes_a_reply_makes_another_request(other: Request) -> None:
    assert request_key(Request("judge it", IMAGE), IDENTITY) != request_key(other, IDENTITY)


@pytest.mark.parametrize("field", ["engine", "model", "revision", "layout", "settings"])
def test_another_engine_model_revision_layout_or_setting_is_asked_anew(
    tmp_path: Path, field: str
) -> None:
    other = CountingEngine(replace(IDENTITY, **{field: "another"}))
    stored(tmp_path, CountingEngine()).ask([Request("judge it", IMAGE)])
    stored(tmp_path, other).ask([Request("judge it", IMAGE)])
    assert len(other.asked) == 1


class FailingEngine(CountingEngine):
    """Fails at the prompt "broken" with errors of a kind, until it is mended."""

    def __init__(self, kind: ErrorKind | None) -> None:
        super().__init__()
        self.kind: ErrorKind | None = kind
        self.is_mended = False

    def _reply(self, request: Request) -> Reply:
        reply = super()._reply(request)
        if reply.error is None or self.is_mended:
            return replace(reply, finish_reason="stop", error=None)
        return replace(reply, error_kind=self.kind)


@pytest.mark.parametrize("kind", ["request", None])
def test_an_error_that_lies_in_the_request_is_permanent_until_it_is_forgotten(
    tmp_path: Path, kind: ErrorKind | None
) -> None:
    engine = FailingEngine(kind)
    for _ in range(2):
        (reply,) = stored(tmp_path, engine).ask([Request("broken")])
        assert (reply.error, reply.error_kind) == ("cannot", "request")
    assert len(engine.asked) == 1
    engine.is_mended = True
    assert ReplyStore(tmp_path / "store").forget_errors() == 1
    assert stored(tmp_path, engine).ask([Request("broken")])[0].error is None
    assert len(engine.asked) == 2


@pytest.mark.parametrize("kind", ["refused", "transient"])
def test_any_other_error_holds_for_a_run_and_the_next_one_asks_again(
    tmp_path: Path, kind: ErrorKind
) -> None:
    engine = FailingEngine(kind)
    first = stored(tmp_path, engine)
    for _ in range(2):
        replies = first.ask([Request("broken"), Request("good")])
        assert [reply.error_kind for reply in replies] == [kind, None]
    assert [request.prompt for request in engine.asked] == ["broken", "good"]
    engine.is_mended = True
    for _ in range(2):
        (reply,) = stored(tmp_path, engine).ask([Request("broken")])
        assert (reply.error, reply.error_kind) == (None, None)
    assert [request.prompt for request in engine.asked[2:]] == ["broken"]


def test_two_runs_of_a_process_ask_once_each_for_what_failed(tmp_path: Path) -> None:
    engine, in_flight = FailingEngine("transient"), InFlight()
    store = ReplyStore(tmp_path / "store")
    runs = [StoredEngine(engine, store, "judge", f"run{i}", in_flight) for i in range(2)]
    for run in (*runs, *runs):
        assert run.ask([Request("broken")])[0].error == "cannot"
    assert len(engine.asked) == 2


class WatchedInFlight(InFlight):
    """Tells when a caller has found out that another is asking."""

    def __init__(self) -> None:
        super().__init__()
        self.has_waiter = threading.Event()

    def claim(self, keys: Sequence[str]) -> tuple[list[str], dict[str, Claim]]:
        claimed, awaited = super().claim(keys)
        if awaited:
            self.has_waiter.set()
        return claimed, awaited


def test_two_runs_that_need_a_reply_at_the_same_moment_ask_once(tmp_path: Path) -> None:
    in_flight = WatchedInFlight()
    entered = threading.Event()

    class ParkedEngine(CountingEngine):
        """Answers only when another run waits for what it was asked."""

        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            entered.set()
            assert in_flight.has_waiter.wait(20), "the second run did not wait for the first"
            return super().ask(requests)

    engine = ParkedEngine()
    runs = [
        StoredEngine(engine, ReplyStore(tmp_path / "store"), "judge", f"run{i}", in_flight)
        for i in range(2)
    ]
    shared, other = Request("judge it", IMAGE), Request("judge that", IMAGE)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(runs[0].ask, [shared])
        assert entered.wait(20)
        second = pool.submit(runs[1].ask, [other, shared])
        assert first.result(20) == second.result(20)[1:]
    assert Counter(request.prompt for request in engine.asked) == {"judge it": 1, "judge that": 1}
    assert [run.ledger.paid.calls for run in runs] == [1, 1]


def test_a_reply_stored_between_look_up_and_claim_is_not_asked_again(tmp_path: Path) -> None:
    looked_up, answered = threading.Event(), threading.Event()

    class LateInFlight(InFlight):
        """Lets the caller whose look-up found nothing claim only when the reply is stored."""

        def claim(self, keys: Sequence[str]) -> tuple[list[str], dict[str, Claim]]:
            if threading.current_thread() is not threading.main_thread():
                looked_up.set()
                assert answered.wait(20)
            return super().claim(keys)

    engine, in_flight, request = CountingEngine(), LateInFlight(), Request("judge it", IMAGE)
    runs = [
        StoredEngine(engine, ReplyStore(tmp_path / "store"), "judge", f"run{i}", in_flight)
        for i in range(2)
    ]
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(runs[1].ask, [request])
        assert looked_up.wait(20)
        first = runs[0].ask([request])
        answered.set()
        assert late.result(20) == first
    assert len(engine.asked) == 1


def test_runs_over_different_stores_do_not_wait_for_one_another(tmp_path: Path) -> None:
    engine, pool, request = CountingEngine(), EnginePool(), Request("judge it", IMAGE)
    for name in ("a", "b"):
        store = ReplyStore(tmp_path / name)
        run = StoredEngine(engine, store, "judge", name, pool.in_flight("judge", store.root))
        run.ask([request])
        assert [partition.num_rows for partition in store.stats()] == [1]
    shared = pool.in_flight("judge", tmp_path / "a")
    assert shared is pool.in_flight("judge", tmp_path / "b" / ".." / "a")
    assert shared is not pool.in_flight("judge", tmp_path / "b")


def test_when_the_engine_dies_every_waiter_learns_of_it_and_later_asks_go_on(
    tmp_path: Path,
) -> None:
    class DyingEngine(CountingEngine):
        def ask(self, requests: Sequence[Request]) -> list[Reply]:
            if not self.asked:
                self.asked += requests
                raise EngineError("died")
            return super().ask(requests)

    engine = stored(tmp_path, DyingEngine())
    with pytest.raises(EngineError, match="died"):
        engine.ask([Request("judge it")])
    assert engine.ask([Request("judge it")])[0].text == "JUDGE IT"


def test_the_ledger_counts_what_was_asked_paid_and_found(tmp_path: Path) -> None:
    request = Request("judge it", IMAGE, labels=("a", "b"))
    first = stored(tmp_path, CountingEngine(), "run1")
    first.ask([request, request])
    first.ask([request, Request("broken")])
    ledger = first.ledger
    assert (ledger.asked, ledger.paid.calls, ledger.errors) == (4, 2, 1)
    assert (ledger.paid.prompt_tokens, ledger.paid.cached_tokens) == (7, 3)
    other = stored(tmp_path, CountingEngine(), "run2")
    other.ask([request])
    assert (other.ledger.paid.calls, other.ledger.session.calls) == (0, 0)


def test_a_later_session_of_the_run_still_counts_what_the_run_paid_for(tmp_path: Path) -> None:
    stored(tmp_path, CountingEngine(), "run1").ask([Request("judge it")])
    later = stored(tmp_path, CountingEngine(), "run1")
    later.ask([Request("judge it")])
    assert (later.ledger.paid.calls, later.ledger.session.calls) == (1, 0)


def test_an_empty_batch_asks_nothing(tmp_path: Path) -> None:
    assert stored(tmp_path, CountingEngine()).ask([]) == []
