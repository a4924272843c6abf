"""Where a judge at work comes from: a finished run, a bundle, or a task with a prompt."""

import logging
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ...data.errors import ConfigError
from ...data.examples import Example, Item
from ...data.images import image_name
from ...data.tasks import Task, load_task
from ...data.text_files import read_text
from ...models.engine import Engine
from ...models.roles.criteria_prompt import check_sections
from ...models.roles.judge import Verdict
from ...models.roles.judges import num_requests
from ...models.wrappers.stored import StoredEngine
from ..config import JudgeConfig, RunConfig, parse_config
from ..decisions.decide import Decision, read_decision
from ..metrics.drift import Distribution
from ..readings.choose import Reading, ReadingChoice
from ..runs.directory import (
    PREDICTIONS_FILE,
    RESULT_FILE,
    kept_task,
    load_run,
    run_task,
)
from ..runs.engine_pool import EnginePool
from ..runs.judged_by import JudgedBy, aligned_judge, differing
from ..runs.local_model import model_from_here
from ..runs.predictions import read_predictions
from ..runs.roles import configured_judge
from .bundle import read_bundle

_log = logging.getLogger("blpo.judge")


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


def _naming(item: Item | Example, verdict: Verdict) -> Verdict:
    """The verdict whose reason, if any, names the item in place of one of its images' digests."""
    reason = verdict.reason
    if reason is None:
        return verdict
    for image in item.images:
        reason = reason.replace(image_name(image), f"image of example {item.example_id!r}")
    return verdict if reason == verdict.reason else replace(verdict, reason=reason)


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
