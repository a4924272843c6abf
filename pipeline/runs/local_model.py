"""Where the local model of a finished run is, seen from the working directory."""

import logging
import os
import re
from pathlib import Path

from ...data.errors import ConfigError
from ...models.engines.checkpoint import SHIPPED
from ...models.engines.settings import EngineSettings

_log = logging.getLogger(__name__)

_CHECKPOINTS, _PROGRAMS = ("vllm", "transformers"), ("ideal", "lexicon")
_HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT = re.compile("[0-9a-f]{40}")


def model_from_here(run: Path, settings: EngineSettings, revision: str) -> EngineSettings:
    """The settings of a run's engine with a path that leads to its model from here.

    A relative path starts from the folder where the run was begun: if nothing is there from the
    working directory, the folders above the run are tried, the nearest first.

    revision: of the model that answered; a commit is one of the Hugging Face hub, which has no
    path. Raises ConfigError if the model is in none of them and no name of the hub.
    """
    model = Path(settings.model).expanduser()
    is_elsewhere = settings.kind not in (*_CHECKPOINTS, *_PROGRAMS) or settings.model in SHIPPED
    if is_elsewhere or _COMMIT.fullmatch(revision) or model.is_absolute() or model.exists():
        return settings
    for folder in Path(os.path.realpath(run)).parents:
        found = folder / model
        if found.exists():
            _log.info("%s: its model %s is %s", run, model, found)
            return settings.model_copy(update={"model": str(found)})
    if settings.kind in _CHECKPOINTS and _HUB_NAME.fullmatch(settings.model):
        return settings  # a name of the hub as well as a path: the engine says what it lacks
    raise ConfigError(
        f"{run}: its model {model} is neither here nor in a folder above the run: work in the "
        "folder that this path starts from, or set judge.model to where the model is now"
    )
