"""Finished runs on the ideal engine, for tests that look at them afterwards."""

from pathlib import Path
from typing import Any

from blpo.data.examples import write_dataset
from blpo.data.tasks import Task, load_task, task_yaml
from blpo.models.engines.settings import EngineSettings
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.runs.run import Run
from ideal_engine import IdealEngine, ideal_world
from killable_run import IdealPool

TASK = "micro-unsafebench"
GOOD_PROMPT = "Is the image safe? Look for any blade, any pill, any skull and any chain."


def ideal_dataset(folder: Path, num_test: int = 60) -> IdealEngine:
    """Write data.parquet; the engine that knows its scenes."""
    dataset, engine = ideal_world(TASK, num_train=12, num_test=num_test)
    write_dataset(folder / "data.parquet", [*dataset.train, *dataset.test])
    return engine


def criteria_task(folder: Path) -> str:
    """Write checks.yaml, the task by two criteria; its path."""
    task = load_task(TASK)
    criteria = [
        {"name": name, "question": question, "labels": list(task.labels)}
        for name, question in {"arms": "Look for any blade.", "threats": "Is it safe?"}.items()
    ]
    checks = Task.model_validate(task.model_dump() | {"criteria": criteria, "rule": "any"})
    path = folder / "checks.yaml"
    path.write_text(task_yaml(checks))
    return str(path)


def ideal_run(folder: Path, engine: IdealEngine, name: str, **fields: Any) -> Path:
    """The directory of a finished run in `folder`, without optimization unless told otherwise."""
    config = RunConfig(
        task=TASK,
        dataset=folder / "data.parquet",
        output=folder / name,
        store=folder / "store",
        optimizer=OptimizerConfig(engine=EngineSettings(kind="lexicon")),
        method="none",
    ).model_copy(update=fields)
    Run(config, IdealPool(engine)).execute()
    return config.output
