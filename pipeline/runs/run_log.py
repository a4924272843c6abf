"""Where a run is logged beside its directory, as the run sees it."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ...data.tasks import Task
from ..config import RunConfig
from ..result import RunResult
from .directory import RunDirectory


class RunLog(Protocol):
    """Told how a run goes. Its methods return at once and raise nothing."""

    def step(self, record: Mapping[str, Any]) -> None:
        """A step of the search, as its file has it."""
        ...

    def finished(self, result: RunResult) -> None:
        """Every file of the run is written."""
        ...

    def close(self) -> list[str]:
        """Wait, for no longer than is bearable, until all is logged; where it is, or why not."""
        ...


OpenLog = Callable[[RunConfig, Task, RunDirectory], RunLog]


class NoLog:
    """Of a run that is logged nowhere."""

    def step(self, record: Mapping[str, Any]) -> None: ...

    def finished(self, result: RunResult) -> None: ...

    def close(self) -> list[str]:
        return []


def no_log(config: RunConfig, task: Task, directory: RunDirectory) -> RunLog:  # noqa: ARG001
    return NoLog()
