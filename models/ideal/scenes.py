"""The scenes behind the images of a world: drawn again from what the world's file says."""

import threading
from collections.abc import Mapping
from typing import Protocol

from ...data.micro.graded import GradedWorld
from ...data.micro.graded_data import graded_rows, graded_scenes
from ...data.micro.rubrics import MICRO_TASKS
from ...data.micro.world import Scene


class Scenes(Protocol):
    """Where a judge looks up what an image shows."""

    def get(self, image: bytes, /) -> Scene | None: ...


class WorldScenes:
    """The scenes of all tasks of a world, each task drawn when one of its images is asked about."""

    def __init__(self, world: GradedWorld) -> None:
        self._world = world
        self._undrawn = list(MICRO_TASKS)
        self._known: dict[bytes, Scene] = {}
        self._lock = threading.Lock()

    def get(self, image: bytes, /) -> Scene | None:
        """None for an image that is in no dataset of the world."""
        with self._lock:
            while image not in self._known and self._undrawn:
                self._known |= _drawn(self._undrawn.pop(0), self._world)
            return self._known.get(image)


def _drawn(task: str, world: GradedWorld) -> Mapping[bytes, Scene]:
    rows, scenes = graded_rows(task, world), graded_scenes(task, world)
    return {row["image"]: scene for row, scene in zip(rows, scenes, strict=True)}
