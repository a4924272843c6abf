"""Running the command line inside the test process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from blpo.pipeline.cli.app import main


@dataclass(frozen=True)
class Outcome:
    """What a command line ended with and printed."""

    code: int
    out: str
    err: str


Blpo = Callable[..., Outcome]


def run_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> Outcome:
    """`blpo` with these arguments, in the working directory."""
    monkeypatch.setattr(sys, "argv", ["blpo", *arguments])
    with pytest.raises(SystemExit) as exit_info:
        main()
    printed = capsys.readouterr()
    return Outcome(int(exit_info.value.code or 0), printed.out, printed.err)
