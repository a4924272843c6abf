"""What is wrong with a settings file is told in the words of the file, for every key there is."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from blpo.data.micro.graded import GradedWorld
from blpo.data.tasks import Criterion, Task
from blpo.data.validation import validation_message
from blpo.pipeline.bulk.bundle import Bundle
from blpo.pipeline.config import JudgeConfig, RunConfig
from blpo.pipeline.sweeps.sweep import SweepConfig
from config_keys import section_of
from pydantic import BaseModel, ValidationError

MODELS = (RunConfig, JudgeConfig, SweepConfig, Task, Criterion, GradedWorld, Bundle)
WRONG: tuple[Any, ...] = (
    *("x", "", 7, -7, 1.5, float("nan"), True, None),
    *([], [None], [1], ["x"], [{}], {}, {"a": 1}),
)
JARGON = re.compile(
    r"\b([Tt]uple|[Dd]ict\w*|[Mm]apping|None|NoneType|instance|valid|validation|[Ss]tring|integer|"
    r"boolean|parse|iterable|pydantic|union|literal|constrained|True|False)\b|<class|Path\("
)
IN_QUOTES = re.compile("`[^`]*`|'[^']*'")


def sections(model: type[BaseModel], *keys: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every key of a model and of the models in it, with the keys that it is under."""
    for name, field in model.model_fields.items():
        yield keys, name
        inner = section_of(field)
        if inner is not None:
            yield from sections(inner, *keys, name)


def told(model: type[BaseModel], fields: dict[str, Any]) -> list[str]:
    """What is said of these fields, but for keys that are missing."""
    try:
        model.model_validate(fields)
    except ValidationError as error:
        lines = validation_message(error, "f.yaml", model).splitlines()
        return [line for line in lines if not line.endswith("is missing")]
    return []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_no_message_has_a_word_of_python(model: type[BaseModel]) -> None:
    num_told = 0
    for keys, name in sections(model):
        for value in WRONG:
            fields: dict[str, Any] = {name: value}
            for key in reversed(keys):
                fields = {key: fields}
            for line in told(model, fields):
                num_told += 1
                key, _, message = line.removeprefix("f.yaml: ").partition(": ")
                assert re.match(r"unknown key|`[\w.]+` is |[a-z]", key), line
                assert not JARGON.search(IN_QUOTES.sub("", message)), line
    assert num_told > 50


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"log_to": "mlflow"}, "`log_to` is 'mlflow': should be a list, such as [mlflow]"),
        ({"task": 2024}, "`task` is 2024: should be text: put it in quotes"),
        ({"dataset": None}, "`dataset` is empty: should be a path"),
        ({"seed": None}, "`seed` is empty: should be a whole number, or drop the key"),
        ({"report": [True]}, "`report` is [true]: should be true or false"),
        (
            {"judge": {"engines": "x"}},
            "`judge.engines` is 'x': should be 'auto' or a whole number",
        ),
    ],
)
def test_the_message_says_what_should_stand_there(fields: dict[str, Any], message: str) -> None:
    assert f"f.yaml: {message}" in told(RunConfig, fields)


def test_a_task_that_names_its_one_image_is_told_of_a_list() -> None:
    [line] = told(Task, {"images": "source"})
    assert line == "f.yaml: `images` is 'source': should be a list, such as [source]"
