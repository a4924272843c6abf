"""The micro tasks: what the simulated people mind, and the datasets that follow from it.

A rubric is hidden: no prompt states it. It says which aspects people mind, what they forgive, and
how often each aspect is at fault in the task's images. Per task there is a rubric for everyday use
and one of the same shape that is held out of all tuning.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NotRequired, TypedDict

import numpy as np

from .world import (
    COARSE_ASPECT,
    Family,
    Scale,
    Scene,
    aspect_names,
    claim_text,
    derived_seed,
    draw_scene,
    is_fault,
    png_bytes,
    render,
    verdict_of_count,
)

RubricName = Literal["main", "held-out"]
LABEL_NOISE = 0.03
"""Share of examples whose human label is off by one."""


class Row(TypedDict):
    """One example; the image is a PNG file. ratings: of single people, where several were asked."""

    example_id: str
    image: bytes
    text: str
    label: str
    group: str
    category: str
    split: str
    ratings: NotRequired[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Rubric:
    """What people mind.

    minds: share of the people who mind a fault, by aspect. forgiven: a fault of the key does not
    count where the value is at fault too. fault_rates: how often an aspect is at fault (see
    `world.draw_scene`). despair: share of the people who give the worst label as soon as all that
    most people mind is at fault. steps: what a fault costs those who mind it, if not one step.
    """

    minds: Mapping[str, float]
    forgiven: Mapping[str, str]
    fault_rates: Mapping[str, float] = field(default_factory=dict[str, float])
    despair: float = 0.0
    steps: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def minded(self) -> tuple[str, ...]:
        """The aspects that most people mind: what a prompt should name."""
        return tuple(name for name, share in self.minds.items() if share > 0.5)


@dataclass(frozen=True, slots=True)
class MicroTask:
    """A task of the bench.

    label_shares: wanted share of every label, worst label first, before label noise.
    """

    family: Family
    scale: Scale
    label_shares: Mapping[str, float]
    rubrics: Mapping[RubricName, Rubric]


_HALVES = {"safety": {"Safe": 0.5, "Unsafe": 0.5}, "match": {"0": 0.5, "1": 0.5}}

MICRO_TASKS: Mapping[str, MicroTask] = {
    "micro-agin": MicroTask(
        "flaws",
        "naturalness",
        {"1": 0.14, "2": 0.18, "3": 0.22, "4": 0.23, "5": 0.23},
        {
            "main": Rubric(
                minds={"focus": 1, "shadow": 1, "seam": 1, "horizon": 1, "tint": 0.12},
                forgiven={"shadow": "lighting"},
                fault_rates={"vignette": 0.6, "grain": 0.3, "tint": 0.3, "lighting": 0.1},
            ),
            "held-out": Rubric(
                minds={"grain": 1, "shadow": 1, "tint": 1, "horizon": 1, "seam": 0.12},
                forgiven={"grain": "lighting"},
                fault_rates={"vignette": 0.6, "focus": 0.3, "seam": 0.3, "lighting": 0.1},
            ),
        },
    ),
    "micro-seetrue": MicroTask(
        "objects",
        "match",
        _HALVES["match"],
        {
            "main": Rubric(
                minds={"color": 1, "count": 1, "shape": 1, "border": 1, "size": 0.15},
                forgiven={"border": "backdrop"},
                fault_rates={
                    "color": 0.2, "count": 0.2, "shape": 0.2, "border": 0.2, "size": 0.2,
                    "side": 0.5, "texture": 0.25, "backdrop": 0.2,
                },
            ),
            "held-out": Rubric(
                minds={"texture": 1, "count": 1, "shape": 1, "backdrop": 1, "size": 0.15},
                forgiven={"backdrop": "border"},
                fault_rates={
                    "texture": 0.2, "count": 0.2, "shape": 0.2, "backdrop": 0.2, "size": 0.2,
                    "side": 0.5, "color": 0.25, "border": 0.2,
                },
            ),
        },
    ),
    "micro-imagereward": MicroTask(
        "objects",
        "alignment",
        {"1": 0.03, "2": 0.06, "3": 0.12, "4": 0.16, "5": 0.19, "6": 0.22, "7": 0.22},
        {
            "main": Rubric(
                minds={"shape": 1, "color": 1, "count": 1, "texture": 1, "side": 1, "size": 0.12},
                forgiven={},
                fault_rates={"border": 0.6, "backdrop": 0.3, "size": 0.25},
                despair=0.25,
            ),
            "held-out": Rubric(
                minds={"shape": 1, "color": 1, "count": 1, "side": 1, "backdrop": 1, "size": 0.12},
                forgiven={},
                fault_rates={"border": 0.6, "texture": 0.3, "size": 0.25},
                despair=0.25,
            ),
        },
    ),
    "micro-unsafebench": MicroTask(
        "symbols",
        "safety",
        _HALVES["safety"],
        {
            "main": Rubric(
                minds={"blade": 1, "pill": 1, "skull": 1, "chain": 1, "smoke": 0.12},
                forgiven={"blade": "flame"},
                fault_rates={
                    "blade": 0.17, "pill": 0.17, "skull": 0.17, "chain": 0.17, "smoke": 0.25,
                    "bottle": 0.5, "flame": 0.2, "mood": 0.4,
                },
            ),
            "held-out": Rubric(
                minds={"flame": 1, "pill": 1, "skull": 1, "blade": 1, "smoke": 0.12},
                forgiven={"pill": "chain"},
                fault_rates={
                    "blade": 0.17, "pill": 0.17, "skull": 0.17, "flame": 0.17, "smoke": 0.25,
                    "bottle": 0.5, "chain": 0.2, "mood": 0.4,
                },
            ),
        },
    ),
}  # fmt: skip


def human_label(scene: Scene, rubric: Rubric, scale: Scale, rng: np.random.Generator) -> str:
    """The label one simulated person gives, without label noise.

    Draws the same number of numbers from rng whatever the scene.
    """
    counted = 0
    for name, share in rubric.minds.items():
        minds = rng.random() < share
        excuse = rubric.forgiven.get(name)
        excused = excuse is not None and is_fault(scene, excuse)
        if minds and is_fault(scene, name) and not excused:
            counted += rubric.steps.get(name, 1)
    worst = sum(rubric.steps.get(name, 1) for name in rubric.minded)
    despairs = rng.random() < rubric.despair and counted >= worst
    return verdict_of_count(99 if despairs else counted, scale)


def beside(label: str, labels: Sequence[str], rng: np.random.Generator) -> str:
    """A label next to this one on the scale."""
    place = labels.index(label)
    near = [labels[k] for k in (place - 1, place + 1) if 0 <= k < len(labels)]
    return near[int(rng.integers(len(near)))]


def _wanted_labels(task: MicroTask, num: int, rng: np.random.Generator) -> list[str]:
    """Labels to draw, in the task's shares, shuffled."""
    wanted: list[str] = []
    due = 0.0
    for label, share in task.label_shares.items():
        due += share * num
        wanted += [label] * (round(due) - len(wanted))
    return [wanted[place] for place in rng.permutation(len(wanted)).tolist()]


def _category(scene: Scene) -> str:
    """The first symbol shown, the lighting, or the shape."""
    if scene.family == "objects":
        return scene.values["shape"]
    if scene.family == "flaws":
        return scene.values["lighting"]
    coarse = COARSE_ASPECT[scene.family]
    shown = (name for name in aspect_names(scene.family) if is_fault(scene, name))
    return next((name for name in shown if name != coarse), "plain")


@dataclass(frozen=True, slots=True)
class DataDraw:
    """What a dataset is drawn from.

    key: of the rubric, in whatever is derived from the seed.
    """

    task_name: str
    seed: int
    rubric: Rubric
    key: str
    label_noise: float = LABEL_NOISE

    @property
    def task(self) -> MicroTask:
        return MICRO_TASKS[self.task_name]


def shipped_draw(task_name: str, seed: int, rubric: RubricName) -> DataDraw:
    """From one of the two rubrics above."""
    return DataDraw(task_name, seed, MICRO_TASKS[task_name].rubrics[rubric], rubric)


def draw_examples(
    drawn: DataDraw, num: int, start: int = 0, taken: Collection[str] = ()
) -> list[tuple[Scene, str]]:
    """Scenes with their human labels, in the task's label shares.

    start: index of the first candidate scene; give the splits far-apart starts. Texts are
    distinct, and none of those taken.
    """
    task, seed = drawn.task, (drawn.task_name, drawn.seed, drawn.key)
    rng = np.random.default_rng(derived_seed("examples", *seed, start))
    waiting: dict[str, list[Scene]] = {label: [] for label in task.label_shares}
    texts = set(taken)
    scene_seed = derived_seed("task", *seed)
    examples: list[tuple[Scene, str]] = []
    index = start
    for label in _wanted_labels(task, num, rng):
        while not waiting[label]:
            scene = draw_scene(task.family, scene_seed, index, drawn.rubric.fault_rates)
            index += 1
            text = claim_text(scene)
            given = human_label(scene, drawn.rubric, task.scale, rng)
            if given in waiting and (text is None or text not in texts):
                waiting[given].append(scene)
                texts |= {text} if text else set()
        examples.append((waiting[label].pop(0), label))
    labels = list(task.label_shares)
    return [
        (scene, beside(label, labels, rng) if rng.random() < drawn.label_noise else label)
        for scene, label in examples
    ]


_SPLIT_START = 10_000_000


def generate(
    task_name: str,
    seed: int,
    num_train: int = 100,
    num_test: int = 200,
    rubric: RubricName = "main",
) -> list[Row]:
    """The dataset of a task: train rows, then test rows; a pure function of its arguments.

    A group is a text, or a scene where there is none; no group is in both splits.
    """
    splits = draw_splits(shipped_draw(task_name, seed, rubric), num_train, num_test)
    return rows_of(task_name, splits)


def scenes_of(
    task_name: str,
    seed: int,
    num_train: int = 100,
    num_test: int = 200,
    rubric: RubricName = "main",
) -> list[Scene]:
    """The scenes behind the rows of `generate`, in the same order."""
    splits = draw_splits(shipped_draw(task_name, seed, rubric), num_train, num_test)
    return [scene for examples in splits.values() for scene, _ in examples]


def draw_splits(
    drawn: DataDraw, num_train: int, num_test: int
) -> dict[str, list[tuple[Scene, str]]]:
    """Train and test scenes with their labels, without a text in common."""
    train = draw_examples(drawn, num_train)
    taken = {text for text in (claim_text(scene) for scene, _ in train) if text}
    return {"train": train, "test": draw_examples(drawn, num_test, _SPLIT_START, taken)}


def rows_of(task_name: str, splits: Mapping[str, Sequence[tuple[Scene, str]]]) -> list[Row]:
    """The rows of a dataset, split after split."""
    return [
        _row(f"{task_name}-{split}-{number:04d}", scene, label, split)
        for split, examples in splits.items()
        for number, (scene, label) in enumerate(examples)
    ]


def _row(example_id: str, scene: Scene, label: str, split: str) -> Row:
    text = claim_text(scene)
    return Row(
        example_id=example_id,
        image=png_bytes(render(scene)),
        text=text or "",
        label=label,
        group=text or f"scene-{scene.seed:x}",
        category=_category(scene),
        split=split,
    )
