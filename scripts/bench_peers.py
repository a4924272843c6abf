"""Prompt optimizers side by side: ours, gepa, promptolution's OPRO and CAPO, textgrad.

    pip install --editable '.[cpu,peers]'
    python scripts/bench_peers.py                       # everything, at 800 judge calls
    python scripts/bench_peers.py --quick               # a look: one task, one seed
    python scripts/bench_peers.py --part plain --arms blpo,blpo-plus,gepa --seeds 0,1,2
    python scripts/bench_peers.py --ideal --out runs/peers-ideal    # an ideal judge, no model

Synthetic test bench: rendered images, invented labels, a micro judge in a vLLM engine, a program in
place of the optimizer LLM. It tells which method finds a hidden rubric with fewer judge calls, and
nothing about real judges.

What is the same for all:
 1. Task, training examples, p_0, q_0, judge, verbalizer, and the optimizer stand-in `lexicon`,
    which reads the peers' own meta-prompts through `peers/stand_in.py`.
 2. The evidence about a judged example: its description, the human label, the verdict.
 3. The budget, in judge calls asked, counted here and not by the library: a batch that would pass
    it is not asked, and nothing is asked after it. Verbalizer and optimizer calls are free.
 4. The test: our code judges the untouched test split under the result, after the search.
What each library was left to choose, and why, stands in the head of its file in `peers/`. Where a
setting could have held a peer back, several were tried on the ideal judge of the tests at seeds 100
and 101, and the one that did best for it is used.

Parts: plain, shuffled (labels dealt out anew in both splits: whatever a method then finds is luck),
imbalanced (12 % of the rarer label; macro F1 decides), restart (SIGKILL halfway).

All replies lie in `--out`/store: run again, the figures are the same and no model starts. The last
line is JSON.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from blpo.data.errors import BlpoError
from blpo.data.micro.rubrics import MICRO_TASKS
from blpo.pipeline.runs.progress import Tracked, progress
from peers.arms import ARMS, PEERS, check_libraries
from peers.cells import Bench, Cell, Setting, Work, run_cells
from peers.ideal import ideal_judge
from peers.restart import try_restart
from peers.tables import (
    Figures,
    claims_table,
    gains_table,
    print_markdown,
    reach_table,
    restart_table,
    show,
)
from peers.variants import BINARY_TASKS, Variant, variant_data

PARTS = ("plain", "shuffled", "imbalanced", "restart")
RESTART_TASK = "micro-unsafebench"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared."""

    out: Path
    parts: Sequence[str]
    arms: Sequence[str]
    tasks: Sequence[str]
    seeds: Sequence[int]
    null_seeds: Sequence[int]
    judge_calls: int
    ideal: bool


def main() -> int:
    plan = make_plan()
    try:
        if any(arm.name in plan.arms for arm in PEERS):
            check_libraries()
        tables: dict[str, Figures] = {}
        for part in compare(plan):
            tables |= part
            show(list(part.values()))
    except BlpoError as error:
        print(f"bench_peers: {error}", file=sys.stderr)
        return 1
    print_markdown(list(tables.values()))
    print(json.dumps({name: rounded(table.records) for name, table in tables.items()}))
    return 0


def rounded(value: Any) -> Any:
    """JSON values with four decimals."""
    match value:
        case float():
            return round(value, 4)
        case dict():
            return {name: rounded(child) for name, child in cast("dict[str, Any]", value).items()}
        case list() | tuple():
            return [rounded(child) for child in cast("list[Any]", value)]
        case _:
            return value


def make_plan() -> Plan:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=Path("runs/peers"), help="store and datasets")
    parser.add_argument("--part", type=_names(PARTS), default=list(PARTS), dest="parts")
    parser.add_argument("--arms", type=_names(tuple(ARMS)), default=list(ARMS))
    parser.add_argument("--tasks", type=_names(tuple(MICRO_TASKS)), default=list(MICRO_TASKS))
    parser.add_argument("--seeds", type=_numbers, default=[0, 1, 2])
    parser.add_argument("--null-seeds", type=_numbers, default=[0, 1, 2], help="of part shuffled")
    parser.add_argument("--judge-calls", type=int, default=800)
    parser.add_argument("--ideal", action="store_true", help="an ideal judge in place of a model")
    parser.add_argument("--quick", action="store_true", help="one task, one seed, two parts")
    given = parser.parse_args()
    plan = Plan(**{name: getattr(given, name) for name in Plan.__dataclass_fields__})
    if not given.quick:
        return plan
    return replace(plan, parts=PARTS[:2], tasks=[RESTART_TASK], seeds=[0], null_seeds=[0])


def compare(plan: Plan) -> Iterator[dict[str, Figures]]:
    """The tables of each part, as soon as it is done."""
    bench = Bench(plan.out, ideal_judge() if plan.ideal else None)
    try:
        if "plain" in plan.parts:
            yield plain_tables(cells_of(bench, plan, "plain", plan.tasks, plan.seeds))
        if "shuffled" in plan.parts:
            yield shuffled_tables(cells_of(bench, plan, "shuffled", plan.tasks, plan.null_seeds))
        if "imbalanced" in plan.parts:
            tasks = [task for task in plan.tasks if task in BINARY_TASKS]
            yield imbalanced_tables(cells_of(bench, plan, "imbalanced", tasks, plan.seeds))
        print(f"{bench.new_calls:,} replies of models, the others from the store", file=sys.stderr)
    finally:
        bench.close()
    if "restart" in plan.parts:
        setting = Setting("plain", RESTART_TASK, plan.seeds[0], plan.judge_calls)
        main_folder = plan.out.resolve()
        restarts = [try_restart(arm, setting, main_folder, ideal=plan.ideal) for arm in plan.arms]
        yield {"restart": restart_table(restarts)}


def plain_tables(cells: Sequence[Cell]) -> dict[str, Figures]:
    return {
        "accuracy": gains_table("Gain in test accuracy", cells, "accuracy"),
        "macro_f1": gains_table("Gain in test macro F1", cells, "macro_f1"),
        "reach": reach_table(cells),
        "claims": claims_table("Claimed and found, on the tasks as they are", cells),
    }


def shuffled_tables(cells: Sequence[Cell]) -> dict[str, Figures]:
    return {"shuffled": claims_table("Claimed and found, on shuffled labels", cells)}


def imbalanced_tables(cells: Sequence[Cell]) -> dict[str, Figures]:
    return {
        "imbalanced_macro_f1": gains_table(
            "Imbalanced labels: gain in test macro F1", cells, "macro_f1"
        ),
        "imbalanced_accuracy": gains_table(
            "Imbalanced labels: gain in test accuracy", cells, "accuracy"
        ),
    }


def cells_of(
    bench: Bench, plan: Plan, variant: Variant, tasks: Sequence[str], seeds: Sequence[int]
) -> list[Cell]:
    work = [
        Work(Setting(variant, task, seed, plan.judge_calls), ARMS[arm], data)
        for task in tasks
        for seed in seeds
        for data in [variant_data(variant, task, seed, plan.out / "datasets")]
        for arm in plan.arms
    ]
    before = bench.answered
    with progress({variant: Tracked(lambda: bench.answered - before, None)}, "calls"):
        return run_cells(bench, work)


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        unknown = [name for name in text.split(",") if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{unknown[0]}: choose from {', '.join(known)}")
        return text.split(",")

    return parse


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
