"""Which runs a folder stands for."""

from collections.abc import Iterator
from pathlib import Path

from ...data.errors import ConfigError
from ..runs.directory import RESULT_FILE
from ..sweeps.cells import SWEEP_FILE


def runs_in(folder: Path) -> Iterator[Path]:
    """The folder itself; of a sweep, its finished cells. Raises ConfigError if it has none."""
    if not (folder / SWEEP_FILE).is_file():
        yield folder
        return
    cells = sorted(file.parent for file in folder.glob(f"cells/*/{RESULT_FILE}"))
    if not cells:
        raise ConfigError(f"{folder}: no cell of this sweep is finished")
    yield from cells
