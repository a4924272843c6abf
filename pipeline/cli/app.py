"""The command line, put together. Heavy modules are imported by the commands that need them."""

import io
import logging
import os
import sys
import threading
import traceback
from importlib import metadata
from types import TracebackType
from typing import Annotated, TextIO

import typer

from ...data.errors import BlpoError, StoppedError, what_failed
from ...data.shown import ShownFormatter
from .command import use_command_class
from .decisions import decide, estimate, next_
from .docs import docs
from .doctor import doctor
from .example import example
from .export import export
from .imports import import_app
from .init import init
from .judge import evaluate, judge_app
from .label import label
from .options import EXIT_INTERRUPTED, EXIT_PROBLEM, EXIT_STOPPED, say
from .runs import compare, demo, optimize, tasks, verify
from .store import store_app
from .sweeps import sweep_app, table

app = typer.Typer(
    help="Align a multimodal LLM judge with human labels (Bi-Level Prompt Optimization).",
    epilog="Exit codes: 0 done; 1 a problem that the message names; 2 wrong usage; 3 `doctor` "
    "found warnings only; 75 stopped by USR2 or TERM, 130 interrupted (the same command goes on "
    "where it stopped).",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _say_version(asked: bool) -> None:
    if asked:
        from .show.printing import print_line  # noqa: PLC0415

        print_line(f"blpo {metadata.version('blpo')}")
        raise typer.Exit


@app.callback()
def about(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_say_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """What every command takes."""


_SHOWN_FIRST = (demo, example, init, label, optimize, evaluate, decide, estimate, export)

for command in (*_SHOWN_FIRST, compare, table, verify, tasks, doctor, docs):
    app.command()(command)
app.command("next")(next_)
app.add_typer(import_app, name="import")
app.add_typer(store_app, name="store")
app.add_typer(sweep_app, name="sweep")
app.add_typer(judge_app, name="judge")
use_command_class(app)


def main() -> None:
    """Entry point of `blpo`: what a user can act on is a message, never a traceback."""
    _set_up_output()
    try:
        app()
    except BlpoError as error:
        say(f"error: {error}")
        sys.exit(EXIT_PROBLEM)
    except BrokenPipeError:
        # Whoever read our output has gone (`blpo ... | head`): there is nobody to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_PROBLEM)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        say(f"error: {where}{what_failed(error)}")
        sys.exit(EXIT_PROBLEM)
    except (MemoryError, ImportError) as error:
        if not _is_out_of_memory(error):
            raise
        say("error: out of memory: give it more; the same command goes on where it stopped")
        sys.exit(EXIT_PROBLEM)
    except SystemExit as ended:
        if ended.code == EXIT_INTERRUPTED:
            say("interrupted; the same command goes on where it stopped")
        raise
    except StoppedError:
        say("stopped as asked; the same command goes on where it stopped")
        sys.exit(EXIT_STOPPED)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether there is no memory left, if only for the library that is loaded."""
    return isinstance(error, MemoryError) or "failed to map segment" in str(error)


def _set_up_output() -> None:
    """Logs and tracebacks without keys and controls; no character that cannot be printed fails."""
    handler = _StderrHandler()
    handler.setFormatter(ShownFormatter("%(message)s"))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("blpo").setLevel(logging.INFO)
    sys.excepthook = _say_traceback
    threading.excepthook = lambda thread: _say_traceback(*thread[:3])
    stdout: object = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(errors="backslashreplace")


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes where stderr is by now: above the bars of progress, while there are any."""

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


def _say_traceback(
    kind: type[BaseException], error: BaseException | None, trace: TracebackType | None
) -> None:
    say("".join(traceback.format_exception(kind, error, trace)).removesuffix("\n"))
