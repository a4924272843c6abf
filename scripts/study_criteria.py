"""One question or several, joined by a rule or by a fit, on the graded bench with a leaning judge.

    .venv/bin/python scripts/study_criteria.py --out study-criteria

For every draw and task: the initial prompt; one question that names all aspects; four questions of
two aspects each; and BLPO on the initial prompt and on these. All by the likeliest label or rule,
and as a reading that is fitted on train has it. People mind about half of the aspects, and no
prompt says which. Means over draws, with the paired difference from the one question as it is
read.

Synthetic test bench: the figures say what the bench's judge does, nothing about real judges.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import numpy as np
from blpo.data.micro.graded import load_world
from blpo.data.micro.rubrics import MICRO_TASKS
from blpo.data.micro.world import aspect_names
from blpo.data.tasks import Task, load_task, task_yaml
from blpo.models.engines.settings import EngineSettings
from blpo.models.lexicon.reading import listed
from blpo.pipeline.blpo.config import BlpoConfig
from blpo.pipeline.config import OptimizerConfig, RunConfig
from blpo.pipeline.metrics.intervals import Estimate, seeds_component
from blpo.pipeline.readings.config import ReadingConfig, ReadingName
from blpo.pipeline.result import SplitResult
from blpo.pipeline.runs.demo import graded_dataset
from blpo.pipeline.runs.run_many import execute_runs

WORLD = """\
draw: {{draws: report, rubric_seed: {draw}, data_seed: {draw}, num_train: {num_train}}}
people: {{disagreement: 0.05, raters: 3, share_rated: 0.3}}
judge: {{reads: meaning, leniency: {leniency}, flatness: {flatness}}}
"""
TASKS = ("micro-unsafebench", "micro-agin")
RULES = {"micro-unsafebench": "any", "micro-agin": "mean"}
OF_ONE: dict[str, ReadingName] = {"micro-unsafebench": "platt", "micro-agin": "ordered"}
"""What corrects the verdict of a rule without a look at single answers."""
ARMS: dict[str, tuple[str, str, ReadingName | None]] = {
    "initial prompt": ("initial", "none", "auto"),
    "one question": ("one", "none", "auto"),
    "several questions": ("several", "none", None),
    "several questions, combiner": ("several", "none", "combiner"),
    "initial prompt, BLPO": ("initial", "blpo", "auto"),
    "several questions, BLPO on each": ("several", "blpo-criteria", "combiner"),
}
"""Kind of prompt, method and reading by row, None for that of OF_ONE; each row is there by the
likeliest label or the rule, and as it is read."""
REFERENCE = "one question + reading"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("study-criteria"), help="folder of runs")
    parser.add_argument("--draws", type=int, default=5, help="of rubric and data (5)")
    parser.add_argument("--num-train", type=int, default=200, help="labelled images (200)")
    parser.add_argument("--leniency", type=float, default=0.3, help="steps too good (0.3)")
    parser.add_argument("--flatness", type=float, default=0.3, help="drawn to the middle (0.3)")
    parser.add_argument("--no-search", action="store_true", help="leave out the rows of BLPO")
    given = parser.parse_args()
    arms = {n: arm for n, arm in ARMS.items() if arm[1] == "none" or not given.no_search}
    places = [(draw, task, name) for draw in range(given.draws) for task in TASKS for name in arms]
    configs = [run_config(given, *place) for place in places]
    tests: defaultdict[str, dict[tuple[int, str], SplitResult]] = defaultdict(dict)
    fitted: defaultdict[str, int] = defaultdict(int)
    for (draw, task, name), run in zip(places, execute_runs(configs), strict=True):
        tests[name][draw, task] = run.result.test
        fitted[name] += run.result.reading is not None
    for task in (*TASKS, "both"):
        print_table(task, tests, given.draws)
    print("\nA reading was fitted, and not refused or no better, in this many runs:")
    for name, number in fitted.items():
        print(f"- {name}: {number} of {len(tests[name])}")


def run_config(given: argparse.Namespace, draw: int, task: str, name: str) -> RunConfig:
    kind, method, reading = ARMS[name]
    world = given.out / f"world-{draw}.yaml"
    given.out.mkdir(parents=True, exist_ok=True)
    knobs = {key: getattr(given, key) for key in ("num_train", "leniency", "flatness")}
    world.write_text(WORLD.format(draw=draw, **knobs), "utf-8")
    file = given.out / f"{task}-{kind}.yaml"
    file.write_text(task_yaml(task_of(task, kind)), "utf-8")
    return RunConfig(
        task=str(file),
        dataset=graded_dataset(given.out / "datasets", task, load_world(world)),
        output=given.out / "runs" / f"{draw}-{task}-{name.replace(' ', '-').replace(',', '')}",
        store=given.out / "store",
        method=method,
        algorithm=BlpoConfig(outer_steps=5),
        judge=EngineSettings(kind="ideal", model=str(world)),
        optimizer=OptimizerConfig(engine=EngineSettings(kind="lexicon", model=str(world))),
        reading=ReadingConfig(family=reading or OF_ONE[task]),
    )


def task_of(name: str, kind: str) -> Task:
    """A micro task under one of the kinds of prompt."""
    task = load_task(name)
    names = aspect_names(MICRO_TASKS[name].family)
    if kind == "initial":
        return task
    if kind == "one":
        prompt = f"{task.judge_prompt} Look at {listed(names)}."
        return task.model_copy(update={"judge_prompt": prompt})
    criteria = [
        {
            "name": " and ".join(pair),
            "question": f"Look at {listed(pair)}.",
            "labels": list(task.labels),
        }
        for pair in (names[i : i + 2] for i in range(0, len(names), 2))
    ]
    return Task.model_validate(task.model_dump() | {"criteria": criteria, "rule": RULES[name]})


def print_table(
    task: str, tests: dict[str, dict[tuple[int, str], SplitResult]], num_draws: int
) -> None:
    """Means over draws, and the difference from the reference with an interval over draws."""
    rows = {row: by_draw(task, own, num_draws) for row, own in every_row(tests).items()}
    print(f"\n**{task}**\n\n| | accuracy | minus {REFERENCE} (95 %) |\n|---|---|---|")
    for row, values in rows.items():
        behind = [value - other for value, other in zip(values, rows[REFERENCE], strict=True)]
        told = "" if row == REFERENCE else difference(behind)
        print(f"| {row} | {mean(values):.3f} | {told} |")


def every_row(
    tests: dict[str, dict[tuple[int, str], SplitResult]],
) -> dict[str, dict[tuple[int, str], float]]:
    """Accuracy by draw and task, of each row by its rule and as it is read."""
    rows: dict[str, dict[tuple[int, str], float]] = {}
    for name, own in tests.items():
        raw = {place: t.reading.final_raw.accuracy for place, t in own.items() if t.reading}
        rows |= {name: raw, f"{name} + reading": {p: t.final.accuracy for p, t in own.items()}}
    # By the rule, both readings of the several questions are the same.
    del rows["several questions, combiner"]
    rows["several questions + combiner"] = rows.pop("several questions, combiner + reading")
    return rows


def by_draw(task: str, own: dict[tuple[int, str], float], num_draws: int) -> list[float]:
    tasks = TASKS if task == "both" else (task,)
    return [mean(own[draw, one] for one in tasks) for draw in range(num_draws)]


def difference(behind: Sequence[float]) -> str:
    if len(behind) < 2:
        return f"{mean(behind):+.3f}"
    found = Estimate(mean(behind), (seeds_component(np.array(behind)),))
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(found.value, *found.ci95)


if __name__ == "__main__":
    main()
