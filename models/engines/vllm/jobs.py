"""What callers give to the engine thread: their requests as jobs, and the batch they wait for."""

import queue
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from ...engine import Arrival, ErrorKind, Reply, Request
from ...requests.label_logprobs import LabelPlan


@dataclass(eq=False, slots=True)
class Batch:
    """The requests of one call.

    num_open: requests without a reply. finished: replies that have not been handed out yet.
    replies: those handed out, for the caller; None says that there will be no more.
    """

    num_open: int
    replies: "queue.SimpleQueue[list[Arrival] | None]" = field(default_factory=queue.SimpleQueue)
    finished: list[Arrival] = field(default_factory=list[Arrival])
    cancelled: bool = False

    def hand_out(self) -> None:
        if self.finished:
            replies, self.finished = self.finished, []
            self.replies.put(replies)

    def give_up(self) -> None:
        """Wake the caller, who misses replies."""
        self.hand_out()
        self.replies.put(None)


@dataclass(slots=True)
class Job:
    """One request on its way: one engine request, or one per read of its label plan.

    index: place of the request in its batch. digest: of its images in their order, None without
    any. pixels: of its images, where they are sent. to_add: reads that are to be given to the
    engine. outputs: engine outputs per finished read. then: called once it is settled.
    """

    request: Request
    batch: Batch
    index: int
    digest: str | None
    token_ids: Sequence[int] = ()
    plan: LabelPlan | None = None
    pixels: Future[list[Any]] | None = None
    to_add: list[int] = field(default_factory=lambda: [0])
    outputs: dict[int, Any] = field(default_factory=dict[int, Any])
    num_resends: int = 0
    settled: bool = False
    then: Callable[[], None] | None = None

    @property
    def num_reads(self) -> int:
        return len(self.plan.reads) if self.plan else 1

    def settle(self, reply: Reply) -> None:
        if not self.settled:
            self.settled = True
            self.batch.num_open -= 1
            self.batch.finished.append((self.index, reply))
            if self.then is not None:
                self.then()

    def fail(self, reason: str, kind: ErrorKind = "request") -> None:
        self.settle(Reply.of_error(reason, kind))


Message = list[Job] | Batch | None
"""To the engine thread: new requests; a batch nobody waits for any more; the order to stop."""
