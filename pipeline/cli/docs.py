"""The command that shows the documentation, which is installed with the package."""

from typing import Annotated

import typer

from .options import AsJson


def docs(
    page: Annotated[
        str | None, typer.Argument(help="Page to print; without one, the pages are listed.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the pages of the documentation, or print one."""
    from .show.docs import show_page, show_pages  # noqa: PLC0415

    if page is None:
        show_pages(as_json=as_json)
    else:
        show_page(page, as_json=as_json)
