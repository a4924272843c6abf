"""The one place through which commands print: on stdout for people or as one JSON document.

Texts are texts: no markup in them is interpreted, and what a terminal would obey is shown escaped
(`data/shown.py`).
"""

from typing import Any

from rich.console import Console
from rich.text import Text

from ....data.shown import shown, shown_json

SYNTHETIC = "Synthetic test bench: these figures say nothing about real judges."
"""What stands under figures of the test bench."""


class _TextConsole(Console):
    """A console that takes every string, in tables too, for text."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(shown(text), **options)


def stdout_console(width: int | None = None, *, soft_wrap: bool = False) -> Console:
    """width: of tables; None for the terminal's, or 140 where there is none."""
    console = _TextConsole(
        highlight=False, markup=False, emoji=False, width=width, soft_wrap=soft_wrap
    )
    if width is None and not console.is_terminal and not soft_wrap:
        # Off a terminal rich would fold tables at 80 columns.
        return stdout_console(140)
    return console


def print_line(text: str) -> None:
    """A line, or several."""
    print(shown(text))


def print_json(value: object) -> None:
    print(shown_json(value))
