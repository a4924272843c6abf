"""The ideal judge of the test bench as a strict fake at the engine seam.

It knows the scenes behind the images it was given and answers nothing else.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from types import MappingProxyType

from blpo.data.examples import Dataset, Example
from blpo.data.images import ImageBounds, ImageRef
from blpo.data.micro.graded import SHIPPED_WORLD, JudgeConfig
from blpo.data.micro.rubrics import MICRO_TASKS, RubricName, generate, scenes_of
from blpo.data.micro.world import Scale, Scene
from blpo.models.engine import EngineIdentity, Reply, Request
from blpo.models.ideal.engine import IdealEngine as IdealJudge


@dataclass
class IdealEngine:
    """Answers for the scenes it knows; any other request fails the test."""

    scenes: Mapping[bytes, Scene]
    scale: Scale
    version: str = "ideal"
    knobs: JudgeConfig = SHIPPED_WORLD.judge
    asked: list[Request] = field(default_factory=list[Request])

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._judge = IdealJudge(self.scenes, self.knobs)

    @property
    def identity(self) -> EngineIdentity:
        return self._judge.identity

    def ask(self, requests: Sequence[Request]) -> list[Reply]:
        with self._lock:
            self.asked.extend(requests)
        replies = self._judge.ask(requests)
        failed = [reply.error for reply in replies if reply.error]
        assert not failed, failed[0]
        return replies

    def close(self) -> None:
        pass


def ideal_world(
    task: str,
    *,
    num_train: int = 100,
    num_test: int = 200,
    rubric: RubricName = "main",
    seed: int = 0,
) -> tuple[Dataset, IdealEngine]:
    """A micro task's dataset and an engine that knows its scenes."""
    dataset, known = _drawn(task, num_train, num_test, rubric, seed)
    return dataset, IdealEngine(known, MICRO_TASKS[task].scale)


@cache
def _drawn(
    task: str, num_train: int, num_test: int, rubric: RubricName, seed: int
) -> tuple[Dataset, Mapping[bytes, Scene]]:
    """The dataset, and the scene behind each image. Drawn once: it takes longer than most tests."""
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
    dataset = Dataset(
        train=tuple(e for e in examples if e.split == "train"),
        test=tuple(e for e in examples if e.split == "test"),
        fingerprint=f"{task}-{seed}",
    )
    known = {row["image"]: scene for row, scene in zip(rows, scenes, strict=True)}
    return dataset, MappingProxyType(known)
