"""The run directory: refuse, resume or start over, and whole files only.

    config.json        the resolved configuration; `store` is relative to this directory
    task.yaml          the task as it was; a task file, too
    inputs.json        fingerprint of the data, revisions of the models
    run_id             names this run in the reply store's rows; below, the day on which it began
    steps/step-N.json  prompts, scores, metrics and calls so far of every step of the search
    prompts/           judge_prompt_initial.txt, judge_prompt_final.txt, i2t_prompt_final.txt
    predictions.parquet  verdicts of the initial and the final prompt on the test split
    train_predictions.parquet  those that a reading was fitted to, on the train split
    report.html        the result to look at
    decision.json      what `blpo decide` has found; no part of the run
    checksums.json     sha256 of these files, and of result.json without its seconds
    result.json        the result, written last
    ledger.jsonl       calls, tokens and seconds by role of every session that asked models
    .lock              who is at work here; there only meanwhile

Every file but run_id, with its day in report.html, ledger.jsonl, .lock and the key `seconds` of
result.json is a function of configuration, dataset, replies and, as to who paid for them, of the
runs that share the store.
"""

import contextlib
import json
import logging
import os
import shutil
import uuid
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from ...data.arrow import atomic_path
from ...data.errors import ConfigError
from ...data.near_paths import no_such
from ...data.tasks import Task, load_task, task_yaml
from ...data.text_files import read_own_json, read_text
from ..config import (
    LOCATION_FIELDS,
    LOG_FIELDS,
    PROMPT_FIELDS,
    RunConfig,
    comparable,
    differences,
    parse_config,
    set_options,
)
from .run_lock import LOCK_FILE, run_lock
from .worlds import with_own_worlds

_log = logging.getLogger("blpo.runs")

CONFIG_FILE = "config.json"
TASK_FILE = "task.yaml"
INPUTS_FILE = "inputs.json"
RESULT_FILE = "result.json"
LEDGER_FILE = "ledger.jsonl"
PREDICTIONS_FILE = "predictions.parquet"
TRAIN_PREDICTIONS_FILE = "train_predictions.parquet"
REPORT_FILE = "report.html"
DECISION_FILE = "decision.json"
CHECKSUMS_FILE = "checksums.json"
_RUN_ID_FILE = "run_id"
_OWN_FILES = (
    CONFIG_FILE,
    TASK_FILE,
    INPUTS_FILE,
    _RUN_ID_FILE,
    PREDICTIONS_FILE,
    TRAIN_PREDICTIONS_FILE,
    DECISION_FILE,
    RESULT_FILE,
    REPORT_FILE,
    CHECKSUMS_FILE,
    LEDGER_FILE,
)
OWN_FOLDERS = ("steps", "prompts")
_MOST_OPTIONS = 200
"""Signs; longer ones are not told."""

_REMEDY = "restore the file, or pass --start-over (replies in the store are kept)"


class RunDirectory:
    """A directory that belongs to one configuration.

    began: day of the first session, as YYYY-MM-DD; empty in a run of an earlier version.
    """

    def __init__(self, path: Path, run_id: str, began: str = "") -> None:
        self.path = path
        self.run_id = run_id
        self.began = began

    @property
    def is_finished(self) -> bool:
        return (self.path / RESULT_FILE).exists()

    @contextlib.contextmanager
    def at_work(self) -> Generator[None]:
        """Keep other runs out meanwhile.

        Raises ConfigError where one is at work, or has put itself in the place of this one.
        """
        with run_lock(self.path):
            if _run_id(self.path)[0] != self.run_id:
                raise ConfigError(
                    f"output {self.path}: another run was started over there since this one was "
                    "opened: name another output"
                )
            yield

    def write_json(self, name: str, value: Any) -> None:
        text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=False)
        self.write_text(name, text + "\n")

    def write_text(self, name: str, text: str) -> None:
        self.write_bytes(name, text.encode())

    def write_bytes(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all; a file that is already so is left alone."""
        path = self.path / name
        if path.exists() and path.read_bytes() == data:
            return
        with atomic_path(path) as temporary:
            temporary.write_bytes(data)

    def write_task(self, task: Task) -> None:
        self.write_text(TASK_FILE, task_yaml(task))

    def append_json(self, name: str, value: Any) -> None:
        """Add a line to a JSON-lines file."""
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        return read_own_json(self.path / name, _REMEDY, ConfigError)


def open_run_directory(
    config: RunConfig, task: Task, inputs: Mapping[str, Any], *, start_over: bool = False
) -> RunDirectory:
    """Create the run directory, or open it for the same configuration, task, data and models again.

    inputs: what the configuration's names stand for: fingerprint of the data, model revisions.
    start_over: remove what an earlier run left there first; the reply store is never touched.
    Raises ConfigError if the directory holds another run or something else, or a run is at work
    there.
    """
    path = config.output
    if start_over and (path / CONFIG_FILE).exists():
        with run_lock(path):
            _remove_run(path)
    refuse_other_use(config, task, inputs)
    path.mkdir(parents=True, exist_ok=True)
    with run_lock(path):
        directory = RunDirectory(path, *_run_id(path))
        if not (path / CONFIG_FILE).exists():
            directory.write_json(INPUTS_FILE, dict(inputs))
            directory.write_task(task)
        # Again when it is resumed: data, store and limits may be others by now.
        places = {"dataset": str(config.dataset), "store": _relative(config.store, path)}
        resolved = config.model_dump(mode="json", exclude=set(LOCATION_FIELDS | LOG_FIELDS))
        directory.write_json(CONFIG_FILE, places | resolved)
    return directory


def refuse_other_use(
    config: RunConfig, task: Task, inputs: Mapping[str, Any] | None = None
) -> None:
    """Raises ConfigError if the run directory holds another run or something else.

    inputs: as of `open_run_directory`; None where they are not known: settings are compared alone.
    """
    path = config.output
    _refuse_other_files(path)
    found = _held_otherwise(config, task, inputs) if (path / CONFIG_FILE).exists() else []
    if found:
        raise ConfigError(
            f"output {path}: belongs to another run, which differs in\n  "
            + "\n  ".join(found)
            + f"\nName another output, restore these values{_how_to_restore(config, found)}, or "
            "pass --start-over to replace that run (replies in the store are kept)."
        )


def check_is_run(path: Path) -> None:
    """Raises ConfigError where there is no run directory."""
    if not path.exists():
        raise ConfigError(no_such(path, "run directory"))
    if not (path / CONFIG_FILE).exists():
        raise ConfigError(f"{path}: not a run directory (no {CONFIG_FILE})")


def load_run(path: Path) -> tuple[RunConfig, RunDirectory]:
    """Open an existing run directory. Raises ConfigError if it is none.

    The configuration's store is where the run had it, seen from the working directory.
    """
    check_is_run(path)
    return stored_config(path), RunDirectory(path, *_run_id(path))


def step_records(path: Path) -> list[dict[str, Any]]:
    """The records of the steps of a run's directory, in order."""
    directory = RunDirectory(path, run_id="")
    names = [file.name for file in (path / "steps").glob("step-*[0-9].json")]
    ordered = sorted(names, key=lambda name: int(name.removesuffix(".json").rpartition("-")[2]))
    return [directory.read_json(f"steps/{name}") for name in ordered]


def num_steps_asked(path: Path) -> int:
    """How many steps of a run asked for something."""
    calls = [0, *(sum(record["calls"].values()) for record in step_records(path))]
    return sum(after > before for before, after in pairwise(calls))


def run_task(config: RunConfig) -> Task:
    """The task of the run in `config.output`, as that directory keeps it.

    A run of an earlier version keeps none: its task file is read where the configuration names it,
    and that is said. Raises DataError if it is not there.
    """
    kept = kept_task(config.output)
    if kept is not None:
        return kept
    if Path(config.task).suffix:
        _log.warning(
            "%s keeps no copy of its task, as runs of earlier versions: %s is read as it is now",
            config.output,
            config.task,
        )
    return load_task(config.task)


def kept_task(path: Path) -> Task | None:
    """The task that a run directory keeps; None in one of an earlier version."""
    return load_task(path / TASK_FILE) if (path / TASK_FILE).exists() else None


def task_named_by(path: Path) -> str:
    """How commands name the task of a run from the working directory: as the run does, or by the
    copy in its directory where its task file is not here."""
    named, kept = stored_config(path).task, path / TASK_FILE
    is_gone = bool(Path(named).suffix) and not Path(named).exists()
    return str(kept) if is_gone and kept.exists() else named


def run_differences(
    one: RunConfig, one_task: Task | None, other: RunConfig, other_task: Task | None
) -> list[str]:
    """In what two runs differ that shapes their results, one line for each value.

    Tasks are compared as they are, or by name or path where one is not known.
    """
    fields, other_fields = comparable(one), comparable(other)
    if one_task is not None and other_task is not None:
        fields["task"], other_fields["task"] = one_task.model_dump(), other_task.model_dump()
    return differences(fields, other_fields)


def stored_config(path: Path) -> RunConfig:
    """The configuration of a run directory. Raises ConfigError for one that is damaged."""
    fields = read_own_json(path / CONFIG_FILE, _REMEDY, ConfigError)
    places = {"output": str(path)}
    if "store" in fields:
        places["store"] = _from_here(path, fields["store"])
    blank = {name: fields[name] for name in PROMPT_FIELDS if _is_blank(fields.get(name))}
    known = fields | places | dict.fromkeys(blank)
    config = parse_config(RunConfig, known, str(path / CONFIG_FILE))
    # Earlier versions took the task's prompt for an empty one, and white space for a prompt.
    config = config.model_copy(update={name: prompt or None for name, prompt in blank.items()})
    return with_own_worlds(config)


def _is_blank(prompt: object) -> bool:
    return isinstance(prompt, str) and not prompt.strip()


def _relative(store: Path, path: Path) -> str:
    """The store as seen from the run directory, so that both can be moved together.

    Links are resolved: `..` leads out of where they point to.
    """
    return os.path.relpath(os.path.realpath(store), os.path.realpath(path))


def _from_here(path: Path, store: str) -> str:
    """A store of `_relative` as seen from the working directory."""
    absolute = os.path.normpath(os.path.join(os.path.realpath(path), store))
    from_here = os.path.relpath(absolute)
    return absolute if from_here.startswith(os.pardir) else from_here


def _run_id(path: Path) -> tuple[str, str]:
    """The directory's run id and, on a second line, its day; made by whoever comes first."""
    file = path / _RUN_ID_FILE
    if not file.exists():
        temporary = path / f".{uuid.uuid4().hex}.tmp"
        temporary.write_text(f"{uuid.uuid4().hex}\n{_today()}\n", "utf-8")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)
        temporary.unlink()
    run_id, _, began = read_text(file, ConfigError).strip().partition("\n")
    return run_id, began


def _today() -> str:
    """In UTC. SOURCE_DATE_EPOCH stands in for the clock, as in all reproducible builds."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH", "")
    now = datetime.fromtimestamp(int(seconds), UTC) if seconds.isdigit() else datetime.now(UTC)
    return now.date().isoformat()


def _refuse_other_files(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise ConfigError(f"output {path}: is a file; name a directory")
    if path.is_dir() and any(path.iterdir()) and not (path / CONFIG_FILE).exists():
        # What a run writes before its config.json may be there if it was killed at once.
        own = {_RUN_ID_FILE, INPUTS_FILE, TASK_FILE, LOCK_FILE}
        names = {e.name for e in path.iterdir() if e.name not in own and e.suffix != ".tmp"}
        if names:
            raise ConfigError(
                f"output {path}: holds other files ({', '.join(sorted(names)[:3])}, ...) and is "
                "not a run directory; name a new directory"
            )


def _held_otherwise(config: RunConfig, task: Task, inputs: Mapping[str, Any] | None) -> list[str]:
    """In what the run that the directory holds differs."""
    path = config.output
    found = run_differences(stored_config(path), kept_task(path), config, task)
    if inputs is not None:
        found += differences(read_own_json(path / INPUTS_FILE, _REMEDY, ConfigError), inputs)
    return found


def _how_to_restore(config: RunConfig, found: Sequence[str]) -> str:
    """Where values of the task can be found, and options for a few settings."""
    path = config.output
    in_task = any(line.startswith("task.") for line in found)
    told = [f"the run's task is in {path / TASK_FILE}"] if in_task else []
    options = " ".join(
        option
        for option in set_options(comparable(stored_config(path)), comparable(config))
        if not option.removeprefix("--set ").startswith(("task=", "'task="))
    )
    if options and len(options) <= _MOST_OPTIONS:
        told.append(options)
    return f" ({'; '.join(told)})" if told else ""


def _remove_run(path: Path) -> None:
    for name in OWN_FOLDERS:
        shutil.rmtree(path / name, ignore_errors=True)
    # config.json goes last: whatever is killed in between is still a run directory.
    for name in reversed(_OWN_FILES):
        (path / name).unlink(missing_ok=True)
