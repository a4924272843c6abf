"""The command that writes a first task file and run file, from answers or options."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import typer

from ...data.errors import BlpoError, ConfigError
from .options import AsJson, Overwrite, say

if TYPE_CHECKING:
    from ..starter.data import Found
    from ..starter.files import Choices

# Spelled out here: the modules that own them import heavy libraries.
Kind = Literal["binary", "categorical", "ordinal", "pairwise"]

Value = TypeVar("Value")

_LOCAL_JUDGE = "Qwen/Qwen3-VL-8B-Instruct"


def init(
    folder: Annotated[Path, typer.Argument(help="Where the two files go.")] = Path(),
    images: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of images, or table with their paths; may be later. Repeatable: several "
            "are one set."
        ),
    ] = None,
    description: Annotated[
        str | None, typer.Option(help="What is judged, in one line. Asked for if not given.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Name of task and files, in a-z, 0-9, - and _; made of the description if not "
            "given."
        ),
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="All labels, with commas between; lowest first on a scale.")
    ] = None,
    kind: Annotated[Kind | None, typer.Option(help="Kind of the task; told by the labels.")] = None,
    question: Annotated[
        str | None, typer.Option(help="First judge prompt; the description by default.")
    ] = None,
    text: Annotated[
        bool | None,
        typer.Option("--text/--no-text", help="Whether a text of its own comes with each image."),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            help="Judge: a Hub id, a local folder, a server's model; of the test bench, micro or a "
            "world file."
        ),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="Base URL of the server that has the judge; here without it.")
    ] = None,
    key_env: Annotated[
        str | None, typer.Option(help="Environment variable that holds the server's key.")
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(help="Hosted model that rewrites the prompts; the judge's own by default."),
    ] = None,
    optimizer_endpoint: Annotated[
        str, typer.Option(help="Base URL of its server.")
    ] = "https://api.openai.com/v1",
    optimizer_key_env: Annotated[
        str, typer.Option(help="Environment variable that holds its key.")
    ] = "OPENAI_API_KEY",
    overwrite: Overwrite = False,
    as_json: AsJson = False,
) -> None:
    """Write a commented task file and run file. Asks for what no option says."""
    from ..starter.data import as_labels  # noqa: PLC0415
    from ..starter.engines import optimizer_fields  # noqa: PLC0415
    from ..starter.files import (  # noqa: PLC0415
        RUN_FILE,
        Choices,
        check_free,
        checked_name,
        next_commands,
        suggested_kind,
        task_name,
        write_files,
    )
    from .show.init import show_written  # noqa: PLC0415

    check_free([folder / RUN_FILE], overwrite=overwrite)
    sources, found = _images(images or [])
    what = description or _ask("What is judged, in one line?", None, "--description", str)
    draft = Choices(
        name=task_name(what) if name is None else checked_name(name),
        description=what,
        kind=kind or suggested_kind((), found),
        labels=(),
        question=question or what,
        has_text=found.has_text if text is None else text,
        judge={},
        optimizer={},
    )
    draft = _with_labels(draft, labels, kind, found)
    found = as_labels(found, sources, draft.labels)
    if not question:
        draft = replace(draft, question=_ask("First question to the judge", what, None, str))
    engine = _judge(draft, judge, endpoint, key_env)
    choices = replace(
        draft,
        name=_name(name, draft.name),
        judge=engine,
        optimizer=optimizer_fields(engine, optimizer, optimizer_endpoint, optimizer_key_env),
    )
    task_file, run_file = write_files(choices, folder, sources, found, overwrite=overwrite)
    show_written(task_file, run_file, next_commands(task_file, sources, found), as_json=as_json)


def _images(images: Sequence[Path]) -> tuple[Sequence[Path], "Found"]:
    """Where the images are, nowhere for later, and what they say."""
    from ..starter.data import Found, look_at, look_at_all  # noqa: PLC0415

    def read(told: str) -> tuple[Sequence[Path], Found]:
        return ([Path(told)], look_at(Path(told))) if told else ([], Found())

    if images:
        return images, look_at_all(images)
    return _ask("Images: a folder, or a table with their paths (empty: later)", "", None, read)


def _with_labels(
    draft: "Choices", told: str | None, kind: Kind | None, found: "Found"
) -> "Choices":
    """With the labels that are given, else those that pairs have, else those that the images have;
    of the kind that is given, else the one that fits the labels.
    """
    from ..starter.files import make_task, suggested_kind  # noqa: PLC0415

    def with_labels(labels: tuple[str, ...]) -> "Choices":
        choices = replace(draft, labels=labels, kind=kind or suggested_kind(labels, found))
        make_task(choices)
        return choices

    def read(told: str) -> "Choices":
        return with_labels(tuple(label.strip() for label in told.split(",") if label.strip()))

    if told is not None:
        return read(told)
    if kind == "pairwise" or found.is_pairs:
        return with_labels(("A", "B") if "tie" not in found.labels else ("A", "tie", "B"))
    suggested = ", ".join(found.labels) or None
    what = "Labels, with commas between (lowest first on a scale)"
    return _ask(what, suggested, "--labels", read)


def _judge(
    draft: "Choices", model: str | None, endpoint: str | None, key_env: str | None
) -> Mapping[str, str]:
    """Settings of the judge that is given, else asked for."""
    from ..starter.engines import check_judge, engine_fields  # noqa: PLC0415
    from ..starter.files import make_task  # noqa: PLC0415

    task = make_task(draft)

    def read(told: str) -> Mapping[str, str]:
        engine = engine_fields(told, endpoint, key_env)
        check_judge(engine, task)
        return engine

    return read(model) if model else _ask("Judge", _LOCAL_JUDGE, None, read)


def _name(given: str | None, written: str) -> str:
    """The task's name, asked for if not given. written: in the letters that names have."""
    from ..starter.files import checked_name  # noqa: PLC0415

    if given is None:
        return _ask("Name of task and files", written, None, checked_name)
    if given != written:
        say(f"the name {given!r} is written {written}: names have a-z, 0-9, - and _")
    return written


def _ask(
    question: str, default: str | None, option: str | None, read: Callable[[str], Value]
) -> Value:
    """An answer from a terminal, asked for until it can be read. Elsewhere the default; without one
    raises ConfigError.
    """

    def checked(told: str) -> Value:
        try:
            return read(told)
        except BlpoError as error:
            raise typer.BadParameter(str(error)) from None

    if sys.stdin.isatty():
        prompt: Callable[..., Value] = typer.prompt
        return prompt(question, default=default, err=True, value_proc=checked)
    if default is None:
        raise ConfigError(f"init: {option} is missing, and there is no terminal to ask on: pass it")
    return read(default)
