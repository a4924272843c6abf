"""The commands about single runs, and about the tasks that they are of."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .demo import RealDemo, refuse_options, run_real
from .options import (
    EXIT_PROBLEM,
    AsJson,
    Overrides,
    Overwrite,
    Quiet,
    StartOver,
    known_methods,
    say,
)

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
    real: Annotated[
        bool,
        typer.Option(
            "--real",
            help="A real judge on a public dataset instead: GPU and downloads, which are told and "
            "asked about first.",
        ),
    ] = False,
    judge: Annotated[
        str | None,
        typer.Option(help="--real: Hugging Face id or folder.  [Qwen/Qwen3-VL-4B-Instruct]"),
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="--real: folder with the dataset, in place of a download.")
    ] = None,
    num_train: Annotated[
        int, typer.Option(min=6, help="--real: images to align on, as many of each generator.")
    ] = 150,
    num_test: Annotated[int, typer.Option(min=6, help="--real: images to test on.")] = 210,
    overrides: Overrides = None,
    yes: Annotated[bool, typer.Option("--yes", help="--real: go on without a question.")] = False,
    start_over: StartOver = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Run the whole loop on five synthetic tasks with the shipped micro model."""
    from ..runs.progress import be_quiet  # noqa: PLC0415

    if quiet:
        be_quiet()
    if real:
        refuse_options("--real", {"--task": tasks, "--method": methods, "--seed": seeds})
        wanted = RealDemo(out, judge, data, (num_train, num_test), overrides or [])
        run_real(wanted, yes=yes, start_over=start_over, quiet=quiet, as_json=as_json)
        return
    refuse_options("without --real", {"--judge": judge, "--data": data, "--set": overrides})
    _demo(out, tasks, methods, seeds, start_over=start_over, as_json=as_json)


def _demo(
    out: Path,
    tasks: list[str] | None,
    methods: list[str] | None,
    seeds: list[int] | None,
    *,
    start_over: bool,
    as_json: bool,
) -> None:
    from ..runs.demo import DEMO_NOTE, demo_configs, demo_tasks  # noqa: PLC0415
    from ..runs.run_many import execute_runs  # noqa: PLC0415
    from .show.runs import show_demo  # noqa: PLC0415

    names = demo_tasks(tasks)
    say(DEMO_NOTE)
    configs = demo_configs(out, names, methods or ["blpo"], seeds or [0])
    show_demo(execute_runs(configs, start_over=start_over), as_json=as_json)


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
        _show_plan(config, prices or [], run_file, probe=probe, as_json=as_json)
        return
    [run] = execute_runs(
        [config], start_over=start_over, open_log=open_run_log, source=str(run_file)
    )
    show_run(run, as_json=as_json)


def _show_plan(
    config: "RunConfig", prices: list[str], run_file: Path, *, probe: bool, as_json: bool
) -> None:
    from ..plan.plan import parse_prices, plan_run  # noqa: PLC0415
    from .show.plan import show_plan  # noqa: PLC0415

    source = str(run_file)
    plan = plan_run(config, with_probe=probe, prices=parse_prices(prices), source=source)
    show_plan(plan, as_json=as_json)


def compare(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN RUN...", help="Finished runs on one test split.")
    ],
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page, too: prompts, curves and images where the runs disagree."),
    ] = None,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Compare finished runs with the first: effect, confidence interval, paired tests."""
    from ..comparison.page import write_comparison  # noqa: PLC0415
    from ..sweeps.compare import compare_past_runs, read_runs  # noqa: PLC0415
    from .show.tables import show_comparisons  # noqa: PLC0415

    past = read_runs(runs)
    found = compare_past_runs(past)
    if html is not None:
        write_comparison(html, found, past, overwrite=overwrite)
    show_comparisons(found, html, as_json=as_json)


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
