"""What a sweep costs on clusters that are not at hand: a discrete-event model.

Runs are chains of stages, each of which waits for the one before. A task of the array starts an
engine on its GPUs and executes its runs together; their requests take turns in its batches. What is
answered is in the store, so that a task that loses its node repeats only what was in flight. The
rates of GPUs are ASSUMPTIONS, what the store does to a file system was measured (`STORE`). Needs
simpy (extra `dev`).

    .venv/bin/python scripts/simulate_scale.py [--plots scripts/scale]
    .venv/bin/python scripts/simulate_scale.py --bulk [--images 100000000] [--gpu-hour 2.5]

Prints tables, draws plots, and ends with a line of JSON. The same seed gives the same figures.
`slurm/SCALE.md` says what follows from them.
"""

import argparse
import json
import math
import random
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import simpy

Event = simpy.Event
Steps = Generator[Event, Any, None]


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge and the engine that runs it.

    gpus: that share it. cold, warm: images/s judged for the first time, and again under another
    prompt. resident: images that the KV cache holds. captions: verbalizations/s. load_s: start of
    the engine.
    """

    name: str
    gpus: int
    cold: float
    warm: float
    resident: int
    captions: float
    load_s: float


@dataclass(frozen=True, slots=True)
class Dataset:
    name: str
    num_train: int
    num_test: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Requests that are asked together. whole_pass: over all images of the split."""

    kind: Literal["judge", "verbalize", "optimize"]
    num_requests: int
    whole_pass: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    judge: Judge
    dataset: Dataset
    method: str
    seed: int


# Assumed, for images of 512x512 and prompts of 200 tokens. The ceiling that follows from the
# arithmetic of a 7B model on an H100 is 45 images/s cold and 135 warm; the others are scaled by
# active parameters and number of GPUs. Residency: 90 % of the memory that weights leave.
JUDGES = (
    Judge("Qwen2.5-VL-32B fp8", 1, cold=14, warm=42, resident=600, captions=8, load_s=180),
    Judge("Llama-4-Scout fp8", 2, cold=36, warm=110, resident=1200, captions=20, load_s=240),
    Judge("Llama-4-Maverick fp8", 8, cold=120, warm=360, resident=2400, captions=60, load_s=480),
)
# Sizes of the order of the paper's.
DATASETS = (
    Dataset("UnsafeBench", 150, 200),
    Dataset("AGIN", 100, 200),
    Dataset("SeeTRUE", 200, 200),
    Dataset("ImageReward", 150, 200),
)
METHODS = ("none", "textgrad", "opro", "apo-image", "blpo")
SEEDS = range(5)

OPTIMIZER_S = 15.0
"""Assumed: seconds that an optimizer LLM takes for a prompt. Nobody else waits meanwhile."""
CAPTION_S = 4.0
"""Assumed: seconds of one verbalization (256 tokens), however few are asked for together."""
READ_S = 0.1
"""Assumed: seconds of one label read alone."""
REQUEUE_S = 120.0
"""Seconds until Slurm starts a requeued task again (its default)."""
LOST_S = 2.0
"""Work that a killed task repeats: what is in flight, and parts of the store not yet written."""
TURN = 128
"""Requests that a run asks before others of the engine have their turn."""


GPUS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048)
RUNS_PER_TASK = (25, 5, 1)
PREEMPTED_EVERY_H = (None, 8.0, 4.0, 2.0, 1.0, 0.5)
PREEMPTED_GPUS = 128
WRITERS = (1, 4, 16, 64, 256)
PARTS = ((2.0, 1024), (10.0, 4096), (60.0, 16_384))
"""Age in seconds and rows at which a part is written: as built, and larger."""
SERVED = 20_000.0
"""Assumed: metadata calls/s that a filer serves for everybody."""
ROWS_PER_S = 40.0
"""Assumed: of a writer in bulk judging, which sees each image once."""


BULK_GPUS = (64, 256, 1024)
GROUP_BYTES, READ_BYTES = 64 * 2**20, 2**20
"""Of a row group as imports write it, and of a request for a part of a column."""
OTHER_COLUMNS = 2
"""Columns of a row group that are read beside the image, with a request each: id and text."""
FOOTER_REQUESTS = 12
"""Of a file that a shard opens, as counted on a local S3 server: listings, kinds, footers."""


@dataclass(frozen=True, slots=True)
class BulkCosts:
    """What blpo itself takes of a row, as `bench_shards.py` measured it on 5 million.

    cpu_us, kb_cpu_us: of judging it behind an engine that answers at once, apart from its image
    and for each kB of it (4,000 images of 100 kB). merge_cpu_us: of merging.
    store_bytes, output_bytes: that it takes in the reply store and in the output, of a task with
    two labels. in_flight: images at most that a process which is killed asks about again.
    """

    cpu_us: float = 82.0
    kb_cpu_us: float = 2.2
    merge_cpu_us: float = 0.8
    store_bytes: float = 186.0
    output_bytes: float = 26.0
    in_flight: int = 1024


BULK = BulkCosts()


@dataclass(frozen=True, slots=True)
class Assumed:
    """What bulk judging costs beyond what is measured here: put in your own.

    image_bytes: of an encoded image of 512x512 as JPEG. gpu_hour, cpu_hour, million_gets, gb_month:
    prices in dollars, of storage for a month.
    """

    images: int = 100_000_000
    image_bytes: int = 100_000
    gpu_hour: float = 2.5
    cpu_hour: float = 0.04
    million_gets: float = 0.4
    gb_month: float = 0.023


@dataclass(frozen=True, slots=True)
class StoreTraffic:
    """What the store asks of a file system, as `count_store_calls.py` counts it.

    calls_per_part: system calls on names and folders for a part that is written, made durable and
    looked up. calls_per_other_part: more, for each part that another process has written into the
    same partition meanwhile. calls_per_open: for each part, of
    a process that opens a partition. names_per_call: of a listing. part_bytes, row_bytes: of a part
    of verdicts, apart from its rows and for each. part_s: age at which a part is written at the
    latest. part_rows: its rows at most. merged_rows: of a part that compaction has made.
    """

    calls_per_part: int = 22
    calls_per_other_part: float = 4.0
    names_per_call: int = 800
    part_bytes: int = 3827
    row_bytes: int = 158
    part_s: float = 2.0
    part_rows: int = 1024
    calls_per_open: float = 3.0
    merged_rows: int = 131_072


STORE = StoreTraffic()


def stages_of(run: Run) -> list[Stage]:
    """The trajectory of a run at the paper's sizes (T = K = 5, minibatches of ten)."""
    train = Stage("judge", run.dataset.num_train, whole_pass=True)
    test = Stage("judge", run.dataset.num_test, whole_pass=True)
    optimize, minibatch = Stage("optimize", 1), Stage("judge", 10)
    match run.method:
        case "none":
            search: list[Stage] = []
        case "textgrad":
            search = [minibatch, optimize, optimize, Stage("judge", 32)] * 25
        case "opro":
            search = [optimize, Stage("judge", 32)] * 25
        case "apo-image":
            search = [train, optimize, optimize, Stage("judge", 160)] * 5
        case _:
            inner = [optimize, Stage("verbalize", 10), optimize, minibatch]
            search = [train, Stage("verbalize", 10), optimize, minibatch, *inner * 5] * 5
    return [test, *search, test]


def all_runs(times_images: int = 1) -> list[Run]:
    """12 pairs of judge and dataset, 5 methods, 5 seeds."""
    datasets = [
        Dataset(d.name, d.num_train * times_images, d.num_test * times_images) for d in DATASETS
    ]
    return [
        Run(judge, dataset, method, seed)
        for judge in JUDGES
        for dataset in datasets
        for method in METHODS
        for seed in SEEDS
    ]


def work_s(run: Run, stage: Stage, *, is_first: bool) -> float:
    """Seconds that a stage takes of its engine, others left aside. is_first: of whole passes."""
    judge = run.judge
    if stage.kind == "optimize":
        return 0.0
    if stage.kind == "verbalize":
        return stage.num_requests / judge.captions
    hits = 1.0
    if stage.whole_pass:
        images = run.dataset.num_train + run.dataset.num_test
        hits = 0.0 if is_first else min(1.0, judge.resident / images)
    return stage.num_requests * (hits / judge.warm + (1 - hits) / judge.cold)


def latency_s(stage: Stage) -> float:
    """Seconds that a stage takes beside its work, in which its run alone waits."""
    return {"optimize": OPTIMIZER_S, "verbalize": CAPTION_S, "judge": READ_S}[stage.kind]


def chain_s(run: Run) -> float:
    """Seconds of a run alone on an engine that is started, images unseen."""
    firsts = _first_passes(stages_of(run))
    return sum(
        work_s(run, stage, is_first=is_first) + latency_s(stage) for stage, is_first in firsts
    )


def _first_passes(stages: Sequence[Stage]) -> list[tuple[Stage, bool]]:
    """Each stage, and whether it is the first over its split's images."""
    seen: set[int] = set()
    marked: list[tuple[Stage, bool]] = []
    for stage in stages:
        is_first = stage.whole_pass and stage.num_requests not in seen
        seen |= {stage.num_requests} if stage.whole_pass else set()
        marked.append((stage, is_first))
    return marked


@dataclass(slots=True)
class Outcome:
    """hours: until the last run has ended. gpu_hours: held, idle or not. parts: when each part of
    the store was written, in seconds. preemptions: tasks that lost their GPUs."""

    hours: float = 0.0
    gpu_hours: float = 0.0
    parts: list[float] = field(default_factory=list[float])
    preemptions: int = 0


class _Engine:
    """A started engine, whose runs take turns, and what it has seen."""

    def __init__(self, env: simpy.Environment) -> None:
        self.turn = simpy.Resource(env)
        self.seen: set[int] = set()


class Cluster:
    """So many GPUs, and tasks that wait for them in the order in which they were submitted.

    preempted_every_s: mean time that a task keeps its GPUs, exponentially distributed; None for
    ever. load: whether engines take time to start.
    """

    def __init__(
        self, num_gpus: int, *, preempted_every_s: float | None = None, load: bool = True
    ) -> None:
        self.outcome = Outcome()
        self._env = simpy.Environment()
        self._gpus = simpy.Container(self._env, num_gpus, num_gpus)
        self._every_s = preempted_every_s
        self._load = load
        self._random = random.Random(0)

    def execute(self, tasks: Iterable[Sequence[Run]]) -> Outcome:
        for runs in tasks:
            self._env.process(self._task(runs))
        self._env.run()
        return self.outcome

    def _task(self, runs: Sequence[Run]) -> Steps:
        judge = runs[0].judge
        rests = [_Rest(run) for run in runs]
        while any(rest.work for rest in rests):
            yield self._gpus.get(judge.gpus)
            started = self._env.now
            yield from self._until_done_or_preempted(judge, rests)
            self.outcome.gpu_hours += (self._env.now - started) * judge.gpus / 3600
            yield self._gpus.put(judge.gpus)
            if any(rest.work for rest in rests):
                self.outcome.preemptions += 1
                yield self._env.timeout(REQUEUE_S)
        self.outcome.hours = max(self.outcome.hours, self._env.now / 3600)

    def _until_done_or_preempted(self, judge: Judge, rests: list["_Rest"]) -> Steps:
        working = self._env.process(self._work(judge, rests))
        if self._every_s is None:
            yield working
            return
        preempted = self._env.timeout(self._random.expovariate(1 / self._every_s))
        yield working | preempted
        if working.is_alive:
            working.interrupt()
            yield working

    def _work(self, judge: Judge, rests: list["_Rest"]) -> Steps:
        """Start an engine and execute what is left of the runs."""
        runs: list[simpy.Process] = []
        try:
            yield self._env.timeout(judge.load_s if self._load else 0.0)
            engine = _Engine(self._env)
            runs = [self._env.process(self._run(engine, rest)) for rest in rests]
            yield self._env.all_of(runs)
        except simpy.Interrupt:
            for run in runs:
                if run.is_alive:
                    run.interrupt()

    def _run(self, engine: _Engine, rest: "_Rest") -> Steps:
        try:
            while rest.work:
                yield from self._stage(engine, rest)
                rest.work.pop(0)
        except simpy.Interrupt:
            pass

    def _stage(self, engine: _Engine, rest: "_Rest") -> Steps:
        stage = rest.work[0]
        is_first = stage.whole_pass and rest.split_key(stage) not in engine.seen
        if stage.whole_pass:
            engine.seen.add(rest.split_key(stage))
        whole_s = work_s(rest.run, stage, is_first=is_first)
        turn_s = whole_s * min(1.0, TURN / stage.num_requests)
        while rest.done < 1.0 and whole_s > 0:
            turn = engine.turn.request()
            with turn:
                yield turn
                started = self._env.now
                step_s = min(turn_s, whole_s * (1.0 - rest.done))
                try:
                    yield self._env.timeout(step_s)
                except simpy.Interrupt:
                    rest.done += max(self._env.now - started - LOST_S, 0.0) / whole_s
                    raise
                rest.done = 1.0 if step_s < turn_s else rest.done + step_s / whole_s
                rest.done = 1.0 if rest.done > 1 - 1e-9 else rest.done
                self.outcome.parts.append(self._env.now)
        yield self._env.timeout(latency_s(stage))
        rest.done = 0.0


@dataclass(slots=True)
class _Rest:
    """What is left of a run. done: of its first stage's work, a share."""

    run: Run
    work: list[Stage] = field(init=False)
    done: float = 0.0

    def __post_init__(self) -> None:
        self.work = stages_of(self.run)

    def split_key(self, stage: Stage) -> int:
        return stage.num_requests


def tasks_of(runs: Sequence[Run], runs_per_task: int) -> list[list[Run]]:
    """Tasks as the launcher makes them: together only runs of one judge and dataset.

    Those with the longest chains come first: a judge that takes many GPUs would wait for ever
    smaller gaps otherwise.
    """
    pairs: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        pairs.setdefault((run.judge.name, run.dataset.name), []).append(run)
    tasks = [
        sorted(pair, key=chain_s, reverse=True)[start::step]
        for pair in pairs.values()
        for step in [-(-len(pair) // runs_per_task)]
        for start in range(step)
    ]
    return sorted(tasks, key=lambda task: (-task[0].judge.gpus, -max(map(chain_s, task))))


@dataclass(frozen=True, slots=True)
class Traffic:
    """On a file system, from writers of one partition. put_s: that a writer waits for a part."""

    calls_per_s: float
    parts_per_s: float
    mb_per_s: float
    put_s: float


def shared_partition(
    num_writers: int,
    rows_per_s: float,
    *,
    part_s: float = STORE.part_s,
    part_rows: float = STORE.part_rows,
    calls_per_s: float = math.inf,
) -> Traffic:
    """Many writers of one partition: bulk judging under one prompt, a task for each shard.

    rows_per_s: of each writer. calls_per_s: that the file system serves, all together. A writer
    goes on with the rows that have come in while it waited.
    """
    seconds = 120.0 + 5 * part_s
    env = simpy.Environment()
    server = simpy.Resource(env)
    chance = random.Random(0)
    parts, waits = 0, list[float]()
    num_bytes, num_calls = 0.0, 0.0

    def writer() -> Steps:
        nonlocal parts, num_bytes, num_calls
        yield env.timeout(chance.random() * part_s)
        last, known = env.now, parts
        while True:
            rows = rows_per_s * (env.now - last)
            last = env.now
            others, known = parts - known, parts + 1
            parts += 1
            calls = STORE.calls_per_part + STORE.calls_per_other_part * others
            calls += 4 * parts // STORE.names_per_call
            num_calls += calls
            num_bytes += STORE.part_bytes + STORE.row_bytes * rows
            turn = server.request()
            with turn:
                yield turn
                yield env.timeout(calls / calls_per_s)
            waits.append(env.now - last)
            interval = min(part_s, part_rows / rows_per_s)
            yield env.timeout(max(interval - (env.now - last), 0.0))

    for _ in range(num_writers):
        env.process(writer())
    env.run(until=seconds)
    return Traffic(
        num_calls / seconds,
        parts / seconds,
        num_bytes / seconds / 1e6,
        sum(waits) / len(waits),
    )


def get_requests(num_images: int, num_shards: int, image_bytes: int) -> int:
    """Requests to an object store for a dataset that is judged in shards, each of a file or two."""
    groups = math.ceil(num_images * image_bytes / GROUP_BYTES)
    per_group = math.ceil(GROUP_BYTES / READ_BYTES) + OTHER_COLUMNS
    return groups * per_group + 2 * num_shards * FOOTER_REQUESTS


def bulk_hours(judge: Judge, num_images: int, num_gpus: int) -> float:
    """Of judging each image once, a shard for each engine, which starts once."""
    engines = num_gpus // judge.gpus
    return (judge.load_s + num_images / engines / judge.cold) / 3600


def bulk_cpu_hours(assumed: Assumed) -> float:
    """Of judging all images and merging their verdicts, apart from the engines."""
    per_row = BULK.cpu_us + BULK.kb_cpu_us * assumed.image_bytes / 1000 + BULK.merge_cpu_us
    return assumed.images * per_row / 1e6 / 3600


def bulk_dollars(judge: Judge, assumed: Assumed) -> dict[str, float]:
    """Dollars for a million images by what they are paid for, on the most of BULK_GPUS."""
    engines = max(BULK_GPUS) // judge.gpus
    gpu_hours = bulk_hours(judge, assumed.images, max(BULK_GPUS)) * engines * judge.gpus
    requests = get_requests(assumed.images, engines, assumed.image_bytes)
    kept_bytes = assumed.images * (BULK.store_bytes + BULK.output_bytes)
    whole = {
        "GPUs": gpu_hours * assumed.gpu_hour,
        "CPU": bulk_cpu_hours(assumed) * assumed.cpu_hour,
        "requests": requests / 1e6 * assumed.million_gets,
        "output and store, a month": kept_bytes / 1e9 * assumed.gb_month,
    }
    return {name: dollars / assumed.images * 1e6 for name, dollars in whole.items()}


def busiest_minute(times: Sequence[float]) -> int:
    """The most of these moments, in seconds, that lie in one minute."""
    counts: dict[int, int] = {}
    for time in times:
        counts[int(time // 60)] = counts.get(int(time // 60), 0) + 1
    return max(counts.values(), default=0)


def longest_hours(runs: Sequence[Run]) -> float:
    """Of the longest chain with the start of its engine: what no number of GPUs shortens."""
    return max(run.judge.load_s + chain_s(run) for run in runs) / 3600


def run_costs() -> dict[int, dict[str, tuple[float, float]]]:
    """Hours of a BLPO run alone, and of one of 25 on an engine, by times the images and judge."""
    costs: dict[int, dict[str, tuple[float, float]]] = {}
    for times in (1, 10, 100):
        runs = [run for run in all_runs(times) if run.dataset.name == "ImageReward"]
        costs[times] = {}
        for judge in JUDGES:
            own = [run for run in runs if run.judge == judge]
            blpo = [run for run in own if run.method == "blpo"]
            alone = Cluster(8).execute([blpo[:1]]).gpu_hours
            shared = Cluster(8).execute([[replace(blpo[0], seed=n) for n in range(25)]]).gpu_hours
            costs[times][judge.name] = (alone, shared / 25)
    return costs


def preemption_costs() -> dict[float | None, Outcome]:
    """By hours that a task keeps its GPUs, on average."""
    tasks = tasks_of(all_runs(), 5)
    return {
        hours: Cluster(PREEMPTED_GPUS, preempted_every_s=hours and hours * 3600).execute(tasks)
        for hours in PREEMPTED_EVERY_H
    }


def enough(outcomes: dict[int, Outcome], longest: float) -> int | None:
    """The fewest GPUs with which a sweep takes no more than a tenth longer than its longest run."""
    return next((n for n, outcome in outcomes.items() if outcome.hours <= 1.1 * longest), None)


def tell_sweep(sweep: dict[int, dict[int, Outcome]], longest: float) -> None:
    print(f"\nA sweep of {len(all_runs())} runs; its longest chain: {longest:.2f} h\n")
    print("| GPUs | " + " | ".join(f"h at {n} per task" for n in sweep) + " |")
    print("|---|" + "---|" * len(sweep))
    for count in GPUS:
        hours = " | ".join(f"{outcomes[count].hours:.2f}" for outcomes in sweep.values())
        print(f"| {count} | {hours} |")
    costs = ", ".join(f"{n}: {o[GPUS[-1]].gpu_hours:.0f}" for n, o in sweep.items())
    print(f"\nGPU hours by runs per task: {costs}")


def tell_costs(costs: dict[int, dict[str, tuple[float, float]]]) -> None:
    print("\nGPU hours of a BLPO run, alone / as one of 25 on an engine\n")
    print("| images | " + " | ".join(judge.name for judge in JUDGES) + " |")
    print("|---|" + "---|" * len(JUDGES))
    for times, by_judge in costs.items():
        cells = (f"{alone:.2f} / {shared:.2f}" for alone, shared in by_judge.values())
        print(f"| x {times} | {' | '.join(cells)} |")


def tell_preemption(outcomes: dict[float | None, Outcome]) -> None:
    print(f"\nPreemption, on {PREEMPTED_GPUS} GPUs, 5 runs per task\n")
    print("| GPUs are kept for, mean | hours | GPU hours | preemptions |\n|---|---|---|---|")
    for every_h, outcome in outcomes.items():
        kept = "ever" if every_h is None else f"{every_h:g} h"
        spent = f"{outcome.hours:.2f} | {outcome.gpu_hours:.0f} | {outcome.preemptions}"
        print(f"| {kept} | {spent} |")


def tell_store(traffic: dict[tuple[int, float], tuple[Traffic, Traffic]]) -> None:
    print(f"\nWriters of one partition, {ROWS_PER_S:g} rows/s each")
    print(f"(wanted: of a file system without limits; got: of one that serves {SERVED:,.0f}/s)\n")
    print("| writers | part after, s | calls/s wanted | parts/s got | MB/s got | a put takes, s |")
    print("|---|---|---|---|---|---|")
    for (writers, part_s), (wanted, got) in traffic.items():
        print(
            f"| {writers} | {part_s:g} | {wanted.calls_per_s:,.0f} | {got.parts_per_s:.1f} "
            f"| {got.mb_per_s:.2f} | {got.put_s:.2f} |"
        )


def tell_files(rows: int = 1_000_000) -> None:
    """A partition of so many rows, and what it takes 256 tasks that start at once to open it."""
    print(f"\nA partition of {rows:,} verdicts, opened by 256 processes at once\n")
    print(
        "| parts of rows | files | MB | calls | s, at what a filer serves |\n|---|---|---|---|---|"
    )
    for part_rows in (int(ROWS_PER_S * STORE.part_s), STORE.part_rows, STORE.merged_rows):
        parts = -(-rows // part_rows)
        megabytes = (parts * STORE.part_bytes + rows * STORE.row_bytes) / 1e6
        calls = 256 * (parts * STORE.calls_per_open + 2 * (parts // STORE.names_per_call + 1))
        asked = f"{calls:,.0f} | {calls / SERVED:,.1f}"
        print(f"| {part_rows:,} | {parts:,} | {megabytes:,.0f} | {asked} |")


def tell_bulk(assumed: Assumed) -> None:
    cpu_hours = bulk_cpu_hours(assumed)
    print(f"\n{assumed.images:,} images under one prompt, each judged once\n")
    hours = " | ".join(f"h on {count:,} GPUs" for count in BULK_GPUS)
    print(f"| judge | GPU h per million | $ per million | {hours} | CPUs per engine |")
    print("|---|---|---|" + "---|" * len(BULK_GPUS) + "---|")
    for judge in JUDGES:
        gpu_hours = 1e6 / judge.cold * judge.gpus / 3600
        cells = (f"{bulk_hours(judge, assumed.images, count):.1f}" for count in BULK_GPUS)
        dollars = sum(bulk_dollars(judge, assumed).values())
        print(
            f"| {judge.name} | {gpu_hours:.0f} | {dollars:.2f} | {' | '.join(cells)} "
            f"| {judge.cold * cpu_hours / assumed.images * 3600:.3f} |"
        )
    print("\n| $ per million for | " + " | ".join(judge.name for judge in JUDGES) + " |")
    print("|---|" + "---|" * len(JUDGES))
    by_judge = [bulk_dollars(judge, assumed) for judge in JUDGES]
    for name in by_judge[0]:
        print(f"| {name} | {' | '.join(f'{dollars[name]:.4f}' for dollars in by_judge)} |")
    requests = get_requests(assumed.images, max(BULK_GPUS), assumed.image_bytes)
    store, output = (assumed.images * n / 1e9 for n in (BULK.store_bytes, BULK.output_bytes))
    read = assumed.images * assumed.image_bytes / 1e12
    print(f"\nObject store: {requests / 1e6:.2f} million requests, {read:.1f} TB")
    print(f"CPU of blpo: {cpu_hours:.1f} h; reply stores: {store:.1f} GB; output: {output:.1f} GB")
    again = max(BULK_GPUS) * BULK.in_flight
    print(f"A kill of {max(BULK_GPUS):,} engines at once: at most {again:,} images asked again")


def draw(
    folder: Path,
    sweep: dict[int, dict[int, Outcome]],
    longest: float,
    traffic: dict[tuple[int, float], tuple[Traffic, Traffic]],
) -> None:
    """sweep.png: hours against GPUs. store.png: calls a second against writers."""
    pyplot: Any = import_module("matplotlib.pyplot")
    folder.mkdir(parents=True, exist_ok=True)
    figure, axes = pyplot.subplots(figsize=(6, 3.4), layout="constrained")
    for (per_task, outcomes), marker in zip(sweep.items(), "os^", strict=True):
        hours = [outcome.hours for outcome in outcomes.values()]
        axes.loglog(list(outcomes), hours, marker=marker, label=f"runs per task: {per_task}")
    axes.axhline(longest, color="#767676", linestyle="--", label="longest chain")
    axes.set(xlabel="GPUs", ylabel="hours", title="A sweep of 300 runs (simulated)")
    axes.legend()
    figure.savefig(folder / "sweep.png", dpi=110, metadata={"Software": None})
    figure, axes = pyplot.subplots(figsize=(6, 3.4), layout="constrained")
    for (part_s, _), marker in zip(PARTS, "os^", strict=True):
        calls = [traffic[writers, part_s][0].calls_per_s for writers in WRITERS]
        axes.loglog(WRITERS, calls, marker=marker, label=f"a part every {part_s:g} s")
    alone = [writers * STORE.calls_per_part for writers in WRITERS]
    axes.loglog(WRITERS, alone, "k:", label=f"every {STORE.part_s:g} s, a partition each")
    axes.axhline(SERVED, color="#767676", linestyle="--", label="what a filer serves (assumed)")
    axes.set(
        xlabel="writers", ylabel="metadata calls/s", title="Writers of one partition (simulated)"
    )
    axes.legend(fontsize=8)
    figure.savefig(folder / "store.png", dpi=110, metadata={"Software": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--plots", type=Path, help="folder to draw the plots into")
    parser.add_argument("--bulk", action="store_true", help="nothing but bulk judging")
    for name in Assumed.__dataclass_fields__:
        default = getattr(Assumed(), name)
        option = f"--{name.replace('_', '-')}"
        kind = int if isinstance(default, int) else float
        parser.add_argument(option, type=kind, default=default, help="of bulk judging")
    arguments = parser.parse_args()
    assumed = Assumed(**{name: getattr(arguments, name) for name in Assumed.__dataclass_fields__})
    if arguments.bulk:
        tell_bulk(assumed)
        return
    runs = all_runs()
    longest = longest_hours(runs)
    sweep = {
        per_task: {count: Cluster(count).execute(tasks_of(runs, per_task)) for count in GPUS}
        for per_task in RUNS_PER_TASK
    }
    costs, preempted = run_costs(), preemption_costs()
    traffic = {
        (writers, part_s): (
            shared_partition(writers, ROWS_PER_S, part_s=part_s, part_rows=part_rows),
            shared_partition(
                writers, ROWS_PER_S, part_s=part_s, part_rows=part_rows, calls_per_s=SERVED
            ),
        )
        for writers in WRITERS
        for part_s, part_rows in PARTS
    }
    tell_sweep(sweep, longest)
    tell_costs(costs)
    tell_preemption(preempted)
    tell_store(traffic)
    tell_files()
    tell_bulk(assumed)
    parts = busiest_minute(sweep[1][GPUS[-1]].parts) / 60
    print(f"\nThe sweep itself, a task for each run: {parts:.0f} parts/s in its busiest minute")
    if arguments.plots:
        draw(arguments.plots, sweep, longest, traffic)
    result = {
        "longest_chain_h": round(longest, 3),
        "gpus_until_bound_by_it": {n: enough(outcomes, longest) for n, outcomes in sweep.items()},
        "sweep_parts_per_s": round(parts, 1),
        "calls_per_s_256_writers": round(traffic[256, 2.0][0].calls_per_s),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
