"""One run from configuration to result: the loop, the record of its steps, the final test."""

import io
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ..data.arrow import pa, pq
from ..data.examples import Dataset, Example, check_images, read_dataset
from ..data.store import ReplyStore
from ..data.tasks import Task, load_task
from ..models.engine import EngineIdentity
from ..models.judge import Verdict
from ..models.stored import Role, RoleLedger
from .blpo import Candidate, OuterStep, optimize
from .config import RunConfig
from .metrics import agreement, gain
from .noise import NoiseFloor, noise_floor
from .report import render_report
from .result import CallCounts, RunRecord, RunResult, SplitResult
from .run_directory import (
    LEDGER_FILE,
    PREDICTIONS_FILE,
    RESULT_FILE,
    RunDirectory,
    open_run_directory,
)
from .session import EnginePool, RunRoles, role_engines
from .verdict_table import verdict_columns, verdict_fields


class Run:
    """A run that is open: its directory, data and roles. `execute` does the work."""

    def __init__(self, config: RunConfig, pool: EnginePool, *, start_over: bool = False) -> None:
        """Check everything that can be checked before a model is asked.

        Raises DataError, ConfigError or EngineError on a user's mistake; writes nothing then.
        """
        self.config = config
        self.task = load_task(config.task)
        self.dataset = read_dataset(config.dataset, self.task, config.images.bounds)
        check_images(self.dataset, str(config.dataset))
        self.judge_prompt = config.judge_prompt or self.task.judge_prompt
        self.i2t_prompt = config.i2t_prompt or self.task.i2t_prompt
        engines = role_engines(config, pool)
        self.identities: dict[Role, EngineIdentity] = {
            role: engine.identity for role, engine in engines.items()
        }
        self.directory: RunDirectory = open_run_directory(
            config, _inputs(self.dataset, self.identities), start_over=start_over
        )
        self.store = ReplyStore(config.store)
        self.roles = RunRoles(config, self.task, pool, self.store, self.directory.run_id)

    @property
    def expected_calls(self) -> int:
        """Calls of all roles if no step ends early and no proposal has to be asked again."""
        algorithm = self.config.resolved_algorithm
        tries = algorithm.inner_steps + 1 if algorithm.i2t == "learned" else 1
        proposals = 2 * tries - 1
        per_step = len(self.dataset.train) + 2 * tries * algorithm.minibatch_size + proposals
        tests = 3 if self.config.noise_floor else 2
        return algorithm.outer_steps * per_step + tests * len(self.dataset.test)

    @property
    def answered_calls(self) -> int:
        return sum(ledger.answered for ledger in self.roles.ledgers.values())

    def execute(self, on_step: Callable[[OuterStep], None] = lambda _: None) -> RunResult:
        """Run the loop and the final test; every file of the run directory is written."""
        started = time.monotonic()
        try:
            return self._execute(on_step, started)
        finally:
            self._record_session(time.monotonic() - started)

    def _execute(self, on_step: Callable[[OuterStep], None], started: float) -> RunResult:
        steps: list[OuterStep] = []
        for step in optimize(
            self.roles,
            self.dataset.train,
            self.judge_prompt,
            self.i2t_prompt,
            self.config.resolved_algorithm,
            self.config.seed,
        ):
            steps.append(step)
            record = step_record(step, self.dataset.train, self.task)
            asked = {role: ledger.asked for role, ledger in self.roles.ledgers.items()}
            self.directory.write_json(f"steps/outer-{step.index}.json", record | {"calls": asked})
            on_step(step)
        record = self._test(steps, started)
        self._write_record(record)
        return record.result

    def _record_session(self, seconds: float) -> None:
        """Add a line to the ledger for a session that had to ask models."""
        ledgers = self.roles.ledgers
        if not any(ledger.session.calls for ledger in ledgers.values()):
            return
        roles = {role: _session_record(ledger) for role, ledger in ledgers.items()}
        self.directory.append_json(LEDGER_FILE, {"seconds": round(seconds, 3), "roles": roles})

    def _test(self, steps: list[OuterStep], started: float) -> RunRecord:
        """Judge the test split under p_0 and under the final prompt: the only look at it."""
        final_prompt = steps[-1].next_judge_prompt if steps else self.judge_prompt
        test, seed = self.dataset.test, self.config.seed
        initial = self.roles.judge(self.judge_prompt, test)
        final = self.roles.judge(final_prompt, test)
        labels = self.task.labels
        test_result = SplitResult(
            initial=agreement(test, initial, labels, seed),
            final=agreement(test, final, labels, seed),
            gain=gain(test, initial, final, labels, seed),
            noise_floor=self._noise_floor(final_prompt, final),
        )
        result = self._result(steps, final_prompt, test_result, time.monotonic() - started)
        return RunRecord(self.config, self.task, self.dataset, steps, initial, final, result)

    def _noise_floor(self, judge_prompt: str, verdicts: Sequence[Verdict]) -> NoiseFloor | None:
        if not self.config.noise_floor:
            return None
        test = self.dataset.test
        again = self.roles.judge(judge_prompt, test, sample_index=1)
        return noise_floor(test, verdicts, again, self.task.labels)

    def _result(
        self, steps: Sequence[OuterStep], final_prompt: str, test: SplitResult, seconds: float
    ) -> RunResult:
        config, identities = self.config, self.identities
        chosen = [step.chosen.i2t_prompt for step in steps if step.chosen]
        return RunResult(
            task=self.task.name,
            preset=config.preset,
            method=config.method,
            seed=config.seed,
            **{role: f"{i.engine}:{i.model}@{i.revision[:12]}" for role, i in identities.items()},
            synthetic=any(i.model in {"micro", "lexicon"} for i in identities.values()),
            dataset_fingerprint=self.dataset.fingerprint,
            judge_prompt_initial=self.judge_prompt,
            judge_prompt_final=final_prompt,
            i2t_prompt_final=chosen[-1] if chosen else self.i2t_prompt,
            test=test,
            calls={role: _call_counts(ledger) for role, ledger in self.roles.ledgers.items()},
            seconds=self._finished_seconds(otherwise=round(seconds, 1)),
        )

    def _finished_seconds(self, otherwise: float) -> float:
        """What the run took when it was first finished, so that a replay changes nothing."""
        if not self.directory.is_finished:
            return otherwise
        return float(self.directory.read_json(RESULT_FILE)["seconds"])

    def _write_record(self, record: RunRecord) -> None:
        directory, result = self.directory, record.result
        directory.write_text("prompts/judge_prompt_initial.txt", result.judge_prompt_initial)
        directory.write_text("prompts/judge_prompt_final.txt", result.judge_prompt_final)
        directory.write_text("prompts/i2t_prompt_final.txt", result.i2t_prompt_final)
        directory.write_bytes(PREDICTIONS_FILE, _predictions(record))
        directory.write_text("report.html", render_report(record))
        directory.write_json(RESULT_FILE, result.model_dump(mode="json"))


def _inputs(dataset: Dataset, identities: Mapping[Role, EngineIdentity]) -> dict[str, Any]:
    """What inputs.json holds."""
    splits = {"train": len(dataset.train), "test": len(dataset.test)}
    return {
        "dataset": {"fingerprint": dataset.fingerprint, **splits},
        "models": {role: asdict(identity) for role, identity in identities.items()},
    }


def step_record(step: OuterStep, train: Sequence[Example], task: Task) -> dict[str, Any]:
    """An outer step as JSON values: prompts, scores, verbalizations, agreement on train."""
    on_train = agreement(train, step.verdicts, task.labels, seed=step.index)
    search = step.search
    return {
        "outer_step": step.index,
        "judge_prompt": step.judge_prompt,
        "train": on_train.model_dump(mode="json"),
        "error_minibatch": [
            {
                "example_id": wrong.example.example_id,
                "human_label": wrong.example.label,
                "verdict": wrong.verdict.label,
                "reason": wrong.verdict.reason,
            }
            for wrong in step.misjudgments
        ],
        "baseline": _candidate_record(search.baseline) if search and search.baseline else None,
        "candidates": [_candidate_record(c) for c in search.candidates] if search else [],
        "i2t_failures": [list(p.failures) for p in search.failures] if search else [],
        "chosen": search.candidates.index(step.chosen) if search and step.chosen else None,
        "next_judge_prompt": step.next_judge_prompt,
    }


def _candidate_record(candidate: Candidate) -> dict[str, Any]:
    return {
        "i2t_prompt": candidate.i2t_prompt,
        "score": candidate.score,
        "judge_prompt": candidate.judge_prompt,
        "kept_current_prompt": candidate.proposal.prompt is None,
        "proposal_failures": list(candidate.proposal.failures),
        "verbalizations": [
            v.text if v.reason is None else {"text": v.text, "reason": v.reason}
            for v in candidate.verbalizations
        ],
        "verdicts": [verdict.label for verdict in candidate.verdicts],
    }


def _call_counts(ledger: RoleLedger) -> CallCounts:
    paid = ledger.paid
    return CallCounts(
        asked=ledger.asked,
        from_store=ledger.asked - paid.calls,
        new=paid.calls,
        errors=ledger.errors,
        prompt_tokens=paid.prompt_tokens,
        cached_tokens=paid.cached_tokens,
        completion_tokens=paid.completion_tokens,
    )


def _session_record(ledger: RoleLedger) -> dict[str, int | float]:
    """A role's part of a line of the ledger."""
    store_hits = ledger.asked - ledger.session.calls
    return {
        "asked": ledger.asked,
        "store_hits": store_hits,
        **asdict(ledger.session),
        "seconds": round(ledger.session_seconds, 3),
    }


def _predictions(record: RunRecord) -> bytes:
    """predictions.parquet: a row per test example under p_0 and under the final prompt."""
    test, labels = record.dataset.test, record.task.labels
    fields = [pa.field(name, pa.string()) for name in ("example_id", "group", "human_label")]
    columns = [
        pa.array([getattr(e, name) for e in test]) for name in ("example_id", "group", "label")
    ]
    for prefix, verdicts in (
        ("initial_", record.initial_verdicts),
        ("final_", record.final_verdicts),
    ):
        fields += verdict_fields(labels, prefix)
        columns += verdict_columns(verdicts, labels, prefix)
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, schema=pa.schema(fields)), buffer)
    return buffer.getvalue()
