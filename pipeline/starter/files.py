"""Writing the two files: choices in, commented YAML out, read back before it is kept."""

import math
import re
import shlex
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import ValidationError

from ...data.arrow import atomic_path
from ...data.errors import ConfigError, DataError
from ...data.tasks import TIE, Kind, Task
from ...data.text_files import parse_yaml
from ...data.validation import validation_message
from ..config import RunConfig, parse_config
from .data import Found
from .engines import check_judge

I2T_PROMPT = "Describe the image in detail."
RUN_FILE = "run.yaml"
_RUN_NAME = RUN_FILE.removesuffix(".yaml")
_MAX_NAME = 60
_FILL_WORDS = {
    *("a", "an", "are", "as", "at", "do", "does", "for", "how", "in", "is", "it", "its"),
    *("of", "on", "or", "the", "to", "what", "which"),
}


@dataclass(frozen=True, slots=True)
class Choices:
    """What `blpo init` was told.

    question: p_0. judge, optimizer: as of `engine_fields`; optimizer is empty for the judge's own.
    """

    name: str
    description: str
    kind: Kind
    labels: tuple[str, ...]
    question: str
    has_text: bool
    judge: Mapping[str, str]
    optimizer: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RunFile:
    """A first run file. judge, optimizer: as in `Choices`. origin: what made the dataset."""

    task: str
    dataset: Path
    output: Path
    judge: Mapping[str, str]
    optimizer: Mapping[str, str]
    origin: str
    store: Path = Path("store")

    def text(self) -> str:
        """Commented. Raises ConfigError for a model that cannot be."""
        text = _environment().get_template("run.yaml.j2").render(run=self)
        parse_config(RunConfig, parse_yaml(text, RUN_FILE, ConfigError), RUN_FILE)
        return text


def suggested_kind(labels: Sequence[str], found: Found) -> Kind:
    """The kind that fits labels best."""
    if found.is_pairs:
        return "pairwise"
    if len(labels) == 2:
        return "binary"
    return "ordinal" if labels and all(label.isdecimal() for label in labels) else "categorical"


def answer_instruction(labels: Sequence[str]) -> str:
    """The fixed end of every judge prompt, which names the labels."""
    what = "number" if all(label.isdecimal() for label in labels) else "word"
    if any(len(label.split()) > 1 for label in labels):
        what = "label"
    return f"Answer with one {what}: {', '.join(labels[:-1])} or {labels[-1]}."


def task_name(description: str) -> str:
    """A name for a task: the first words of its description that tell it from others."""
    telling = [word for word in _words(description) if word not in _FILL_WORDS]
    name = "-".join(telling[:3])[:_MAX_NAME].rstrip("-") or "my-task"
    return f"{name}-task" if name == _RUN_NAME else name


def checked_name(name: str) -> str:
    """A name that was given, in the letters that names have.

    Raises ConfigError for one without any, and for that of the run file.
    """
    if re.fullmatch("[a-z0-9][a-z0-9_-]*", name) and name != _RUN_NAME:
        return name
    written = "-".join(_words(name))[:_MAX_NAME].rstrip("-")
    if not written or written == _RUN_NAME:
        why = f"{RUN_FILE} is the run file" if written else "it has none of a-z and 0-9"
        raise ConfigError(f"init: the name {name!r} cannot be a task's: {why}; pass another --name")
    return written


def _words(text: str) -> list[str]:
    """Words in the letters a-z and digits: accents are dropped, an apostrophe ends no word."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    plain = "".join(sign for sign in plain if not unicodedata.combining(sign))
    return re.findall("[a-z0-9]+", re.sub("['\N{RIGHT SINGLE QUOTATION MARK}]", "", plain))


def make_task(choices: Choices) -> Task:
    """Raises ConfigError that says which answer cannot be."""
    is_pairwise = choices.kind == "pairwise"
    labels = ("A", TIE, "B") if is_pairwise and len(choices.labels) == 3 else choices.labels
    fields: dict[str, Any] = {
        "name": choices.name,
        "description": choices.description,
        "kind": choices.kind,
        "labels": labels,
        "judge_prompt": choices.question,
        "i2t_prompt": I2T_PROMPT,
        "answer_instruction": answer_instruction(labels) if labels else "?",
        "primary_metric": "accuracy" if is_pairwise else "macro_f1",
        "carries_text": choices.has_text,
        "compare": "joint" if is_pairwise else None,
    }
    try:
        return Task.model_validate(fields)
    except ValidationError as error:
        raise ConfigError(validation_message(error, "init", Task)) from None


def write_files(
    choices: Choices,
    folder: Path,
    images: Sequence[Path] = (),
    found: Found | None = None,
    *,
    overwrite: bool = False,
) -> tuple[Path, Path]:
    """Write task file and run file into a folder; where they are.

    images, found: what the dataset will be made of, as of `next_commands`.

    Raises ConfigError for choices that are no task or no model, DataError for a file that is there.
    """
    task = make_task(choices)
    check_judge(choices.judge, task)
    paths = folder / f"{task.name}.yaml", folder / RUN_FILE
    run = RunFile(
        task=str(paths[0]),
        dataset=folder / f"{task.name}.parquet",
        output=folder / "runs" / task.name,
        judge=choices.judge,
        optimizer=choices.optimizer,
        origin="Made by: " + shlex.join(_import_command(paths[0], images, found or Found())),
    )
    texts = task_text(task), run.text()
    check_free(paths, overwrite=overwrite)
    for path, text in zip(paths, texts, strict=True):
        with atomic_path(path, overwrite=overwrite) as temporary:
            temporary.write_text(text, "utf-8")
    return paths


def check_free(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Raises DataError for a file that is there, unless it may be replaced."""
    for path in paths:
        if path.exists() and not overwrite:
            raise DataError(
                f"{path}: already there: name another folder, or pass --overwrite to replace it"
            )


def task_text(task: Task) -> str:
    """A commented task file that reads as this task."""
    text = _environment().get_template("task.yaml.j2").render(task=task)
    read = Task.model_validate(parse_yaml(text, task.name, ConfigError))
    if read != task:
        raise ConfigError(f"task {task.name}: these texts cannot be written as YAML: simplify them")
    return text


def next_commands(task_file: Path, images: Sequence[Path], found: Found) -> list[str]:
    """The commands from here to a run. images: folders or tables; none where none were named."""
    task, run = str(task_file), str(task_file.with_name(RUN_FILE))
    commands = [] if found.labels else [["blpo", "label", *_sources(images), "--task", task]]
    commands += [
        _import_command(task_file, images, found),
        ["blpo", "doctor", run],
        ["blpo", "optimize", run, "--dry-run"],
        ["blpo", "optimize", run],
    ]
    return [shlex.join(command) for command in commands]


def _sources(images: Sequence[Path]) -> list[str]:
    return list(map(str, images)) or ["IMAGES"]


def _import_command(task_file: Path, images: Sequence[Path], found: Found) -> list[str]:
    sources = _sources(images)
    roots = [part for source in sources for part in ("--image-root", source)]
    table = sources if found.labels else ["LABELS.csv", *roots]
    dataset = str(task_file.with_suffix(".parquet"))
    return ["blpo", "import", "table", *table, "--task", str(task_file), "--out", dataset]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("blpo.pipeline.starter"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters["yaml"] = _inline
    return environment


def _inline(value: object) -> str:
    """A value as YAML on one line; numbers in a list without quotes."""
    if isinstance(value, list):
        texts = cast("list[str]", value)
        value = [int(text) if re.fullmatch("0|[1-9][0-9]*", text) else text for text in texts]
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.removesuffix("...\n").strip()
