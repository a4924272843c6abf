"""`preset: plus` against `preset: paper` on the micro tasks, at equal judge calls.

    .venv/bin/python scripts/study_plus.py --out study-plus

From one command, replayed from the store when run again:
1. Mean gain on the test split at the same budget of judge calls, that of the paper's T = 5 by
   default; of plus also at a third of it. Beside it the difference from paper.
2. Harm: of the steps that changed the judge prompt, how many lowered accuracy on the test split.
   Looked at here, afterwards; no search has ever seen a test example.
3. False finds: on shuffled labels, in how many runs the report speaks of a gain on test, and in
   how many it would on average over other deals of the labels.
4. Calls by role.

Synthetic test bench: the figures say how the presets compare there, nothing about real judges.
micro-imagereward had no part in choosing the values of plus.
"""

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from blpo.data.examples import Example, read_dataset, write_dataset
from blpo.data.micro.rubrics import MICRO_TASKS
from blpo.data.store.store import ReplyStore
from blpo.data.tasks import Metric, load_task
from blpo.models.roles.judge import Judge
from blpo.models.wrappers.stored import StoredEngine
from blpo.pipeline.config import ImageConfig, RunConfig, parse_config
from blpo.pipeline.metrics.agreement import gain
from blpo.pipeline.metrics.intervals import Estimate, mean_estimate, seeds_component
from blpo.pipeline.runs.demo import micro_dataset
from blpo.pipeline.runs.engine_pool import EnginePool
from blpo.pipeline.runs.finished_run import read_past_run
from blpo.pipeline.runs.run_many import FinishedRun, execute_runs
from blpo.pipeline.search.seeds import derived_seed

HELD_OUT = "micro-imagereward"
MANY_STEPS = 50
DEALS = 25
"""How often the test labels of a run on shuffled labels are dealt out anew."""

Difference = dict[str, float | tuple[float, float]]
Changes = Mapping[tuple[str, str, str], float]
"""Accuracy on test gained by a step: by task and the judge prompts before and after it."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What is compared: a preset at a budget of judge calls, with switches set beside it."""

    name: str
    preset: str
    judge_calls: int
    overrides: tuple[str, ...] = ()


def main() -> None:
    arguments = parse_arguments()
    out: Path = arguments.out
    tasks: list[str] = arguments.task or list(MICRO_TASKS)
    arms = study_arms(arguments.judge_calls, arguments.switch, third=not arguments.no_third)
    configs = {
        arm.name: [
            run_config(out, "runs", arm, task, seed, micro_dataset(out / "datasets", task))
            for task in tasks
            for seed in range(arguments.seeds)
        ]
        for arm in arms
    }
    shuffled = {
        arm.name: [
            run_config(out, "shuffled", arm, task, seed, shuffled_dataset(out, task, seed))
            for task in tasks
            for seed in range(arguments.null_seeds)
        ]
        for arm in arms
        if arm.name in arguments.null_arm
    }
    every = [*configs.values(), *shuffled.values()]
    finished = iter(execute_runs([config for own in every for config in own]))
    runs = {name: [next(finished) for _ in own] for name, own in configs.items()}
    null_runs = {name: [next(finished) for _ in own] for name, own in shuffled.items()}
    changes = step_changes([run for own in runs.values() for run in own], out / "store")
    summary = {
        name: summarize(own, changes) | count_finds(null_runs.get(name, []))
        for name, own in runs.items()
    }
    for name, own in runs.items():
        summary[name]["minus_paper"] = paired_difference(own, runs["paper"])
    show(summary, tasks)
    print(json.dumps(summary))


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="preset plus against preset paper")
    parser.add_argument("--out", type=Path, default=Path("study-plus"))
    parser.add_argument("--judge-calls", type=int, default=800, help="budget of a search")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--null-seeds", type=int, default=10, help="shuffled labels, per task")
    parser.add_argument(
        "--null-arm", nargs="*", default=["paper", "plus"], help="arms run on shuffled labels"
    )
    parser.add_argument("--task", action="append", choices=list(MICRO_TASKS))
    parser.add_argument(
        "--switch",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one more arm: plus with this switch of the algorithm; repeatable",
    )
    parser.add_argument("--no-third", action="store_true", help="leave out a third of the budget")
    return parser.parse_args()


def study_arms(judge_calls: int, switches: Sequence[str], *, third: bool) -> list[Arm]:
    arms = [Arm("paper", "paper", judge_calls), Arm("plus", "plus", judge_calls)]
    if third:
        arms.append(Arm("plus-third", "plus", judge_calls // 3))
    for switch in switches:
        arms.append(Arm(f"plus,{switch}", "plus", judge_calls, (f"algorithm.{switch}",)))
    return arms


def run_config(out: Path, folder: str, arm: Arm, task: str, seed: int, dataset: Path) -> RunConfig:
    """A run that goes on for as long as its budget lasts."""
    name = f"{task}-{arm.name}-{arm.judge_calls}-{seed}"
    fields: dict[str, Any] = {
        "task": task,
        "dataset": str(dataset),
        "output": str(out / folder / name),
        "store": str(out / "store"),
        "preset": arm.preset,
        "seed": seed,
        "judge": {"kind": "vllm", "model": "micro"},
        "verbalizer": {"max_tokens": 96},
        "optimizer": {"engine": {"kind": "lexicon"}},
        "budget": {"judge_calls": arm.judge_calls},
        "algorithm": {"outer_steps": MANY_STEPS},
    }
    return parse_config(RunConfig, fields, name, arm.overrides)


def shuffled_dataset(out: Path, task: str, seed: int) -> Path:
    """The task's dataset with the labels of each split dealt out anew: nothing to find."""
    path = out / "datasets" / f"{task}-shuffled-{seed}.parquet"
    if not path.exists():
        source = micro_dataset(out / "datasets", task)
        data = read_dataset(source, load_task(task), ImageConfig().bounds)
        splits = [shuffle(split, seed) for split in (data.train, data.test)]
        write_dataset(path, [example for split in splits for example in split])
    return path


def shuffle(examples: Sequence[Example], seed: int) -> list[Example]:
    labels = [example.label for example in examples]
    random.Random(derived_seed(seed, "shuffled labels", examples[0].split)).shuffle(labels)
    return [replace(e, label=label) for e, label in zip(examples, labels, strict=True)]


def step_changes(runs: Sequence[FinishedRun], store: Path) -> Changes:
    """What every step that changed the judge prompt did to accuracy on the test split."""
    accuracies: dict[tuple[str, str], float] = {}
    with closing(EnginePool()) as pool:
        for run in runs:
            task = load_task(run.config.task)
            data = read_dataset(run.config.dataset, task, run.config.images.bounds)
            engine = StoredEngine(
                pool.engine(run.config.judge), ReplyStore(store), "judge", "study"
            )
            prompts = {prompt for pair in changed_prompts(run) for prompt in pair}
            for prompt in sorted(prompts):
                if (task.name, prompt) not in accuracies:
                    verdicts = Judge(engine, task)(prompt, data.test)
                    right = [v.label == e.label for v, e in zip(verdicts, data.test, strict=True)]
                    accuracies[task.name, prompt] = mean(right)
    return {
        (run.config.task, before, after): accuracies[run.config.task, after]
        - accuracies[run.config.task, before]
        for run in runs
        for before, after in changed_prompts(run)
    }


def changed_prompts(run: FinishedRun) -> list[tuple[str, str]]:
    """The judge prompts before and after each step of the loop that changed it."""
    files = sorted((run.config.output / "steps").glob("step-*.json"))
    steps = [json.loads(file.read_text("utf-8")) for file in files]
    return [
        (step["judge_prompt"], step["next_judge_prompt"])
        for step in steps
        if "archive" not in step and step["next_judge_prompt"] != step["judge_prompt"]
    ]


def summarize(runs: Sequence[FinishedRun], changes: Changes) -> dict[str, Any]:
    """Means over tasks and seeds of one arm."""
    tests = [(run.config.task, run.result.test) for run in runs]
    by_task = {
        task: mean(test.gain.accuracy for own, test in tests if own == task)
        for task in dict.fromkeys(task for task, _ in tests)
    }
    effects = [
        changes[run.config.task, before, after]
        for run in runs
        for before, after in changed_prompts(run)
    ]
    calls = {
        role: mean(run.result.calls[role].asked for run in runs)
        for role in ("verbalizer", "optimizer")
    }
    return {
        "accuracy_gain": mean(test.gain.accuracy for _, test in tests),
        "macro_f1_gain": mean(test.gain.macro_f1 for _, test in tests),
        "by_task": by_task,
        "tuned_tasks": mean([gain for task, gain in by_task.items() if task != HELD_OUT] or [0]),
        "runs": len(runs),
        "gains_found": sum(is_found(run) for run in runs),
        "changed_steps": len(effects),
        "harmful_steps": sum(effect < 0 for effect in effects),
        "search_judge_calls": mean(search_calls(run) for run in runs),
        **{f"{role}_calls": own for role, own in calls.items()},
    }


def paired_difference(runs: Sequence[FinishedRun], others: Sequence[FinishedRun]) -> Difference:
    """Mean gain in accuracy less the other arm's over the same tasks, with its interval.

    The tasks are these; seeds and test examples vary. Both count, as in `blpo table`.
    """
    paired = list(zip(runs, others, strict=True))
    by_task = [
        task_difference([pair for pair in paired if pair[0].config.task == task])
        for task in dict.fromkeys(run.config.task for run in runs)
    ]
    estimate = mean_estimate(by_task)
    return {"mean": estimate.value, "ci95": estimate.ci95}


def task_difference(pairs: Sequence[tuple[FinishedRun, FinishedRun]]) -> Estimate:
    """The difference on one task, by seeds and, in all of them alike, by test examples."""
    right = [[read_past_run(run.config.output).right for run in pair] for pair in pairs]
    by_example = np.array(
        [[one[i] - other[i] for i in sorted(one)] for one, other in right], dtype=np.float64
    )
    by_seed, of_example = by_example.mean(axis=1), by_example.mean(axis=0)
    number = len(of_example)
    components = [(float(np.var(of_example, ddof=1)) / number, number - 1)]
    if len(by_seed) > 1:
        components.append(seeds_component(by_seed))
    return Estimate(float(by_seed.mean()), tuple(components))


def search_calls(run: FinishedRun) -> int:
    """Judge calls of the search alone: all less the final test of two prompts."""
    test = run.result.test
    return run.result.calls["judge"].asked - test.initial.n - test.final.n


def count_finds(runs: Sequence[FinishedRun]) -> dict[str, float]:
    """Runs on shuffled labels whose report speaks of a gain, see `report.conclusion`.

    expected_find_rate: how many of 1 would, with the same prompts, had the labels of the test
    split been dealt out in another way. The runs of a task share its test images and p_0, so that
    one lucky deal can show in several; this share does not depend on luck.
    """
    if not runs:
        return {}
    finds, rates = list[bool](), list[float]()
    for run in runs:
        finds.append(is_found(run))
        rates.append(find_rate(run, load_task(run.config.task).primary_metric))
    return {
        "false_finds": sum(finds),
        "shuffled_runs": len(finds),
        "expected_find_rate": mean(rates),
    }


def is_found(run: FinishedRun) -> bool:
    """Whether the run's report speaks of a gain."""
    return run.result.test.gain.is_found(load_task(run.config.task).primary_metric)


def find_rate(run: FinishedRun, metric: Metric) -> float:
    """The share of deals of the test labels on which the run's verdicts pass for a gain."""
    past = read_past_run(run.config.output)
    if past.initial == past.final:
        return 0.0
    pairs = list(zip(past.initial, past.final, strict=True))
    generator = random.Random(derived_seed(run.config.seed, "deals", run.config.task))
    found = 0
    for _ in range(DEALS):
        # To deal out the pairs of verdicts is to deal out the labels.
        generator.shuffle(pairs)
        initial, final = zip(*pairs, strict=True)
        dealt = gain(past.examples, initial, final, past.labels, run.config.seed)
        found += dealt.is_found(metric)
    return found / DEALS


def show(summary: Mapping[str, Mapping[str, Any]], tasks: Sequence[str]) -> None:
    names = [task.removeprefix("micro-") for task in tasks]
    print(
        f"{'arm':34} {' '.join(f'{n:>12}' for n in names)} {'accuracy':>9} {'macro F1':>9}"
        f" {'minus paper (95 %)':>24}   harmful steps  gains found     false finds"
        "  judge/verbalizer/optimizer calls"
    )
    for name, own in summary.items():
        gains = " ".join(f"{own['by_task'][task]:>+12.3f}" for task in tasks)
        harm = f"{own['harmful_steps']} of {own['changed_steps']}"
        found = f"{own['gains_found']} of {own['runs']}"
        finds = "-"
        if "false_finds" in own:
            expected = own["expected_find_rate"] * own["shuffled_runs"]
            finds = f"{own['false_finds']} ({expected:.1f}) of {own['shuffled_runs']}"
        calls = "/".join(
            f"{own[key]:.0f}"
            for key in ("search_judge_calls", "verbalizer_calls", "optimizer_calls")
        )
        (low, high), difference = own["minus_paper"]["ci95"], own["minus_paper"]["mean"]
        less = f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"
        print(
            f"{name:34} {gains} {own['accuracy_gain']:>+9.3f} {own['macro_f1_gain']:>+9.3f}"
            f" {less:>24} {harm:>15} {found:>12} {finds:>15}  {calls}"
        )


if __name__ == "__main__":
    main()
