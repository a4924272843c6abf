"""Rubrics, people and datasets of the graded world."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .graded import DrawConfig, GradedWorld, PeopleConfig
from .meaning import Condition, Meaning, Weighing
from .rubrics import (
    MICRO_TASKS,
    DataDraw,
    MicroTask,
    Row,
    Rubric,
    beside,
    draw_splits,
    human_label,
    rows_of,
    shipped_draw,
)
from .world import COARSE_ASPECT, Scale, Scene, aspect_names, derived_seed

_STEPS_WANTED: Mapping[Scale, int] = {"safety": 0, "match": 0, "naturalness": 4, "alignment": 5}
"""What the minded aspects cost together at least, so that every label can occur."""
_DESPAIR = 0.25
"""On the seven-level scale, whose worst label would hardly occur otherwise."""


def draw_rubric(task_name: str, seed: int) -> Rubric:
    """A rubric of the task's kind.

    Most people mind three to five aspects, of which some cost more than a step on a rating scale;
    few mind another one. An aspect that nobody minds is at fault half of the time: to weigh it
    hurts. A fault of one of the minded is forgiven where another aspect is at fault.
    """
    task = MICRO_TASKS[task_name]
    rng = np.random.default_rng(derived_seed("rubric", task_name, seed))
    coarse = COARSE_ASPECT[task.family]
    others = [name for name in aspect_names(task.family) if name != coarse]
    order: list[int] = rng.permutation(len(others)).tolist()
    names = [others[place] for place in order]
    number = int(rng.integers(3, 6))
    minded, (rarely, hurting, *rest) = names[:number], names[number:]
    excuse = rest[0] if rest and rng.random() < 0.5 else coarse
    rates: dict[str, float] = {rarely: 0.25, hurting: float(rng.uniform(0.45, 0.6)), excuse: 0.2}
    if _STEPS_WANTED[task.scale] == 0:
        rates |= dict.fromkeys(minded, float(1 - 0.5 ** (1 / number)))
    return Rubric(
        minds={**dict.fromkeys(minded, 1.0), rarely: float(rng.uniform(0.1, 0.2))},
        forgiven={minded[0]: excuse},
        fault_rates=rates,
        despair=_DESPAIR if task.scale == "alignment" else 0.0,
        steps=_draw_steps(minded, task.scale, rng),
    )


def _draw_steps(minded: Sequence[str], scale: Scale, rng: np.random.Generator) -> dict[str, int]:
    """One step each, more for some until every label can occur; never for the last."""
    wanted = _STEPS_WANTED[scale]
    if wanted == 0:
        return {}
    steps = dict.fromkeys(minded, 1)
    while sum(steps.values()) < wanted or rng.random() < 0.4:
        steps[minded[int(rng.integers(len(minded) - 1))]] += 1
    return {name: number for name, number in steps.items() if number > 1}


def ideal_meaning(rubric: Rubric) -> Meaning:
    """What a prompt would have to mean that says all that most people mind."""
    return Meaning(
        {
            name: Weighing(
                rubric.steps.get(name, 1),
                Condition(rubric.forgiven[name], at_fault=False)
                if name in rubric.forgiven
                else None,
            )
            for name in rubric.minded
        }
    )


def rubric_of(task_name: str, draw: DrawConfig) -> Rubric:
    """The rubric of a draw."""
    if draw.draws == "shipped":
        return _shipped(task_name, draw).rubric
    return draw_rubric(task_name, draw.own_seed(draw.rubric_seed))


@dataclass(frozen=True, slots=True)
class Labelled:
    """A scene and what people say of it. ratings: of single people, where several were asked."""

    scene: Scene
    label: str
    ratings: tuple[str, ...] = ()


def graded_labels(task_name: str, world: GradedWorld) -> dict[str, list[Labelled]]:
    """What the dataset of a task in a world shows and says, by split, without its pictures."""
    draw, people = world.draw, world.people
    task, splits = MICRO_TASKS[task_name], _splits(task_name, draw, people)
    rubric = personal(rubric_of(task_name, draw), task, people)
    return {
        split: _with_every_label(
            [_rated(scene, label, rubric, task, people) for scene, label in examples]
        )
        for split, examples in splits.items()
    }


def graded_rows(task_name: str, world: GradedWorld) -> list[Row]:
    """The dataset of a task in a world: train rows, then test rows."""
    rows, _ = _drawn(task_name, _what_draws(world))
    return [row.copy() for row in rows]


def graded_scenes(task_name: str, world: GradedWorld) -> list[Scene]:
    """The scenes behind the rows of `graded_rows`, in the same order."""
    _, scenes = _drawn(task_name, _what_draws(world))
    return list(scenes)


def _what_draws(world: GradedWorld) -> str:
    """The knobs that rows and scenes depend on."""
    return world.model_dump_json(include={"draw", "people"})


@lru_cache(maxsize=64)
def _drawn(task_name: str, world_json: str) -> tuple[Sequence[Row], Sequence[Scene]]:
    """Rows and the scenes behind them. Worlds that differ in other knobs share them, and so do a
    dataset and the judge that knows its scenes: most of the work is in the pictures."""
    splits = graded_labels(task_name, GradedWorld.model_validate_json(world_json))
    told = [labelled for examples in splits.values() for labelled in examples]
    rows = rows_of(
        task_name, {split: [(e.scene, e.label) for e in own] for split, own in splits.items()}
    )
    for row, labelled in zip(rows, told, strict=True):
        if labelled.ratings:
            row["ratings"] = labelled.ratings
    return rows, [labelled.scene for labelled in told]


def _with_every_label(rated: list[tuple[str, Labelled]]) -> list[Labelled]:
    """What people say of a split, but of one person the first of a label that the medians lose.

    A task without an example of one of its labels could not be run. rated: each with the label of
    one person.
    """
    left = {labelled.label for _, labelled in rated}
    kept: list[Labelled] = []
    for label, labelled in rated:
        kept.append(labelled if label in left else Labelled(labelled.scene, label))
        left.add(label)
    return kept


def personal(rubric: Rubric, task: MicroTask, people: PeopleConfig) -> Rubric:
    """The rubric of people who depart from it by chance, aspect by aspect."""
    if people.disagreement == 0:
        return rubric
    shares = {name: rubric.minds.get(name, 0.0) for name in aspect_names(task.family)}
    minds = {name: share + people.disagreement * (1 - 2 * share) for name, share in shares.items()}
    return Rubric(minds, rubric.forgiven, rubric.fault_rates, rubric.despair, rubric.steps)


def _splits(
    task_name: str, draw: DrawConfig, people: PeopleConfig
) -> dict[str, list[tuple[Scene, str]]]:
    shipped = _shipped(task_name, draw)
    is_shipped = draw.draws == "shipped"
    drawn = DataDraw(
        task_name,
        draw.own_seed(draw.data_seed),
        personal(rubric_of(task_name, draw), MICRO_TASKS[task_name], people),
        shipped.key if is_shipped else f"drawn-{draw.own_seed(draw.rubric_seed)}",
        people.label_noise,
    )
    return draw_splits(drawn, draw.num_train, draw.num_test)


def _shipped(task_name: str, draw: DrawConfig) -> DataDraw:
    name = "held-out" if draw.rubric_seed == 1 else "main"
    return shipped_draw(task_name, draw.data_seed, name)


def _rated(
    scene: Scene, label: str, rubric: Rubric, task: MicroTask, people: PeopleConfig
) -> tuple[str, Labelled]:
    """The label of one person, and what several people say, that label first, if it is one of
    those."""
    if people.raters == 1:
        return label, Labelled(scene, label)
    rng = np.random.default_rng(derived_seed("raters", scene.seed))
    if rng.random() >= people.share_rated:
        return label, Labelled(scene, label)
    labels = list(task.label_shares)
    ratings = [label]
    for _ in range(people.raters - 1):
        other = human_label(scene, rubric, task.scale, rng)
        ratings.append(beside(other, labels, rng) if rng.random() < people.label_noise else other)
    median = sorted(ratings, key=labels.index)[(len(ratings) - 1) // 2]
    return label, Labelled(scene, median, tuple(ratings))
