"""The loop that keeps a stepped engine busy with the requests of any number of threads.

One thread runs it and owns the engine. It takes requests from a queue, keeps a bounded number of
them in the engine, steps it, and hands back replies as they finish; nothing waits for a whole
batch. Images are decoded by a small pool ahead of the feed. An image travels as pixels once; from
its second use on only its digest does, and the pixels follow if the engine has dropped them
meanwhile. Of the requests that come in together, those whose image the engine still holds go
first (`residency.py`).
"""

import queue
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol

from ....data.errors import DataError, EngineError
from ....data.images import ImageRef, decode_image
from ...engine import Reply, Request
from ...requests.choices import LabelReading
from ...requests.label_logprobs import LabelPlan, Read
from ...requests.layout import Layout
from ..reading import LabelPlans, request_ids
from .jobs import Batch, Job, Message
from .residency import KvCache, Residency
from .warming import Warming

_WINDOW = 1024
"""Requests inside the engine at once; each holds its pixels until it is scheduled."""
_LOOKAHEAD = 256
"""Requests in front of the window whose images are decoded or being decoded."""
_DECODERS = 4
_MAX_RESENDS = 2


class RequestRefusedError(Exception):
    """The engine does not take this request."""


class PixelsMissingError(RequestRefusedError):
    """The engine does not have the image that was given by its digest alone."""


class SteppedEngine(Protocol):
    """The engine under the loop, used by the loop's thread alone. Outputs are opaque to the loop.

    A label request is one engine request per read of its plan, any other request is a single one.
    """

    @property
    def kv_cache(self) -> KvCache: ...

    @property
    def warms(self) -> bool:
        """Whether a prefix is reused only where a request has ended (`image_reuse.py`)."""
        ...

    def add(
        self,
        rid: str,
        request: Request,
        token_ids: Sequence[int],
        read: Read | None,
        pixels: Sequence[Any] | None,
    ) -> int:
        """Take one engine request; raises RequestRefusedError, or PixelsMissingError.

        token_ids: the rendered request, without the read's prefix. pixels: the decoded images;
        None if all were given before, or if there are none. Returns the tokens that the request
        may come to occupy, those of its images and its reply included.
        """
        ...

    def abort(self, rids: list[str]) -> None: ...

    def step(self) -> Iterable[tuple[str, Any]]:
        """Compute for a while; the engine requests that finished, with their outputs."""
        ...

    def failure(self, output: Any) -> str | None:
        """Why the engine could not process a request that it had taken; None if it could."""
        ...

    def found_image(self, output: Any, num_behind: int) -> bool:
        """Whether a request reused its images; num_behind: its tokens behind them."""
        ...

    def reply(self, plan: LabelPlan | None, outputs: Sequence[Any]) -> Reply:
        """outputs: one per read of the plan, in its order; a single one without a plan."""
        ...

    def shutdown(self) -> None: ...


class Counts(Protocol):
    """What the loop counts as it goes."""

    num_requests: int
    num_resent: int
    num_pixels_sent: int


class RequestLoop:
    """The engine thread's state: what waits, what is in the engine, and the engine itself."""

    def __init__(
        self,
        llm: SteppedEngine,
        layout: Layout,
        inbox: "queue.SimpleQueue[Message]",
        counts: Counts,
        label_reading: LabelReading = "auto",
    ) -> None:
        self._llm = llm
        self._layout = layout
        self._inbox = inbox
        self._counts = counts
        self._waiting: deque[Job] = deque()
        self._ready: deque[Job] = deque()
        self._running: dict[str, tuple[Job, int]] = {}
        self._open: list[Batch] = []
        self._sent: set[str] = set()
        self._residency = Residency(llm.kv_cache)
        self._warming = Warming(layout) if llm.warms else None
        self._plans = LabelPlans(layout, label_reading)
        self._next_id = 0
        self._closing = False
        self._decoders = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")

    @property
    def num_resident(self) -> int | None:
        """How many images like the first one the KV cache holds; None before it was asked about."""
        return self._residency.num_resident

    def run(self) -> None:
        while not self._closing:
            self._receive()
            self._look_ahead()
            self._feed()
            if self._running:
                self._step()
            self._hand_out()

    def give_up(self) -> None:
        """Wake every caller that still waits."""
        for batch in self._open:
            batch.give_up()

    def shutdown(self) -> None:
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._llm.shutdown()

    def _receive(self) -> None:
        """Take what has come in; wait for it if there is nothing else to do."""
        idle = not (self._running or self._ready or self._waiting)
        try:
            while True:
                message = self._inbox.get(block=idle)
                if message is None:
                    self._closing = True
                    return
                if isinstance(message, Batch):
                    self._cancel(message)
                else:
                    self._accept(message)
                idle = False
        except queue.Empty:
            return

    def _accept(self, jobs: list[Job]) -> None:
        self._open.append(jobs[0].batch)
        digests = [job.digest for job in jobs]
        self._residency.tell_shortage(digest for digest in digests if digest in self._sent)
        self._waiting.extend(jobs[i] for i in self._residency.order(digests))

    def _cancel(self, batch: Batch) -> None:
        batch.cancelled = True
        ids = [rid for rid, (job, _) in self._running.items() if job.batch is batch]
        self._llm.abort(ids)
        for rid in ids:
            del self._running[rid]

    def _look_ahead(self) -> None:
        """Tokenize and start decoding for the requests that come next."""
        while self._waiting and len(self._ready) < _LOOKAHEAD:
            job = self._waiting.popleft()
            if job.batch.cancelled:
                continue
            try:
                self._prepare(job)
            except (DataError, EngineError) as error:
                job.fail(str(error))
            else:
                self._ready.append(job)

    def _prepare(self, job: Job) -> None:
        request = job.request
        job.token_ids = request_ids(self._layout, request)
        if request.labels:
            job.plan = self._plans.of(request.labels)
            job.to_add = list(range(len(job.plan.reads)))
        if any(image.digest not in self._sent for image in request.images):
            job.pixels = self._decode(request.images)

    def _decode(self, images: Sequence[ImageRef]) -> Future[list[Any]]:
        return self._decoders.submit(lambda: [decode_image(image) for image in images])

    def _feed(self) -> None:
        """Fill the window, in order, without waiting for an image while the engine has work."""
        while self._ready and len(self._running) < _WINDOW:
            pixels = self._ready[0].pixels
            if pixels is not None and not pixels.done() and self._running:
                return
            self._add(self._ready.popleft())

    def _add(self, job: Job) -> None:
        if job.batch.cancelled:
            return
        if self._warming and (first := self._warming.hold(job, self._put_first)):
            if first is not job:
                self._add(first)
            return
        self._add_reads(job)

    def _add_reads(self, job: Job) -> None:
        """Give the engine those reads of a job that it does not have yet."""
        try:
            pixels = job.pixels.result() if job.pixels else None
            job.pixels = None
            while job.to_add:
                self._add_read(job, job.to_add[-1], pixels)
                job.to_add.pop()
        except PixelsMissingError:
            self._resend(job)
        except (DataError, RequestRefusedError) as error:
            job.fail(str(error))

    def _put_first(self, jobs: list[Job]) -> None:
        self._ready.extendleft(reversed(jobs))

    def _add_read(self, job: Job, index: int, pixels: Sequence[Any] | None) -> None:
        read = job.plan.reads[index] if job.plan else None
        rid = str(self._next_id)
        num_tokens = self._llm.add(rid, job.request, job.token_ids, read, pixels)
        self._running[rid] = (job, index)
        self._next_id += 1
        self._counts.num_requests += 1
        self._residency.use(job.digest or rid, num_tokens, job.num_reads)
        if job.digest is not None:
            self._counts.num_pixels_sent += pixels is not None
            self._sent.update((job.digest, *(image.digest for image in job.request.images)))
            self._residency.tell_size(num_tokens)

    def _resend(self, job: Job) -> None:
        """Send a job's images again, as pixels, behind the jobs that need not wait for any."""
        images = job.request.images
        job.num_resends += 1
        self._counts.num_resent += 1
        self._sent.difference_update(image.digest for image in images)
        job.pixels = self._decode(images)
        self._ready.append(job)

    def _step(self) -> None:
        for rid, output in self._llm.step():
            if rid in self._running:
                job, index = self._running.pop(rid)
                self._finish(job, index, output)

    def _finish(self, job: Job, index: int, output: Any) -> None:
        if job.settled:
            return
        failure = self._llm.failure(output)
        if failure is not None:
            if job.request.images and job.num_resends < _MAX_RESENDS:
                job.to_add.append(index)
                self._resend(job)
            else:
                job.fail(failure, "transient")
            return
        self._note_reuse(job, index, output)
        job.outputs[index] = output
        if len(job.outputs) == job.num_reads:
            job.settle(self._llm.reply(job.plan, [job.outputs[i] for i in range(job.num_reads)]))

    def _note_reuse(self, job: Job, index: int, output: Any) -> None:
        if self._warming is None or not job.request.images or job.then is not None:
            return
        read_ids = job.plan.reads[index].prefix_ids if job.plan else ()
        num_images = len(job.request.images)
        num_behind = len(job.token_ids) + len(read_ids) - len(self._layout.prefix(num_images))
        if not self._llm.found_image(output, num_behind):
            self._warming.cool(job)

    def _hand_out(self) -> None:
        """Give the callers what has been answered in this turn."""
        for batch in self._open:
            batch.hand_out()
        self._open = [batch for batch in self._open if batch.num_open and not batch.cancelled]
