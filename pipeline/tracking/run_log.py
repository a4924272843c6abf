"""What of a run is logged: settings, figures of every step, final figures, report and bundle."""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib.util import find_spec
from typing import Any, cast

from ...data.errors import ConfigError
from ...data.redaction import redacted
from ...data.tasks import Task
from ..bulk.bundle import bundle_text
from ..bulk.bundle_of_run import bundle_of_run
from ..config import LOCATION_FIELDS, LOG_FIELDS, RunConfig
from ..metrics.agreement import GAIN_METRICS, Agreement
from ..result import RunResult
from ..runs.directory import REPORT_FILE, RESULT_FILE, RunDirectory
from ..runs.run_log import NoLog, RunLog
from .mlflow import MlflowTracker
from .tracker import Background, Tracker
from .wandb import WandbTracker

TRACKERS: dict[str, Callable[[], Tracker]] = {"mlflow": MlflowTracker, "wandb": WandbTracker}
_BUNDLE = "judge.bundle.json"


def open_run_log(config: RunConfig, task: Task, directory: RunDirectory) -> RunLog:
    """The log that a run file asks for. Raises ConfigError if a tracker is not installed."""
    check_trackers(config)
    if not config.log_to:
        return NoLog()
    return _TrackedRun(config, task, directory)


def check_trackers(config: RunConfig) -> None:
    """Raises ConfigError if a tracker that a run file names is not installed."""
    for name in config.log_to:
        if find_spec(name) is None:
            raise ConfigError(
                f"log_to: {name} is not installed: run `bash scripts/setup.sh {name}`, or leave it "
                "out"
            )


class _TrackedRun:
    """Contract: `RunLog`."""

    def __init__(self, config: RunConfig, task: Task, directory: RunDirectory) -> None:
        self._directory = directory
        self._trackers = {name: TRACKERS[name]() for name in config.log_to}
        opening = config.output.name, directory.run_id, _params(config, task)
        self._threads = {
            name: Background(name, partial(tracker.start, *opening))
            for name, tracker in self._trackers.items()
        }

    def step(self, record: Mapping[str, Any]) -> None:
        metrics = dict(_step_metrics(record))
        for name, tracker in self._trackers.items():
            self._threads[name].put(partial(tracker.log, metrics, record["step"]))

    def finished(self, result: RunResult) -> None:
        path = self._directory.path
        files = [path / name for name in (REPORT_FILE, RESULT_FILE) if (path / name).exists()]
        texts = {_BUNDLE: bundle_text(bundle_of_run(path))}
        metrics = dict(_final_metrics(result))
        for name, tracker in self._trackers.items():
            self._threads[name].put(partial(tracker.finish, metrics, files, texts))

    def close(self) -> list[str]:
        return [thread.close() for thread in self._threads.values()]


def _params(config: RunConfig, task: Task) -> dict[str, str]:
    """The settings that are not defaults, by dotted key, and what tells runs apart."""
    left_out = set(LOCATION_FIELDS | LOG_FIELDS)
    given = config.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
    told = {
        "task": task.name,
        "dataset": str(config.dataset),
        "method": config.method,
        "preset": config.preset,
        "seed": config.seed,
    }
    return {name: redacted(str(value)) for name, value in _flat(given | told)}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(cast("Mapping[str, Any]", value), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value)


def _step_metrics(record: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    train: Mapping[str, Any] = record["train"] or {}
    for name in ("accuracy", "macro_f1"):
        if train.get(name) is not None:
            yield f"train.{name}", train[name]
    scores = [tried["score"] for tried in record["tried"] if tried["score"] is not None]
    if scores:
        yield "best_score", max(scores)
    for role, asked in record["calls"].items():
        yield f"calls.{role}", asked


def _final_metrics(result: RunResult) -> Iterator[tuple[str, float]]:
    test = result.test
    for name, agreement in (("initial", test.initial), ("final", test.final)):
        yield from _agreement_metrics(f"test.{name}", agreement)
    for name in GAIN_METRICS:
        yield f"test.gain.{name}", getattr(test.gain, name)
        yield from _ends(f"test.gain.{name}", test.gain.ci95[name])
    for role, counts in result.calls.items():
        yield f"calls.{role}", counts.asked


def _agreement_metrics(prefix: str, agreement: Agreement) -> Iterator[tuple[str, float]]:
    for name in ("accuracy", "macro_f1"):
        yield f"{prefix}.{name}", getattr(agreement, name)
        yield from _ends(f"{prefix}.{name}", agreement.ci95[name])


def _ends(name: str, interval: tuple[float, float]) -> Iterator[tuple[str, float]]:
    yield f"{name}.low", interval[0]
    yield f"{name}.high", interval[1]
