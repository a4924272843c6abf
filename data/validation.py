"""Settings files: YAML read and checked against a pydantic model, problems told one per line."""

import difflib
import re
from collections.abc import Sequence
from typing import Any, cast, get_args

import yaml
from pydantic import BaseModel, ValidationError

from .errors import BlpoError

_USER_IN_URL = re.compile(r"://[^/\s'\"]*@")


def read_yaml(content: str, source: str, error: type[BlpoError]) -> dict[str, Any]:
    """The mapping that YAML text holds; raises `error`, naming source and line, when it is none."""
    try:
        loaded = cast("object", yaml.safe_load(content))
    except yaml.YAMLError as problem:
        raise error(f"{source}: not valid YAML: {_yaml_problem(problem)}") from problem
    if not isinstance(loaded, dict):
        raise error(f"{source}: holds {type(loaded).__name__}, must hold `key: value` lines")
    return {str(key): value for key, value in cast("dict[object, Any]", loaded).items()}


def validation_message(error: ValidationError, source: str, model: type[BaseModel]) -> str:
    """One line per problem: source, key, value, what is wrong; a close known key for a typo."""
    problems = error.errors(include_url=False, include_context=False)
    return "\n".join(f"{source}: {_problem_text(dict(p), model)}" for p in problems)


def _problem_text(problem: dict[str, Any], model: type[BaseModel]) -> str:
    location: tuple[str | int, ...] = problem["loc"]
    key = ".".join(str(part) for part in location)
    if problem["type"] == "extra_forbidden":
        return f"unknown key `{key}`{_suggestion(str(location[-1]), _known_keys(model, location))}"
    if problem["type"] == "missing":
        return f"key `{key}` is missing"
    message = str(problem["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    if not key:
        return message
    shown = _USER_IN_URL.sub("://***@", repr(problem["input"]))
    return f"`{key}` is {shown}: {message}"


def _suggestion(key: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known keys: {', '.join(known)}" if known else ""


def _known_keys(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Keys of the (nested) model that holds the last key of `location`."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        nested = _model_in(field.annotation) if field else None
        if nested is None:
            return []
        model = nested
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model is not None), None)


def _yaml_problem(error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return str(error)
