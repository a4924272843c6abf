"""The demo: the five micro tasks, each aligned with its simulated annotators.

Synthetic through and through: images, annotators, judge and optimizer are a test bench.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from ...data.errors import ConfigError
from ...data.examples import Example, write_dataset
from ...data.images import ImageBounds, ImageRef
from ...data.micro.graded import GradedWorld
from ...data.micro.graded_data import graded_rows
from ...data.micro.pairs import PAIR_TASK, PairRow, generate_pairs
from ...data.micro.rubrics import MICRO_TASKS, Row, generate
from ...models.engines.settings import EngineSettings
from ..config import ImageConfig, OptimizerConfig, RunConfig, VerbalizerConfig

DEMO_NOTE = (
    "Synthetic test bench: rendered images, invented labels, a micro judge, and a program in place "
    "of the optimizer LLM. Its figures say nothing about real judges."
)
DEMO_TASKS = (*MICRO_TASKS, PAIR_TASK)
DATA_SEED = 0
_VERBALIZATION_TOKENS = 96


def demo_configs(
    out: Path, tasks: Sequence[str], methods: Sequence[str], seeds: Sequence[int]
) -> list[RunConfig]:
    """The runs of a demo, one per task, method and seed, with their data rendered under `out`."""
    return [
        RunConfig(
            task=task,
            dataset=micro_dataset(out / "datasets", task),
            output=out / "runs" / f"{task}-{method}-{seed}",
            store=out / "store",
            method=method,
            seed=seed,
            judge=EngineSettings(kind="vllm", model="micro"),
            verbalizer=VerbalizerConfig(max_tokens=_VERBALIZATION_TOKENS),
            optimizer=OptimizerConfig(engine=EngineSettings(kind="lexicon")),
        )
        for task in tasks
        for method in methods
        for seed in seeds
    ]


def is_micro(task: str) -> bool:
    """Whether a task's data can be rendered."""
    return task in DEMO_TASKS


def micro_dataset(folder: Path, task: str) -> Path:
    """The dataset file of a micro task, rendered unless it is there."""
    path = folder / f"{task}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        bounds = ImageConfig().bounds
        rows = generate_pairs(DATA_SEED) if task == PAIR_TASK else generate(task, DATA_SEED)
        write_dataset(path, (example_of(row, bounds) for row in rows))
    return path


def graded_dataset(folder: Path, task: str, world: GradedWorld) -> Path:
    """The dataset file of a task in a world, drawn unless it is there. Raises what `write_graded`
    does.
    """
    drawn = world.model_dump_json(include={"draw", "people"})
    path = folder / f"{task}-{hashlib.sha256(drawn.encode()).hexdigest()[:12]}.parquet"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_graded(path, task, world)
    return path


def write_graded(
    out: Path, task: str, world: GradedWorld, *, overwrite: bool = True
) -> list[Example]:
    """Draw a task's dataset in a world of the graded bench, and write it.

    Raises ConfigError for a task that is not on that bench.
    """
    if task not in MICRO_TASKS:
        known = ", ".join(MICRO_TASKS)
        raise ConfigError(f"--task {task}: is not on the graded bench; choose from {known}")
    bounds = ImageConfig().bounds
    examples = [example_of(row, bounds) for row in graded_rows(task, world)]
    write_dataset(out, examples, overwrite=overwrite)
    return examples


def demo_tasks(names: Sequence[str] | None) -> list[str]:
    """The micro tasks of these names; all of them for None. Raises ConfigError for others."""
    unknown = [name for name in names or () if name not in DEMO_TASKS]
    if unknown:
        raise ConfigError(
            f"--task {unknown[0]}: is not a micro task; choose from {', '.join(DEMO_TASKS)}"
        )
    return list(names or DEMO_TASKS)


def example_of(row: Row | PairRow, bounds: ImageBounds) -> Example:
    """A row of a micro task as an example."""
    return Example(
        example_id=row["example_id"],
        image=ImageRef(row["image"], bounds),
        text=row["text"],
        label=row["label"],
        group=row["group"],
        category=row["category"],
        split="train" if row["split"] == "train" else "test",
        ratings=row.get("ratings", ()),
        further_images=(ImageRef(row["image_b"], bounds),) if "image_b" in row else (),
    )
