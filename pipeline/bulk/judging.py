"""Judging images in bulk: the rows of a dataset, a batch at a time, into a file of verdicts."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

from ...data.arrow import atomic_path, pa, pq, refuse_output
from ...data.errors import DataError, OutputError
from ...data.examples import Item
from ...data.shards import Shard
from ...data.table.extent import Cut
from ...data.table.items import (
    NO_ITEM_OPTIONS,
    ItemOptions,
    is_dataset,
    items_extent,
    iter_items,
)
from ...data.tasks import Task
from ...models.roles.judge import Verdict
from ..runs.answer_columns import answer_columns, answer_fields
from ..runs.engine_pool import EnginePool
from ..runs.judged_by import JUDGED_BY_KEY, JudgedBy
from ..runs.progress import Tracked, progress
from ..runs.verdict_columns import verdict_columns, verdict_fields
from .counts import JudgedCounts
from .judge_source import JudgeSource, judged_by, other_judge, stored_judge, warn_of_other_judge

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
    with closing(Workers(pool)) as workers:
        return judge_cuts(
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


def _judged_schema(source: JudgeSource) -> Any:
    task = source.task
    own = [*verdict_fields(task.labels), *answer_fields(task.criteria)]
    fields = [pa.field("example_id", pa.string()), *own]
    return pa.schema(fields if source.decision is None else [*fields, *_DECISION_FIELDS])
