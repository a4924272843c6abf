"""Engines of a first run file: what a user names, as fields of `EngineSettings`."""

from collections.abc import Mapping
from pathlib import Path

from ...data.errors import ConfigError
from ...data.micro.graded import load_world
from ...data.tasks import Task
from ...models.engine import SHIPPED
from ...models.ideal.labels import known_labels

_WORLD_SUFFIXES = (".yaml", ".yml")


def engine_fields(model: str, endpoint: str | None, key_env: str | None) -> dict[str, str]:
    """Of a model that a server has, of the test bench's ideal judge for a world file, else of a
    model here.
    """
    if endpoint is None:
        is_world = model.endswith(_WORLD_SUFFIXES)
        return {"kind": "ideal" if is_world else "vllm", "model": model}
    key = {} if key_env is None else {"api_key_env": key_env}
    return {"kind": "openai", "model": model, "endpoint": endpoint, **key}


def optimizer_fields(
    judge: Mapping[str, str], model: str | None, endpoint: str, key_env: str
) -> dict[str, str]:
    """Of the optimizer that a server has, if one is named; empty for the judge itself.

    The judges of the test bench write no prompts: a program of the bench does.
    """
    if model:
        return engine_fields(model, endpoint, key_env)
    if judge["kind"] == "ideal":
        return {"kind": "lexicon", "model": judge["model"]}
    return {"kind": "lexicon"} if judge["model"] in SHIPPED else {}


def check_judge(judge: Mapping[str, str], task: Task) -> None:
    """Raises ConfigError for a judge of the test bench without a world, or without the labels."""
    if judge["kind"] == "ideal":
        load_world(Path(judge["model"]))
    elif judge["kind"] == "openai" or judge["model"] not in SHIPPED:
        return
    if told := known_labels(task.asked_labels):
        raise ConfigError(
            f"init: the judge {judge['model']} has no labels {task.label_set()}: {told}"
        )
