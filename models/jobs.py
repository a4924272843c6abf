"""What callers give to the engine thread: their requests as jobs, and the batch they wait for."""

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from .engine import Reply, Request
from .labels import LabelPlan


@dataclass(slots=True)
class Batch:
    """The requests of one call of `ask`; the caller waits on `done`."""

    replies: list[Reply | None]
    missing: int
    done: threading.Event = field(default_factory=threading.Event)
    cancelled: bool = False

    def settle(self, index: int, reply: Reply) -> None:
        self.replies[index] = reply
        self.missing -= 1
        if not self.missing:
            self.done.set()


@dataclass(slots=True)
class Job:
    """One request on its way: one engine request, or one per read of its label plan.

    to_add: reads that are to be given to the engine. answers: engine outputs per finished read.
    """

    request: Request
    batch: Batch
    index: int
    token_ids: list[int] = field(default_factory=list[int])
    plan: LabelPlan | None = None
    pixels: Future[Any] | None = None
    to_add: list[int] = field(default_factory=lambda: [0])
    answers: dict[int, Any] = field(default_factory=dict[int, Any])
    num_resends: int = 0
    settled: bool = False

    @property
    def num_reads(self) -> int:
        return len(self.plan.reads) if self.plan else 1

    def settle(self, reply: Reply) -> None:
        if not self.settled:
            self.settled = True
            self.batch.settle(self.index, reply)

    def fail(self, reason: str) -> None:
        self.settle(Reply(text="", finish_reason="error", error=reason))


Message = list[Job] | Batch | None
"""To the engine thread: new requests; a batch nobody waits for any more; the order to stop."""
