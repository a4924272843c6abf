"""What the commands that make dataset files share: options and how they are read."""

from pathlib import Path
from typing import Annotated

import typer

from ...data.errors import ConfigError

Out = Annotated[
    Path | None, typer.Option(help="Dataset file (Parquet) to write; with --dry-run it is not.")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Look and tell; nothing is written.")]
LabelMap = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="FOUND=TASK", help="Rename a label; repeatable."),
]
Rescale = Annotated[
    str | None,
    typer.Option(metavar="LOW-HIGH", help="Ends of the data's scale, put on the task's."),
]


def output_file(name: str, out: Path | None, *, dry_run: bool) -> Path | None:
    """The file to write, None in a dry run. Raises ConfigError where neither is asked for."""
    if out is None and not dry_run:
        raise ConfigError(f"import {name}: name a dataset file with --out, or pass --dry-run")
    return None if dry_run else out


def parse_scale(text: str | None) -> tuple[float, float] | None:
    """The ends of a scale written as "1-7". Raises ConfigError for anything else."""
    if text is None:
        return None
    low, _, high = text.partition("-")
    try:
        return float(low), float(high)
    except ValueError:
        raise ConfigError(f"--rescale {text}: expected the ends of a scale, as in 1-7") from None
