"""The `ideal` engine: a judge and verbalizer of the test bench without a trained model.

It looks up the scene behind an image and errs, reveals and leans as the world's file says. It is
synthetic: its figures say how a method behaves under given numbers, nothing about real judges.
"""

import hashlib
import math
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from ...data.micro.graded import SHIPPED_WORLD, JudgeConfig, load_world
from ...data.micro.world import Scene
from ..engine import EngineIdentity, Reply, Request
from . import seeing
from .scenes import Scenes, WorldScenes

_UNKNOWN_IMAGE = (
    "the ideal judge knows the images of its world alone: make the dataset with "
    "`blpo import micro` from the same world file"
)


class IdealEngine:
    """Answers about images whose scenes it knows; every other request is an error reply."""

    def __init__(self, scenes: Scenes, knobs: JudgeConfig = SHIPPED_WORLD.judge) -> None:
        self._scenes = scenes
        self._knobs = knobs

    @property
    def version(self) -> str:
        return "ideal"

    @property
    def identity(self) -> EngineIdentity:
        """The image is part of a request, so what a scene is drawn from need not be in here."""
        knobs = self._knobs.model_dump_json(exclude_defaults=True)
        return EngineIdentity("ideal", "ideal", _revision(), "none", knobs)

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        pass

    def _answer(self, request: Request) -> Reply:
        images = [image.data for image in request.images]
        scenes = [scene for image in images if (scene := self._scenes.get(image)) is not None]
        if not images or len(scenes) < len(images):
            told = _UNKNOWN_IMAGE if images else "the ideal judge is asked about images only"
            return Reply("", "error", error=told)
        if not request.labels:
            said = [
                seeing.verbalization(scene, image, request.prompt, self._knobs)
                for scene, image in zip(scenes, images, strict=True)
            ]
            return Reply("\n".join(said), "stop")
        return self._verdict(request, scenes, images)

    def _verdict(self, request: Request, scenes: Sequence[Scene], images: Sequence[bytes]) -> Reply:
        steps = [
            seeing.steps_seen(scene, image, request.prompt, self._knobs)
            for scene, image in zip(scenes, images, strict=True)
        ]
        if len(steps) == 2 and {"A", "B"} <= set(request.labels):
            chances = seeing.pair_chances(steps[0], steps[1], request.labels, self._knobs)
        elif len(steps) == 1 and (scale := seeing.scale_of(request.labels)) is not None:
            chances = seeing.label_chances(steps[0], scale, self._knobs)
        else:
            told = f"the ideal judge knows no scale of the labels {', '.join(request.labels)}"
            return Reply("", "error", error=told)
        best = max(chances, key=lambda label: chances[label])
        logprobs = {label: math.log(chances[label]) for label in request.labels}
        return Reply(best, "label", logprobs)


def ideal_engine(world_file: Path) -> IdealEngine:
    """The judge of a world. Raises ConfigError for a file that is missing or no world."""
    world = load_world(world_file)
    return IdealEngine(WorldScenes(world), world.judge)


@cache
def _revision() -> str:
    """Another program is another judge: its replies are not those of the one before."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]
