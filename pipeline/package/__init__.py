"""blpo in Python: `from blpo import Judge, evaluate, import_table, load_run, optimize`."""

# Installed as the package `blpo` itself, so its imports are absolute. They are made when a name is
# asked for: `import blpo`, which every module of the package brings along, stays light.

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from blpo.data.errors import BlpoError
    from blpo.data.tasks import Task, load_task
    from blpo.pipeline.api.datasets import import_table
    from blpo.pipeline.api.evaluation import evaluate
    from blpo.pipeline.api.judge import Judge
    from blpo.pipeline.api.runs import LoadedRun, load_run, optimize
    from blpo.pipeline.bulk.evaluation import Evaluation

__all__ = [
    "BlpoError",
    "Evaluation",
    "Judge",
    "LoadedRun",
    "Task",
    "evaluate",
    "import_table",
    "load_run",
    "load_task",
    "optimize",
]

_OWNERS = {
    "BlpoError": "blpo.data.errors",
    "Evaluation": "blpo.pipeline.bulk.evaluation",
    "Judge": "blpo.pipeline.api.judge",
    "LoadedRun": "blpo.pipeline.api.runs",
    "Task": "blpo.data.tasks",
    "evaluate": "blpo.pipeline.api.evaluation",
    "import_table": "blpo.pipeline.api.datasets",
    "load_run": "blpo.pipeline.api.runs",
    "load_task": "blpo.data.tasks",
    "optimize": "blpo.pipeline.api.runs",
}


def __getattr__(name: str) -> object:
    if name not in _OWNERS:
        raise AttributeError(f"module 'blpo' has no attribute {name!r}")
    return getattr(import_module(_OWNERS[name]), name)


def __dir__() -> list[str]:
    return __all__
