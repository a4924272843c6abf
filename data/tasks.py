"""Tasks: what is judged, on which labels, and the prompts that a run starts from."""

import math
import re
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    model_validator,
)

from .errors import DataError
from .image_names import MAX_IMAGES
from .near_paths import did_you_mean
from .text_files import parse_yaml, read_text
from .validation import validated

Kind = Literal["binary", "categorical", "ordinal", "pairwise"]
Metric = Literal["macro_f1", "accuracy"]
Compare = Literal["joint", "scores"]
Rule = Literal["all", "any", "mean"]
CriterionKind = Literal["binary", "ordinal", "probability"]

PAIR_LABELS = ("A", "B")
PAIR_LABELS_WITH_TIE = ("A", "tie", "B")
TIE = "tie"

_TAKEN = frozenset(
    {
        *("example_id", "image", "image_b", "text", "label", "group", "category", "split"),
        *("score", "ratings", "score_sd", "swapped", "comment", "id", "rater"),
    }
)
"""Names of other columns, of datasets and of tables that are imported."""


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


def _checked_name(name: str) -> str:
    if not re.fullmatch("[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(
            "must be lower-case letters, digits, - and _, and start with a letter or digit"
        )
    return name


def _checked_role(role: str) -> str:
    if not re.fullmatch("[a-z][a-z0-9_]*", role):
        raise ValueError("must be lower-case letters, digits and _, and start with a letter")
    if role in _TAKEN:
        raise ValueError(f"{role} is a column of another meaning: give the image another name")
    return role


Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Labels = Annotated[tuple[Text, ...], BeforeValidator(_declared_labels)]
ImageRole = Annotated[str, AfterValidator(_checked_role)]


class Criterion(BaseModel):
    """One of several questions about an image.

    name: in messages and verdicts. question: stands between judge prompt and answer instruction.
    labels: its answers, the last of which speaks most for the task's last label.
    kind: binary of two labels, ordinal of more, unless given; of a probability, annotators' answers
        are numbers from 0 to 1, that of the last of two labels, and a judge's may be.
    answer_instruction: the task's own where none is given. weight: in a mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    name: Text
    question: Text
    labels: Labels
    kind: CriterionKind | None = None
    answer_instruction: Text | None = None
    weight: Annotated[float, Field(gt=0)] = 1.0

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if len(self.labels) < 2 or len(set(self.labels)) < len(self.labels):
            raise ValueError("`labels` of a criterion needs at least two entries, all different")
        if self.kind in ("binary", "probability") and len(self.labels) != 2:
            raise ValueError(f"`kind: {self.kind}` of a criterion goes with two `labels`")
        return self

    @model_validator(mode="after")
    def _check_name(self) -> Self:
        if not self.name.isprintable() or "]" in self.name:
            raise ValueError("`name` of a criterion is one line, without ]")
        return self

    def fault(self, answer: str) -> str:
        """Why it is no annotators' answer to this question; empty if it is one."""
        if self.kind != "probability":
            return "" if answer in self.labels else f"is not one of {', '.join(self.labels)}"
        return "is no number from 0 to 1" if _share(answer) is None else ""

    def label_of(self, answer: str) -> str:
        """The label that an annotators' answer stands for: of a probability, the likelier one."""
        if self.kind != "probability":
            return answer
        return self.labels[(_share(answer) or 0.0) > 0.5]


def _share(text: str) -> float | None:
    """A number from 0 to 1, also with a decimal comma or in percent; None for anything else."""
    number, percent, rest = text.strip().replace(",", ".").partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        return None
    return share if 0 <= share <= 1 and not rest else None


class Task(BaseModel):
    """A judging task.

    kind: binary, categorical and ordinal give one image one label; pairwise says which of two
        images, A or B, annotators prefer.
    labels: the declared label set in declared order, lowest first for an ordinal task. Verdicts
        are read over it and metrics computed over all of it. A pairwise task has A, B or, where
        annotators may also see no difference, A, tie, B.
    judge_prompt, i2t_prompt: p_0 and q_0. They say nothing about the output format.
    answer_instruction: appended to every judge prompt, never optimized.
    carries_text: whether every example has a text of its own (the caption behind the image).
    compare: how a pairwise task is judged. "joint" shows the judge both images at once; "scores"
        asks it about each image on its own, on the labels `score_labels`, worst first, and
        prefers the image that is likelier to get the higher one. `judge_prompt` and
        `answer_instruction` fit the question that is asked.
    images: roles of the images of an example, in the order in which the judge is shown them, all
        at once. Empty where an example is one image or, in a pairwise task, image A and image B.
    criteria: questions that the judge is asked one by one about every image, each under the judge
        prompt. rule: how their answers come to a verdict, see `criteria_judge`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_checked_name)]
    description: Text
    kind: Kind
    labels: Labels
    judge_prompt: Text
    i2t_prompt: Text
    answer_instruction: Text
    primary_metric: Metric
    carries_text: bool = False
    compare: Compare | None = None
    score_labels: Labels = ()
    images: tuple[ImageRole, ...] = ()
    criteria: tuple[Criterion, ...] = ()
    rule: Rule | None = None

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

    @model_validator(mode="after")
    def _check_pairs(self) -> Self:
        if not self.is_pairwise:
            if self.compare or self.score_labels:
                raise ValueError("`compare` and `score_labels` are for pairwise tasks: drop them")
            return self
        if self.labels not in (PAIR_LABELS, PAIR_LABELS_WITH_TIE):
            raise ValueError("`labels` of a pairwise task are A, B or A, tie, B")
        if self.compare is None:
            raise ValueError("`compare` is missing: a pairwise task needs joint or scores")
        if (self.compare == "scores") != bool(self.score_labels):
            raise ValueError("`score_labels` goes with `compare: scores`, and only with it")
        if self.score_labels and len(set(self.score_labels)) < 2:
            raise ValueError("`score_labels` needs at least two different entries")
        return self

    @model_validator(mode="after")
    def _check_images(self) -> Self:
        if not self.images:
            return self
        if self.is_pairwise:
            raise ValueError("`images` is for other kinds: a pairwise task has image A and image B")
        if not 1 < len(self.images) <= MAX_IMAGES:
            raise ValueError(
                f"`images` names the roles of 2 to {MAX_IMAGES} images: drop it where an example "
                "is one image"
            )
        repeated = [role for role, count in Counter(self.images).items() if count > 1]
        if repeated:
            raise ValueError(f"`images` names {repeated[0]!r} more than once: keep one")
        return self

    @model_validator(mode="after")
    def _check_criteria(self) -> Self:
        if bool(self.criteria) != bool(self.rule):
            raise ValueError("`criteria` and `rule` go together: give both or neither")
        if not self.criteria:
            return self
        if self.kind == "pairwise":
            raise ValueError("`criteria` are for binary, ordinal and categorical tasks")
        if self.kind != "binary" and self.rule != "mean":
            raise ValueError(
                f"`rule: {self.rule}` is for binary tasks: one that is {self.kind} takes mean"
            )
        if self.kind == "categorical" and any(c.labels != self.labels for c in self.criteria):
            raise ValueError("criteria of a categorical task have the `labels` of the task")
        repeated = [name for name, n in Counter(c.name for c in self.criteria).items() if n > 1]
        if repeated:
            raise ValueError(f"`criteria` has two of the name {repeated[0]!r}")
        if self.rule != "mean" and any(c.weight != 1 for c in self.criteria):
            raise ValueError("`weight` of a criterion is for `rule: mean`")
        return self

    @property
    def is_question(self) -> bool:
        """Whether this is one of the criteria of a task, as a task of its own."""
        return bool(self.criteria) and self.rule is None

    @property
    def asks_probability(self) -> bool:
        """Whether an answer may also be the probability of the last of the two labels."""
        return self.is_question and self.criteria[0].kind == "probability"

    @property
    def is_pairwise(self) -> bool:
        """Whether an example is two images."""
        return self.kind == "pairwise"

    @property
    def image_columns(self) -> tuple[str, ...]:
        """The columns of an example's images in a dataset, in order."""
        return self.images or (("image", "image_b") if self.is_pairwise else ("image",))

    @property
    def images_per_request(self) -> int:
        """How many images the judge is shown at once."""
        return 1 if self.compare == "scores" else len(self.image_columns)

    @property
    def asked_labels(self) -> Labels:
        """The labels of one request: those of a single image where pairs are judged by scores, and
        of the first criterion where there are several."""
        return self.criteria[0].labels if self.criteria else self.score_labels or self.labels

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


def task_yaml(task: Task) -> str:
    """The text of a task file that `load_task` reads as this task."""
    fields = task.model_dump(mode="json", exclude_defaults=True)
    return yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=math.inf)


def _packaged() -> Mapping[str, Traversable]:
    found = (files("blpo.data") / "tasks").iterdir()
    return {file.name.removesuffix(".yaml"): file for file in found if file.name.endswith(".yaml")}


def _read_task(file: Traversable, source: str) -> Task:
    if not file.is_file():
        meant = did_you_mean(Path(source))
        raise DataError(f"{source}: no such task file; `blpo tasks` lists the packaged ones{meant}")
    content = read_text(file, DataError, "task file")
    return validated(Task, parse_yaml(content, source, DataError), source, DataError)
