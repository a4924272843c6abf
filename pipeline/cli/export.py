"""The command that hands an aligned judge on to other programs."""

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, Overwrite

# Spelled out here: the module that owns them imports heavy libraries.
FORMAT_NAMES = ("bundle", "text", "openai", "vllm", "promptfoo", "inspect", "mlflow")


def _known_format(name: str) -> str:
    if name not in FORMAT_NAMES:
        raise typer.BadParameter(f"{name!r}: no such format; choose from {', '.join(FORMAT_NAMES)}")
    return name


def export(
    run: Annotated[Path, typer.Argument(help="A finished run.")],
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(FORMAT_NAMES),
            callback=_known_format,
            help="bundle: everything, for `blpo judge --bundle`. text: the prompt. openai, vllm: a "
            "request body. promptfoo, inspect: a test of the prompt. mlflow: a model folder.",
        ),
    ] = "bundle",
    out: Annotated[
        Path | None, typer.Option(help="File or folder to write; named after the run.")
    ] = None,
    without_reading: Annotated[
        bool,
        typer.Option(
            "--without-reading",
            help="Leave out the reading that the run fitted: labels are the likeliest ones.",
        ),
    ] = False,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Export the judge of a finished run: its prompt and what belongs to it, for use elsewhere."""
    from ..bulk.bundle_of_run import bundle_of_run  # noqa: PLC0415
    from ..export.registry import export as write  # noqa: PLC0415
    from ..export.registry import for_format  # noqa: PLC0415
    from ..runs.finished_run import read_past_run  # noqa: PLC0415
    from .show.export import show_export  # noqa: PLC0415

    whole = bundle_of_run(run, without_reading=without_reading)
    bundle = for_format(read_past_run(run), whole, format_name)
    path = write(bundle, format_name, out, overwrite=overwrite)
    show_export(bundle, format_name, path, as_json=as_json)
