"""Where the local model of a finished run or of a bundle is, seen from the working directory."""

import logging
import os
import re
from pathlib import Path
from typing import Literal

from ...data.errors import ConfigError
from ...models.engine import SHIPPED
from ...models.engines.settings import EngineSettings

_log = logging.getLogger(__name__)

Source = Literal["run", "bundle"]
"""What a judge is taken from."""

_ORIGINS: dict[Source, str] = {"run": "run was begun", "bundle": "bundle was exported"}
_CHECKPOINTS, _PROGRAMS = ("vllm", "transformers"), ("ideal", "lexicon")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile("[0-9a-f]{40}")


def model_from_here(
    source: Path, settings: EngineSettings, revision: str, kind: Source = "run"
) -> EngineSettings:
    """The settings of the engine of a run or bundle with a path that leads to its model from here.

    A relative path starts from the folder where the run was begun or the bundle exported: if
    nothing is there from the working directory, the folders above the source are tried, the
    nearest first.

    revision: of the model that answered; a commit is one of the Hugging Face hub, which has no
    path. Raises ConfigError if the model is in none of them and no name of the hub.
    """
    model = Path(settings.model).expanduser()
    is_elsewhere = not _may_be_path(settings) or _COMMIT.fullmatch(revision)
    if is_elsewhere or model.is_absolute() or model.exists():
        return settings
    for folder in Path(os.path.realpath(source)).parents:
        found = folder / model
        if found.exists():
            _log.info("%s: its model %s is %s", source, model, found)
            return settings.model_copy(update={"model": str(found)})
    if settings.kind in _CHECKPOINTS and _HUB_NAME.fullmatch(settings.model):
        return settings  # a name of the hub as well as a path: the engine says what it lacks
    raise ConfigError(
        f"{source}: its model {model} is neither here nor in a folder above the {kind}: work in "
        f"the folder where the {_ORIGINS[kind]}, from which this path starts, or name where the "
        "model is now with --set judge.model=PATH"
    )


def is_path_here(settings: EngineSettings) -> bool:
    """Whether the model is a file or folder, found from the working directory."""
    return _may_be_path(settings) and Path(settings.model).expanduser().exists()


def _may_be_path(settings: EngineSettings) -> bool:
    return settings.kind in (*_CHECKPOINTS, *_PROGRAMS) and settings.model not in SHIPPED
