"""One run from configuration to result: the search, the record of its steps, the final test."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from pydantic import ValidationError

from ...data.examples import Dataset, Example
from ...models.cost import Cost
from ...models.engine import Engine, EngineIdentity
from ...models.roles.judge import Verdict
from ...models.wrappers.budget import Budget, BudgetSpentError
from ...models.wrappers.ledger import Role, RoleLedger
from ...models.wrappers.stopping import StoppableEngine
from ..config import RunConfig
from ..metrics.agreement import agreement
from ..readings.choose import Reading, choose_reading
from ..readings.questions import QuestionFigures, Split, question_figures
from ..report.html import render_report
from ..result import (
    CallCounts,
    RawVerdicts,
    ReadingChoices,
    RunRecord,
    RunResult,
    SplitResult,
)
from ..search.step import Step, Tried
from .calls import PlannedCalls, planned_calls
from .checksums import checksums
from .directory import (
    CHECKSUMS_FILE,
    LEDGER_FILE,
    PREDICTIONS_FILE,
    REPORT_FILE,
    RESULT_FILE,
    TRAIN_PREDICTIONS_FILE,
    RunDirectory,
    open_run_directory,
)
from .engine_pool import EnginePool
from .failure_watch import FailureWatch
from .inputs import checked_inputs
from .measure import measure
from .predictions import predictions_bytes, train_predictions_bytes
from .roles import RunRoles, configured_judge, role_engines, stored_engines, within_budget
from .run_log import NoLog, OpenLog, RunLog, no_log
from .story import Story


class Run:
    """A run that is open: its directory, data and roles. `execute` does the work."""

    def __init__(
        self,
        config: RunConfig,
        pool: EnginePool,
        *,
        start_over: bool = False,
        open_log: OpenLog = no_log,
        source: str = "",
    ) -> None:
        """Check everything that can be checked before a model is asked. source: the run file.

        Raises DataError, ConfigError or EngineError on a user's mistake; writes nothing then.
        """
        self.config = config
        self.task, self.dataset = checked_inputs(config, source)
        self.judge_prompt = config.judge_prompt or self.task.judge_prompt
        self.i2t_prompt = config.i2t_prompt or self.task.i2t_prompt
        engines = role_engines(config, self.task, pool)
        self.identities: dict[Role, EngineIdentity] = {
            role: engine.identity for role, engine in engines.items()
        }
        self.directory: RunDirectory = open_run_directory(
            config, self.task, run_inputs(self.dataset, self.identities), start_over=start_over
        )
        self._stop = pool.stop
        self.store = pool.store(config.store)
        self.engines = stored_engines(config, self.task, pool, self.store, self.directory.run_id)
        self.budget = Budget(config.budget.limits)
        self._watch = FailureWatch(config.max_failed_share, [self.judge_prompt, self.i2t_prompt])
        num_steps: int = getattr(config.resolved_algorithm, config.search.length)
        self.story = Story(config.output.name, self.ledgers, self._planned, num_steps)
        self._open_log = open_log
        self._log: RunLog = NoLog()
        self.logged: list[str] = []

    @property
    def expected_calls(self) -> int:
        """Calls of all roles, within the budget, if no step of the search ends early."""
        return self._planned.total

    @property
    def _planned(self) -> PlannedCalls:
        splits = len(self.dataset.train), len(self.dataset.test)
        return planned_calls(self.config, self.task, *splits)

    @property
    def ledgers(self) -> dict[Role, RoleLedger]:
        return {role: engine.ledger for role, engine in self.engines.items()}

    @property
    def answered_calls(self) -> int:
        return sum(ledger.answered for ledger in self.ledgers.values())

    def past_result(self) -> RunResult | None:
        """What the run came to when it was finished; None if it is not, or by another version, or
        without the report that is asked for."""
        if not self.directory.is_finished or self._lacks_report:
            return None
        with suppress(ValidationError):
            return RunResult.model_validate(self.directory.read_json(RESULT_FILE))
        return None

    @property
    def _lacks_report(self) -> bool:
        return self.config.report and not (self.directory.path / REPORT_FILE).exists()

    def execute(self) -> RunResult:
        """Run the search and the final test; every file of the run directory is written.

        Raises ConfigError where another process is at work in the run directory.
        """
        started = time.monotonic()
        with self.directory.at_work():
            self._log = self._open_log(self.config, self.task, self.directory)
            try:
                return self._execute(started)
            finally:
                self.logged = self._log.close()
                self._record_session(time.monotonic() - started)

    def _execute(self, started: float) -> RunResult:
        steps: list[Step] = []
        for step in self._search():
            steps.append(step)
            self.story.stepped(step)
            self._watch.adopt([step.next_judge_prompt, step.i2t_prompt])
            step_record = self._step_record(step)
            self.directory.write_json(f"steps/step-{step.index}.json", step_record)
            self._log.step(step_record)
        record = self._test(steps, started)
        self._write_record(record)
        self._log.finished(record.result)
        return record.result

    def _search(self) -> Iterator[Step]:
        """The steps of the method, as far as the budget lasts."""
        config = self.config
        limited = within_budget(self.engines, self.budget)
        # Also where every reply is in the store, a stop ends the search.
        engines: dict[Role, Engine] = {
            role: StoppableEngine(engine, self._stop) for role, engine in limited.items()
        }
        roles = RunRoles(config, self.task, engines, self._watch, self.story)
        with suppress(BudgetSpentError):
            yield from config.search.run(
                roles,
                self.dataset.train,
                self.judge_prompt,
                self.i2t_prompt,
                config.resolved_algorithm,
                config.seed,
            )
        self._watch.end_search()

    def _step_record(self, step: Step) -> dict[str, Any]:
        """A step as JSON values.

        tried: the figures that the report shows of it. calls: what the search has asked for so
        far, by role.
        """
        return {
            "step": step.index,
            "judge_prompt": step.judge_prompt,
            "train": self._on_train(step),
            **step.details,
            "tried": [_tried_record(tried) for tried in step.tried],
            "num_shown": len(step.shown),
            "next_judge_prompt": step.next_judge_prompt,
            "calls": {role: ledger.asked for role, ledger in self.ledgers.items()},
        }

    def _on_train(self, step: Step) -> dict[str, Any] | None:
        """Agreement of the step's judge prompt on the training examples judged under it."""
        if not step.examples:
            return None
        measured = agreement(step.examples, step.verdicts, self.task.labels, seed=step.index)
        return measured.model_dump(mode="json")

    def _record_session(self, seconds: float) -> None:
        """Add a line to the ledger for a session that had to ask models."""
        ledgers = self.ledgers
        if not any(ledger.session.calls for ledger in ledgers.values()):
            return
        roles = {role: _session_record(ledger) for role, ledger in ledgers.items()}
        self.directory.append_json(LEDGER_FILE, {"seconds": round(seconds, 3), "roles": roles})

    def _test(self, steps: list[Step], started: float) -> RunRecord:
        """Judge the test split under p_0 and under the final prompt: the only look at it."""
        final_prompt = steps[-1].next_judge_prompt if steps else self.judge_prompt
        self.story.tests(len(self.dataset.test), self.budget.stopped)
        on_train = self._judge_train(final_prompt)
        readings = on_train and self._choose_readings(on_train)
        reading = readings.final.reading if readings else None
        test, seed = self.dataset.test, self.config.seed
        raw = RawVerdicts(self._judge_test(self.judge_prompt), self._judge_test(final_prompt))
        initial = _read(raw.initial, readings.initial.reading if readings else None)
        final = _read(raw.final, reading)
        raw_on_test = raw if readings else None
        again = self._judge_again(final_prompt, reading)
        measured = measure(test, initial, final, again, self.task.labels, seed, raw_on_test)
        of_train = Split(self.dataset.train, on_train.final) if on_train else Split((), ())
        of_test = Split(test, raw.final)
        asked = question_figures(self.config.reading, self.task, of_train, of_test, final, seed)
        seconds = time.monotonic() - started
        return RunRecord(
            config=self.config,
            task=self.task,
            dataset=self.dataset,
            steps=steps,
            initial_verdicts=initial,
            final_verdicts=final,
            result=self._result(steps, final_prompt, measured, readings, asked, seconds),
            again_verdicts=again,
            raw_on_test=raw_on_test,
            raw_on_train=on_train,
            began=self.directory.began,
        )

    def _judge_train(self, final_prompt: str) -> RawVerdicts | None:
        """Verdicts for readings to be fitted to, if one is asked for."""
        if self.config.reading.family == "none":
            return None
        train = self.dataset.train
        return RawVerdicts(self._judge(self.judge_prompt, train), self._judge(final_prompt, train))

    def _choose_readings(self, on_train: RawVerdicts) -> ReadingChoices:
        initial, final = (
            choose_reading(self.config.reading, self.task, self.dataset.train, verdicts)
            for verdicts in (on_train.initial, on_train.final)
        )
        return ReadingChoices(initial=initial, final=final)

    def _judge_test(self, judge_prompt: str, sample_index: int = 0) -> list[Verdict]:
        return self._judge(judge_prompt, self.dataset.test, sample_index)

    def _judge(
        self, judge_prompt: str, examples: Sequence[Example], sample_index: int = 0
    ) -> list[Verdict]:
        judge = configured_judge(self.engines["judge"], self.task, self.config)
        pairs = [(judge_prompt, example) for example in examples]
        verdicts = judge.pairs(pairs, sample_index)
        self._watch.judged(pairs, verdicts)
        return verdicts

    def _judge_again(self, judge_prompt: str, reading: Reading | None) -> list[Verdict] | None:
        """The second draw for the noise floor, if it is asked for."""
        if not self.config.noise_floor:
            return None
        return _read(self._judge_test(judge_prompt, sample_index=1), reading)

    def _result(
        self,
        steps: Sequence[Step],
        final_prompt: str,
        test: SplitResult,
        readings: ReadingChoices | None,
        asked: tuple[QuestionFigures, ...],
        seconds: float,
    ) -> RunResult:
        config, identities = self.config, self.identities
        chosen = [step.i2t_prompt for step in steps if step.i2t_prompt is not None]
        return RunResult(
            task=self.task.name,
            preset=config.preset,
            method=config.method,
            seed=config.seed,
            **{role: identity.name for role, identity in identities.items()},
            synthetic=any(identity.is_synthetic for identity in identities.values()),
            dataset_fingerprint=self.dataset.fingerprint,
            judge_prompt_initial=self.judge_prompt,
            judge_prompt_final=final_prompt,
            i2t_prompt_final=chosen[-1] if chosen else self.i2t_prompt,
            reading=readings.final.reading if readings else None,
            readings=readings,
            criteria=asked,
            aligned_by_chat=identities["judge"].is_chat,
            test=test,
            stopped=self.budget.stopped,
            failures=self._watch.failures,
            departures={
                r: dict(led.departures) for r, led in self.ledgers.items() if led.departures
            },
            calls={role: _call_counts(ledger) for role, ledger in self.ledgers.items()},
            seconds=self._finished_seconds(otherwise=round(seconds, 1)),
        )

    def _finished_seconds(self, otherwise: float) -> float:
        """What the run took when it was first finished, so that a replay changes nothing."""
        if not self.directory.is_finished:
            return otherwise
        seconds = self.directory.read_json(RESULT_FILE).get("seconds")
        return float(seconds) if isinstance(seconds, int | float) else otherwise

    def _write_record(self, record: RunRecord) -> None:
        directory, result = self.directory, record.result
        # Also into a directory of an earlier version, whose files are all of this task now.
        directory.write_task(self.task)
        directory.write_text("prompts/judge_prompt_initial.txt", result.judge_prompt_initial)
        directory.write_text("prompts/judge_prompt_final.txt", result.judge_prompt_final)
        directory.write_text("prompts/i2t_prompt_final.txt", result.i2t_prompt_final)
        directory.write_bytes(PREDICTIONS_FILE, predictions_bytes(record))
        on_train = train_predictions_bytes(record)
        if on_train is not None:
            directory.write_bytes(TRAIN_PREDICTIONS_FILE, on_train)
        if self.config.report:
            directory.write_text(REPORT_FILE, render_report(record))
        result_json = result.model_dump(mode="json")
        directory.write_json(CHECKSUMS_FILE, checksums(directory.path, result_json))
        directory.write_json(RESULT_FILE, result_json)


def _tried_record(tried: Tried) -> dict[str, Any]:
    """The figures of a prompt that a step tried, as the report has them."""
    return {
        "name": tried.name,
        "score": tried.score,
        "num_right": tried.num_right,
        "num_judged": tried.num_judged,
        "is_chosen": tried.is_chosen,
    }


def _read(verdicts: Sequence[Verdict], reading: Reading | None) -> list[Verdict]:
    return [reading(verdict) for verdict in verdicts] if reading else list(verdicts)


def run_inputs(dataset: Dataset, identities: Mapping[Role, EngineIdentity]) -> dict[str, Any]:
    """What inputs.json holds."""
    splits = {"train": len(dataset.train), "test": len(dataset.test)}
    return {
        "dataset": {"fingerprint": dataset.fingerprint, **splits},
        "models": {role: asdict(identity) for role, identity in identities.items()},
    }


def _call_counts(ledger: RoleLedger) -> CallCounts:
    return CallCounts(errors=ledger.errors, **_answered_at(ledger.paid, ledger.asked))


def _session_record(ledger: RoleLedger) -> dict[str, int | float]:
    """A role's part of a line of the ledger."""
    seconds = round(ledger.session_seconds, 3)
    return {**_answered_at(ledger.session, ledger.asked), "seconds": seconds}


def _answered_at(cost: Cost, asked: int) -> dict[str, int]:
    """How many of the requests a model answered, and what that cost, as `CallCounts` names it."""
    return {
        "asked": asked,
        "from_store": asked - cost.calls,
        "new": cost.calls,
        "prompt_tokens": cost.prompt_tokens,
        "cached_tokens": cost.cached_tokens,
        "completion_tokens": cost.completion_tokens,
    }
