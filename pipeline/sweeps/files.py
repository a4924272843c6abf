"""The files that a sweep leaves beside its cells: tables.md, tables.csv, plots/, course.md."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from ...data.arrow import atomic_path
from ..config import RunConfig
from ..runs.engine_pool import EnginePool
from ..runs.run_many import FailedRun, FinishedRun
from .plots import write_course_plot, write_plots
from .sweep import SweepConfig
from .tables import SweepTables, make_tables, read_cells
from .tables_text import course_csv, course_markdown, csv_text, markdown
from .trajectory import judge_courses


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


def write_course(config: SweepConfig, cells: Mapping[str, RunConfig]) -> Path:
    """Judge the test split under every judge prompt on the way of the finished cells.

    Writes course.md, course.csv and plots/course; the path of course.md.
    """
    found = read_cells(config, cells)
    with closing(EnginePool()) as pool:
        courses = judge_courses(found, pool)
    tables = make_tables(config, found)
    path = config.output / "course.md"
    _write(path, course_markdown(tables, courses))
    _write(path.with_suffix(".csv"), course_csv(courses))
    write_course_plot(tables, courses, config.output / "plots")
    return path


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, "utf-8")
