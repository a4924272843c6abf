"""The commands about single runs, and about the tasks that they are of."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import EXIT_PROBLEM, AsJson, Overrides, Quiet, StartOver, known_methods, say

if TYPE_CHECKING:
    from ..config import RunConfig


def demo(
    out: Annotated[Path, typer.Option(help="Folder for data, store and runs.")] = Path("blpo-demo"),
    tasks: Annotated[
        list[str] | None,
        typer.Option("--task", help="Micro task; repeatable, all five by default."),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            callback=known_methods,
            help="How the judge prompt is optimized; repeatable, blpo by default.",
        ),
    ] = None,
    seeds: Annotated[
        list[int] | None, typer.Option("--seed", help="Seed of a run; repeatable.  [0]")
    ] = None,
    start_over: StartOver = False,
    as_json: AsJson = False,
) -> None:
    """Run the whole loop on five synthetic tasks with the shipped micro model."""
    from ..runs.demo import DEMO_NOTE, demo_configs, demo_tasks  # noqa: PLC0415
    from ..runs.run_many import execute_runs  # noqa: PLC0415
    from .show.runs import show_runs  # noqa: PLC0415

    names = demo_tasks(tasks)
    say(DEMO_NOTE)
    configs = demo_configs(out, names, methods or ["blpo"], seeds or [0])
    show_runs(execute_runs(configs, start_over=start_over), as_json=as_json)


def optimize(
    run_file: Annotated[Path, typer.Argument(help="YAML file that describes the run.")],
    overrides: Overrides = None,
    start_over: StartOver = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the plan and run nothing: calls, what the store holds, time and cost.",
        ),
    ] = False,
    probe: Annotated[
        bool, typer.Option(help="--dry-run: start the models and time a few questions.")
    ] = True,
    prices: Annotated[
        list[str] | None,
        typer.Option(
            "--price",
            metavar="ROLE=PROMPT/COMPLETION",
            help="--dry-run: prices of a million tokens, such as optimizer=2/8; repeatable.",
        ),
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Optimize a judge prompt as described in a run file; the same command resumes."""
    from ..config import load_run_config  # noqa: PLC0415
    from ..runs.progress import be_quiet  # noqa: PLC0415
    from ..runs.run_many import execute_runs  # noqa: PLC0415
    from ..tracking.run_log import open_run_log  # noqa: PLC0415
    from .show.runs import show_run  # noqa: PLC0415

    if quiet:
        be_quiet()
    config = load_run_config(run_file, overrides or [])
    if dry_run:
        _show_plan(config, prices or [], probe=probe, as_json=as_json)
        return
    [run] = execute_runs([config], start_over=start_over, open_log=open_run_log)
    show_run(run, as_json=as_json)


def _show_plan(config: "RunConfig", prices: list[str], *, probe: bool, as_json: bool) -> None:
    from ..plan.plan import parse_prices, plan_run  # noqa: PLC0415
    from .show.plan import show_plan  # noqa: PLC0415

    plan = plan_run(config, with_probe=probe, prices=parse_prices(prices))
    show_plan(plan, as_json=as_json)


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Finished runs on one test split.")
    ],
    as_json: AsJson = False,
) -> None:
    """Compare finished runs with the first: effect, confidence interval, paired tests."""
    from ..sweeps.compare import compare_runs  # noqa: PLC0415
    from .show.tables import show_comparisons  # noqa: PLC0415

    show_comparisons(compare_runs(runs), as_json=as_json)


def verify(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Finished runs, or a sweep's output folder."),
    ],
    as_json: AsJson = False,
) -> None:
    """Compute every figure of finished runs again from their predictions and compare.

    Exit code 1 if one differs.
    """
    from ..verify.folders import runs_in  # noqa: PLC0415
    from ..verify.run import verify_run  # noqa: PLC0415
    from .show.verify import show_verified  # noqa: PLC0415

    found = {run: verify_run(run) for given in runs for run in runs_in(given)}
    show_verified(found, as_json=as_json)
    if any(findings.differences for findings in found.values()):
        raise typer.Exit(EXIT_PROBLEM)


def tasks(as_json: AsJson = False) -> None:
    """List the shipped tasks."""
    from .show.tasks import show_tasks  # noqa: PLC0415

    show_tasks(as_json=as_json)
