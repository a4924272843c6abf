"""Tasks: what is judged, on which labels, and the prompts that a run starts from."""

from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    model_validator,
)

from .errors import DataError
from .validation import read_yaml, validation_message

Kind = Literal["binary", "categorical", "ordinal", "pairwise"]
Metric = Literal["macro_f1", "accuracy"]


def label_text(value: object) -> str:
    """A label as it is compared everywhere: stripped text; 1, 1.0 and "1.0" are all "1"."""
    text = str(value).strip()
    whole, point, decimals = text.partition(".")
    is_whole = point and whole.lstrip("-").isdecimal() and decimals.strip("0") == ""
    return whole if is_whole else text


def _declared_labels(value: object) -> object:
    if not isinstance(value, list | tuple):
        return value
    for label in value:  # pyright: ignore[reportUnknownVariableType]
        if isinstance(label, bool):
            raise ValueError(f"YAML reads an unquoted yes, no, on or off as {label}: quote it")
    return tuple(map(label_text, value))  # pyright: ignore[reportUnknownArgumentType]


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Labels = Annotated[tuple[Text, ...], BeforeValidator(_declared_labels)]


class Task(BaseModel):
    """A judging task.

    kind: binary, categorical and ordinal give one image one label; pairwise is reserved.
    labels: the declared label set in declared order, lowest first for an ordinal task. Verdicts
        are read over it and metrics computed over all of it.
    judge_prompt, i2t_prompt: p_0 and q_0. They say nothing about the output format.
    answer_instruction: appended to every judge prompt, never optimized.
    carries_text: whether every example has a text of its own (the caption behind the image).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*$")]
    description: Text
    kind: Kind
    labels: Labels
    judge_prompt: Text
    i2t_prompt: Text
    answer_instruction: Text
    primary_metric: Metric
    carries_text: bool = False

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        repeated = [label for label, count in Counter(self.labels).items() if count > 1]
        if repeated:
            raise ValueError(f"`labels` names {repeated[0]!r} more than once: keep one")
        if self.kind == "binary" and len(self.labels) != 2:
            raise ValueError(f"`labels` has {len(self.labels)} entries, a binary task has two")
        if len(self.labels) < 2:
            raise ValueError("`labels` needs at least two entries")
        return self

    def label_set(self) -> str:
        """The label set as messages print it."""
        return ", ".join(self.labels)


def task_names() -> list[str]:
    """Names of the packaged tasks, sorted."""
    return sorted(_packaged())


def load_task(name_or_path: str | Path) -> Task:
    """A packaged task by name, or the task in a YAML file (a path ends in .yaml or .yml).

    Raises DataError for an unknown name, a missing file, and a file that is not a task.
    """
    if Path(name_or_path).suffix in {".yaml", ".yml"}:
        return _read_task(Path(name_or_path), str(name_or_path))
    packaged = _packaged()
    if str(name_or_path) not in packaged:
        raise DataError(
            f"unknown task {str(name_or_path)!r}: give one of {', '.join(sorted(packaged))}, "
            "or the path of a task file that ends in .yaml"
        )
    file = packaged[str(name_or_path)]
    return _read_task(file, file.name)


def _packaged() -> Mapping[str, Traversable]:
    found = (files("blpo.data") / "tasks").iterdir()
    return {file.name.removesuffix(".yaml"): file for file in found if file.name.endswith(".yaml")}


def _read_task(file: Traversable, source: str) -> Task:
    try:
        content = file.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise DataError(
            f"{source}: no such task file; `blpo tasks` lists the packaged ones"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: not UTF-8 text: save the task file as UTF-8") from error
    try:
        task = Task.model_validate(read_yaml(content, source, DataError))
    except ValidationError as error:
        raise DataError(validation_message(error, source, Task)) from error
    if task.kind == "pairwise":
        raise DataError(
            f"{source}: `kind` is pairwise, which is not supported yet: "
            "use binary, categorical or ordinal"
        )
    return task
