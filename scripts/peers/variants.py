"""The data of the comparison: micro tasks as they are, with shuffled labels, and imbalanced.

Each is a pure function of its name, the task and the seed; training and test set are as large as
the task's own.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from blpo.data.examples import Dataset, Example, fingerprint, read_dataset
from blpo.data.micro.rubrics import generate
from blpo.data.tasks import Task, load_task
from blpo.pipeline.config import ImageConfig
from blpo.pipeline.runs.demo import DATA_SEED, example_of, micro_dataset
from blpo.pipeline.search.seeds import derived_order

Variant = Literal["plain", "shuffled", "imbalanced"]
VARIANTS: tuple[Variant, ...] = get_args(Variant)

BINARY_TASKS = ("micro-seetrue", "micro-unsafebench")
"""What the imbalanced variant is made of."""
MINORITY_SHARE = 0.12
NUM_TRAIN, NUM_TEST = 100, 200


def variant_data(variant: Variant, task_name: str, seed: int, folder: Path) -> Dataset:
    """The dataset of a variant; only the shuffled one depends on the seed."""
    task = load_task(task_name)
    if variant == "imbalanced":
        return imbalanced(task)
    data = read_dataset(micro_dataset(folder, task_name), task, ImageConfig().bounds)
    return shuffled(data, seed) if variant == "shuffled" else data


def shuffled(data: Dataset, seed: int) -> Dataset:
    """The labels of each split dealt out anew: there is nothing to learn, and nothing to find."""
    return replace(
        data,
        train=_dealt(data.train, seed),
        test=_dealt(data.test, seed),
        fingerprint=f"{data.fingerprint}-shuffled-{seed}",
    )


def imbalanced(task: Task) -> Dataset:
    """A binary task whose worse label (of the two, the one people warn of) is rare in both splits.

    Subsampled from twice as many images.
    """
    rows = generate(task.name, DATA_SEED, 2 * NUM_TRAIN, 2 * NUM_TEST)
    examples = [example_of(row, ImageConfig().bounds) for row in rows]
    if not task.carries_text:
        examples = [replace(example, text=None) for example in examples]
    train = [example for example in examples if example.split == "train"]
    test = [example for example in examples if example.split == "test"]
    kept = _subsample(train, task, NUM_TRAIN), _subsample(test, task, NUM_TEST)
    return Dataset(*kept, fingerprint([*kept[0], *kept[1]]))


def rare_label(task: Task) -> str:
    """ "0" of a match, "Unsafe" of safety."""
    return "Unsafe" if "Unsafe" in task.labels else task.labels[0]


def _dealt(examples: Sequence[Example], seed: int) -> tuple[Example, ...]:
    order = derived_order(examples, lambda e: e.example_id, seed, "shuffled")
    return tuple(replace(e, label=o.label) for e, o in zip(examples, order, strict=True))


def _subsample(examples: Sequence[Example], task: Task, number: int) -> tuple[Example, ...]:
    """The first of each label, in their order: as many as the shares want."""
    wanted = {label: number - round(number * MINORITY_SHARE) for label in task.labels}
    wanted[rare_label(task)] = round(number * MINORITY_SHARE)
    kept: list[Example] = []
    for example in examples:
        if wanted[example.label]:
            wanted[example.label] -= 1
            kept.append(example)
    return tuple(kept)
