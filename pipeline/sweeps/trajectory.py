"""Trajectories: every intermediate judge prompt of finished runs, evaluated on the test split.

A run uses its test split once, after its choice. What is asked here chooses nothing: it tells how
many calls a method needs to a target, and how often a step is harmful.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from ...data.errors import DataError
from ...data.examples import Dataset, read_dataset
from ...models.roles.judges import AnyJudge
from ...models.wrappers.stored import StoredEngine
from ..metrics.agreement import accuracy, group_confusions, macro_f1
from ..metrics.intervals import Interval, wilson
from ..runs.directory import run_task, step_records
from ..runs.engine_pool import EnginePool
from ..runs.finished_run import AGAIN, PastRun
from ..runs.progress import Tracked, progress
from ..runs.roles import configured_judge
from .tables import Cell

_SHARE_OF_BEST = 0.9


@dataclass(frozen=True, slots=True)
class Point:
    """An intermediate judge prompt of a run, and its agreement on the test split.

    calls: what the search had asked, all roles, when it had the prompt; 0 for p_0.
    """

    judge_prompt: str
    calls: int
    accuracy: float
    macro_f1: float


@dataclass(frozen=True, slots=True)
class Trajectory:
    """The judge prompts of one run in order, from p_0."""

    task: str
    method: str
    seed: int
    points: tuple[Point, ...]

    @property
    def steps(self) -> list[tuple[Point, Point]]:
        """Before and after each step that changed the prompt."""
        pairs = pairwise(self.points)
        return [(old, new) for old, new in pairs if old.judge_prompt != new.judge_prompt]


@dataclass(frozen=True, slots=True)
class Harm:
    """Steps of a method that changed the prompt, and those after which fewer verdicts are right."""

    method: str
    steps: int
    harmful: int

    @property
    def share(self) -> float | None:
        return self.harmful / self.steps if self.steps else None

    @property
    def ci95(self) -> Interval:
        return wilson(self.harmful, self.steps)


@dataclass(frozen=True, slots=True)
class Reach:
    """The calls after which runs first have 90 % of the best accuracy known for the task.

    runs, reached: of the method on the task. calls: median of those that reach it, None for none.
    """

    task: str
    method: str
    target: float
    runs: int
    reached: int
    calls: float | None


def judge_trajectories(cells: Sequence[Cell], pool: EnginePool) -> list[Trajectory]:
    """Judge the test split under every judge prompt of the finished cells, through their stores.

    Raises DataError or EngineError as a run does.
    """
    finished = [(cell, cell.run) for cell in cells if cell.run is not None]
    trajectories: list[Trajectory] = []
    tracked = {"runs looked at": Tracked(lambda: len(trajectories), len(finished))}
    with progress(tracked, "runs"):
        for cell, run in finished:
            trajectories.append(_trajectory(cell, run, pool))
    return trajectories


def harms(trajectories: Sequence[Trajectory]) -> list[Harm]:
    """By method, over all its runs."""
    found: list[Harm] = []
    for method in dict.fromkeys(trajectory.method for trajectory in trajectories):
        steps = [
            step
            for trajectory in trajectories
            if trajectory.method == method
            for step in trajectory.steps
        ]
        harmful = sum(new.accuracy < old.accuracy for old, new in steps)
        found.append(Harm(method, len(steps), harmful))
    return found


def reaches(trajectories: Sequence[Trajectory]) -> list[Reach]:
    """By task and method; the best accuracy known is the best of any prompt of the sweep."""
    best: dict[str, float] = {}
    for trajectory in trajectories:
        top = max(point.accuracy for point in trajectory.points)
        best[trajectory.task] = max(best.get(trajectory.task, 0.0), top)
    found: list[Reach] = []
    for task, method in dict.fromkeys(
        (trajectory.task, trajectory.method) for trajectory in trajectories
    ):
        target = _SHARE_OF_BEST * best[task]
        own = [
            trajectory
            for trajectory in trajectories
            if (trajectory.task, trajectory.method) == (task, method)
        ]
        first = [_first_calls(trajectory, target) for trajectory in own]
        calls = [value for value in first if value is not None]
        middle = median(calls) if calls else None
        found.append(Reach(task, method, target, len(own), len(calls), middle))
    return found


def _first_calls(trajectory: Trajectory, target: float) -> int | None:
    return next((point.calls for point in trajectory.points if point.accuracy >= target), None)


def _trajectory(cell: Cell, run: PastRun, pool: EnginePool) -> Trajectory:
    config = cell.config
    task = run_task(run.config)
    dataset = read_dataset(config.dataset, task, config.images.bounds)
    engine = StoredEngine(
        pool.engine(config.judge.taking(task.images_per_request)),
        pool.store(config.store),
        "judge",
        uuid.uuid4().hex,
    )
    judge = configured_judge(engine, task, config)
    points = tuple(
        _point(judge, prompt, calls, dataset, task.labels) for prompt, calls in _way(run)
    )
    return Trajectory(cell.task, cell.method, cell.seed, points)


def _way(run: PastRun) -> list[tuple[str, int]]:
    """Judge prompts in order with the calls asked before each.

    A step that kept the prompt it started from leaves the one before: a search may start a step
    from a prompt that was not accepted.
    """
    way = [(run.result.judge_prompt_initial, 0)]
    for step in step_records(run.path):
        for key, what in (("calls", "calls"), ("next_judge_prompt", "prompts")):
            if key not in step:
                raise DataError(f"{run.path}: its steps do not tell their {what}; {AGAIN}")
        is_kept = step["next_judge_prompt"] == step["judge_prompt"]
        prompt = way[-1][0] if is_kept else step["next_judge_prompt"]
        way.append((prompt, sum(step["calls"].values())))
    return way


def _point(
    judge: AnyJudge, judge_prompt: str, calls: int, dataset: Dataset, labels: Sequence[str]
) -> Point:
    verdicts = judge(judge_prompt, dataset.test)
    confusion = group_confusions(dataset.test, verdicts, labels).sum(axis=0)
    return Point(judge_prompt, calls, float(accuracy(confusion)), float(macro_f1(confusion)))
