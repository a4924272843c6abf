"""The command that writes an example project to try the others on."""

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson


def example(
    folder: Annotated[Path, typer.Argument(help="Folder to write into.")],
    asked: Annotated[
        Path | None,
        typer.Option(
            "--answer",
            metavar="TABLE",
            help="In place of that, write what the annotators say of the images in this table.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write rendered photos and three annotators' labels to try blpo on. Synthetic."""
    from ..starter.example import answer, write_example  # noqa: PLC0415
    from .show.init import show_answers, show_example  # noqa: PLC0415

    if asked is not None:
        show_answers(answer(folder, asked), as_json=as_json)
        return
    show_example(write_example(folder), as_json=as_json)
