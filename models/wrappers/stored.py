"""The reply store in front of an engine: never ask twice.

An engine wrapped by the store is an engine. Every reply goes to a journal of the store when it
comes, and is in a part before anything uses it, so that a killed run asks again only for what was
in flight. Error replies are recorded with their kind. Those that lie in the request are permanent;
any other holds for one session, and the next run asks again.

A reply to a request that could only be asked otherwise (`Request.departures`) is stored as the
reply to what was sent. Only a session in which the engine departs in the same points is given it.
"""

import json
import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import NamedTuple, TypeVar, cast

from ...data.store.journal import Journal
from ...data.store.store import Collection, ReplyRow, ReplyStore, StoredReply
from ..cost import Cost
from ..engine import Arrival, Engine, ErrorKind, FinishReason, Reply, Request
from ..engines.streaming import stream
from .around import AroundEngine
from .in_flight import InFlight
from .ledger import Role, RoleLedger
from .request_keys import prompt_hash, request_key, stored_key

COLLECTIONS: dict[Role, Collection] = {
    "judge": "verdicts",
    "verbalizer": "verbalizations",
    "optimizer": "proposals",
}
"""Where each role's replies are stored."""

T = TypeVar("T")


class PlacedRow(NamedTuple):
    """A row, its partition, and the key of the request that it answers."""

    key: str
    partition: str
    row: ReplyRow


_PART_ROWS = 1024
_PART_S = 2.0
"""A part of the store is written when it has so many rows, or when its first is so old."""


class StoredEngine(AroundEngine):
    """An engine that looks into the reply store first.

    run_id marks the rows that this run paid for. `in_flight` is shared between the runs of one
    process over one store, so that two runs that need a reply at the same moment ask once.
    """

    def __init__(
        self,
        engine: Engine,
        store: ReplyStore,
        role: Role,
        run_id: str,
        in_flight: InFlight | None = None,
    ) -> None:
        super().__init__(engine)
        self.ledger = RoleLedger()
        self._store = store
        self._role: Role = role
        self._run_id = run_id
        self._in_flight = in_flight or InFlight()
        self._ledger_lock = threading.Lock()
        self._passing_errors: dict[str, StoredReply] = {}

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        started = time.monotonic()
        identity = self.identity
        keys = [request_key(request, identity) for request in requests]
        rows = self._rows(dict(zip(keys, requests, strict=True)))
        ordered = [rows[key] for key in keys]
        self._passing_errors |= {key: row for key, row in rows.items() if _is_passing(row)}
        with self._ledger_lock:
            self.ledger.count(ordered, self._run_id)
            self.ledger.session_seconds += time.monotonic() - started
        return [_reply(row) for row in ordered]

    def _rows(self, requests: dict[str, Request]) -> dict[str, StoredReply]:
        num_settled = self._in_flight.num_settled
        rows = self._look_up(requests)
        claimed, awaited = self._in_flight.claim([key for key in requests if key not in rows])
        try:
            if self._in_flight.num_settled != num_settled:
                # Since the look-up another thread may have stored a claimed reply.
                stored = self._look_up({key: requests[key] for key in claimed})
                self._in_flight.settle(stored)
                rows |= stored
            rows |= self._answer({key: requests[key] for key in claimed if key not in rows})
        except BaseException as error:
            self._in_flight.abandon(claimed, error)
            raise
        return rows | self._in_flight.wait(awaited)

    def _look_up(self, requests: dict[str, Request]) -> dict[str, StoredReply]:
        keys_by_partition: defaultdict[str, list[str]] = defaultdict(list)
        for key, request in requests.items():
            keys_by_partition[self._partition(request)].append(key)
        passing = self._passing_errors
        rows = {key: passing[key] for key in requests if key in passing}
        for partition, keys in keys_by_partition.items():
            stored = {stored_key(key, requests[key].departures): key for key in keys}
            found = self._store.get(COLLECTIONS[self._role], partition, list(stored))
            rows |= {stored[row_key]: row for row_key, row in found.items()}
        return rows

    def _answer(self, requests: dict[str, Request]) -> dict[str, StoredReply]:
        """Ask the engine; what it would only ask otherwise is looked up as that, then asked so."""
        rows: dict[str, StoredReply] = {}
        waiting = {key: replace(request, departures=()) for key, request in requests.items()}
        while waiting:
            departing: dict[str, Request] = {}
            rows |= self._ask(waiting, departing)
            found = self._look_up(departing)
            self._in_flight.settle(found)
            rows |= found
            waiting = {key: request for key, request in departing.items() if key not in found}
        return rows

    def _ask(
        self, requests: dict[str, Request], departing: dict[str, Request]
    ) -> dict[str, StoredReply]:
        """Ask the engine; what it answers is stored while it goes on with the rest.

        departing: is given the requests that it would only ask otherwise, with how.
        """
        rows: dict[str, StoredReply] = {}
        with (
            self._store.journal() as journal,
            closing(stream(self._engine, list(requests.values()))) as arrivals,
        ):
            for part in _parts(self._noted(arrivals, requests, departing, journal)):
                rows |= self._store_part(part)
                journal.clear()
        return rows

    def _noted(
        self,
        arrivals: Iterable[list[Arrival]],
        requests: dict[str, Request],
        departing: dict[str, Request],
        journal: Journal,
    ) -> Iterator[list[PlacedRow]]:
        """Answers as rows, which survive this process by the time that they are handed out."""
        keys = list(requests)
        for placed in arrivals:
            rows: list[PlacedRow] = []
            for i, reply in placed:
                key, request = keys[i], requests[keys[i]]
                if _departs(reply):
                    departing[key] = replace(request, departures=reply.departures)
                else:
                    rows.append(self._placed(key, request, reply))
            if rows:
                journal.append(COLLECTIONS[self._role], _by_partition(rows))
            yield rows

    def _store_part(self, answered: list[PlacedRow]) -> dict[str, StoredReply]:
        """Make answers durable; the rows that hold for their keys."""
        stored: dict[str, StoredReply] = {}
        keys = {placed.row.key: placed.key for placed in answered}
        for partition, rows in _by_partition(answered).items():
            # Another process may have stored a reply first: what a later run reads is what counts.
            put = self._store.put(COLLECTIONS[self._role], partition, rows)
            stored |= {keys[row_key]: row for row_key, row in put.items()}
        with self._ledger_lock:
            self.ledger.answered += len(answered)
            for placed in answered:
                self.ledger.session += Cost.of(placed.row)
        self._in_flight.settle(stored)
        return stored

    def _placed(self, key: str, request: Request, reply: Reply) -> PlacedRow:
        row = self._row(stored_key(key, reply.departures), request, reply)
        return PlacedRow(key, self._partition(request), row)

    def _partition(self, request: Request) -> str:
        """Verdicts and verbalizations lie by the prompt that asked, proposals by optimizer."""
        if self._role == "optimizer":
            return prompt_hash(json.dumps(asdict(self.identity), sort_keys=True))
        return prompt_hash(request.prompt)

    def _row(self, key: str, request: Request, reply: Reply) -> ReplyRow:
        identity = self.identity
        image = request.image
        logprobs = reply.label_logprobs
        return ReplyRow(
            key=key,
            run_id=self._run_id,
            role=self._role,
            prompt=_written(request),
            example_text=request.text,
            image_digest=" ".join(i.digest for i in request.images) or None,
            min_pixels=image.bounds.min_pixels if image else None,
            max_pixels=image.bounds.max_pixels if image else None,
            labels=request.labels,
            engine=identity.engine,
            engine_version=self.version,
            model=identity.model,
            revision=identity.revision,
            layout=identity.layout,
            settings=identity.settings,
            max_tokens=_unless("max_tokens", reply, request.sampling.max_tokens),
            temperature=_unless("temperature", reply, request.sampling.temperature),
            sample_index=request.sampling.sample_index,
            text=reply.text,
            label_logprobs=[logprobs[label] for label in request.labels] if logprobs else None,
            label_mass=sum(map(math.exp, logprobs.values())) if logprobs else None,
            finish_reason=reply.finish_reason,
            error=reply.error,
            error_kind=_kind(reply),
            departures=", ".join(reply.departures) or None,
            prompt_tokens=reply.prompt_tokens,
            completion_tokens=reply.completion_tokens,
            cached_tokens=reply.cached_tokens,
            time=datetime.now(UTC),
        )


def _kind(reply: Reply) -> ErrorKind | None:
    return None if reply.error is None else reply.error_kind or "request"


def _departs(reply: Reply) -> bool:
    """Whether nothing was asked, as it could only have been asked otherwise."""
    return reply.error_kind == "departs"


def _unless(name: str, reply: Reply, value: T) -> T | None:
    """A value that was sent under this name; None if it was left out."""
    return None if f"without {name}" in reply.departures else value


def _is_passing(row: StoredReply) -> bool:
    """Whether a row is an error that only this session is given."""
    return row.finish_reason == "error" and row.error_kind != "request"


def _written(request: Request) -> str:
    """The prompt as a row of the store tells it: with the roles of the images and the start of the
    reply, if it has any."""
    told = request.prompt
    if request.image_roles:
        told += f"\n\n[images]\n{', '.join(request.image_roles)}"
    if request.reply_start:
        told += f"\n\n[start of the reply]\n{request.reply_start}"
    return told


def _by_partition(placed: Iterable[PlacedRow]) -> dict[str, list[ReplyRow]]:
    rows: defaultdict[str, list[ReplyRow]] = defaultdict(list)
    for one in placed:
        rows[one.partition].append(one.row)
    return rows


def _parts(arrivals: Iterable[list[PlacedRow]]) -> Iterator[list[PlacedRow]]:
    """Group rows into parts of the store: so many, or what has come in so many seconds.

    What came before an error is handed out before it is raised: it has been paid for.
    """
    part: list[PlacedRow] = []
    due = 0.0
    try:
        for rows in arrivals:
            due = due if part else time.monotonic() + _PART_S
            part += rows
            if len(part) >= _PART_ROWS or (part and time.monotonic() >= due):
                full, part = part, []
                yield full
    except Exception:
        if part:
            yield part
        raise
    if part:
        yield part


def _reply(row: StoredReply) -> Reply:
    logprobs = row.label_logprobs
    return Reply(
        text=row.text,
        finish_reason=cast("FinishReason", row.finish_reason),
        label_logprobs=dict(zip(row.labels, logprobs, strict=True)) if logprobs else None,
        prompt_tokens=row.prompt_tokens,
        completion_tokens=row.completion_tokens,
        cached_tokens=row.cached_tokens,
        error=row.error,
        error_kind=cast("ErrorKind | None", row.error_kind),
        departures=row.each_departure,
    )
