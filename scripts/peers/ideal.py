"""An ideal judge in place of the micro model: all micro tasks, no model, a hundredth of the time.

It is the fake of the tests, which sees the scenes behind the images and mistakes 5 % of their
values.
"""

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from blpo.data.micro.rubrics import MICRO_TASKS, generate, scenes_of
from blpo.data.micro.world import Scene
from blpo.data.tasks import load_task
from blpo.models.engine import Engine, EngineIdentity, Reply, Request
from blpo.pipeline.runs.demo import DATA_SEED

from .variants import BINARY_TASKS, NUM_TEST, NUM_TRAIN

_TESTS = Path(__file__).parents[2] / "tests"


class IdealJudge:
    """Contract: `Engine`. The labels of a request say which task it belongs to."""

    version = "ideal"

    def __init__(self, tasks: Sequence[str] = tuple(MICRO_TASKS)) -> None:
        """tasks: whose images it knows."""
        sys.path.append(str(_TESTS))
        module: Any = importlib.import_module("ideal_engine")
        scenes = _all_scenes(tasks)
        self._by_labels: dict[tuple[str, ...], Engine] = {
            load_task(name).labels: module.IdealEngine(scenes, task.scale)
            for name, task in MICRO_TASKS.items()
            if name in tasks
        }
        self._any = next(iter(self._by_labels.values()))

    @property
    def identity(self) -> EngineIdentity:
        return self._any.identity

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [
            self._by_labels.get(request.labels, self._any).ask([request])[0] for request in requests
        ]

    def close(self) -> None:
        pass


def _all_scenes(tasks: Sequence[str]) -> dict[bytes, Scene]:
    """The scene behind every image of every variant."""
    sizes = {name: [(NUM_TRAIN, NUM_TEST)] for name in tasks}
    for name in set(tasks) & set(BINARY_TASKS):
        sizes[name].append((2 * NUM_TRAIN, 2 * NUM_TEST))
    scenes: dict[bytes, Scene] = {}
    for name, counts in sizes.items():
        for train, test in counts:
            rows = generate(name, DATA_SEED, train, test)
            images = [row["image"] for row in rows]
            scenes |= zip(images, scenes_of(name, DATA_SEED, train, test), strict=True)
    return scenes
