"""The reply store, the dataset and the output of a run."""

import os
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from ...data.errors import ConfigError
from ...data.store.store import ReplyStore, told_errors
from ...data.tasks import Task
from ..config import RunConfig
from ..metrics.intervals import minimum_detectable_gain
from ..runs.directory import refuse_other_use
from ..runs.inputs import checked_inputs
from ..tracking.run_log import check_trackers
from .check import Check, error, ok, warning

_GB = 10**9
_LOW_DISK_BYTES = 2 * _GB
_USUAL_DISCORDANCE = 0.2
"""Share of test examples on which one of two prompts alone is right, as expected before a run."""
_FEW_TEST_EXAMPLES = 100
"""Fewer show large gains only."""


def store_check(root: Path) -> Check:
    """Raises StoreError for a part that cannot be read."""
    if not root.exists():
        return ok("store", f"{root}: made by the first run")
    if not root.is_dir():
        return error("store", f"{root}: is a file; name a folder")
    if not os.access(root, os.W_OK):
        return error("store", f"{root}: cannot be written; grant access or name another folder")
    found = ReplyStore(root).verify()
    if found.damaged:
        return error(
            "store",
            f"{root}: {len(found.damaged)} damaged, of {found.num_parts} parts and the journals "
            f"({found.damaged[0].path}): run `blpo store verify --quarantine --store "
            f"{shlex.quote(str(root))}`",
        )
    stats = ReplyStore(root).stats()
    replies = sum(partition.num_keys for partition in stats)
    told = f"{root}: {replies:,} replies in {found.num_parts:,} parts, none damaged"
    errors = told_errors(stats)
    return ok("store", f"{told}; requests with an error and no reply: {errors}" if errors else told)


def run_checks(config: RunConfig, source: str) -> Iterator[Check]:
    """Raises DataError for a dataset that cannot be used, and ConfigError for settings that do not
    fit it or the task."""
    task, data = checked_inputs(config, source)
    yield ok("dataset", f"{config.dataset}: {len(data.train)} train, {len(data.test)} test")
    yield gain_check(len(data.test))
    check_trackers(config)
    yield _output(config, task)


def gain_check(num_test: int) -> Check:
    """How small a gain in accuracy a test split of so many examples can show."""
    gain = minimum_detectable_gain(num_test, _USUAL_DISCORDANCE)
    told = (
        f"{num_test} examples are too few to show any gain"
        if gain is None
        else f"with {num_test} examples a gain in accuracy below about {100 * gain:.0f} points "
        "often goes unnoticed"
    )
    if num_test < _FEW_TEST_EXAMPLES:
        return warning("test split", f"{told}: label more; see `blpo docs recipes`")
    return ok("test split", told)


def _output(config: RunConfig, task: Task) -> Check:
    """Whether the run may write there."""
    try:
        refuse_other_use(config, task)
    except ConfigError as problem:
        return error("output", str(problem))
    return _disk(config.output)


def _disk(output: Path) -> Check:
    folder = next(path for path in (output.absolute(), *output.absolute().parents) if path.exists())
    if not os.access(folder, os.W_OK):
        return error("output", f"{folder}: cannot be written; grant access or name another output")
    free = shutil.disk_usage(folder).free
    told = f"{output}: {free / _GB:.1f} GB free"
    if free < _LOW_DISK_BYTES:
        return warning("output", f"{told}: free space before a long run")
    return ok("output", told)
