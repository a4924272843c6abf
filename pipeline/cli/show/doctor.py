"""What `blpo doctor` prints."""

from collections.abc import Sequence

from rich.text import Text

from ....data.shown import shown
from ...doctor.check import Check, Level
from .printing import print_json, stdout_console

_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "bold red"}


def print_check(check: Check) -> None:
    """A line: level, subject, what was found; of many problems the first."""
    found = f"{check.brief}; `--json` shows all" if check.brief else check.found
    level = Text(f"{check.level.name.lower():7}", style=_STYLES[check.level])
    line = Text.assemble(level, f" {check.subject:13} ", shown(found).replace("\n", " "))
    stdout_console().print(line, soft_wrap=True)


def print_checks_json(checks: Sequence[Check]) -> None:
    """A list of objects with `subject`, `level` and `found`."""
    print_json(
        [
            {"subject": check.subject, "level": check.level.name.lower(), "found": check.found}
            for check in checks
        ]
    )
