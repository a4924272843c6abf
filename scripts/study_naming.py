"""What naming an aspect that nobody minds costs the shipped judges, and what ruling it out does.

    .venv/bin/python scripts/study_naming.py

Share of verdicts that agree with the simulated people under a prompt that names what most of them
mind; X is what fewer mind and pictures most often have at fault.

Synthetic test bench: the figures say what its judges do, nothing about real ones.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from blpo.data.examples import Example, read_dataset, write_dataset
from blpo.data.images import ImageBounds
from blpo.data.micro.rubrics import MICRO_TASKS, Rubric, generate
from blpo.data.tasks import load_task
from blpo.models.engine import SHIPPED
from blpo.models.engines.factory import make_engine
from blpo.models.engines.settings import EngineSettings
from blpo.models.roles.judge import Judge
from blpo.pipeline.runs.demo import example_of

FURTHER: Mapping[str, str] = {
    "what people mind": "",
    '+ "Check X, too."': " Check the {}, too.",
    '+ "Do not weigh X."': " Do not weigh the {}.",
    '+ "X has no effect on the rating."': " The {} has no effect on the rating.",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--engine", choices=["vllm", "transformers"], default="vllm")
    parser.add_argument("--number", type=int, default=160, help="examples a task (160)")
    parser.add_argument("--seed", type=int, default=5, help="of the examples (5)")
    arguments = parser.parse_args()
    print(f"| task | judge | {' | '.join(FURTHER)} |\n|{'---|' * (len(FURTHER) + 2)}")
    shares = {
        (task, judge): share
        for judge in SHIPPED
        for task, share in shares_right(judge, arguments).items()
    }
    for task in MICRO_TASKS:
        for judge in SHIPPED:
            told = " | ".join(f"{share:.2f}".lstrip("0") for share in shares[task, judge])
            print(f"| {task} | `{judge}` | {told} |")


def shares_right(model: str, arguments: argparse.Namespace) -> dict[str, list[float]]:
    """By task, in the order of FURTHER."""
    engine = make_engine(EngineSettings(kind=arguments.engine, model=model))
    found = dict[str, list[float]]()
    for name, micro in MICRO_TASKS.items():
        task = load_task(name)
        rubric, examples = micro.rubrics["main"], draw(name, arguments.number, arguments.seed)
        minded = " and the ".join(rubric.minded)
        other = most_often_at_fault(rubric)
        found[name] = list[float]()
        for further in FURTHER.values():
            prompt = f"Check the {minded}.{further.format(other)}"
            verdicts = Judge(engine, task)(prompt, examples)
            right = [v.label == e.label for v, e in zip(verdicts, examples, strict=True)]
            found[name].append(sum(right) / len(right))
    engine.close()
    return found


def draw(task: str, number: int, seed: int) -> list[Example]:
    with TemporaryDirectory() as folder:
        path, rows = Path(folder) / "rows.parquet", generate(task, seed, number, 2)
        write_dataset(path, (example_of(row, ImageBounds()) for row in rows))
        return list(read_dataset(path, load_task(task)).train)


def most_often_at_fault(rubric: Rubric) -> str:
    """Of the aspects that fewer than half of the people mind."""
    rates = {name: rate for name, rate in rubric.fault_rates.items() if name not in rubric.minded}
    return max(rates, key=lambda name: rates[name])


if __name__ == "__main__":
    main()
