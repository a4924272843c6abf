"""Commands whose help names every option whole, also where there is little room."""

import shutil
from typing import Any

from typer.core import TyperCommand

_LEAST_BOXED = 100
"""Columns; on fewer, the boxes of help would cut the names of options."""


class WholeHelp(TyperCommand):
    """Its help is in boxes where they fit, else plain."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        if shutil.get_terminal_size().columns < _LEAST_BOXED:
            self.rich_markup_mode = None
        super().format_help(ctx, formatter)
