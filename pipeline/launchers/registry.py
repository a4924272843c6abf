"""The launchers by name. A new one is a file with its class, and its line in `LAUNCHERS`.

They stand here as text, so that the command line knows their names before it imports any.
"""

from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..sweeps.cells import CellState
    from .base import Launcher

LAUNCHERS: dict[str, str] = {
    "local": "blpo.pipeline.launchers.local:LocalLauncher",
    "slurm": "blpo.pipeline.launchers.slurm:SlurmLauncher",
    "ray": "blpo.pipeline.launchers.ray:RayLauncher",
}


def get_launcher(name: str) -> "Launcher":
    """The launcher of a name of `LAUNCHERS`."""
    return resolve_name(LAUNCHERS[name])()


def queued_cells(folder: Path) -> "dict[str, CellState]":
    """Cells of a sweep's output folder that any launcher has in its queue or at work."""
    cells: dict[str, CellState] = {}
    for name in LAUNCHERS:
        cells |= get_launcher(name).queued_cells(folder)
    return cells
