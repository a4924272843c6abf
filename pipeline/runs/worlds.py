"""World files of a sweep, which go with its folder when that is moved.

    OUTPUT/cells/NAME/          run directory of a cell
    OUTPUT/worlds/DIGEST.yaml   a world, named by the digest of what it holds

A cell names its world by path, as the model of its judge and of its optimizer.
"""

import hashlib
from pathlib import Path

from ...models.engines.settings import EngineSettings
from ..config import RunConfig

WORLDS_FOLDER = "worlds"


def world_file_name(content: bytes) -> str:
    return f"{hashlib.sha256(content).hexdigest()[:12]}.yaml"


def with_own_worlds(config: RunConfig) -> RunConfig:
    """A cell's configuration with its worlds as they lie in the folder that its run is in now.

    Any other run's is as it was.
    """
    optimizer = config.optimizer
    if optimizer.engine is not None:
        engine = _with_own_world(optimizer.engine, config.output)
        optimizer = optimizer.model_copy(update={"engine": engine})
    judge = _with_own_world(config.judge, config.output)
    return config.model_copy(update={"judge": judge, "optimizer": optimizer})


def _with_own_world(settings: EngineSettings, run: Path) -> EngineSettings:
    named = Path(settings.model)
    here = run.parent.parent / WORLDS_FOLDER / named.name
    if not settings.is_program or named.parent.name != WORLDS_FOLDER or not here.is_file():
        return settings
    # What has the digest of the name is the world that the run was of, wherever that was.
    if world_file_name(here.read_bytes()) != named.name:
        return settings
    return settings.model_copy(update={"model": str(here)})
