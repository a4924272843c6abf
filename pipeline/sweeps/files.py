"""The files that a sweep leaves beside its cells: tables.md, tables.csv, plots/, trajectory.md."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from ...data.arrow import atomic_path
from ..config import RunConfig
from ..runs.engine_pool import EnginePool
from .draws import DrawnTables, make_drawn_tables
from .draws_text import drawn_csv, drawn_markdown
from .plots import write_plots, write_trajectory_plot
from .sweep import SweepConfig
from .tables import SweepTables, make_tables, read_cells
from .tables_text import csv_text, markdown
from .trajectory import judge_trajectories
from .trajectory_text import drawn_trajectory_markdown, trajectory_csv, trajectory_markdown


def write_tables(config: SweepConfig, cells: Mapping[str, RunConfig]) -> SweepTables | DrawnTables:
    """Read the cells' run directories, write the tables and plots of what they hold."""
    if config.varies_draws:
        return _write_drawn(make_drawn_tables(config, cells), config.output)
    tables = make_tables(config, read_cells(config, cells))
    _write(config.output / "tables.md", markdown(tables))
    _write(config.output / "tables.csv", csv_text(tables))
    write_plots(tables, config.output / "plots")
    return tables


def _write_drawn(tables: DrawnTables, folder: Path) -> DrawnTables:
    _write(folder / "tables.md", drawn_markdown(tables))
    _write(folder / "tables.csv", drawn_csv(tables))
    return tables


def write_trajectory(config: SweepConfig, cells: Mapping[str, RunConfig]) -> Path:
    """Judge the test split under every judge prompt on the way of the finished cells.

    Writes trajectory.md and, where no draws vary, trajectory.csv and plots/trajectory; the path of
    trajectory.md.
    """
    found = read_cells(config, cells)
    with closing(EnginePool()) as pool:
        trajectories = judge_trajectories(found, pool)
    path = config.output / "trajectory.md"
    if config.varies_draws:
        _write(path, drawn_trajectory_markdown(config.output.name, trajectories))
        return path
    tables = make_tables(config, found)
    _write(path, trajectory_markdown(tables, trajectories))
    _write(path.with_suffix(".csv"), trajectory_csv(trajectories))
    write_trajectory_plot(tables, trajectories, config.output / "plots")
    return path


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")
