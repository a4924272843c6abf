"""What all metrics need of an example."""

from typing import Protocol


class Labelled(Protocol):
    """What of an example its verdict is compared by."""

    @property
    def label(self) -> str: ...

    @property
    def group(self) -> str: ...


class Identified(Labelled, Protocol):
    """One that is told apart by its id, too."""

    @property
    def example_id(self) -> str: ...
