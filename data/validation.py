"""What pydantic finds wrong with a settings file, told one problem per line."""

import difflib
from collections.abc import Sequence
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from .redaction import redacted

_GROUP_EXPECTED = ("model_type", "model_attributes_type", "dict_type", "mapping_type")


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
    if problem["type"] in _GROUP_EXPECTED:
        message = "should be a group of keys"
    if not key:
        return message
    if problem["input"] is None:
        return f"`{key}` is empty: {message}, or drop the key"
    return f"`{key}` is {redacted(repr(problem['input']))}: {message}"


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
