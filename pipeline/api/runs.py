"""Runs from Python: optimizing, and finished runs read back."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from ...data.errors import ConfigError
from ...data.frames import pl
from ...data.tasks import Task
from ...data.text_files import parse_yaml, read_own_json, read_text
from ..config import RunConfig, parse_config
from ..report.conclusion import finding
from ..result import RunResult
from ..runs.directory import PREDICTIONS_FILE, REPORT_FILE, run_task
from ..runs.directory import load_run as open_run
from ..runs.finished_run import read_result
from ..runs.run_many import execute_runs
from ..tracking.run_log import open_run_log
from .errors import with_parameters
from .judge import Judge

_AGAIN = "start the run again, it asks no model and writes its files anew"


@dataclass(frozen=True)
class LoadedRun:
    """A finished run.

    path: its directory. result: agreement before and after with intervals, prompts, calls.
    """

    path: Path
    config: RunConfig
    task: Task
    result: RunResult

    @property
    def judge_prompt(self) -> str:
        """The final judge prompt, without the task's answer instruction."""
        return self.result.judge_prompt_final

    @property
    def summary(self) -> str:
        """What the test says of the gain on the task's primary metric, in a sentence."""
        return finding(self.result, self.task.primary_metric).sentence

    @property
    def report(self) -> Path:
        """The page to look at."""
        return self.path / REPORT_FILE

    @cached_property
    def predictions(self) -> pl.DataFrame:
        """A row per test example: example_id, group, human_label, and the verdicts of the first
        prompt (`initial_...`) and the final one (`final_...`)."""
        return pl.read_parquet(self.path / PREDICTIONS_FILE)

    @cached_property
    def steps(self) -> pl.DataFrame:
        """A row per step of the search: step, judge_prompt, next_judge_prompt, and accuracy and
        macro_f1 of judge_prompt on the training examples that the step judged (null without)."""
        files = sorted((self.path / "steps").glob("step-*.json"), key=_step_number)
        return pl.DataFrame(
            [_step_row(read_own_json(file, _AGAIN)) for file in files],
            {
                "step": pl.Int64,
                "judge_prompt": pl.String,
                "next_judge_prompt": pl.String,
                "accuracy": pl.Float64,
                "macro_f1": pl.Float64,
            },
        )

    def judge(self, **settings: Any) -> Judge:
        """The run's judge under its final prompt. settings: as of `Judge`."""
        return Judge(self.path, **settings)


@with_parameters
def load_run(path: str | Path) -> LoadedRun:
    """Read a finished run.

    Raises ConfigError if the folder is no finished run, DataError if its result is damaged.
    """
    config, directory = open_run(Path(path))
    if not directory.is_finished:
        raise ConfigError(f"{path}: the run is not finished; `optimize` goes on with it")
    return LoadedRun(Path(path), config, run_task(config), read_result(directory))


@with_parameters
def optimize(
    run: str | Path | Mapping[str, Any] | None = None,
    *,
    start_over: bool = False,
    **keys: Any,
) -> LoadedRun:
    """Optimize a judge prompt as `blpo optimize` does; the same call resumes.

    run: a run file or its keys as a mapping; None where `keys` has them all. keys: keys of a run
        file, each in place of the same key of `run` as a whole.
    start_over: remove what an earlier run left in the run directory; the store is kept.

        optimize("run.yaml", seed=1, output="runs/photos-1")

    Raises ConfigError, DataError, EngineError or FailuresError, whose messages say what to do.
    """
    fields, source = _fields(run)
    plain = {key: str(value) if isinstance(value, Path) else value for key, value in keys.items()}
    config = parse_config(RunConfig, fields | plain, source)
    execute_runs([config], start_over=start_over, open_log=open_run_log, source=source)
    return load_run(config.output)


def _fields(run: str | Path | Mapping[str, Any] | None) -> tuple[dict[str, Any], str]:
    """Keys of a run file, and where they come from, for messages."""
    if isinstance(run, str | Path):
        return parse_yaml(read_text(Path(run), ConfigError), str(run), ConfigError), str(run)
    return dict(run or {}), "optimize"


def _step_number(file: Path) -> int:
    return int(file.stem.removeprefix("step-"))


def _step_row(record: Mapping[str, Any]) -> dict[str, Any]:
    train: Mapping[str, Any] = record["train"] or {}
    return {
        "step": record["step"],
        "judge_prompt": record["judge_prompt"],
        "next_judge_prompt": record["next_judge_prompt"],
        "accuracy": train.get("accuracy"),
        "macro_f1": train.get("macro_f1"),
    }
