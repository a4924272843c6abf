"""The commands about sweeps."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..launchers.registry import LAUNCHERS, get_launcher, queued_cells
from .default_command import DefaultCommandGroup
from .doctor import tell_checks
from .options import EXIT_PROBLEM, AsJson, Overrides, Quiet, StartOver, known_launcher, say

if TYPE_CHECKING:
    from ..config import RunConfig
    from ..sweeps.cells import Outcome
    from ..sweeps.sweep import SweepConfig

SweepFile = Annotated[
    str,
    typer.Argument(metavar="SWEEP", help="YAML file of a sweep, or a name of `blpo sweep list`."),
]

sweep_app = typer.Typer(
    cls=DefaultCommandGroup,
    help="Run a grid of runs. `blpo sweep SWEEP` is short for `blpo sweep run SWEEP`.",
    no_args_is_help=True,
)


@sweep_app.command("run")
def sweep(
    sweep_file: SweepFile,
    overrides: Overrides = None,
    launcher: Annotated[
        str,
        typer.Option(
            metavar="|".join(LAUNCHERS),
            callback=known_launcher,
            help="Run here (local), or submit to Slurm what is not finished yet.",
        ),
    ] = "local",
    cells_file: Annotated[
        Path | None,
        typer.Option("--cells", help="File with names of cells, one a line: only these."),
    ] = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Tell what is missing or not pinned, and run nothing."),
    ] = False,
    start_over: StartOver = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run a grid of tasks, methods and seeds over one engine; a failing cell stops no other."""
    from ..launchers.base import Submission, SweepJob  # noqa: PLC0415
    from ..runs.progress import be_quiet  # noqa: PLC0415
    from ..sweeps.sweep import load_sweep, sweep_cells  # noqa: PLC0415
    from .show.sweeps import show_submission  # noqa: PLC0415

    if quiet:
        be_quiet()
    config = load_sweep(sweep_file, overrides or [])
    cells = sweep_cells(config, sweep_file)
    if check:
        from ..doctor.sweep import check_sweep  # noqa: PLC0415

        tell_checks(check_sweep(config, cells), as_json=as_json)
        return
    job = SweepJob(config, cells, cells_file, start_over)
    launched = get_launcher(launcher).run_sweep(job)
    if isinstance(launched, Submission):
        show_submission(launched, as_json=as_json)
    else:
        is_whole = cells_file is None
        _conclude_sweep(config, cells, launched, is_whole=is_whole, as_json=as_json)


@sweep_app.command("collect")
def sweep_collect(
    sweep_file: SweepFile,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Summarize the cells that jobs ran and compact the store; exit code 1 if any is missing."""
    from ...data.store.store import ReplyStore  # noqa: PLC0415
    from ..sweeps.cells import collected  # noqa: PLC0415
    from ..sweeps.sweep import load_sweep, sweep_cells  # noqa: PLC0415

    config = load_sweep(sweep_file, overrides or [])
    cells = sweep_cells(config, sweep_file)
    outcomes = collected(config, cells)
    if config.store.is_dir():
        ReplyStore(config.store).compact()
    _conclude_sweep(config, cells, outcomes, is_whole=True, as_json=as_json)


@sweep_app.command("status")
def sweep_status(
    folder: Annotated[Path, typer.Argument(help="Output folder of the sweep.")],
    as_json: AsJson = False,
) -> None:
    """Show which cells of a sweep are done, running, queued, failed or missing."""
    from ..sweeps.cells import cell_states, failure_of, read_sweep_folder  # noqa: PLC0415
    from ..sweeps.sweep import sweep_cells  # noqa: PLC0415
    from .show.sweeps import show_status  # noqa: PLC0415

    config = read_sweep_folder(folder)
    cells = sweep_cells(config, str(folder))
    states = cell_states(config, cells, queued_cells(folder))
    failures = {name: failure_of(config, name) for name in cells if states[name] == "failed"}
    show_status(states, failures, as_json=as_json)


@sweep_app.command("list")
def sweep_list(as_json: AsJson = False) -> None:
    """List the shipped sweeps."""
    from ..sweeps.sweep import shipped_sweeps  # noqa: PLC0415
    from .show.sweeps import show_shipped  # noqa: PLC0415

    show_shipped(shipped_sweeps(), as_json=as_json)


def table(
    sweep_file: SweepFile,
    overrides: Overrides = None,
    trajectory: Annotated[
        bool,
        typer.Option(
            "--trajectory",
            help="Also judge the test split under every intermediate judge prompt: calls to "
            "target, harmful steps. Asks the judge.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make the tables of a sweep, and plots where it has some, from its finished cells."""
    from ..sweeps.files import write_tables, write_trajectory  # noqa: PLC0415
    from ..sweeps.sweep import load_sweep, sweep_cells  # noqa: PLC0415
    from .show.tables import show_tables  # noqa: PLC0415

    config = load_sweep(sweep_file, overrides or [])
    cells = sweep_cells(config, sweep_file)
    tables = write_tables(config, cells)
    show_tables(tables, config.output, as_json=as_json)
    if trajectory:
        say(f"trajectory of the runs: {write_trajectory(config, cells)}")


def _conclude_sweep(
    config: "SweepConfig",
    cells: "Mapping[str, RunConfig]",
    outcomes: "Mapping[str, Outcome]",
    *,
    is_whole: bool,
    as_json: bool,
) -> None:
    """Print cells; of a whole sweep write summary and tables. Exit code 1 if a cell is missing."""
    from ..sweeps.cells import remove_running_folder  # noqa: PLC0415
    from ..sweeps.files import write_tables  # noqa: PLC0415
    from ..sweeps.sweep import method_names, write_summary  # noqa: PLC0415
    from .show.runs import show_sweep  # noqa: PLC0415

    summary = None
    if is_whole:
        remove_running_folder(config)
        summary = write_summary(config, outcomes)
        write_tables(config, cells)
    if not show_sweep(outcomes, method_names(config, cells), summary, as_json=as_json):
        raise typer.Exit(EXIT_PROBLEM)
