"""An ideal judge in place of the micro model: all micro tasks, no model, a hundredth of the time.

It sees the scenes behind the images and mistakes 5 % of their values.
"""

from collections.abc import Sequence

from blpo.data.micro.rubrics import MICRO_TASKS, generate, scenes_of
from blpo.data.micro.world import Scene
from blpo.models.ideal.engine import IdealEngine
from blpo.pipeline.runs.demo import DATA_SEED

from .variants import BINARY_TASKS, NUM_TEST, NUM_TRAIN


def ideal_judge(tasks: Sequence[str] = tuple(MICRO_TASKS)) -> IdealEngine:
    """tasks: whose images it knows."""
    return IdealEngine(_all_scenes(tasks))


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
