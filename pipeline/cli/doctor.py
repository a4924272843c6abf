"""`blpo doctor`: one line per check, and an exit code that says the worst."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...data.errors import ConfigError
from .options import EXIT_PROBLEM, EXIT_WARNING, AsJson, Overrides

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..doctor.check import Check


def doctor(
    run_file: Annotated[
        Path | None, typer.Argument(help="Run file whose data and models are checked.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Judge to check, without a run file: a folder, a Hub id, or micro."),
    ] = None,
    task: Annotated[
        str, typer.Option(help="Task whose labels are shown, with --model.")
    ] = "unsafebench",
    overrides: Overrides = None,
    store: Annotated[
        Path, typer.Option(help="Folder of the reply store, without a run file.")
    ] = Path("store"),
    probe: Annotated[
        bool, typer.Option(help="Start the model and ask it two questions about one image.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Check this machine, a model or a run: one line each, with the remedy.

    Exit code: 0 all is well; 3 there are warnings; 1 there are errors.
    """
    checks = _checks(run_file, model, task, overrides or [], store, probe=probe)
    tell_checks(checks, as_json=as_json)


def tell_checks(checks: "Iterable[Check]", *, as_json: bool) -> None:
    """Print checks as they come. Exit code 1 for an error among them, 3 for warnings alone."""
    from ..doctor.check import Level, worst  # noqa: PLC0415
    from .show.doctor import print_check, print_checks_json  # noqa: PLC0415

    found: list[Check] = []
    for check in checks:
        found.append(check)
        if not as_json:
            print_check(check)
    if as_json:
        print_checks_json(found)
    codes = {Level.WARNING: EXIT_WARNING, Level.ERROR: EXIT_PROBLEM}
    if (level := worst(found)) in codes:
        raise typer.Exit(codes[level])


def _checks(
    run_file: Path | None,
    model: str | None,
    task: str,
    overrides: list[str],
    store: Path,
    *,
    probe: bool,
) -> "Iterator[Check]":
    from ...data.tasks import load_task  # noqa: PLC0415
    from ...models.engines.settings import EngineSettings  # noqa: PLC0415
    from ..config import load_run_config, parse_config  # noqa: PLC0415
    from ..doctor.diagnose import (  # noqa: PLC0415
        diagnose_machine,
        diagnose_model,
        diagnose_run,
    )

    if run_file is not None and model is not None:
        raise ConfigError("doctor: name a run file or --model, not both")
    if run_file is not None:
        config = load_run_config(run_file, overrides)
        yield from diagnose_machine(config.store)
        yield from diagnose_run(config, probe=probe, source=str(run_file))
        return
    yield from diagnose_machine(store)
    if model is not None:
        settings = parse_config(EngineSettings, {"model": model}, "--set", overrides)
        yield from diagnose_model(settings, load_task(task), probe=probe)
