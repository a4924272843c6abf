"""How far searches on graded draws come, of what a prompt of the stand-in could reach.

    blpo sweep graded-ablation --set 'grid.method=[blpo, plus]'
    python scripts/study_reach.py sweep-results/graded-ablation

The stand-in for the optimizer LLM names aspects and says no more of them. Of all lists of a task's
aspects the one that is right most often on train is what a search for such prompts can come to.
Printed by method: accuracy on test of the initial and the final prompt and of that list; outer
steps, those that changed the prompt, and of the steps that changed nothing, how many had a proposal
that is right on at least three more of a hundred test images.

Then the steps that harmed, over all runs, held against the prompt that a step starts from and
against the one accepted before: by the test split; by fresh scenes of the same rubric, ten times
as many, which tell a harm from the luck of a test split; and how many a test split shows on
average, of all and of those that do no harm on the fresh scenes. Fresh scenes take most of the
time: `--no-fresh` leaves them and what comes of them out. What a search cannot see serves to
explain its result here, not to choose. The last line is JSON. Synthetic.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import polars as pl
from blpo.data.micro.graded import SEEDS_PER_NAME, GradedWorld, load_world
from blpo.data.micro.graded_data import graded_labels
from blpo.data.micro.meaning import Meaning, Weighing, counted_steps
from blpo.data.micro.rubrics import MICRO_TASKS
from blpo.data.micro.world import Family, Scene, aspect_names, is_fault
from blpo.models.ideal import seeing
from blpo.pipeline.runs.directory import step_records
from blpo.pipeline.sweeps.cells import finished_result, read_sweep_folder
from blpo.pipeline.sweeps.sweep import method_name, sweep_cells

_WORTH = 0.03
_NUM_TEST = 200
_NUM_FRESH = 10 * _NUM_TEST
_FRESH_SEED = SEEDS_PER_NAME - 1
"""Of the data from which the fresh scenes are drawn: no sweep comes to it."""


Right = np.ndarray[Any, np.dtype[np.bool_]]
Changes = np.ndarray[Any, np.dtype[np.int_]]


class Seen:
    """The examples of a split as the judge sees them.

    labels: of each. kinds: one scene for all that have the same faults, which is what verdicts go
    by. kind_of: the place of each example's among them.
    """

    def __init__(self, examples: Sequence[tuple[str, Scene]]) -> None:
        faults = [_faults(scene) for _, scene in examples]
        kinds = {own: scene for own, (_, scene) in zip(faults, examples, strict=True)}
        places = {own: place for place, own in enumerate(kinds)}
        self.labels = np.array([label for label, _ in examples])
        self.kinds = list(kinds.values())
        self.kind_of = np.array([places[own] for own in faults])


def _faults(scene: Scene) -> tuple[bool, ...]:
    return tuple(is_fault(scene, name) for name in aspect_names(scene.family))


class JudgedWorld:
    """How often the ideal judge of a world is right about a task's images.

    dataset: file of the task's dataset in that world. fresh: whether fresh scenes are drawn, too.
    """

    def __init__(self, task: str, world: GradedWorld, dataset: Path, *, fresh: bool) -> None:
        self.family: Family = MICRO_TASKS[task].family
        self._task, self._world, self._knobs = task, world, world.judge
        self._dataset, self.has_fresh = dataset, fresh
        self._labels = seeing.scale_of(list(MICRO_TASKS[task].label_shares)) or ()
        self._right: dict[tuple[str, str], Right] = {}

    def right(self, prompt: str, split: str) -> Right:
        """Whether each verdict is right, on `train`, `test` or `fresh`."""
        key = (prompt, split)
        if key not in self._right:
            meaning = seeing.reading(prompt, self.family, self._knobs)
            self._right[key] = self._of_meaning(meaning, split)
        return self._right[key]

    def accuracy(self, prompt: str) -> float:
        """On test."""
        return float(self.right(prompt, "test").mean())

    @cached_property
    def best_list(self) -> float:
        """Accuracy on test of the list of aspects that is right most often on train; the shortest
        of equals."""
        names = aspect_names(self.family)
        lists = [one for size in range(len(names) + 1) for one in combinations(names, size)]
        meanings = [Meaning({name: Weighing() for name in one}) for one in lists]
        best = max(meanings, key=lambda meaning: self._of_meaning(meaning, "train").mean())
        return float(self._of_meaning(best, "test").mean())

    @cached_property
    def _splits(self) -> dict[str, Seen]:
        drawn = graded_labels(self._task, self._world)
        rows = pl.read_parquet(self._dataset, columns=["split", "label", "image"]).to_dicts()
        splits = {"fresh": Seen(self._fresh())} if self.has_fresh else {}
        for split in ("train", "test"):
            own = [row for row in rows if row["split"] == split]
            splits[split] = Seen(
                [
                    (row["label"], self._perceived(e.scene, row["image"]["bytes"]))
                    for row, e in zip(own, drawn[split], strict=True)
                ]
            )
        return splits

    def _fresh(self) -> list[tuple[str, Scene]]:
        numbers = {"data_seed": _FRESH_SEED, "num_test": _NUM_FRESH}
        draw = self._world.draw.model_copy(update=numbers)
        drawn = graded_labels(self._task, self._world.model_copy(update={"draw": draw}))["test"]
        return [(e.label, self._perceived(e.scene, str(e.scene.seed).encode())) for e in drawn]

    def _perceived(self, scene: Scene, image: bytes) -> Scene:
        return seeing.perceived(scene, image, self._knobs.noise)

    def _of_meaning(self, meaning: Meaning, split: str) -> Right:
        seen = self._splits[split]
        verdicts = [
            self._verdict(sum(counted_steps(scene, meaning).values())) for scene in seen.kinds
        ]
        return np.array(verdicts)[seen.kind_of] == seen.labels

    def _verdict(self, steps: int) -> str:
        chances = seeing.label_chances(steps, self._labels, self._knobs)
        return max(chances, key=lambda label: chances[label])


@dataclass(frozen=True, slots=True)
class Reach:
    """A run: accuracies on test, and counts of its outer steps."""

    first: float
    final: float
    best_list: float
    steps: float
    changed: float
    missed: float


@dataclass(frozen=True, slots=True)
class Harm:
    """Of steps that changed the prompt, those that lowered accuracy.

    on_test, on_fresh: on the test split, and on the fresh scenes. expected: how many a test split
    shows on average, by the fresh scenes in parts of its size; by_chance: those among them that do
    not lower it on the fresh scenes. Without fresh scenes the last three are 0.
    """

    steps: int = 0
    on_test: int = 0
    on_fresh: int = 0
    expected: float = 0.0
    by_chance: float = 0.0

    def __add__(self, other: "Harm") -> "Harm":
        return Harm(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Looked:
    """A run. from_start, from_accepted: its harm over the prompt that a step starts from, and over
    the one that was accepted before."""

    reach: Reach
    from_start: Harm
    from_accepted: Harm


def main() -> None:
    parser = argparse.ArgumentParser(description="what searches on graded draws come to, and why")
    parser.add_argument("sweep", type=Path, help="output folder of a sweep over draws")
    parser.add_argument("--method", action="append", help="a row of its tables; all, if not given")
    parser.add_argument("--no-fresh", action="store_true", help="leave out the fresh scenes")
    args = parser.parse_args()
    runs: defaultdict[str, list[Looked]] = defaultdict(list)
    for method, looked in _looked(args.sweep, args.method, fresh=not args.no_fresh):
        runs[method].append(looked)
    means = {method: _mean([run.reach for run in own]) for method, own in runs.items()}
    print(f"{'mean of runs':32}", *(f"{name:>10}" for name in ["runs", *_names(Reach)]))
    for method, one in means.items():
        values = " ".join(f"{value:10.3f}" for value in one.values())
        print(f"{method:32} {len(runs[method]):10} {values}")
    print(f"\n{'steps that harm':32}", *(f"{name:>10}" for name in _names(Harm)))
    harms = {method: _harms(own) for method, own in runs.items()}
    for method, own in harms.items():
        for over, harm in own.items():
            values = " ".join(f"{value:10.4g}" for value in harm.values())
            print(f"{f'{method}, over the {over}':32} {values}")
    print(json.dumps({method: means[method] | harms[method] for method in runs}))


def _looked(
    folder: Path, methods: Sequence[str] | None, *, fresh: bool
) -> Iterator[tuple[str, Looked]]:
    config = read_sweep_folder(folder)
    cells = sweep_cells(config, str(folder))
    for cell, point in zip(cells.values(), config.points, strict=True):
        name = method_name(cell.method, point)
        result = finished_result(cell) if methods is None or name in methods else None
        if result is not None:
            world = _judged_world(cell.task, cell.judge.model, cell.dataset, fresh=fresh)
            ends = result.judge_prompt_initial, result.judge_prompt_final
            yield name, _look(world, step_records(cell.output), ends)


@cache
def _judged_world(task: str, world_file: str, dataset: Path, *, fresh: bool) -> JudgedWorld:
    return JudgedWorld(task, load_world(Path(world_file)), dataset, fresh=fresh)


def _look(
    world: JudgedWorld, records: Sequence[Mapping[str, Any]], ends: tuple[str, str]
) -> Looked:
    steps = [record for record in records if "candidates" in record]
    from_start, from_accepted, accepted = Harm(), Harm(), ends[0]
    kept: list[Mapping[str, Any]] = []
    for step in steps:
        start, new = step["judge_prompt"], step["next_judge_prompt"]
        if new == start:
            kept.append(step)
            continue
        from_start += _harm(world, start, new)
        from_accepted += _harm(world, accepted, new)
        accepted = new
    first, final = map(world.accuracy, ends)
    counts = len(steps), len(steps) - len(kept), sum(_misses(world, step) for step in kept)
    return Looked(Reach(first, final, world.best_list, *counts), from_start, from_accepted)


def _harm(world: JudgedWorld, before: str, after: str) -> Harm:
    """Of one step."""
    is_shown = int(_change(world, before, after, "test").sum() < 0)
    if not world.has_fresh:
        return Harm(1, is_shown)
    on_fresh = _change(world, before, after, "fresh")
    shown = float((on_fresh.reshape(-1, _NUM_TEST).sum(axis=1) < 0).mean())
    harms = bool(on_fresh.sum() < 0)
    return Harm(1, is_shown, int(harms), shown, 0.0 if harms else shown)


def _change(world: JudgedWorld, before: str, after: str, split: str) -> Changes:
    """By verdict: 1 where a step sets it right, -1 where it sets it wrong."""
    return world.right(after, split).astype(int) - world.right(before, split)


def _misses(world: JudgedWorld, step: Mapping[str, Any]) -> bool:
    """Whether a step that kept the prompt had a proposal that is worth more."""
    start = world.accuracy(step["judge_prompt"])
    return any(world.accuracy(prompt) - start >= _WORTH for prompt in _proposed(step))


def _proposed(step: Mapping[str, Any]) -> set[str]:
    openers = [step["baseline"], *step.get("further_openers", [])]
    return {one["judge_prompt"] for one in [*openers, *step["candidates"]] if one}


def _names(of: type[Reach] | type[Harm]) -> list[str]:
    return [field.name for field in fields(of)]


def _mean(runs: Sequence[Reach]) -> dict[str, float]:
    return {name: mean(asdict(run)[name] for run in runs) for name in _names(Reach)}


def _harms(runs: Sequence[Looked]) -> dict[str, dict[str, float]]:
    return {
        "start": asdict(sum((run.from_start for run in runs), Harm())),
        "accepted": asdict(sum((run.from_accepted for run in runs), Harm())),
    }


if __name__ == "__main__":
    main()
