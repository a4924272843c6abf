"""The run directory: refuse, resume or start over, and whole files only.

    config.json        the resolved configuration
    inputs.json        fingerprint of the data, revisions of the models
    run_id             names this run in the reply store's rows
    steps/step-N.json  prompts, scores, metrics and calls so far of every step of the search
    prompts/           judge_prompt_initial.txt, judge_prompt_final.txt, i2t_prompt_final.txt
    predictions.parquet  verdicts of the initial and the final prompt on the test split
    result.json        the result, written last
    report.html        the same to look at
    ledger.jsonl       calls, tokens and seconds by role of every session that asked models

Every file but run_id, ledger.jsonl and the key `seconds` of result.json is a function of
configuration, dataset, replies and, as to who paid for them, of the runs that share the store.
"""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...data.arrow import atomic_path
from ...data.errors import ConfigError
from ...data.text_files import read_own_json, read_text
from ..config import RunConfig, comparable, differences, parse_config

CONFIG_FILE = "config.json"
INPUTS_FILE = "inputs.json"
RESULT_FILE = "result.json"
LEDGER_FILE = "ledger.jsonl"
PREDICTIONS_FILE = "predictions.parquet"
_RUN_ID_FILE = "run_id"
_OWN_FILES = (
    CONFIG_FILE,
    INPUTS_FILE,
    _RUN_ID_FILE,
    PREDICTIONS_FILE,
    RESULT_FILE,
    "report.html",
    LEDGER_FILE,
)
_OWN_FOLDERS = ("steps", "prompts")
_REMEDY = "restore the file, or pass --start-over (replies in the store are kept)"


class RunDirectory:
    """A directory that belongs to one configuration."""

    def __init__(self, path: Path, run_id: str) -> None:
        self.path = path
        self.run_id = run_id

    @property
    def is_finished(self) -> bool:
        return (self.path / RESULT_FILE).exists()

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

    def append_json(self, name: str, value: Any) -> None:
        """Add a line to a JSON-lines file."""
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(json.dumps(value) + "\n")

    def read_json(self, name: str) -> Any:
        return read_own_json(self.path / name, _REMEDY, ConfigError)


def open_run_directory(
    config: RunConfig, inputs: Mapping[str, Any], *, start_over: bool = False
) -> RunDirectory:
    """Create the run directory, or open it for the same configuration, data and models again.

    inputs: what the configuration's names stand for: fingerprint of the data, model revisions.
    start_over: remove what an earlier run left there first; the reply store is never touched.
    Raises ConfigError if the directory holds another run or something else.
    """
    path = config.output
    if start_over:
        _remove_run(path)
    _refuse_foreign(path)
    if (path / CONFIG_FILE).exists():
        _refuse_other_run(path, config, inputs)
    path.mkdir(parents=True, exist_ok=True)
    directory = RunDirectory(path, _run_id(path))
    if not (path / CONFIG_FILE).exists():
        directory.write_json(INPUTS_FILE, dict(inputs))
        resolved = config.model_dump(mode="json", exclude={"output", "store"})
        directory.write_json(CONFIG_FILE, {"dataset": str(config.dataset), **resolved})
    return directory


def load_run(path: Path) -> tuple[RunConfig, RunDirectory]:
    """Open an existing run directory. Raises ConfigError if it is none."""
    if not (path / CONFIG_FILE).exists():
        raise ConfigError(f"{path}: not a run directory (no {CONFIG_FILE})")
    return _stored_config(path), RunDirectory(path, _run_id(path))


def _stored_config(path: Path) -> RunConfig:
    fields = read_own_json(path / CONFIG_FILE, _REMEDY, ConfigError)
    return parse_config(RunConfig, fields | {"output": str(path)}, str(path / CONFIG_FILE))


def _run_id(path: Path) -> str:
    """The directory's run id, made by whoever comes first."""
    file = path / _RUN_ID_FILE
    if not file.exists():
        temporary = path / f".{uuid.uuid4().hex}.tmp"
        temporary.write_text(uuid.uuid4().hex + "\n", "utf-8")
        with contextlib.suppress(FileExistsError):
            os.link(temporary, file)
        temporary.unlink()
    return read_text(file, ConfigError).strip()


def _refuse_foreign(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise ConfigError(f"output {path}: is a file; name a directory")
    if path.is_dir() and any(path.iterdir()) and not (path / CONFIG_FILE).exists():
        # What a run writes before its config.json may be there if it was killed at once.
        own = {_RUN_ID_FILE, INPUTS_FILE}
        names = {e.name for e in path.iterdir() if e.name not in own and e.suffix != ".tmp"}
        if names:
            raise ConfigError(
                f"output {path}: holds other files ({', '.join(sorted(names)[:3])}, ...) and is "
                "not a run directory; name a new directory"
            )


def _refuse_other_run(path: Path, config: RunConfig, inputs: Mapping[str, Any]) -> None:
    stored = read_own_json(path / INPUTS_FILE, _REMEDY, ConfigError)
    found = [
        *differences(comparable(_stored_config(path)), comparable(config)),
        *differences(stored, inputs),
    ]
    if found:
        raise ConfigError(
            f"output {path}: belongs to another run, which differs in\n  "
            + "\n  ".join(found)
            + "\nName another output, restore these values, or pass --start-over to replace that "
            "run (replies in the store are kept)."
        )


def _remove_run(path: Path) -> None:
    if not (path / CONFIG_FILE).exists():
        return
    for name in _OWN_FOLDERS:
        shutil.rmtree(path / name, ignore_errors=True)
    # config.json goes last: whatever is killed in between is still a run directory.
    for name in reversed(_OWN_FILES):
        (path / name).unlink(missing_ok=True)
