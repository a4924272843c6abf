"""Datasets of the micro tasks, smaller than those that the demo renders."""

from pathlib import Path

from blpo.data.examples import Example, write_dataset
from blpo.data.images import ImageBounds
from blpo.data.micro.pairs import PAIR_TASK, generate_pairs
from blpo.data.micro.rubrics import generate
from blpo.pipeline.runs.demo import DEMO_TASKS, example_of


def micro_examples(task: str, num_train: int, num_test: int) -> list[Example]:
    """Those of one task; of the pairs, too."""
    bounds = ImageBounds()
    if task == PAIR_TASK:
        return [example_of(row, bounds) for row in generate_pairs(0, num_train, num_test)]
    return [example_of(row, bounds) for row in generate(task, 0, num_train, num_test)]


def write_micro_datasets(folder: Path, num_train: int, num_test: int) -> None:
    """Those of all tasks, which the demo and sweeps find and do not render."""
    folder.mkdir(parents=True)
    for task in DEMO_TASKS:
        write_dataset(folder / f"{task}.parquet", micro_examples(task, num_train, num_test))
