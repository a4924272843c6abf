"""A judge prompt at work: which judge it is, and scoring images in bulk."""

import logging
import uuid
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from ...data.arrow import atomic_path, pa, pq, refuse_output
from ...data.errors import ConfigError, DataError, OutputError
from ...data.examples import Example, Item
from ...data.images import image_name
from ...data.shards import Shard
from ...data.table.extent import Cut
from ...data.table.items import (
    NO_ITEM_OPTIONS,
    ItemOptions,
    is_dataset,
    items_extent,
    iter_items,
)
from ...data.tasks import Task, load_task
from ...data.text_files import read_text
from ...models.engine import Engine
from ...models.roles.criteria_prompt import check_sections
from ...models.roles.judge import Verdict
from ...models.roles.judges import num_requests
from ...models.wrappers.stored import StoredEngine
from ..config import JudgeConfig, RunConfig, parse_config
from ..decisions.decide import Decision, read_decision
from ..metrics.drift import Distribution, mass_bins
from ..metrics.label_mass import MassCounts
from ..readings.choose import Reading, ReadingChoice
from ..result import RoleFailures, role_failures
from ..runs.answer_columns import answer_columns, answer_fields
from ..runs.directory import (
    PREDICTIONS_FILE,
    RESULT_FILE,
    kept_task,
    load_run,
    run_task,
)
from ..runs.engine_pool import EnginePool
from ..runs.judged_by import JUDGED_BY_KEY, JudgedBy, aligned_judge, differing
from ..runs.local_model import model_from_here
from ..runs.predictions import read_predictions
from ..runs.progress import Tracked, progress
from ..runs.roles import configured_judge
from ..runs.verdict_columns import verdict_columns, verdict_fields
from ..search.failures import Tally, failures_error
from .bundle import read_bundle

_log = logging.getLogger("blpo.judge")

BATCH_ROWS = 256
_BATCHES_IN_FLIGHT = 4
_GROUP_ROWS = 4096
SHARD_KEY = "blpo.shard"
"""Of the metadata of a file of verdicts: which shard of the dataset it is of."""
OTHER_JUDGE_KEY = "blpo.other_judge"
"""Of the metadata of a file of verdicts: what `other_judge` says of them."""
_DECISION_FIELDS = (pa.field("decision", pa.string()), pa.field("confidence", pa.float64()))
_FEWEST_ROWS = 1000
"""Of fewer rows no share of failures is taken, unless they are all."""

T = TypeVar("T")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class JudgeSource:
    """Which judge, on which task, under which prompt.

    reading: how its verdicts are read; None for the likeliest label. aligned: model and layout of
    the judge that the prompt of a run was aligned with. prompt_name: where the prompt comes from.
    store: folder of the replies. decision: on which verdicts to act; None where nothing is decided.
    expected: how verdicts were distributed on the test split of the run; None without one.
    fitted_on: dataset of the run, whose train split the prompt was fitted on; None without one.
    """

    task: Task
    judge_prompt: str
    config: JudgeConfig
    reading: Reading | None = None
    aligned: Mapping[str, str] = field(default_factory=dict[str, str])
    prompt_name: str = "its prompt"
    store: Path = Path("store")
    decision: Decision | None = None
    expected: Distribution | None = None
    fitted_on: Path | None = None

    @property
    def judge_name(self) -> str:
        """Model and engine of the judge, in words."""
        engine = self.config.judge
        revision = f"@{engine.revision}" if engine.revision else ""
        return f"{engine.model}{revision} ({engine.kind})"

    @property
    def is_synthetic(self) -> bool:
        """Whether the judge is one of the test bench."""
        return self.config.judge.is_synthetic

    @property
    def requests_per_verdict(self) -> int:
        return num_requests(self.task, self.config.orders, self.config.reasoning)

    def judge(self, engine: Engine, items: Sequence[Item] | Sequence[Example]) -> list[Verdict]:
        """One verdict per item as it is read, in order."""
        return self.read(self.ask(engine, items))

    def ask(self, engine: Engine, items: Sequence[Item] | Sequence[Example]) -> list[Verdict]:
        """One verdict per item by the likeliest label, in order."""
        verdicts = configured_judge(engine, self.task, self.config)(self.judge_prompt, items)
        return [_naming(item, v) for item, v in zip(items, verdicts, strict=True)]

    def read(self, verdicts: list[Verdict]) -> list[Verdict]:
        return [self.reading(verdict) for verdict in verdicts] if self.reading else verdicts


@dataclass(slots=True)
class JudgedCounts:
    """Rows scored, and how many got each verdict; None counts verdicts without a label.

    missing: those without a label, and why. masses: label masses, where there are any. new_calls:
    replies that an engine gave in this session; all others came from the store. other_judge: how
    the judge differs from the one that the prompt was aligned with; empty if it does not.
    departures: how many requests were asked otherwise than they were to be, and in which point.
    num_acts: verdicts to act on; None where nothing is decided. expected: see `JudgeSource`.
    binned: label masses in its bins.
    """

    rows: int = 0
    num_acts: int | None = None
    expected: Distribution | None = None
    binned: Counter[int] = field(default_factory=Counter[int])
    verdicts: Counter[str | None] = field(default_factory=Counter[str | None])
    missing: Tally = field(default_factory=Tally)
    masses: MassCounts = field(default_factory=MassCounts)
    new_calls: int = 0
    other_judge: str = ""
    departures: Mapping[str, int] = field(default_factory=dict[str, int])

    def warn(self) -> None:
        """Say what is wrong with many of the verdicts."""
        warn_of_missing(self.missing.reasons, self.rows)
        if warning := self.masses.warning:
            _log.warning(warning)
        for what in self.drift:
            _log.warning(
                "these images are not like those of the run's test split in %s. Prompt, reading "
                "and decision may do worse on them: label some (`blpo next`) and evaluate",
                what,
            )

    @property
    def drift(self) -> list[str]:
        """In what the verdicts are distributed otherwise than on the run's test split."""
        return self.expected.drift(self.verdicts, self.binned) if self.expected else []

    @property
    def failures(self) -> RoleFailures:
        """As result.json has them of a run."""
        return role_failures(self.missing)

    def add(self, table: Any) -> None:
        """Count a table of `judged_table`."""
        self.rows += table.num_rows
        if "decision" in table.schema.names:
            self.num_acts = (self.num_acts or 0) + table["decision"].to_pylist().count("act")
        verdicts, reasons = (table[name].to_pylist() for name in ("verdict", "reason"))
        self.verdicts.update(verdicts)
        masses = table["label_mass"].drop_null().to_pylist()
        self.masses.add(masses)
        if self.expected is not None:
            self.binned.update(mass_bins(masses, self.expected.mass_edges))
        self.missing.add(
            (reason or "not known") if verdict is None else None
            for verdict, reason in zip(verdicts, reasons, strict=True)
        )

    def check(self, allowed: float, at_least: int = 1) -> None:
        """Raises FailuresError if too many have no label. at_least: see `Tally.exceeds`."""
        check_missing(self.missing, allowed, at_least)


def judge_source(
    run: Path | None,
    task: str | None,
    prompt: Path | None,
    overrides: Sequence[str],
    store: Path | None = None,
    bundle: Path | None = None,
) -> JudgeSource:
    """The judge of a finished run, of a bundle, or of a task with a prompt file or its own prompt.

    store: where replies are; None for the run's own, or `store` without a run. Raises ConfigError
    if not exactly one of `run`, `bundle` and `task` is given, the run is unfinished, its store is
    gone, or the bundle is none.
    """
    if [run, task, bundle].count(None) != 2:
        raise ConfigError(
            "name one of these: a finished run with --run, a bundle with --bundle, a task with "
            "--task"
        )
    if run is not None:
        return _source_of_run(run, prompt, overrides, store)
    if bundle is not None:
        return _source_of_bundle(bundle, prompt, overrides, store)
    loaded = load_task(str(task))
    return JudgeSource(
        loaded,
        _read_prompt(prompt, loaded) or loaded.judge_prompt,
        parse_config(JudgeConfig, {}, "--set", overrides),
        prompt_name=f"initial prompt of task {loaded.name}" if prompt is None else str(prompt),
        store=store or Path("store"),
    )


class Workers:
    """Engines, stores and threads for bulk judging, at work until they are closed."""

    def __init__(self, pool: EnginePool | None = None) -> None:
        self.pool = pool or EnginePool()
        self.threads = ThreadPoolExecutor(_BATCHES_IN_FLIGHT)

    def close(self) -> None:
        # First the engines: closing them wakes the threads that wait for replies.
        self.pool.close()
        self.threads.shutdown(cancel_futures=True)


def judge_dataset(
    source: JudgeSource,
    dataset: Path,
    out: Path,
    store: Path,
    *,
    shard: Shard | None = None,
    overwrite: bool = False,
    pool: EnginePool | None = None,
    options: ItemOptions = NO_ITEM_OPTIONS,
) -> JudgedCounts:
    """Score every row of a dataset, or of one shard of it, in file order.

    dataset: a dataset file, a folder of them, or a table or folder of images as `iter_items` takes
    them.

    `out` appears when it is complete; it is there, without rows, for a shard that has none.
    Interrupted and started again, it takes what is already answered from the store. Memory does
    not grow with the rows, but for indexes of 32 bytes a row. pool: closed at the end. Raises
    FailuresError if more verdicts have no label than the source allows.
    """
    _refuse_csv(out, source.task)
    refuse_output(out, dataset, ".parquet", overwrite=overwrite)
    cuts = None
    if shard is not None or is_dataset(dataset):
        cuts = items_extent(dataset, source.task, options).share(shard or Shard())
    workers = Workers(pool)
    try:
        counts = judge_cuts(
            source,
            dataset,
            out,
            store,
            workers,
            cuts,
            shard or Shard(),
            options,
            overwrite=overwrite,
        )
    finally:
        workers.close()
    return counts


def _refuse_csv(out: Path, task: Task) -> None:
    """Raise DataError for the name of a csv file, with the line that makes one of verdicts."""
    if out.suffix.lower() != ".csv":
        return
    written = out.with_suffix(".parquet")
    flat = ".drop('criteria')" if task.criteria else ""
    command = (
        f"pl.read_parquet({str(written)!r}){flat}.unnest('probabilities').write_csv({str(out)!r})"
    )
    raise DataError(
        f"{out}: verdicts are written as Parquet, which says what judged them: name it {written}. "
        f'A csv of them: `python -c "import polars as pl; {command}"`'
    )


def judge_cuts(
    source: JudgeSource,
    dataset: Path,
    out: Path,
    store: Path,
    workers: Workers,
    cuts: Sequence[Cut] | None,
    shard: Shard,
    options: ItemOptions = NO_ITEM_OPTIONS,
    *,
    overwrite: bool = True,
) -> JudgedCounts:
    """Score the rows of a dataset that lie in the cuts of a shard; None for all rows.

    overwrite: whether verdicts that are there when the last row is judged are replaced. Raises
    as `judge_dataset` does.
    """
    counts = JudgedCounts(expected=source.expected)
    total = None if cuts is None else sum(len(cut.rows) for cut in cuts)
    engine = stored_judge(source, workers.pool, store)
    counts.other_judge = other_judge(source, engine)
    warn_of_other_judge(counts.other_judge)
    bounds = source.config.images.bounds
    judged = map_ahead(
        lambda batch: (batch, source.judge(engine, batch)),
        iter_items(dataset, source.task, bounds, BATCH_ROWS, options, cuts),
        workers.threads,
        _BATCHES_IN_FLIGHT,
    )
    with progress({dataset.name: Tracked(lambda: counts.rows, total)}, "images"):
        tables = (judged_table(*batch, source) for batch in judged)
        by = judged_by(source, engine)
        try:
            write_judged(tables, out, source, shard, counts, by, overwrite=overwrite)
        except OutputError as error:
            told = f"{error}; the replies are in the store {store}, and are not asked for again"
            raise OutputError(told) from error
    counts.new_calls = engine.ledger.session.calls
    counts.departures = dict(engine.ledger.departures)
    counts.warn()
    return counts


def _naming(item: Item | Example, verdict: Verdict) -> Verdict:
    """The verdict whose reason, if any, names the item in place of one of its images' digests."""
    reason = verdict.reason
    if reason is None:
        return verdict
    for image in item.images:
        reason = reason.replace(image_name(image), f"image of example {item.example_id!r}")
    return verdict if reason == verdict.reason else replace(verdict, reason=reason)


def check_missing(missing: Tally, allowed: float, at_least: int = 1) -> None:
    """Raises FailuresError if too many verdicts have no label. at_least: see `Tally.exceeds`."""
    if missing.exceeds(allowed, at_least):
        what = f"no verdict on {missing.failed:,} of {missing.asked:,} images"
        remedy = f"pass --max-failed-share (now {allowed:g})"
        raise failures_error(what, missing, "judge", allowed, remedy)


def checked_missing(verdicts: Sequence[Verdict], allowed: float) -> Tally:
    """Those of all verdicts that have no label, and why; warns of them.

    Raises FailuresError if they are too many.
    """
    missing = Tally()
    missing.add((v.reason or "not known") if v.label is None else None for v in verdicts)
    check_missing(missing, allowed)
    warn_of_missing(missing.reasons, len(verdicts))
    return missing


def warn_of_missing(reasons: Counter[str], num_verdicts: int) -> None:
    """Say how many verdicts have no label, and why most of them have none."""
    if not reasons:
        return
    [(reason, number)] = reasons.most_common(1)
    _log.warning(
        f"{reasons.total():,} of {num_verdicts:,} verdicts have no label; of {number:,} the reason "
        f"is: {reason}"
    )


def map_ahead(
    function: Callable[[T], Result], items: Iterable[T], threads: Executor, ahead: int
) -> Iterator[Result]:
    """Results in the order of the items; at most `ahead` items are taken before their results."""
    pending: deque[Future[Result]] = deque()
    for item in items:
        pending.append(threads.submit(function, item))
        if len(pending) == ahead:
            yield pending.popleft().result()
    while pending:
        yield pending.popleft().result()


def write_judged(
    tables: Iterator[Any],
    out: Path,
    source: JudgeSource,
    shard: Shard,
    counts: JudgedCounts,
    by: JudgedBy,
    *,
    overwrite: bool = True,
) -> None:
    """Write tables of `judged_table` to a file that is complete when it appears, and count.

    Raises FailuresError, without a file, if more rows have no label than the source allows.
    """
    remarks = {SHARD_KEY: str(shard), JUDGED_BY_KEY: by.model_dump_json()}
    if counts.other_judge:
        remarks[OTHER_JUDGE_KEY] = counts.other_judge
    schema = _judged_schema(source).with_metadata(remarks)
    allowed = source.config.max_failed_share.judge
    with (
        atomic_path(out, overwrite=overwrite) as temporary,
        pq.ParquetWriter(temporary, schema) as writer,
    ):
        waiting: list[Any] = []
        for table in tables:
            waiting.append(table)
            counts.add(table)
            counts.check(allowed, _FEWEST_ROWS)
            if sum(table.num_rows for table in waiting) >= _GROUP_ROWS:
                writer.write_table(pa.concat_tables(waiting).cast(schema))
                waiting = []
        counts.check(allowed)
        if waiting:
            writer.write_table(pa.concat_tables(waiting).cast(schema))


def _source_of_run(
    run: Path, prompt: Path | None, overrides: Sequence[str], store: Path | None
) -> JudgeSource:
    config, directory = load_run(run)
    if not directory.is_finished:
        raise ConfigError(f"{run}: the run is not finished; `blpo optimize` goes on with it")
    fields = config.model_dump(mode="json", include=set(JudgeConfig.model_fields))
    task = run_task(config)
    judge_config = parse_config(JudgeConfig, fields, str(run), overrides)
    aligned = aligned_judge(directory)
    if judge_config.judge.model == config.judge.model:
        judge = model_from_here(run, judge_config.judge, aligned.get("revision", ""))
        judge_config = judge_config.model_copy(update={"judge": judge})
    store = store or _store_of_run(run, config)
    other_prompt = _read_prompt(prompt, task)
    if other_prompt is not None:
        return JudgeSource(task, other_prompt, judge_config, prompt_name=str(prompt), store=store)
    judge_prompt = read_text(run / "prompts" / "judge_prompt_final.txt", ConfigError)
    # Fitted for this prompt alone.
    result = directory.read_json(RESULT_FILE)
    reading = result.get("reading")
    return JudgeSource(
        task,
        judge_prompt,
        judge_config,
        _parsed_reading(reading, f"{run / RESULT_FILE}: reading"),
        aligned,
        f"final prompt of {run}",
        store,
        read_decision(run, result),
        _expected(run),
        config.dataset,
    )


def _source_of_bundle(
    path: Path, prompt: Path | None, overrides: Sequence[str], store: Path | None
) -> JudgeSource:
    if prompt is not None:
        raise ConfigError(f"--prompt {prompt}: the prompt of a bundle is in it: drop the option")
    bundle = read_bundle(path)
    fields = bundle.judge.model_dump(mode="json")
    judge_config = parse_config(JudgeConfig, fields, str(path), overrides)
    if judge_config.judge.model == bundle.judge.judge.model:
        revision = bundle.aligned.get("revision", "")
        judge = model_from_here(path, judge_config.judge, revision, "bundle")
        judge_config = judge_config.model_copy(update={"judge": judge})
    return JudgeSource(
        bundle.task,
        bundle.judge_prompt,
        judge_config,
        bundle.rules.reading,
        bundle.aligned,
        f"that of {path}",
        store or Path("store"),
        bundle.rules.decision,
    )


def _expected(run: Path) -> Distribution | None:
    """None for a run of a version that kept no predictions."""
    path = run / PREDICTIONS_FILE
    return Distribution.of(read_predictions(path).final) if path.exists() else None


def _parsed_reading(reading: Any, source: str) -> Reading | None:
    return parse_config(ReadingChoice, {"reading": reading}, source).reading


def _store_of_run(run: Path, config: RunConfig) -> Path:
    """Raises ConfigError if it is not there: a new one would ask everything anew in silence."""
    if kept_task(run) is not None and not config.store.is_dir():
        raise ConfigError(
            f"{run}: its reply store {config.store} is not there; name it with --store, or a new "
            "folder, in which every reply is asked for anew"
        )
    return config.store


def _read_prompt(path: Path | None, task: Task) -> str | None:
    if path is None:
        return None
    prompt = read_text(path, ConfigError, "judge prompt").strip()
    if not prompt:
        raise ConfigError(f"{path}: the judge prompt is empty")
    check_sections(prompt, task, str(path))
    return prompt


def stored_judge(source: JudgeSource, pool: EnginePool, store: Path) -> StoredEngine:
    """The judge's engine behind the reply store."""
    engine = pool.engine(source.config.judge.taking(source.task.images_per_request))
    return StoredEngine(engine, pool.store(store), "judge", run_id=uuid.uuid4().hex)


@contextmanager
def open_judge(
    source: JudgeSource, store: Path, pool: EnginePool | None = None
) -> Generator[StoredEngine]:
    """`stored_judge` for as long as the block lasts. pool: closed at the end."""
    pool = pool or EnginePool()
    try:
        yield stored_judge(source, pool, store)
    finally:
        pool.close()


def other_judge(source: JudgeSource, engine: Engine) -> str:
    """How an engine differs from the judge that a run's prompt was aligned with.

    Empty if it does not, and for a prompt of no run.
    """
    if not source.aligned:
        return ""
    aligned, here = source.aligned, asdict(engine.identity)
    return ", ".join(
        f"{name} {aligned[name]}, here {here[name]}" for name in differing(aligned, here)
    )


def judged_by(source: JudgeSource, engine: Engine) -> JudgedBy:
    """What the verdicts of an engine's judge are to tell of where they come from."""
    judge, task = asdict(engine.identity), source.task
    return JudgedBy.of(task.labels, judge, source.judge_prompt, source.reading, source.config)


def warn_of_other_judge(differences: str) -> None:
    """Say what `other_judge` found, if anything."""
    if differences:
        _log.warning("this prompt was aligned with another judge: %s", differences)


def _judged_schema(source: JudgeSource) -> Any:
    task = source.task
    own = [*verdict_fields(task.labels), *answer_fields(task.criteria)]
    fields = [pa.field("example_id", pa.string()), *own]
    return pa.schema(fields if source.decision is None else [*fields, *_DECISION_FIELDS])


def judged_table(items: Sequence[Item], verdicts: Sequence[Verdict], source: JudgeSource) -> Any:
    """Rows of the output, one for each item, in order."""
    columns = [
        pa.array([item.example_id for item in items], pa.string()),
        *verdict_columns(verdicts, source.task.labels),
        *answer_columns(verdicts, source.task.criteria),
    ]
    if source.decision is not None:
        decided = [source.decision.decide(verdict) for verdict in verdicts]
        columns += [
            pa.array([one[place] for one in decided], field.type)
            for place, field in enumerate(_DECISION_FIELDS)
        ]
    return pa.table(columns, schema=_judged_schema(source))
