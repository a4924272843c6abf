"""The engine never waits: a judge pass through judge, store and engine against the bare loop.

    python scripts/bench_overhead.py [--requests 2000] [--repeats 5]

The bare loop gives vLLM's LLMEngine the same token ids, with images that it knows already, and
steps it until all are answered. vLLM's renderer then works each image's place out again, which
blpo does once for all prompts; a second bare loop is given what blpo renders, so that the ratio to
it is the cost of judge, store and request loop alone. All use one engine; passes take turns, each
under a prompt of its own and of the same length, and the medians are compared. The first pass, in
which images are decoded and encoded, is reported on its own. The ratio of the processor seconds of
all threads bounds what the pass costs where no second core takes over the storing, and a busy
machine disturbs it less. What the journal of received replies takes is clocked within our passes
and reported as a share of them.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from bench_common import (
    ANSWER_INSTRUCTION,
    JUDGE_PROMPTS,
    LABELS,
    TASK,
    TINY,
    Inside,
    Shown,
    build_checkpoint,
    make_images,
    print_result,
    print_table,
)
from blpo.data.images import ImageRef, decode_image
from blpo.data.store.journal import Journal
from blpo.data.store.replies import Collection, ReplyRow
from blpo.data.store.store import ReplyStore
from blpo.models.engines.settings import EngineSettings
from blpo.models.engines.vllm.engine import VllmEngine
from blpo.models.requests.label_logprobs import LabelPlan
from blpo.models.roles.judge import Judge
from blpo.models.wrappers.stored import StoredEngine

IMAGE_SIZE = 224
BARE = "bare engine loop"
RENDERED = "bare engine loop, images rendered once"
OURS = "judge + store + engine"

Render = Callable[[Inside, ImageRef, list[int]], Any]


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds, and processor seconds of all threads; of the journal, those of its own thread."""

    wall_s: float
    cpu_s: float


class ClockedJournal(Journal):
    """Adds up what the journals of this process take."""

    wall_s = 0.0
    cpu_s = 0.0

    def append(self, collection: Collection, rows: Mapping[str, Sequence[ReplyRow]]) -> None:
        with clocked():
            super().append(collection, rows)

    def clear(self) -> None:
        with clocked():
            super().clear()


@contextmanager
def clocked() -> Generator[None]:
    wall, cpu = time.perf_counter(), time.thread_time()
    yield
    ClockedJournal.wall_s += time.perf_counter() - wall
    ClockedJournal.cpu_s += time.thread_time() - cpu


class ClockedStore(ReplyStore):
    def journal(self) -> Journal:
        return ClockedJournal(self.root / "journals")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n", 1)[0])
    parser.add_argument("--requests", type=int, default=2000, help="images, and requests in a pass")
    parser.add_argument("--repeats", type=int, default=5, help="passes of each kind")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), args.requests, args.repeats)


def run(folder: Path, num_requests: int, repeats: int) -> None:
    checkpoint = build_checkpoint(folder / "model", TINY)
    engine = VllmEngine(
        EngineSettings(
            model=str(checkpoint), load_format="dummy", kv_cache_gib=4, label_reading="first_token"
        )
    )
    stored = StoredEngine(engine, ClockedStore(folder / "store"), "judge", "bench")
    judge = Judge(stored, TASK)
    examples = [Shown(image) for image in make_images(num_requests, IMAGE_SIZE)]
    judge("Round 00.", [Shown(make_images(1, IMAGE_SIZE, seed=1)[0])])  # starts the engine
    decode = timed(lambda: [decode_image(example.image) for example in examples])
    first = timed(lambda: judge(prompt_of(1), examples))
    passes: dict[str, Callable[[str], Spent]] = {
        BARE: lambda prompt: bare_pass(engine, prompt, examples, rendered_by_vllm),
        RENDERED: lambda prompt: bare_pass(engine, prompt, examples, rendered_by_blpo),
        OURS: lambda prompt: timed(lambda: judge(prompt, examples)),
    }
    ClockedJournal.wall_s = ClockedJournal.cpu_s = 0.0
    spent: dict[str, list[Spent]] = {name: [] for name in passes}
    prompts = map(prompt_of, count(2))
    for i in range(repeats):
        for name in rotated(list(passes), i):
            spent[name].append(passes[name](next(prompts)))
    engine.close()
    report(num_requests, decode, first, spent)


def prompt_of(number: int) -> str:
    """Judge prompts of the same length that differ from the start."""
    return f"{number:02d}. {JUDGE_PROMPTS[0]}"


def rotated(names: Sequence[str], by: int) -> list[str]:
    by %= len(names)
    return [*names[by:], *names[:by]]


def bare_pass(
    engine: VllmEngine, judge_prompt: str, examples: Sequence[Shown], render: Render
) -> Spent:
    """The same requests through vLLM's own engine, given ready token ids."""
    inside = Inside(engine)
    prompt = f"{judge_prompt}\n{ANSWER_INSTRUCTION}"
    token_ids = inside.layout.token_ids(prompt, num_images=1, text=None)
    plan = LabelPlan.make(inside.layout.tokenizer, LABELS, inside.layout.end_of_turn)
    (read,) = plan.reads
    token_ids = [*token_ids, *read.prefix_ids]
    params = inside.label_params(read)
    images = [example.image for example in examples]
    return timed(lambda: answer_all(inside, images, token_ids, params, render))


def answer_all(
    inside: Inside, images: Sequence[ImageRef], token_ids: list[int], params: Any, render: Render
) -> None:
    for i, image in enumerate(images):
        inside.llm.add_request(str(i), render(inside, image, token_ids), params)
    num_answered = 0
    while inside.llm.has_unfinished_requests():
        num_answered += sum(output.finished for output in inside.llm.step())
    if num_answered != len(images):
        raise RuntimeError(f"{num_answered} of {len(images)} requests were answered")


def rendered_by_vllm(inside: Inside, image: ImageRef, token_ids: list[int]) -> Any:
    prompt = {
        "prompt_token_ids": token_ids,
        "multi_modal_data": {"image": [None]},
        "multi_modal_uuids": {"image": [image.digest]},
    }
    (rendered,) = inside.llm.renderer.render_cmpl([prompt])
    return rendered


def rendered_by_blpo(inside: Inside, image: ImageRef, token_ids: list[int]) -> Any:
    return inside.renderer.render([image], token_ids, None)


def timed(work: Callable[[], object]) -> Spent:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - wall, time.process_time() - cpu)


def report(num_requests: int, decode: Spent, first: Spent, spent: dict[str, list[Spent]]) -> None:
    found = {name: medians(passes) for name, passes in spent.items()}
    ours_s, ours_cpu = found[OURS]
    journal = Spent(
        ClockedJournal.wall_s / len(spent[OURS]), ClockedJournal.cpu_s / len(spent[OURS])
    )
    ratios = {
        name: (ours_s / wall_s, ours_cpu / cpu_s)
        for name, (wall_s, cpu_s) in found.items()
        if name != OURS
    }
    print_table(
        f"{num_requests} label requests, {IMAGE_SIZE} x {IMAGE_SIZE} images, tiny model, medians "
        f"of {len(spent[OURS])} passes",
        ("pass", "seconds", "processor seconds"),
        [
            ("first: images decoded and encoded", first.wall_s, first.cpu_s),
            ("decoding alone, one thread", decode.wall_s, decode.cpu_s),
            *((name, *figures) for name, figures in found.items()),
            *((f"ratio to {name}", *figures) for name, figures in ratios.items()),
            ("of ours, the journal", journal.wall_s, journal.cpu_s),
            ("the journal's share of ours", journal.wall_s / ours_s, journal.cpu_s / ours_cpu),
        ],
    )
    print_result(
        "overhead",
        {
            "ratio_vs_bare_engine": round(ratios[BARE][0], 4),
            "cpu_ratio_vs_bare_engine": round(ratios[BARE][1], 4),
            "ratio_vs_bare_engine_rendered_once": round(ratios[RENDERED][0], 4),
            "cpu_ratio_vs_bare_engine_rendered_once": round(ratios[RENDERED][1], 4),
            "journal_share": round(journal.wall_s / ours_s, 4),
            "journal_cpu_share": round(journal.cpu_s / ours_cpu, 4),
            "requests": num_requests,
            "seconds": {
                name: [round(one.wall_s, 3) for one in passes] for name, passes in spent.items()
            },
            "first_pass_s": round(first.wall_s, 3),
            "decode_s": round(decode.wall_s, 3),
        },
    )


def medians(passes: Sequence[Spent]) -> tuple[float, float]:
    """Median seconds and median processor seconds."""
    return (
        statistics.median(spent.wall_s for spent in passes),
        statistics.median(spent.cpu_s for spent in passes),
    )


if __name__ == "__main__":
    main()
