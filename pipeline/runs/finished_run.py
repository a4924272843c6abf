"""A finished run as others look at it: its result and its verdicts on the test split."""

import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from ...data.errors import ConfigError, DataError
from ...models.roles.judge import Verdict
from ..config import RunConfig
from ..metrics.agreement import group_confusions
from ..metrics.intervals import Counts
from ..result import RawVerdicts, RunResult
from .directory import PREDICTIONS_FILE, RESULT_FILE, RunDirectory, load_run
from .predictions import AGAIN, PastExample, read_predictions

_MAX_SHOWN = 5


@dataclass(frozen=True)
class PastRun:
    """A finished run, read back from its directory.

    labels: the declared label set. initial, final: verdicts under p_0 and under the final prompt,
    one per example, as they are read. raw: by the likeliest label, where a reading was asked for.
    """

    path: Path
    config: RunConfig
    result: RunResult
    labels: tuple[str, ...]
    examples: tuple[PastExample, ...]
    initial: tuple[Verdict, ...]
    final: tuple[Verdict, ...]
    raw: RawVerdicts | None = None

    @property
    def by_likeliest_label(self) -> "PastRun":
        """The run without readings."""
        if self.raw is None:
            return self
        return replace(self, initial=tuple(self.raw.initial), final=tuple(self.raw.final), raw=None)

    @cached_property
    def initial_confusions(self) -> Counts:
        """Confusion counts under p_0 by group, see `group_confusions`."""
        return group_confusions(self.examples, self.initial, self.labels)

    @cached_property
    def confusions(self) -> Counts:
        """Confusion counts under the final prompt by group, see `group_confusions`."""
        return group_confusions(self.examples, self.final, self.labels)

    @cached_property
    def right(self) -> dict[str, bool]:
        """By example_id, whether the final verdict is the human label."""
        pairs = zip(self.examples, self.final, strict=True)
        return {example.example_id: example.label == v.label for example, v in pairs}

    @property
    def num_groups(self) -> int:
        return len(self.confusions)


def read_past_run(path: Path) -> PastRun:
    """Read a finished run.

    Raises ConfigError if the folder is no finished run, DataError if its result or its
    predictions are damaged or were written by another version.
    """
    config, directory = load_run(path)
    if not directory.is_finished:
        raise ConfigError(f"{path}: the run is not finished; `blpo optimize` goes on with it")
    result = read_result(directory)
    found = read_predictions(path / PREDICTIONS_FILE)
    verdicts = found.initial, found.final, found.raw
    return PastRun(path, config, result, found.labels, found.examples, *verdicts)


def read_result(directory: RunDirectory) -> RunResult:
    """What a finished run came to.

    Raises ConfigError for a file that is damaged, DataError for one of another version.
    """
    try:
        return RunResult.model_validate(directory.read_json(RESULT_FILE))
    except ValidationError:
        message = f"{directory.path}: its {RESULT_FILE} was written by another version; {AGAIN}"
        raise DataError(message) from None


def runs_beside(path: Path, result: RunResult) -> list[tuple[Path, RunConfig]]:
    """Other finished runs of the task in the folder that holds this one, by name; only those that
    ended with another prompt."""
    found: list[tuple[Path, RunConfig]] = []
    for other in sorted(path.parent.iterdir()):
        if other.resolve() == path.resolve() or not (other / RESULT_FILE).is_file():
            continue
        with suppress(ConfigError):
            config, directory = load_run(other)
            other_result = directory.read_json(RESULT_FILE)
            is_same_prompt = other_result.get("judge_prompt_final") == result.judge_prompt_final
            if other_result.get("task") == result.task and not is_same_prompt:
                found.append((other, config))
    return found


def refuse_other_test(reference: PastRun, other: PastRun) -> None:
    """Raises ConfigError unless both runs were tested on the same examples and labels."""
    pair = f"{reference.path} and {other.path}"
    if reference.labels != other.labels:
        one, two = (", ".join(run.labels) for run in (reference, other))
        raise ConfigError(
            f"{pair}: their label sets differ ({one} against {two}); compare runs of one task"
        )
    first, second = ({e.example_id: e for e in run.examples} for run in (reference, other))
    for ids, what in (
        (first.keys() - second.keys(), f"only {reference.path} was tested on"),
        (second.keys() - first.keys(), f"only {other.path} was tested on"),
        (
            {i for i in first.keys() & second.keys() if first[i] != second[i]},
            "human label or group differs for",
        ),
    ):
        if ids:
            raise ConfigError(
                f"{pair}: not the same test split: {what} {_listed(sorted(ids))}; compare runs "
                f"on one dataset file, or measure {reference.path} on the images of {other.path} "
                f"with `{_evaluation(reference, other)}`, which says how many it was fitted on"
            )


def _evaluation(run: PastRun, other: PastRun) -> str:
    """The command that measures a run on the dataset of another."""
    return shlex.join(["blpo", "evaluate", str(other.config.dataset), "--run", str(run.path)])


def _listed(ids: Sequence[str]) -> str:
    shown = ", ".join(ids[:_MAX_SHOWN])
    return shown if len(ids) <= _MAX_SHOWN else f"{shown} and {len(ids) - _MAX_SHOWN:,} more"
