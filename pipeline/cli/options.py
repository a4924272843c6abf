"""What several commands share: options, how they are read, exit codes, messages."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ...data.errors import BlpoError
from ...data.shown import shown
from ..launchers.registry import LAUNCHERS

EXIT_PROBLEM = 1
EXIT_WARNING = 3
EXIT_STOPPED = 75
EXIT_INTERRUPTED = 130

ItemsArgument = Annotated[
    Path,
    typer.Argument(help="Dataset file, or any table or folder of images; labels not needed."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, for scripts.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Override a key of the run file; repeatable."),
]
StartOver = Annotated[
    bool,
    typer.Option(help="Remove what an earlier run left in the run directory; the store is kept."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", help="Print the result and warnings only: no progress.")
]
Overwrite = Annotated[bool, typer.Option(help="Replace an existing output.")]
StoreFolder = Annotated[Path, typer.Option("--store", help="Folder of the reply store.")]
StoreOfRun = Annotated[
    Path | None,
    typer.Option("--store", help="Folder of the reply store; the run's, or store without --run."),
]


def known_launcher(name: str) -> str:
    """Callback of `--launcher`. Raises BadParameter, which lists them all."""
    if name not in LAUNCHERS:
        raise typer.BadParameter(f"{name!r}: no such launcher; choose from {', '.join(LAUNCHERS)}")
    return name


def known_methods(names: list[str] | None) -> list[str] | None:
    """Callback of an option of method names. Raises BadParameter, which lists them all."""
    if names:
        # Imported here: `blpo --help` does without the methods themselves.
        from ..methods.registry import known_method  # noqa: PLC0415

        for name in names:
            try:
                known_method(name)
            except ValueError as error:
                raise typer.BadParameter(f"{name!r}: {error}") from None
    return names


def parse_pairs(option: str, values: list[str] | None) -> dict[str, str]:
    """ "key=value" arguments as a mapping."""
    split = [value.partition("=") for value in values or []]
    wrong = next((key for key, separator, _ in split if not separator or not key), None)
    if wrong is not None:
        raise BlpoError(f"{option} {wrong}: expected two names with = between them")
    keys = [key for key, _, _ in split]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise BlpoError(f"{option} {twice}=...: given more than once: keep one")
    return {key: value for key, _, value in split}


def say(message: str) -> None:
    """A message for people, on stderr: stdout is for results."""
    print(shown(message), file=sys.stderr)
