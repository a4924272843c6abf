"""The task and the data of a run, and whether its settings fit them."""

from functools import lru_cache
from pathlib import Path

from ...data.errors import ConfigError
from ...data.examples import Dataset, check_images, read_dataset
from ...data.images import ImageBounds
from ...data.tasks import Task, load_task
from ...models.roles.criteria_prompt import check_sections
from ..config import RunConfig
from ..readings.choose import too_few
from ..readings.config import check_reading
from .roles import check_optimizer


def checked_inputs(config: RunConfig, source: str = "") -> tuple[Task, Dataset]:
    """The task and the dataset of a run whose settings fit both.

    source: the run file, for messages. Raises DataError for a mistake in task or dataset, and
    ConfigError, naming the key, for a setting that they do not allow.
    """
    task = load_task(config.task)
    try:
        check_reading(config.reading, task)
        _refuse_without_criteria(config, task)
        check_sections(config.judge_prompt or task.judge_prompt, task, "judge_prompt")
        check_optimizer(config)
        dataset = checked_dataset(config.dataset, task, config.images.bounds)
        _refuse_too_few(config, task, dataset)
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}" if source else str(error)) from None
    return task, dataset


def checked_dataset(path: Path, task: Task, bounds: ImageBounds) -> Dataset:
    """Raises DataError for a mistake in the file. Runs of one process share what did not change."""
    try:
        stat = path.stat()
    except OSError:
        return read_dataset(path, task, bounds)  # It says what is wrong.
    state = stat.st_mtime_ns, stat.st_size
    return _unchanged_dataset(path, task.model_dump_json(), bounds, state)


@lru_cache(maxsize=8)
def _unchanged_dataset(
    path: Path, task_json: str, bounds: ImageBounds, _state: tuple[int, int]
) -> Dataset:
    task = Task.model_validate_json(task_json)
    dataset = read_dataset(path, task, bounds)
    check_images(dataset, task, str(path))
    return dataset


def _refuse_too_few(config: RunConfig, task: Task, dataset: Dataset) -> None:
    """Raises ConfigError for a reading that the training examples cannot carry."""
    family = config.reading.family
    if family in ("none", "auto"):
        return
    missing = too_few(family, task, dataset.train)
    if missing:
        raise ConfigError(
            f"reading {family}: {missing}: label more images, or take `auto`, which leaves out "
            "what cannot be fitted"
        )


def _refuse_without_criteria(config: RunConfig, task: Task) -> None:
    """Raises ConfigError for a method that has no criterion to rewrite."""
    if config.search.rewrites_criteria and not task.criteria:
        raise ConfigError(
            f"method {config.method}: task {task.name} has no `criteria`: give it some, or take "
            "method blpo"
        )
