"""Warming requests: one for each image of a model that reuses a prefix only where a request ended.

It asks what all requests about the image begin with, and one token more; they wait for it.
"""

from collections import defaultdict
from collections.abc import Callable

from ...engine import Request, Sampling
from ...requests.layout import Layout
from .jobs import Batch, Job

Key = tuple[str, tuple[str, ...], str | None]
"""The images of a request by their digests, their roles, and its text."""


class Warming:
    """Which images are warm, and the jobs that wait for one that is being warmed."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._warm: set[Key] = set()
        self._waiting: defaultdict[Key, list[Job]] = defaultdict(list)

    def hold(self, job: Job, go_on: Callable[[list[Job]], None]) -> Job | None:
        """The request that is to be asked before this job; None if it need not wait.

        The job is held until then, and handed to `go_on` with the others that wait. A job that
        waits for a request already under way comes back itself, to be left alone.
        """
        key = _key(job)
        if key is None or key in self._warm or job.then is not None:
            return None
        self._waiting[key].append(job)
        if len(self._waiting[key]) > 1:
            return job
        return self._warming_job(job, key, go_on)

    def cool(self, job: Job) -> None:
        """Note that the images of a job were not found warm: the engine has dropped them."""
        key = _key(job)
        if key is not None:
            self._warm.discard(key)

    def _warming_job(self, job: Job, key: Key, go_on: Callable[[list[Job]], None]) -> Job:
        request = job.request
        ids = self._layout.shared_ids(len(request.images), request.text, request.image_roles)
        warming = Job(
            Request(
                "",
                request.image,
                request.text,
                (),
                Sampling(max_tokens=1),
                further_images=request.further_images,
            ),
            Batch(1),
            0,
            job.digest,
            # The state is kept short of the last token.
            token_ids=[*ids, *self._layout.suffix[:1]],
            pixels=job.pixels,
        )

        def settled() -> None:
            self._warm.add(key)  # failed or not: who waits finds out alone
            jobs = self._waiting.pop(key)
            for waiting in jobs:
                waiting.pixels = None  # they have been sent
            go_on(jobs)

        warming.then = settled
        return warming


def _key(job: Job) -> Key | None:
    request = job.request
    return None if job.digest is None else (job.digest, request.image_roles, request.text)
