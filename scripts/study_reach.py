"""How far searches on graded draws come, of what a prompt of the stand-in could reach.

    blpo sweep graded-ablation --set 'grid.method=[blpo, plus]'
    python scripts/study_reach.py sweep-results/graded-ablation

The stand-in for the optimizer LLM names aspects and says no more of them. Of all lists of a task's
aspects the one that is right most often on train is what a search for such prompts can come to.
Printed by method: accuracy on test of the initial and the final prompt and of that list; outer
steps, those that changed the prompt, those of them that harmed; and of the steps that changed
nothing, how many had a proposal that is right on at least three more of a hundred test images.
What a search cannot see, the test split and the scenes, serves to explain its result here, not to
choose. The last line is JSON. Synthetic.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache, cached_property
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

from blpo.data.micro.graded import GradedWorld, load_world
from blpo.data.micro.graded_data import graded_rows, graded_scenes
from blpo.data.micro.meaning import Meaning, Weighing, counted_steps
from blpo.data.micro.rubrics import MICRO_TASKS
from blpo.data.micro.world import Family, family_aspects
from blpo.models.ideal import seeing
from blpo.pipeline.runs.directory import step_records
from blpo.pipeline.sweeps.cells import finished_result, read_sweep_folder
from blpo.pipeline.sweeps.sweep import method_name, sweep_cells

_WORTH = 0.03


class JudgedWorld:
    """How often the ideal judge of a world is right about a task's images."""

    def __init__(self, task: str, world: GradedWorld) -> None:
        self.family: Family = MICRO_TASKS[task].family
        self._knobs = world.judge
        self._labels = seeing.scale_of(list(MICRO_TASKS[task].label_shares)) or ()
        rows, scenes = graded_rows(task, world), graded_scenes(task, world)
        self._seen = [
            (row["split"], row["label"], seeing.perceived(scene, row["image"], self._knobs.noise))
            for row, scene in zip(rows, scenes, strict=True)
        ]

    def accuracy(self, meaning: Meaning, split: str = "test") -> float:
        return mean(
            self._verdict(sum(counted_steps(scene, meaning).values())) == label
            for own, label, scene in self._seen
            if own == split
        )

    def of_prompt(self, prompt: str) -> float:
        return self.accuracy(seeing.reading(prompt, self.family, self._knobs))

    @cached_property
    def best_list(self) -> Meaning:
        """The list of aspects that is right most often on train; the shortest of equals."""
        names = [aspect.name for aspect in family_aspects(self.family)]
        lists = [one for size in range(len(names) + 1) for one in combinations(names, size)]
        meanings = [Meaning({name: Weighing() for name in one}) for one in lists]
        return max(meanings, key=lambda meaning: self.accuracy(meaning, "train"))

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
    harmed: float
    missed: float


def main() -> None:
    parser = argparse.ArgumentParser(description="what searches on graded draws come to, and why")
    parser.add_argument("sweep", type=Path, help="output folder of a sweep over draws")
    folder: Path = parser.parse_args().sweep
    runs: defaultdict[str, list[Reach]] = defaultdict(list)
    for method, reach in _reaches(folder):
        runs[method].append(reach)
    names = [field.name for field in fields(Reach)]
    print(f"{'mean of runs':32}", *(f"{name:>10}" for name in ["runs", *names]))
    means = {method: _mean(own) for method, own in runs.items()}
    for method, one in means.items():
        values = " ".join(f"{value:10.3f}" for value in one.values())
        print(f"{method:32} {len(runs[method]):10} {values}")
    print(json.dumps(means))


def _reaches(folder: Path) -> Iterator[tuple[str, Reach]]:
    config = read_sweep_folder(folder)
    cells = sweep_cells(config, str(folder))
    for cell, point in zip(cells.values(), config.points, strict=True):
        result = finished_result(cell)
        if result is not None:
            world = _judged_world(cell.task, cell.judge.model)
            first, final = result.judge_prompt_initial, result.judge_prompt_final
            ends = world.of_prompt(first), world.of_prompt(final)
            counts = _steps(world, step_records(cell.output))
            best = world.accuracy(world.best_list)
            yield method_name(cell, point), Reach(*ends, best, *counts)


@cache
def _judged_world(task: str, world_file: str) -> JudgedWorld:
    return JudgedWorld(task, load_world(Path(world_file)))


def _steps(world: JudgedWorld, records: Sequence[Mapping[str, Any]]) -> tuple[int, int, int, int]:
    """Outer steps, those that changed the prompt, that harmed, that missed a proposal."""
    steps = [record for record in records if "candidates" in record]
    gains = [_gain(world, one, one["next_judge_prompt"]) for one in steps]
    kept = [one for one in steps if one["next_judge_prompt"] == one["judge_prompt"]]
    missed = [one for one in kept if any(_gain(world, one, p) >= _WORTH for p in _proposed(one))]
    return len(steps), len(steps) - len(kept), sum(gain < 0 for gain in gains), len(missed)


def _gain(world: JudgedWorld, step: Mapping[str, Any], prompt: str) -> float:
    return world.of_prompt(prompt) - world.of_prompt(step["judge_prompt"])


def _proposed(step: Mapping[str, Any]) -> set[str]:
    openers = [step["baseline"], *step.get("further_openers", [])]
    return {one["judge_prompt"] for one in [*openers, *step["candidates"]] if one}


def _mean(runs: Sequence[Reach]) -> dict[str, float]:
    names = [field.name for field in fields(Reach)]
    return {name: mean(asdict(run)[name] for run in runs) for name in names}


if __name__ == "__main__":
    main()
