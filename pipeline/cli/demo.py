"""`blpo demo --real`: the plan first, then on a yes all that it says."""

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ...data.errors import ConfigError

if TYPE_CHECKING:
    from ..starter.real import RealPlan

_log = logging.getLogger("blpo.demo")


@dataclass(frozen=True, slots=True)
class RealDemo:
    """What the options say, see `plan_real`. judge: None for the default."""

    out: Path
    judge: str | None
    data: Path | None
    sizes: tuple[int, int]
    overrides: Sequence[str]


def refuse_options(what: str, given: Mapping[str, object]) -> None:
    """Raises ConfigError for options that do not go together."""
    named = next((name for name, value in given.items() if value), None)
    if named is not None:
        raise ConfigError(f"demo: {what} does not take {named}: leave it out")


def run_real(wanted: RealDemo, *, yes: bool, start_over: bool, quiet: bool, as_json: bool) -> None:
    """Plan, question, downloads, import, run, result."""
    from ..config import load_run_config  # noqa: PLC0415
    from ..runs.run_many import execute_runs  # noqa: PLC0415
    from ..starter.real import DEFAULT_JUDGE, plan_real  # noqa: PLC0415
    from .show.real import show_real_plan  # noqa: PLC0415
    from .show.runs import show_run  # noqa: PLC0415

    judge = wanted.judge or DEFAULT_JUDGE
    plan = plan_real(wanted.out, judge, wanted.data, wanted.sizes, wanted.overrides)
    if not (quiet and yes):
        show_real_plan(plan)
    _confirm(yes=yes)
    _prepare(plan)
    config = load_run_config(plan.run_file, wanted.overrides)
    [run] = execute_runs([config], start_over=start_over)
    show_run(run, as_json=as_json)


def _confirm(*, yes: bool) -> None:
    """Raises ConfigError where nobody can be asked."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(
            "demo --real: nothing was fetched: pass --yes to go on without a question"
        )
    typer.confirm("Go on?", abort=True, err=True)


def _prepare(plan: "RealPlan") -> None:
    from ..runs.progress import counting  # noqa: PLC0415
    from ..starter.real import prepare  # noqa: PLC0415

    with counting("import", "rows and images") as count:
        manifest = prepare(plan, count)
    if manifest is None:
        _log.info("%s: there already", plan.run.dataset)
        return
    num, skipped = len(manifest.examples), sum(s.count for s in manifest.skipped.values())
    _log.info("%s: %d images; rows left out: %d; see its manifest", plan.run.dataset, num, skipped)
