"""The command that makes the page on which annotators label images."""

from pathlib import Path
from typing import Annotated

import typer

from .options import AsJson, Overwrite, parse_pairs


def label(
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGES...",
            help="Folder of images, or a table with their paths (and texts); several are one page.",
        ),
    ],
    task: Annotated[str, typer.Option(help="Task name or task file: question and labels.")],
    image_root: Annotated[
        Path | None, typer.Option(help="Folder that image paths start from; the table's own.")
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column",
            metavar="ROLE=NAME",
            help="Which column of a table is image, image_b, a role of the task or text; "
            "repeatable.",
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Page to write.")] = Path("label.html"),
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Larger images are made smaller; judges see as many.")
    ] = 1024 * 1024,
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Make one offline page on which annotators label images with the keyboard."""
    from ...data.tasks import load_task  # noqa: PLC0415
    from ..labelling.page import write_label_page  # noqa: PLC0415
    from .show.label import show_label_page  # noqa: PLC0415

    loaded = load_task(task)
    first, *more = images
    page = write_label_page(
        first,
        loaded,
        task,
        out,
        max_pixels,
        image_root=image_root,
        columns=parse_pairs("--column", columns),
        more=more,
        overwrite=overwrite,
    )
    show_label_page(page, as_json=as_json)
