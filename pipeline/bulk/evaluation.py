"""A judge prompt measured against the labels of a dataset."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ...data.examples import Example, read_dataset
from ...data.examples import Split as SplitName
from ...models.roles.judge import Verdict
from ...models.wrappers.stored import StoredEngine
from ..metrics.agreement import Agreement, agreement
from ..metrics.scorecard import Scorecard, scorecard
from ..readings.config import ReadingConfig
from ..readings.questions import QuestionFigures, Split, question_figures
from ..result import RoleFailures, role_failures
from ..runs.engine_pool import EnginePool
from ..runs.progress import Tracked, progress
from .counts import checked_missing
from .judge_source import JudgeSource, open_judge, other_judge, warn_of_other_judge

_log = logging.getLogger("blpo.judge")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Agreement of a prompt's verdicts with the labels, and the judge beside its references.

    failures: verdicts without a label, and why. departures: how many requests were asked otherwise
    than they were to be, and in which point. unread: the scorecard by the likeliest label, of a
    judge with a reading. num_fitted_on: how many of the images the prompt was fitted on, where
    that is known: they flatter it. criteria: what each of several questions costs and adds, by the
    rule.
    """

    agreement: Agreement
    scorecard: Scorecard
    failures: RoleFailures
    departures: Mapping[str, int] = field(default_factory=dict[str, int])
    unread: Scorecard | None = None
    num_fitted_on: int = 0
    criteria: tuple[QuestionFigures, ...] = ()


def evaluate_prompt(
    source: JudgeSource,
    dataset: Path,
    split: SplitName,
    store: Path,
    pool: EnginePool | None = None,
) -> Evaluation:
    """Agreement of the prompt's verdicts with the labels of one split.

    pool: closed at the end. Raises FailuresError if more verdicts have no label than the source
    allows.
    """
    data = read_dataset(dataset, source.task, source.config.images.bounds)
    examples = data.test if split == "test" else data.train
    total = len(examples) * source.requests_per_verdict
    with open_judge(source, store, pool) as engine:
        warn_of_other_judge(other_judge(source, engine))
        ledger = engine.ledger
        with progress({split: Tracked(lambda: ledger.answered, total)}, "calls"):
            evaluation = measured(source, engine, examples)
    fitted_on = data.train if source.fitted_on == dataset else _fitted_on(source)
    return replace(evaluation, num_fitted_on=_num_fitted_on(source, fitted_on, examples))


def _fitted_on(source: JudgeSource) -> Sequence[Example]:
    """The train split that the prompt was fitted on; none where that is not known."""
    if source.fitted_on is None:
        return ()
    if not source.fitted_on.exists():
        _log.warning(
            "%s, the dataset of the run, is not there: whether its prompt was fitted on some of "
            "these images is not known",
            source.fitted_on,
        )
        return ()
    return read_dataset(source.fitted_on, source.task, source.config.images.bounds).train


def _num_fitted_on(
    source: JudgeSource, fitted_on: Sequence[Example], examples: Sequence[Example]
) -> int:
    """How many of the images are among those that the prompt was fitted on."""
    fitted = {example.images for example in fitted_on}
    count = sum(example.images in fitted for example in examples)
    if count:
        _log.warning(
            "the prompt was fitted on %d of these %d images: agreement on them flatters it; "
            "`blpo import table ... --split-as %s` keeps old images on their side of the split",
            count,
            len(examples),
            source.fitted_on,
        )
    return count


def measured(source: JudgeSource, engine: StoredEngine, examples: Sequence[Example]) -> Evaluation:
    """Agreement of the prompt's verdicts with the labels of these examples.

    Raises FailuresError if more verdicts have no label than the source allows.
    """
    asked = source.ask(engine, examples)
    verdicts = source.read(asked)
    missing = checked_missing(verdicts, source.config.max_failed_share.judge)
    return Evaluation(
        agreement(examples, verdicts, source.task.labels, seed=0),
        scorecard(examples, verdicts, source.task),
        role_failures(missing),
        dict(engine.ledger.departures),
        scorecard(examples, asked, source.task) if source.reading else None,
        criteria=_of_questions(source, examples, asked),
    )


def _of_questions(
    source: JudgeSource, examples: Sequence[Example], asked: Sequence[Verdict]
) -> tuple[QuestionFigures, ...]:
    judged = Split(examples, asked)
    return question_figures(ReadingConfig(), source.task, Split((), ()), judged, asked, seed=0)
