"""What a documented command is checked by where it is not run: its program's own parser."""

import argparse
import contextlib
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer
import typer.main
from blpo.pipeline.cli.app import app
from documentation import ROOT

# Of whichever click typer brings along.
UsageError: Any = typer.BadParameter.__base__

SHIPPED_SWEEPS = {path.stem for path in (ROOT / "pipeline/sweeps/shipped").glob("*.yaml")}


def parse_blpo(arguments: Sequence[str]) -> None:
    """Raises UsageError for an unknown command, option or value."""
    root: Any = typer.main.get_command(app)
    command, context, rest = root, root.make_context("blpo", list(arguments)), list(arguments)
    while hasattr(command, "commands"):
        rest = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, rest)
        assert command is not None, rest
        context = command.make_context(name, rest, parent=context)


def check_blpo(arguments: Sequence[str]) -> None:
    parse_blpo(arguments)
    words = [word for word in arguments if not word.startswith("-")]
    if words[0] in {"sweep", "table"} and words[1] not in {"run", "collect", "status"}:
        assert words[1].endswith(".yaml") or words[1] in SHIPPED_SWEEPS, words[1]


def check_python(arguments: Sequence[str]) -> None:
    """The script's own parser takes the arguments; one without a parser takes none."""
    if arguments[0] == "-m":
        assert (Path(sys.executable).with_name(arguments[1])).exists(), arguments[1]
        return
    script = ROOT / arguments[0]
    if "argparse" not in script.read_text("utf-8"):
        assert len(arguments) == 1, f"{arguments[0]} takes no arguments"
        return
    with parsing_only(arguments), pytest.raises(ParsedError):
        runpy.run_path(str(script), run_name="__main__")


def check_inline_python(arguments: Sequence[str]) -> None:
    option, code = arguments
    assert option == "-c"
    compile(code, "inline", "exec")


class ParsedError(Exception):
    """A script has parsed its arguments."""


@contextlib.contextmanager
def parsing_only(arguments: Sequence[str]) -> Generator[None]:
    """Scripts end as soon as they have parsed these arguments."""
    parse = argparse.ArgumentParser.parse_args

    def parse_and_end(parser: argparse.ArgumentParser) -> NoReturn:
        parse(parser)
        raise ParsedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*arguments])
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_and_end)
        yield


def check_bash(arguments: Sequence[str]) -> None:
    script, *rest = arguments
    subprocess.run(["bash", "-n", str(ROOT / script)], check=True)
    if script == "scripts/setup.sh":
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        assert set(rest) <= set(project["optional-dependencies"]), rest
    if script == "scripts/test.sh":
        assert all((ROOT / path).exists() for path in rest), rest


def check_sbatch(arguments: Sequence[str]) -> None:
    """Options of sbatch, a script of ours, and what it takes."""
    place = next(i for i, word in enumerate(arguments) if not word.startswith("--"))
    script = arguments[place]
    assert (ROOT / script).exists(), script
    if script == "slurm/optimize.sbatch":
        parse_blpo(["optimize", *arguments[place + 1 :]])


def check_installed(program: str) -> Callable[[Sequence[str]], None]:
    def check(_: Sequence[str]) -> None:
        assert Path(sys.executable).with_name(program).exists(), program

    return check


def check_nothing(_: Sequence[str]) -> None:
    """Of a command that needs no look."""


CHECKS: Mapping[str, Callable[[Sequence[str]], None]] = {
    "blpo": check_blpo,
    "bash": check_bash,
    "sbatch": check_sbatch,
    ".venv/bin/python": check_python,
    "python": check_inline_python,
    "cp": check_nothing,
} | {
    name: check_installed(name.rpartition("/")[2])
    for name in (".venv/bin/ruff", ".venv/bin/basedpyright", "hf")
}
