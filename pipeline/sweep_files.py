"""The files that a sweep leaves beside its cells: tables.md, tables.csv, plots/."""

from collections.abc import Mapping
from pathlib import Path

from ..data.arrow import atomic_path
from .config import RunConfig
from .runner import FailedRun, FinishedRun
from .sweep import SweepConfig
from .table_plots import write_plots
from .tables import SweepTables, make_tables, read_cells
from .tables_text import csv_text, markdown


def failures(outcomes: Mapping[str, FinishedRun | FailedRun]) -> dict[str, str]:
    """Why cells failed, by cell."""
    return {name: run.error for name, run in outcomes.items() if isinstance(run, FailedRun)}


def write_tables(
    config: SweepConfig, cells: Mapping[str, RunConfig], errors: Mapping[str, str] | None = None
) -> SweepTables:
    """Read the cells' run directories, write the tables and plots of what they hold.

    errors: why cells failed, where that is known.
    """
    tables = make_tables(config, read_cells(config, cells, errors))
    _write(config.output / "tables.md", markdown(tables))
    _write(config.output / "tables.csv", csv_text(tables))
    write_plots(tables, config.output / "plots")
    return tables


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")
