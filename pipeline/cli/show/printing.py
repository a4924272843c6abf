"""Where the commands print: tables for people on stdout, or one JSON document."""

import json

from rich.console import Console


def stdout_console() -> Console:
    # Off a terminal rich would fold tables at 80 columns.
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=140, soft_wrap=False)


def print_json(value: object) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
