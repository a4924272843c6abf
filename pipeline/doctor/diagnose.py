"""The checks of `blpo doctor`, in the order in which one thing needs another."""

from collections.abc import Iterator
from pathlib import Path

from ...data.examples import Example
from ...data.tasks import Task, load_task
from ...models.engines.settings import EngineSettings
from ..config import RunConfig
from ..runs.inputs import checked_dataset
from .check import Check, Level, until_it_fails, warning
from .environment import environment_checks
from .model import model_checks, probe_checks
from .storage import run_checks, store_check


def diagnose_machine(store: Path) -> Iterator[Check]:
    """Python, libraries, GPUs, Slurm and the store."""
    yield from environment_checks()
    yield from until_it_fails("store", (store_check(root) for root in [store]))


def diagnose_model(settings: EngineSettings, task: Task, *, probe: bool) -> Iterator[Check]:
    """A model as the judge of a task."""
    yield from _model(settings, task, None, probe=probe)


def diagnose_run(config: RunConfig, *, probe: bool, source: str = "") -> Iterator[Check]:
    """Data and models of a run file; a role with an engine of its own is checked as well.

    source: the run file, for messages.
    """
    task = load_task(config.task)
    for reason in config.without_effect:
        yield warning("settings", reason)
    data = list(until_it_fails("dataset", run_checks(config, source)))
    yield from data
    failed = {check.subject for check in data if check.level is Level.ERROR}
    example = None if "dataset" in failed else _first_example(config, task)
    yield from _model(config.judge, task, example, probe=probe)
    for settings in (config.verbalizer.engine, config.optimizer.engine):
        if settings is not None and settings != config.judge:
            yield from until_it_fails("model", model_checks(settings, task))


def _model(
    settings: EngineSettings, task: Task, example: Example | None, *, probe: bool
) -> Iterator[Check]:
    failed = False
    for check in until_it_fails("model", model_checks(settings, task)):
        failed |= check.level is Level.ERROR
        yield check
    if not probe:
        return
    # The programs of the test bench know no image but those of its datasets.
    if failed or (example is None and settings.is_program):
        what = "the model" if failed else "the dataset, whose images it would be asked about"
        yield warning("probe", f"left out: first mend {what}")
        return
    yield from until_it_fails("probe", probe_checks(settings, task, example))


def _first_example(config: RunConfig, task: Task) -> Example | None:
    """Of the train split: nothing is asked about the test split before a run."""
    return next(iter(checked_dataset(config.dataset, task, config.images.bounds).train), None)
