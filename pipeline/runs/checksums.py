"""Checksums of a run's files: what was written is what is there."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .directory import (
    INPUTS_FILE,
    OWN_FOLDERS,
    PREDICTIONS_FILE,
    REPORT_FILE,
    RESULT_FILE,
    TASK_FILE,
    TRAIN_PREDICTIONS_FILE,
)

_FILES = (TASK_FILE, INPUTS_FILE, PREDICTIONS_FILE, TRAIN_PREDICTIONS_FILE, REPORT_FILE)


def checksums(run: Path, result: Mapping[str, Any]) -> dict[str, str]:
    """sha256 by file name. That of result.json is of its values without `seconds`, as canonical
    JSON: everything else is the same whenever the run is finished."""
    timeless = {name: value for name, value in result.items() if name != "seconds"}
    canonical = json.dumps(timeless, sort_keys=True, separators=(",", ":")).encode()
    found = {file.relative_to(run).as_posix(): file.read_bytes() for file in _files(run)}
    return {name: _sha256(data) for name, data in (found | {RESULT_FILE: canonical}).items()}


def _files(run: Path) -> Iterator[Path]:
    yield from (run / name for name in _FILES if (run / name).is_file())
    for folder in OWN_FOLDERS:
        yield from sorted((run / folder).glob("*"))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
