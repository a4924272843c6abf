"""A strict fake at the engine seam: the judge and verbalizer that see the micro world's scenes.

It knows the scenes behind the images it was given and answers nothing else. A share of values is
perceived wrongly, always the same ones, as by a model at temperature 0.
"""

import hashlib
import math
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from blpo.data.examples import Dataset, Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.micro.rubrics import MICRO_TASKS, RubricName, generate, scenes_of
from blpo.data.micro.world import (
    Scale,
    Scene,
    aspect,
    ideal_verbalization,
    ideal_verdict,
    named_aspects,
)
from blpo.models.engine import EngineIdentity, Reply, Request

LABEL_PROBABILITY = 0.8


@dataclass
class IdealEngine:
    """Answers for the scenes it knows; any other request fails the test."""

    scenes: Mapping[bytes, Scene]
    scale: Scale
    noise: float = 0.05
    version: str = "ideal"
    asked: list[Request] = field(default_factory=list[Request])

    def __post_init__(self) -> None:
        self._lock = threading.Lock()

    @property
    def identity(self) -> EngineIdentity:
        return EngineIdentity("ideal", "ideal", f"noise={self.noise}", "none")

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        with self._lock:
            self.asked.extend(requests)
        return [self._answer(request) for request in requests]

    def close(self) -> None:
        pass

    def _answer(self, request: Request) -> Reply:
        assert request.image is not None, "the ideal engine is asked about images only"
        scene = self._perceived(request.image.data)
        named = named_aspects(request.prompt, scene.family)
        if not request.labels:
            return Reply(ideal_verbalization(scene, named), "stop")
        verdict = ideal_verdict(scene, named, self.scale)
        rest = (1 - LABEL_PROBABILITY) / (len(request.labels) - 1)
        logprobs = {
            label: math.log(LABEL_PROBABILITY if label == verdict else rest)
            for label in request.labels
        }
        return Reply(verdict, "label", logprobs)

    def _perceived(self, data: bytes) -> Scene:
        scene = self.scenes[data]
        values = {
            name: self._mistaken(name, value) if self._is_mistaken(data, name) else value
            for name, value in scene.values.items()
        }
        return Scene(scene.family, values, scene.claims, scene.seed)

    def _is_mistaken(self, data: bytes, name: str) -> bool:
        digest = hashlib.sha256(name.encode() + data).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 < self.noise

    @staticmethod
    def _mistaken(name: str, value: str) -> str:
        return next(other for other in aspect(name).values if other != value)


def ideal_world(
    task: str,
    *,
    num_train: int = 100,
    num_test: int = 200,
    rubric: RubricName = "main",
    seed: int = 0,
) -> tuple[Dataset, IdealEngine]:
    """A micro task's dataset and an engine that knows its scenes."""
    rows = generate(task, seed, num_train, num_test, rubric)
    scenes = scenes_of(task, seed, num_train, num_test, rubric)
    examples = [
        Example(
            example_id=row["example_id"],
            image=ImageRef(row["image"], ImageBounds()),
            text=row["text"] or None,
            label=row["label"],
            group=row["group"],
            category=row["category"],
            split="train" if row["split"] == "train" else "test",
        )
        for row in rows
    ]
    known = {row["image"]: scene for row, scene in zip(rows, scenes, strict=True)}
    dataset = Dataset(
        train=tuple(e for e in examples if e.split == "train"),
        test=tuple(e for e in examples if e.split == "test"),
        fingerprint=f"{task}-{seed}",
    )
    return dataset, IdealEngine(known, MICRO_TASKS[task].scale)
